package pool_test

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// async is an asynchronous model, changed.
func async(changes ...func(*model.Settings)) model.Settings {
	s := base()
	s.Async = true
	for _, change := range changes {
		change(&s)
	}
	return s
}

func TestAsync(t *testing.T) {
	t.Parallel()
	t.Run("SCH-060 SCH-064 all at the same time, without the delay of a batch", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: 5 * time.Second}
		s := async(func(s *model.Settings) { s.Batching = model.Batching{Size: 4, Delay: time.Minute} })
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			var clients []*client
			for _, id := range []string{"a", "b", "c"} {
				clients = append(clients, submit(t, p, id))
				pass(time.Second)
			}
			assert.Equal(t, 3, p.Status().Running)
			pass(time.Minute)
			for _, c := range clients {
				c.answered(t, 5*time.Second)
				assert.Zero(t, c.job.Waited(), "they are stamped (SCH-D53)")
			}
			assert.Equal(t, [][]string{{"a"}, {"b"}, {"c"}}, tm.at(0).seen())
		})
	})
	t.Run("SCH-062 a death fails what is in flight, SCH-063 and the worker is ready again", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: 5 * time.Second}
		bubble(t, tm, async(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b := submit(t, p, "a"), submit(t, p, "b")
			pass(time.Second)
			tm.at(0).die()
			synctest.Wait()
			a.failed(t, fault.Worker, time.Second)
			b.failed(t, fault.Worker, time.Second)
			assert.Zero(t, p.Status().Running)
			assert.False(t, p.Ready())
			c := submit(t, p, "c")
			pass(time.Second)
			assert.True(t, p.Ready())
			assert.True(t, p.Healthy())
			pass(time.Hour)
			c.answered(t, 6*time.Second)
			assert.True(t, p.Healthy())
		})
	})
	t.Run("SCH-033 a worker that is scaled away finishes what it has", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: 5 * time.Second}
		bubble(t, tm, async(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			pass(time.Second)
			_, err := p.Scale(t.Context(), model.Workers{})
			require.NoError(t, err)
			refused(t, p)
			pass(time.Minute)
			a.answered(t, 5*time.Second)
			assert.Equal(t, []int{9000}, tm.gone())
		})
	})
}

func TestAsyncTickets(t *testing.T) {
	t.Parallel()
	t.Run("SCH-040 none is left of a worker that is scaled away, whatever lands", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: 10 * time.Second}
		s := async(func(s *model.Settings) { s.AsyncLimit, s.JobTicket = 2, true })
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			scale(t, p, 2)
			for _, id := range []string{"a", "b", "c", "d"} {
				submit(t, p, id)
				pass(time.Second)
			}
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			accepted := 0
			for range 10 {
				pass(time.Second)
				for p.Submit(t.Context(), newClient("x").job) == nil {
					accepted++
				}
				synctest.Wait()
			}
			assert.LessOrEqual(t, accepted, 2, "as many as the one that stays has room for")
		})
	})
}

// TestAsyncProcess is the same with a process.
func TestAsyncProcess(t *testing.T) {
	t.Parallel()
	t.Run("SCH-062 SCH-015 a kill fails what is in flight, SCH-063 and it comes back", func(t *testing.T) {
		t.Parallel()
		ids := []string{"1", "2", "3"}
		var begun []workertest.Action
		for _, id := range ids {
			piece := workertest.Message{Items: []workertest.Answer{{ID: id, Next: "true"}}}
			begun = append(begun, workertest.Action{Do: workertest.Say, Says: []workertest.Message{piece}})
		}
		p := processes(t, workertest.Archive(t, workertest.Script{Infer: begun, Starts: 1}), async())
		scale(t, p, 1)
		var streams []*job.Stream
		for _, id := range ids {
			streams = append(streams, ask(t, p, id))
		}
		for _, s := range streams {
			assert.True(t, workertest.Reply(t, s).More)
		}
		assert.Equal(t, 3, p.Status().Running)
		signal(t, p, 0, syscall.SIGKILL)
		for _, s := range streams {
			err := workertest.Failure(t, s)
			assert.Equal(t, "Worker died.", fault.Message(err))
			assert.Equal(t, 507, fault.Status(err))
		}
		again := ask(t, p, "again")
		assert.Equal(t, "again", string(workertest.Reply(t, again).Body))
		assert.True(t, p.Ready())
		require.Eventually(t, func() bool { return p.Status().Running == 0 }, time.Minute, time.Millisecond)
	})
}
