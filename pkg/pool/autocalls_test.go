package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

func TestFailingStarts(t *testing.T) {
	t.Run("a worker that does not start is withdrawn, and the next one waits ever longer", func(t *testing.T) {
		broken := true
		tm := &team{work: time.Second, load: time.Second, log: new(bytes.Buffer)}
		tm.start = func(f *fake, _ int) error {
			if f.place.Port > 9000 && broken {
				return errors.New("no memory left")
			}
			return nil
		}
		s := scaling()
		s.QueueSize = 10000
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			c.come(t, p, 700*time.Millisecond, 50*time.Second)
			assert.Equal(t, []int{9000}, ports(p))
			assert.True(t, p.Healthy())
			decisions(t, p, map[model.ScalingReason]int{model.JobsWaited: 1, model.StartFailed: 1})
			assert.Contains(t, tm.log.String(), "workers: 2 -> 1 (minWorkers: 1, maxWorkers: 4): the new worker did not start; the next one is added in 1m0s at the earliest")
			c.come(t, p, 900*time.Millisecond, time.Hour)
			failed := p.Status().Scalings[model.StartFailed]
			assert.Equal(t, 7, failed, "after 1, 2, 4, 8, 16 and 16 minutes")
			assert.Len(t, tm.gone(), failed)
			for at := range failed {
				assert.Equal(t, 1, tm.at(at+1).launches())
			}
			broken = false
			c.come(t, p, 900*time.Millisecond, 20*time.Minute)
			assert.GreaterOrEqual(t, loadedNow(p), 2)
			pass(24 * time.Hour)
			c.served(t)
		})
	})
	t.Run("a worker above the minimum that gave up is dropped", func(t *testing.T) {
		s := scaling()
		s.Timeouts.Retry = 0
		tm := &team{work: time.Second}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			between(t, p, 1, 2)
			tm.at(0).die()
			pass(2 * time.Second)
			assert.Equal(t, []int{9001}, ports(p))
			decisions(t, p, map[model.ScalingReason]int{model.WorkerGaveUp: 1})
			var c crowd
			c.come(t, p, 800*time.Millisecond, 50*time.Second)
			assert.Len(t, ports(p), 1, "not at once another one")
			c.come(t, p, 800*time.Millisecond, 30*time.Second)
			assert.Equal(t, []int{9001, 9002}, ports(p))
			pass(time.Minute)
			c.served(t)
		})
	})
}

func TestScaleCallsWin(t *testing.T) {
	t.Run("a call begins the window anew, and its minimum holds", func(t *testing.T) {
		bubble(t, &team{}, scaling(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			between(t, p, 1, 3)
			pass(50 * time.Second)
			between(t, p, 2, 5)
			pass(50 * time.Second)
			assert.Len(t, ports(p), 3)
			pass(time.Hour)
			assert.Len(t, ports(p), 2)
			assert.Equal(t, model.Workers{Min: 2, Max: 5}, p.Workers())
		})
	})
	t.Run("a maximum ends a worker that is being added", func(t *testing.T) {
		tm := &team{work: time.Second, load: time.Minute}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 2)
			var c crowd
			c.come(t, p, 700*time.Millisecond, 20*time.Second)
			require.Len(t, ports(p), 2)
			between(t, p, 1, 1)
			assert.Equal(t, []int{9000}, ports(p))
			c.come(t, p, 700*time.Millisecond, 10*time.Minute)
			assert.Equal(t, []int{9000}, ports(p))
			decisions(t, p, map[model.ScalingReason]int{model.JobsWaited: 1})
			pass(time.Hour)
			c.served(t)
		})
	})
	t.Run("a minimum keeps a worker that was added and does not start", func(t *testing.T) {
		tm := &team{work: time.Second, load: 10 * time.Second}
		tm.start = func(f *fake, n int) error {
			if f.place.Port == 9001 && n == 1 {
				return errors.New("not yet")
			}
			return nil
		}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 2)
			var c crowd
			c.come(t, p, 700*time.Millisecond, 8*time.Second)
			require.Len(t, ports(p), 2)
			_, err := p.Scale(t.Context(), model.Workers{Min: 2, Max: 2})
			require.NoError(t, err)
			pass(time.Minute)
			assert.Equal(t, 2, loadedNow(p))
			assert.Equal(t, 2, tm.at(1).launches())
			decisions(t, p, map[model.ScalingReason]int{model.JobsWaited: 1})
			c.served(t)
		})
	})
	t.Run("no worker stays none", func(t *testing.T) {
		bubble(t, &team{work: time.Second}, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 2, 4)
			_, err := scaleAndWait(t.Context(), p, model.Workers{Min: 0, Max: 4})
			require.NoError(t, err)
			for range 100 {
				refused(t, p)
				pass(time.Second)
			}
			assert.Empty(t, ports(p))
			decisions(t, p, nil)
		})
	})
}

func TestCloseWhileScaling(t *testing.T) {
	t.Run("while a worker is being added", func(t *testing.T) {
		tm := &team{work: time.Second, load: time.Minute}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 2)
			var c crowd
			c.come(t, p, 700*time.Millisecond, 20*time.Second)
			require.Equal(t, 1, loadedNow(p))
			require.Len(t, ports(p), 2)
			began := time.Now()
			require.NoError(t, p.Close(t.Context()))
			assert.LessOrEqual(t, time.Since(began), time.Second)
			for _, each := range c.all {
				assert.Equal(t, 1, each.answers())
			}
		})
	})
	t.Run("while a worker leaves", func(t *testing.T) {
		tm := &team{work: time.Hour}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			var c crowd
			synctest.Wait()
			c.one(t, p, "")
			between(t, p, 1, 3)
			pass(10 * time.Minute)
			require.NoError(t, p.Close(t.Context()))
			assert.Equal(t, 1, c.all[0].answers())
		})
	})
}

// TestScaleAtRandom lets the number of workers follow a load that changes at
// random, while some of them die and calls change the numbers that are wanted:
// every accepted job must have exactly one final answer.
func TestScaleAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("SCH-081 seed %d", seed), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(seed, seed))
			s := scaling()
			s.QueueSize = 1 + dice.IntN(30)
			s.Batching.Size, s.Batching.Delay = 1+dice.IntN(3), time.Duration(dice.IntN(20))*time.Millisecond
			s.Sequence.Continuous = seed%4 == 3
			s.Async, s.AsyncLimit = seed%4 == 2, 1
			s.Autoscale.UpAfter, s.Autoscale.DownAfter = time.Second, 3*time.Second
			tm := &team{work: time.Duration(50+dice.IntN(200)) * time.Millisecond, load: 50 * time.Millisecond}
			bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
				between(t, p, 1, 6)
				var c crowd
				for n := range 12 {
					interval := tm.work / time.Duration(4*s.Batching.Size) // four workers' work
					if n%2 == 1 {
						interval = 4 * tm.work
					}
					c.come(t, p, interval, time.Duration(2000+dice.IntN(10000))*time.Millisecond)
					switch dice.IntN(12) {
					case 0:
						tm.at(dice.IntN(tm.size())).die()
					case 1:
						n := 1 + dice.IntN(3)
						_, err := p.Scale(t.Context(), model.Workers{Min: n, Max: n + 4})
						require.NoError(t, err)
					}
				}
				made := p.Status().Scalings
				assert.NotZero(t, made[model.JobsWaited]+made[model.JobsRefused])
				assert.NotZero(t, made[model.WorkersIdle])
				require.NoError(t, p.Close(t.Context()))
				for _, each := range c.all {
					assert.Equal(t, 1, each.answers(), "answers to %s", each.job.ID)
				}
			})
		})
	}
}
