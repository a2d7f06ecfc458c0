package pool_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

// scaling is a plain model whose number of workers follows the load by the rules
// that hold unless an archive says otherwise.
func scaling() model.Settings {
	s := base()
	s.QueueSize = 1000
	s.Autoscale = model.Autoscale{
		On: true, QueueWait: model.DefaultQueueWait, UpAfter: model.DefaultUpAfter, DownAfter: model.DefaultDownAfter,
	}
	return s
}

// between asks for workers, and waits until the least number is loaded.
func between(t *testing.T, p *pool.Pool, least, most int) {
	t.Helper()
	progress, err := scaleAndWait(t.Context(), p, model.Workers{Min: least, Max: most})
	require.NoError(t, err)
	require.Equal(t, model.Done, progress)
}

// crowd is clients that come one after the other.
type crowd struct {
	all     []*client
	refused int
}

// come has clients come at an interval for a time.
func (c *crowd) come(t *testing.T, p *pool.Pool, interval, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); pass(interval) {
		c.one(t, p, "")
	}
}

// one has a client come, with a job of a sequence if it is named.
func (c *crowd) one(t *testing.T, p *pool.Pool, sequence string) {
	t.Helper()
	next := newClient(strconv.Itoa(len(c.all)))
	if sequence != "" {
		next.job.Request.Headers = []job.Header{{Name: sequenceID, Value: sequence}}
	}
	if err := p.Submit(t.Context(), next.job); err != nil {
		require.Equal(t, fault.Busy, fault.KindOf(err))
		c.refused++
		return
	}
	c.all = append(c.all, next)
}

// served requires that each of them got one good answer.
func (c *crowd) served(t *testing.T) {
	t.Helper()
	for _, each := range c.all {
		assert.Equal(t, 1, each.answers(), "answers to %s", each.job.ID)
		assert.NoError(t, each.err)
	}
}

// decisions requires the decisions so far; a reason that is not named has none.
func decisions(t *testing.T, p *pool.Pool, want map[model.ScalingReason]int) {
	t.Helper()
	for reason, n := range p.Status().Scalings {
		assert.Equal(t, want[reason], n, "%s", reason)
	}
}

func loadedNow(p *pool.Pool) (n int) {
	for _, w := range p.Status().Workers {
		if w.Ready {
			n++
		}
	}
	return n
}

func TestScaleUpByItself(t *testing.T) {
	t.Run("sustained waits add a worker after the other, as many as it takes", func(t *testing.T) {
		tm := &team{work: time.Second, load: 10 * time.Second}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 8)
			var c crowd
			c.come(t, p, 400*time.Millisecond, 5*time.Second) // two and a half workers' work
			assert.Len(t, ports(p), 1)
			c.come(t, p, 400*time.Millisecond, 3*time.Second)
			assert.Equal(t, []int{9000, 9001}, ports(p))
			assert.Equal(t, 1, loadedNow(p))
			c.come(t, p, 400*time.Millisecond, 9*time.Second)
			assert.Len(t, ports(p), 2, "one start at a time")
			c.come(t, p, 400*time.Millisecond, 10*time.Minute)
			assert.Len(t, ports(p), 3, "they catch up with what came meanwhile")
			assert.Equal(t, model.Workers{Min: 1, Max: 8}, p.Workers(), "what was asked for")
			decisions(t, p, map[model.ScalingReason]int{model.JobsWaited: 2})
			pass(time.Minute)
			c.served(t)
		})
	})
	t.Run("not beyond the maximum, and not two at a time", func(t *testing.T) {
		tm := &team{work: time.Second, load: 30 * time.Second}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 3)
			var c crowd
			for range 600 {
				c.come(t, p, 200*time.Millisecond, 200*time.Millisecond)
				assert.GreaterOrEqual(t, loadedNow(p), len(ports(p))-1)
			}
			assert.Equal(t, 3, loadedNow(p))
			assert.Equal(t, 3, tm.size())
			pass(time.Hour)
			c.served(t)
		})
	})
	t.Run("a short burst adds none", func(t *testing.T) {
		bubble(t, &team{work: time.Second}, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			for range 20 {
				for range 5 {
					c.one(t, p, "")
				}
				pass(10 * time.Second)
			}
			assert.Len(t, ports(p), 1)
			decisions(t, p, nil)
			c.served(t)
		})
	})
	t.Run("nor do waits that are short", func(t *testing.T) {
		tm := &team{work: 20 * time.Millisecond}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			for range 1000 {
				for range 5 {
					c.one(t, p, "")
				}
				pass(100 * time.Millisecond)
			}
			assert.Len(t, ports(p), 1, "busy all the time, but nobody waits for longer than 100 ms")
			c.served(t)
		})
	})
	t.Run("two clients of a slow model are two too many for one worker", func(t *testing.T) {
		bubble(t, &team{work: time.Minute}, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 2)
			var c crowd
			c.one(t, p, "")
			c.one(t, p, "")
			pass(8 * time.Second)
			assert.Equal(t, 2, loadedNow(p))
			assert.Equal(t, 2, p.Status().Running, "it was not put on the socket of the first")
			pass(time.Minute)
			c.served(t)
		})
	})
	for name, change := range map[string]func(s *model.Settings){
		"a queue too short for long waits": func(s *model.Settings) { s.QueueSize = 2 },
		"no ticket":                        func(s *model.Settings) { s.JobTicket = true },
	} {
		t.Run("refusals count as waits: "+name, func(t *testing.T) {
			s := scaling()
			change(&s)
			bubble(t, &team{work: 10 * time.Millisecond}, s, func(t *testing.T, p *pool.Pool) {
				between(t, p, 1, 2)
				var c crowd
				c.come(t, p, 2*time.Millisecond, 8*time.Second)
				assert.Len(t, ports(p), 2)
				assert.NotZero(t, c.refused)
				decisions(t, p, map[model.ScalingReason]int{model.JobsRefused: 1})
				pass(time.Second)
				c.served(t)
			})
		})
	}
	t.Run("not while a worker is away", func(t *testing.T) {
		tm := &team{work: time.Second, start: func(f *fake, n int) error {
			if f.place.Port == 9001 && n > 1 {
				return errors.New("not again")
			}
			return nil
		}}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 2, 4)
			tm.at(1).die()
			pass(0)
			var c crowd
			c.come(t, p, 700*time.Millisecond, 2*time.Minute)
			assert.Len(t, ports(p), 2)
			pass(time.Hour)
			assert.Len(t, ports(p), 2, "one that gave up is among those that are wanted")
			decisions(t, p, nil)
			c.served(t)
		})
	})
}

func TestScaleDownByItself(t *testing.T) {
	t.Run("workers with nothing to do leave one by one, newest first, down to the minimum", func(t *testing.T) {
		tm := &team{log: new(bytes.Buffer)}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			pass(time.Hour)
			assert.Len(t, ports(p), 3, "a call has fixed the number")
			between(t, p, 1, 3)
			assert.Len(t, ports(p), 3)
			pass(59 * time.Second)
			assert.Len(t, ports(p), 3)
			next, limited := p.NextLook(t.Context())
			assert.True(t, limited)
			assert.InDelta(t, 2*time.Second, next, float64(time.Second), "not before there is something to decide")
			pass(3 * time.Second)
			assert.Equal(t, []int{9000, 9001}, ports(p))
			assert.Equal(t, []int{9002}, tm.gone())
			pass(time.Hour)
			assert.Equal(t, []int{9000}, ports(p))
			_, limited = p.NextLook(t.Context())
			assert.False(t, limited, "nothing is left to decide, so nothing is looked at")
			decisions(t, p, map[model.ScalingReason]int{model.WorkersIdle: 2})
			assert.Equal(t, 2, strings.Count(tm.log.String(), `"logger":"org.pytorch.serve.wlm.Autoscaler"`))
			assert.Contains(t, tm.log.String(),
				"Autoscale model: m, version: 1.0, workers: 3 -> 2 (minWorkers: 1, maxWorkers: 3): one worker fewer is enough")
		})
	})
	t.Run("work for all but one keeps them all: the others would be full", func(t *testing.T) {
		bubble(t, &team{work: 900 * time.Millisecond}, scaling(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			between(t, p, 1, 3)
			var c crowd
			c.come(t, p, 500*time.Millisecond, 10*time.Minute) // 1.8 workers' work
			assert.Len(t, ports(p), 3)
			c.come(t, p, time.Second, 2*time.Minute) // 0.9
			assert.Len(t, ports(p), 2)
			c.come(t, p, time.Second, 10*time.Minute)
			assert.Len(t, ports(p), 2)
			c.come(t, p, 2*time.Second, 2*time.Minute)
			assert.Len(t, ports(p), 1)
			c.served(t)
		})
	})
	t.Run("a worker that leaves finishes what it has, however long that takes", func(t *testing.T) {
		tm := &team{work: time.Hour}
		bubble(t, tm, scaling(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 4)
			var c crowd
			for range 2 {
				c.one(t, p, "")
			}
			between(t, p, 1, 4)
			pass(10 * time.Minute)
			assert.Len(t, ports(p), 3, "two of three are busy, which leaves no room")
			pass(time.Hour)
			assert.Len(t, ports(p), 1)
			c.served(t)
		})
	})
}

func TestSteadyLoad(t *testing.T) {
	t.Run("a little more than one worker can do is two workers for good", func(t *testing.T) {
		bubble(t, &team{work: time.Second}, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			c.come(t, p, 950*time.Millisecond, 2*time.Hour)
			assert.Len(t, ports(p), 2)
			decisions(t, p, map[model.ScalingReason]int{model.JobsWaited: 1})
			pass(time.Minute)
			c.served(t)
		})
	})
	t.Run("a load that looks small to two and is large for one does not swing for ever", func(t *testing.T) {
		bubble(t, &team{work: time.Second}, scaling(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			for range 4 * 360 { // 4 hours
				for range 7 {
					c.one(t, p, "")
				}
				pass(10 * time.Second)
			}
			made := p.Status().Scalings
			assert.Greater(t, made[model.JobsWaited], 3, "it is such a load")
			assert.Less(t, made[model.JobsWaited]+made[model.WorkersIdle], 50, "every 16 minutes in the end, not every 70 seconds")
			c.served(t)
		})
	})
}
