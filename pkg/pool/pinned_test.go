package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// shares returns which parts of the CPU cores the workers of a team got, from the
// one with this number.
func (tm *team) shares(from int) (all []worker.Share) {
	for i := from; i < tm.size(); i++ {
		all = append(all, tm.at(i).place.Share)
	}
	return all
}

func TestPinned(t *testing.T) {
	two := []worker.Share{{Index: 0, Of: 2}, {Index: 1, Of: 2}}
	t.Run("SCH-036 WRK-047 every call replaces all workers", func(t *testing.T) {
		tm := &team{pinned: true, load: time.Second}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			assert.Equal(t, []int{9000, 9001}, ports(p))
			assert.Equal(t, two, tm.shares(0))
			began := time.Now()
			scale(t, p, 1)
			assert.Equal(t, time.Second, time.Since(began), "waits for the new one")
			assert.Equal(t, []int{9002}, ports(p))
			assert.Equal(t, []worker.Share{{Index: 0, Of: 1}}, tm.shares(2))
			scale(t, p, 1)
			assert.Equal(t, []int{9003}, ports(p), "the same number again")
			scale(t, p, 2)
			assert.Equal(t, []int{9004, 9005}, ports(p))
			assert.Equal(t, two, tm.shares(4))
			assert.Equal(t, 2, tm.processes())
			scale(t, p, 0)
			assert.Empty(t, ports(p))
			refused(t, p)
		})
	})
	t.Run("SCH-036 requests wait for the new ones", func(t *testing.T) {
		tm := &team{pinned: true, load: 5 * time.Second, work: 2 * time.Second}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			b := submit(t, p, "b")
			pass(time.Minute)
			a.answered(t, 2*time.Second)
			b.answered(t, 7*time.Second)
			assert.Equal(t, [][]string{{"a"}}, tm.at(0).seen(), "the old one finishes what it has")
		})
	})
	t.Run("one that is started again keeps its part", func(t *testing.T) {
		tm := &team{pinned: true}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			tm.at(1).die()
			pass(10 * time.Second)
			assert.Equal(t, 2, tm.at(1).launches())
			assert.Equal(t, two, tm.shares(0))
		})
	})
	t.Run("others have all cores", func(t *testing.T) {
		tm := &team{}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			assert.Equal(t, []worker.Share{{}, {}}, tm.shares(0))
		})
	})
	t.Run("with automatic scaling there are parts for the most that may come", func(t *testing.T) {
		tm := &team{pinned: true, work: time.Second}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 3)
			c := &crowd{}
			c.come(t, p, 400*time.Millisecond, time.Minute)
			assert.Equal(t, []worker.Share{{Index: 0, Of: 3}, {Index: 1, Of: 3}, {Index: 2, Of: 3}}, tm.shares(0))
			pass(10 * time.Minute)
			assert.Equal(t, []int{9000}, ports(p))
			c.come(t, p, 600*time.Millisecond, time.Minute)
			assert.Equal(t, []worker.Share{{Index: 1, Of: 3}}, tm.shares(3))
			pass(time.Minute)
			c.served(t)
		})
	})
}
