package server

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/device"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	ask := func(c config.Workers, levels ...int) []int {
		p := newPlaces(c, device.Set{})
		numbers := make([]int, len(levels))
		for i, level := range levels {
			numbers[i] = p.number(level)
		}
		return numbers
	}
	t.Run("SCH-035 WRK-044 two counters, one with the width of the parallel level", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []int{9000, 29500, 9001, 29502, 29506, 9002},
			ask(config.Workers{FirstPort: 9000, DistributionPort: 29500}, 0, 2, 0, 4, 1, 0))
	})
	t.Run("no number is used twice, however close they begin", func(t *testing.T) {
		t.Parallel()
		for _, first := range []int{9000, 9001, 8999, 9003} {
			used := map[int]bool{}
			p := newPlaces(config.Workers{FirstPort: 9000, DistributionPort: first}, device.Set{})
			for _, level := range []int{0, 0, 2, 0, 3, 1, 0, 0, 2, 0} {
				n := p.number(level)
				for port := n; port < n+max(level, 1); port++ {
					assert.False(t, used[port], "%d from %d", port, first)
					used[port] = true
				}
			}
		}
	})
	t.Run("of workers that somebody else starts they are fixed", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []int{9000, 9000, 29500}, ask(config.Workers{FirstPort: 9000, DistributionPort: 29500, Debug: true}, 0, 0, 2))
	})
}
