package device

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// machine has n devices, which a list in its environment names as marks say.
func machine(n int, marks ...string) Set {
	s := Set{Variable: "CUDA_VISIBLE_DEVICES", All: make([]Accelerator, n)}
	for i := range s.All {
		s.All[i].Mark = strconv.Itoa(i)
		if i < len(marks) {
			s.All[i].Mark = marks[i]
		}
	}
	return s
}

// take takes n places and returns their numbers.
func (s *Seats) takes(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = s.Take().GPU
	}
	return numbers
}

func TestBoard(t *testing.T) {
	t.Parallel()
	t.Run("SCH-071 on the CPU", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, Place{GPU: -1}, NewBoard(Set{}).Seats(model.Devices{}).Take())
		assert.Equal(t, Place{GPU: -1}, NewBoard(Set{}).Seats(model.Devices{Parallel: "tp", Level: 2}).Take())
		s := NewBoard(machine(2)).Seats(model.Devices{Type: "cpu", IDs: []int{1}})
		assert.Equal(t, Place{GPU: -1}, s.Take())
		s.Leave(-1)
	})
	t.Run("DEV-016 the first device, then in turn, over all models", func(t *testing.T) {
		t.Parallel()
		b := NewBoard(machine(2))
		one, other := b.Seats(model.Devices{}), b.Seats(model.Devices{Type: "gpu"})
		assert.Equal(t, []int{0, 1}, one.takes(2))
		assert.Equal(t, []int{0}, other.takes(1))
		assert.Equal(t, []int{1}, one.takes(1))
	})
	t.Run("SCH-D57 the device with the fewest workers", func(t *testing.T) {
		t.Parallel()
		b := NewBoard(machine(3))
		fixed := b.Seats(model.Devices{IDs: []int{0}})
		assert.Equal(t, []int{0, 0}, fixed.takes(2))
		s := b.Seats(model.Devices{})
		assert.Equal(t, []int{1, 2, 1, 2, 0}, s.takes(5))
		s.Leave(2)
		s.Leave(2)
		assert.Equal(t, []int{2, 2}, s.takes(2))
	})
	t.Run("SCH-070 DEV-017 deviceIds in turn", func(t *testing.T) {
		t.Parallel()
		b := NewBoard(machine(4))
		b.Seats(model.Devices{IDs: []int{2}}).takes(5)
		assert.Equal(t, []int{2, 3, 2}, b.Seats(model.Devices{IDs: []int{2, 3}}).takes(3), "whatever others have")
		assert.Equal(t, []int{1, 1, 0, 1, 1, 0}, b.Seats(model.Devices{IDs: []int{1, 1, 0}}).takes(6), "one twice as often")
	})
	t.Run("slices, aligned", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			set     Set
			devices model.Devices
			want    []Place
		}{
			"of all devices": {machine(8), model.Devices{Parallel: "tp", Level: 4}, []Place{
				{0, []string{"CUDA_VISIBLE_DEVICES=0,1,2,3"}}, {4, []string{"CUDA_VISIBLE_DEVICES=4,5,6,7"}},
			}},
			"of deviceIds": {machine(8), model.Devices{Parallel: "tp", Level: 2, IDs: []int{2, 3, 4, 5}}, []Place{
				{0, []string{"CUDA_VISIBLE_DEVICES=2,3"}}, {2, []string{"CUDA_VISIBLE_DEVICES=4,5"}},
			}},
			"SCH-072 through the server's own list": {machine(4, "4", "5", "GPU-ab", "7"), model.Devices{Parallel: "custom", Level: 2}, []Place{
				{0, []string{"CUDA_VISIBLE_DEVICES=4,5"}}, {2, []string{"CUDA_VISIBLE_DEVICES=GPU-ab,7"}},
			}},
			"SCH-D57 what is left over belongs to nobody": {machine(5), model.Devices{Parallel: "tp", Level: 2}, []Place{
				{0, []string{"CUDA_VISIBLE_DEVICES=0,1"}}, {2, []string{"CUDA_VISIBLE_DEVICES=2,3"}}, {0, []string{"CUDA_VISIBLE_DEVICES=0,1"}},
			}},
			"DEV-021 the vendor's variable": {Set{Variable: "HIP_VISIBLE_DEVICES", All: machine(2).All}, model.Devices{Parallel: "tp", Level: 2}, []Place{
				{0, []string{"HIP_VISIBLE_DEVICES=0,1"}},
			}},
			"a vendor without one": {Set{All: machine(1).All}, model.Devices{Parallel: "custom", Level: 1}, []Place{{GPU: 0}}},
		} {
			s := NewBoard(c.set).Seats(c.devices)
			for _, want := range c.want {
				assert.Equal(t, want, s.Take(), name)
			}
		}
	})
	t.Run("SCH-D57 a slice that is free again goes first", func(t *testing.T) {
		t.Parallel()
		b := NewBoard(machine(6))
		s := b.Seats(model.Devices{Parallel: "tp", Level: 2})
		assert.Equal(t, []int{0, 2, 4}, s.takes(3))
		s.Leave(2)
		assert.Equal(t, []int{2}, s.takes(1))
		s.Leave(0)
		s.Leave(4)
		assert.ElementsMatch(t, []int{0, 4}, s.takes(2))
	})
	t.Run("two models do not share slices while there are others", func(t *testing.T) {
		t.Parallel()
		b := NewBoard(machine(4))
		d := model.Devices{Parallel: "tp", Level: 2}
		one, other := b.Seats(d), b.Seats(d)
		assert.Equal(t, []int{0}, one.takes(1))
		assert.Equal(t, []int{2}, other.takes(1))
		assert.Equal(t, []int{0}, other.takes(1))
	})
}
