package pool_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

// continuous is a model of continuous batching with size live jobs.
func continuous(size int) model.Settings {
	s := base()
	s.Batching = model.Batching{Size: size, Delay: 10 * time.Second}
	s.Sequence.Continuous = true
	return s
}

// stepping makes workers that take a second for a step; a job takes as many of
// them as its first parameter says, or three.
func stepping(most int) *team {
	return &team{work: time.Second, most: most, unique: true, steps: func(j *job.Job) int {
		if p := j.Request.Parameters; len(p) > 0 {
			return len(p[0].Value)
		}
		return 3
	}}
}

// ofSteps makes a job take n steps.
func ofSteps(c *client, n int) *client {
	c.job.Request.Parameters = []job.Parameter{{Name: "body", Value: make([]byte, n)}}
	return c
}

func send(t *testing.T, p *pool.Pool, c *client) *client {
	t.Helper()
	require.NoError(t, p.Submit(t.Context(), c.job))
	return c
}

func TestContinuous(t *testing.T) {
	t.Parallel()
	t.Run("SCH-043 SCH-044 so many are live, others join between steps without waiting", func(t *testing.T) {
		t.Parallel()
		tm := stepping(2)
		bubble(t, tm, continuous(2), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b := send(t, p, ofSteps(newClient("a"), 2)), send(t, p, ofSteps(newClient("b"), 4))
			pass(500 * time.Millisecond)
			c, d := send(t, p, ofSteps(newClient("c"), 1)), send(t, p, ofSteps(newClient("d"), 2))
			pass(time.Minute)
			assert.Equal(t, [][]string{{"a", "b"}, {"a", "b"}, {"b", "c"}, {"b", "d"}, {"d"}}, tm.at(0).seen())
			a.answered(t, 2*time.Second)
			b.answered(t, 4*time.Second)
			c.answered(t, 2500*time.Millisecond)
			d.answered(t, 4500*time.Millisecond)
		})
	})
	t.Run("a first one waits for others, as in any batch", func(t *testing.T) {
		t.Parallel()
		tm := stepping(4)
		bubble(t, tm, continuous(4), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := send(t, p, ofSteps(newClient("a"), 1))
			pass(5 * time.Second)
			b := send(t, p, ofSteps(newClient("b"), 1))
			pass(time.Minute)
			a.answered(t, 11*time.Second)
			b.answered(t, 6*time.Second)
		})
	})
	t.Run("SCH-046 a client that leaves is missing from the next step", func(t *testing.T) {
		t.Parallel()
		tm := stepping(2)
		bubble(t, tm, continuous(2), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b := send(t, p, newClient("a")), send(t, p, newClient("b"))
			pass(1500 * time.Millisecond)
			a.leave()
			c := send(t, p, newClient("c"))
			pass(time.Minute)
			assert.Equal(t, [][]string{{"a", "b"}, {"a", "b"}, {"b", "c"}, {"c"}, {"c"}}, tm.at(0).seen())
			assert.Zero(t, a.answers())
			b.answered(t, 3*time.Second)
			assert.Equal(t, 1, c.answers())
		})
	})
	t.Run("SCH-047 a describe is executed once, alone, when no job is live, and nobody overtakes it", func(t *testing.T) {
		t.Parallel()
		tm := stepping(4)
		bubble(t, tm, continuous(4), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			send(t, p, newClient("a"))
			pass(10500 * time.Millisecond)
			describe := newClient("d")
			describe.job.Kind = job.Describe
			send(t, p, describe)
			b := send(t, p, ofSteps(newClient("b"), 1))
			pass(time.Minute)
			assert.Equal(t, [][]string{{"a"}, {"a"}, {"a"}, {"d"}, {"b"}}, tm.at(0).seen())
			describe.answered(t, 3500*time.Millisecond)
			assert.Equal(t, 1, b.answers())
		})
	})
	t.Run("two clients chose one id: the second waits for the first, or for another worker", func(t *testing.T) {
		t.Parallel()
		for workers, after := range map[int]time.Duration{1: 15 * time.Second, 2: 10 * time.Second} {
			tm := stepping(4)
			bubble(t, tm, continuous(4), func(t *testing.T, p *pool.Pool) {
				scale(t, p, workers)
				send(t, p, newClient("a"))
				twin, other := send(t, p, newClient("a")), send(t, p, newClient("b"))
				pass(time.Minute)
				assert.Equal(t, 1, other.answers())
				require.Equal(t, 1, twin.answers())
				assert.LessOrEqual(t, twin.when.Sub(twin.job.Created), after+3*time.Second)
			})
		}
	})
	t.Run("a live job stays with its worker, others go where there is room", func(t *testing.T) {
		t.Parallel()
		tm := stepping(1)
		bubble(t, tm, continuous(1), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			for i := range 4 {
				send(t, p, newClient(fmt.Sprint(i)))
			}
			pass(time.Minute)
			for i := range 2 {
				seen := tm.at(i).seen()
				require.Len(t, seen, 6)
				assert.Equal(t, seen[0], seen[2])
				assert.Equal(t, seen[3], seen[5])
				assert.NotEqual(t, seen[2], seen[3])
			}
		})
	})
}

func TestContinuousEnds(t *testing.T) {
	t.Parallel()
	t.Run("SCH-033 a worker that is scaled away finishes what is live and takes nothing more", func(t *testing.T) {
		t.Parallel()
		tm := stepping(4)
		bubble(t, tm, continuous(4), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := send(t, p, newClient("a"))
			pass(10500 * time.Millisecond)
			_, err := p.Scale(t.Context(), model.Workers{})
			require.NoError(t, err)
			refused(t, p)
			pass(time.Minute)
			a.answered(t, 13*time.Second)
		})
	})
	t.Run("CLI-025 what is cut, in a step or between two, gets the cause", func(t *testing.T) {
		t.Parallel()
		for _, at := range []time.Duration{11 * time.Second, 11500 * time.Millisecond} {
			tm := stepping(4)
			bubble(t, tm, continuous(4), func(t *testing.T, p *pool.Pool) {
				scale(t, p, 1)
				a := send(t, p, newClient("a"))
				ctx, cancel := context.WithTimeoutCause(t.Context(), at, fault.New(fault.Busy, ""))
				defer cancel()
				pass(10500 * time.Millisecond)
				require.NoError(t, p.Close(ctx))
				a.failed(t, fault.Busy, at)
			})
		}
	})
	t.Run("SCH-037 what joined and was not sent is another worker's, what is live is lost", func(t *testing.T) {
		t.Parallel()
		tm := stepping(2)
		bubble(t, tm, continuous(2), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := newClient("a")
			steps := 0
			a.told = func() {
				steps++
				if steps == 2 {
					tm.at(0).die()
				}
			}
			send(t, p, a)
			pass(11500 * time.Millisecond)
			b := send(t, p, ofSteps(newClient("b"), 1))
			pass(time.Minute)
			a.failed(t, fault.Worker, 12*time.Second)
			assert.NotNil(t, b.reply, "it had not been sent")
		})
	})
}

func TestContinuousTickets(t *testing.T) {
	t.Parallel()
	t.Run("SCH-039 as many as there is room for", func(t *testing.T) {
		t.Parallel()
		s := continuous(2)
		s.JobTicket, s.Batching.Delay = true, 0
		tm := stepping(2)
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			refused(t, p)
			scale(t, p, 1)
			synctest.Wait()
			a := send(t, p, ofSteps(newClient("a"), 2))
			pass(500 * time.Millisecond)
			b := send(t, p, ofSteps(newClient("b"), 2))
			refused(t, p)
			pass(time.Second)
			refused(t, p)
			pass(time.Second)
			c := send(t, p, ofSteps(newClient("c"), 1))
			pass(time.Minute)
			a.answered(t, 2*time.Second)
			b.answered(t, 2500*time.Millisecond)
			assert.Equal(t, 1, c.answers())
		})
	})
	t.Run("SCH-040 none is left of a worker that is scaled away and finishes what it has", func(t *testing.T) {
		t.Parallel()
		s := continuous(2)
		s.JobTicket, s.Batching.Delay = true, 0
		tm := stepping(2)
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			var clients []*client
			for i := range 2 {
				clients = append(clients, send(t, p, ofSteps(newClient(fmt.Sprint(i)), 5)))
				pass(1500 * time.Millisecond)
			}
			scale(t, p, 2)
			synctest.Wait()
			last := send(t, p, ofSteps(newClient("last"), 5))
			pass(100 * time.Millisecond)
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			synctest.Wait()
			refused(t, p)
			pass(time.Minute)
			last.answered(t, 5*time.Second)
			assert.Equal(t, []int{1, 1}, []int{clients[0].answers(), clients[1].answers()})
		})
	})
	t.Run("SCH-040 none is left of a worker that died while idle, or in a step", func(t *testing.T) {
		t.Parallel()
		for _, busy := range []bool{false, true} {
			s := continuous(4)
			s.JobTicket, s.Batching.Delay = true, 0
			tm := stepping(4)
			bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
				scale(t, p, 1)
				if busy {
					send(t, p, newClient("a"))
					pass(1500 * time.Millisecond)
				}
				tm.at(0).die()
				synctest.Wait()
				refused(t, p)
				pass(2 * time.Second)
				b := send(t, p, ofSteps(newClient("b"), 1))
				pass(time.Minute)
				b.answered(t, time.Second)
			})
		}
	})
}
