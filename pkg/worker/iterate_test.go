package worker_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// says is an action whose answer is one message of these items.
func says(items ...workertest.Answer) workertest.Action {
	return workertest.Action{Do: workertest.Say, Says: []workertest.Message{{Items: items}}}
}

// step is one iteration that must succeed.
func step(t *testing.T, w *worker.Worker, jobs []*job.Job, known int) (ended []string) {
	t.Helper()
	require.NoError(t, w.Iterate(jobs, known, func(ids []string) {
		assert.False(t, slices.ContainsFunc(jobs, (*job.Job).Done), "who is answered may begin the sequence anew")
		ended = append(ended, ids...)
	}))
	return ended
}

// got is what came of a request, as Reflect tells.
func got(t *testing.T, r job.Reply) (q wire.Request) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.Body, &q))
	return q
}

func TestIterateOnTheWire(t *testing.T) {
	on := workertest.Action{Do: workertest.Reflect, Text: "true"}
	w := scripted(t, nil, on, on, workertest.Action{Do: workertest.Reflect}, workertest.Action{})
	jobs, streams := batchOf("a", "b", "c")
	for _, j := range jobs {
		j.Request.Headers = []job.Header{{Name: "h", Value: j.ID}}
	}
	t.Run("WRK-041 SCH-043 known jobs travel with their headers and without parameters, new ones in full", func(t *testing.T) {
		step(t, w, jobs[:2], 0)
		for i, s := range streams[:2] {
			q := got(t, workertest.Reply(t, s))
			assert.Equal(t, wire.Request{ID: jobs[i].ID, Headers: jobs[i].Request.Headers, Parameters: jobs[i].Request.Parameters}, q)
		}
		step(t, w, jobs, 2)
		for i, s := range streams {
			q := got(t, workertest.Reply(t, s))
			assert.Equal(t, jobs[i].ID, q.ID)
			assert.Equal(t, jobs[i].Request.Headers, q.Headers)
			assert.Equal(t, i == 2, len(q.Parameters) == 1, "parameters of %s", q.ID)
		}
	})
	t.Run("WRK-042 SCH-046 one that goes closes the gap", func(t *testing.T) {
		jobs[0].Abandon()
		step(t, w, jobs[1:], 2)
		for _, s := range streams[1:] {
			r := workertest.Reply(t, s)
			assert.False(t, r.More)
			assert.Empty(t, got(t, r).Parameters)
		}
	})
	serves(t, w)
}

func TestIterateGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		next string
		more bool
	}{
		"absent":       {"", false},
		"false":        {"false", false},
		"true":         {"true", true},
		"in capitals":  {"False", true},
		"anything":     {"0", true},
		"blank before": {" false", true},
	} {
		t.Run("SCH-044 ts_stream_next is "+name, func(t *testing.T) {
			t.Parallel()
			w := scripted(t, nil, says(workertest.Answer{ID: "r0", Body: "x", Next: c.next}), says(workertest.Answer{ID: "r0", Body: "y", Next: "false"}))
			jobs, streams := batchOf("a")
			step(t, w, jobs, 0)
			r := workertest.Reply(t, streams[0])
			assert.Equal(t, c.more, r.More)
			assert.Equal(t, !c.more, jobs[0].Done())
			if !c.more {
				assert.Empty(t, r.Headers, "WRK-D10: the first piece is the last: an ordinary answer")
				return
			}
			step(t, w, jobs, 1)
			r = workertest.Reply(t, streams[0])
			assert.False(t, r.More)
			assert.Equal(t, []job.Header{{Name: wire.StreamNext, Value: "false"}}, r.Headers)
			assert.True(t, jobs[0].Done())
		})
	}
	t.Run("SCH-047 a describe does not, whatever is left of the criteria of others", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, says(workertest.Answer{ID: "r0", Body: "{}", Next: "true"}))
		jobs, streams := batchOf("")
		jobs[0].Kind = job.Describe
		step(t, w, jobs, 0)
		assert.Equal(t, job.Reply{Status: 200, Headers: []job.Header{}, Body: []byte("{}")}, workertest.Reply(t, streams[0]))
		assert.True(t, jobs[0].Done())
	})
	t.Run("SCH-044 an empty value says that it goes on", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, says(workertest.Answer{ID: "r0", Headers: [][2]string{{wire.StreamNext, ""}}}))
		jobs, streams := batchOf("a")
		step(t, w, jobs, 0)
		assert.True(t, workertest.Reply(t, streams[0]).More)
	})
}

func TestIterateItems(t *testing.T) {
	t.Parallel()
	goes := func(id string) workertest.Answer { return workertest.Answer{ID: id, Body: id, Next: "true"} }
	t.Run("WRK-029 are matched by id, whatever their order", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, says(goes("r2"), workertest.Answer{ID: "r0", Body: "r0"}, goes("r1")))
		jobs, streams := batchOf("a", "b", "c")
		step(t, w, jobs, 0)
		for i, s := range streams {
			assert.Equal(t, jobs[i].ID, string(workertest.Reply(t, s).Body))
		}
		assert.Equal(t, []bool{true, false, false}, []bool{jobs[0].Done(), jobs[1].Done(), jobs[2].Done()})
	})
	t.Run("a missing one ends its job, new or known, and the worker: the answers are out of step", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, says(goes("r0"), goes("r1")), says(goes("r0")), workertest.Action{})
		jobs, streams := batchOf("a", "b", "c")
		step(t, w, jobs[:2], 0)
		err := w.Iterate(jobs, 2, nil)
		require.Error(t, err)
		assert.False(t, worker.Unsent(err))
		for range 2 {
			workertest.Reply(t, streams[0])
		}
		assert.Equal(t, "Worker died.", fault.Message(workertest.Failure(t, streams[0])))
		workertest.Reply(t, streams[1])
		for _, s := range streams[1:] {
			err := workertest.Failure(t, s)
			assert.Equal(t, 503, fault.Status(err))
			assert.Equal(t, "number of batch response mismatched", fault.Message(err))
		}
	})
	t.Run("WRK-034 an oversized one ends its job, and no other", func(t *testing.T) {
		t.Parallel()
		large := workertest.Answer{ID: "r1", Body: strings.Repeat("x", 1001), Next: "true"}
		w := scripted(t, func(c *worker.Config) { c.MaxResponse = 1000 }, says(goes("r0"), large), workertest.Action{})
		jobs, streams := batchOf("a", "b")
		step(t, w, jobs, 0)
		assert.False(t, jobs[0].Done())
		assert.Contains(t, fault.Message(workertest.Failure(t, streams[1])), "Message size exceed limit: 1001")
		serves(t, w)
	})
	t.Run("of a client that has gone are dropped", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, says(goes("r0"), workertest.Answer{ID: "r1"}))
		jobs, streams := batchOf("a", "b")
		jobs[0].Abandon()
		jobs[1].Abandon()
		step(t, w, jobs, 0)
		assert.True(t, jobs[0].Abandoned(), "it is the caller's to leave it out")
		for _, s := range streams {
			silent(t, s)
		}
	})
	t.Run("two for one job: the last answer ends it, once", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, says(goes("r0"), workertest.Answer{ID: "r0", Body: "end"}, workertest.Answer{ID: "r0", Body: "more"}))
		jobs, streams := batchOf("a")
		step(t, w, jobs, 0)
		assert.True(t, workertest.Reply(t, streams[0]).More)
		assert.Equal(t, "end", string(workertest.Reply(t, streams[0]).Body))
		silent(t, streams[0])
	})
	t.Run("SCH-056 end sequences by a header, of any spelling, on any item", func(t *testing.T) {
		t.Parallel()
		end := func(id, value string) workertest.Answer {
			return workertest.Answer{ID: id, Headers: [][2]string{{"TS_request_sequence_end", value}}}
		}
		script := []workertest.Action{says(end("r0", "s1; s2 ;"), end("r1", "s3"))}
		for header, want := range map[string][]string{"ts_request_sequence_end": {"s1", "s2", "s3"}, "": nil} {
			w := scripted(t, func(c *worker.Config) { c.SequenceEnd = header }, script...)
			jobs, _ := batchOf("a", "b")
			assert.Equal(t, want, step(t, w, jobs, 0))
		}
	})
}

// silent requires that nothing more was delivered.
func silent(t *testing.T, s *job.Stream) {
	t.Helper()
	ctx, cancel := canceled(t)
	defer cancel()
	r, err := s.Next(ctx)
	require.ErrorIs(t, err, ctx.Err(), "%+v", r)
}

func TestIterateFailures(t *testing.T) {
	t.Parallel()
	t.Run("SCH-045 a failure is that of all live jobs; the worker goes on", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Reflect, Text: "true"},
			workertest.Action{Do: workertest.Fail, Code: 507, Text: "Out of resources"}, workertest.Action{})
		jobs, streams := batchOf("a", "b", "c")
		step(t, w, jobs[:2], 0)
		workertest.Reply(t, streams[0])
		workertest.Reply(t, streams[1])
		step(t, w, jobs, 2)
		for _, s := range streams {
			err := workertest.Failure(t, s)
			assert.Equal(t, 507, fault.Status(err))
			assert.Equal(t, "Out of resources", fault.Message(err))
		}
		serves(t, w)
	})
	for name, c := range map[string]struct {
		action workertest.Action
		status int
	}{
		"SCH-015 the process is killed":    {workertest.Action{Do: workertest.Kill}, 507},
		"SCH-015 the process ends":         {workertest.Action{Do: workertest.Exit, Code: 1}, 500},
		"half an answer":                   {workertest.Action{Do: workertest.Half}, 500},
		"bytes without sense":              {workertest.Action{Do: workertest.Garbage}, 500},
		"an id that nobody has":            {says(workertest.Answer{ID: "r0", Next: "true"}, workertest.Answer{ID: "stranger"}), 500},
		"SCH-014 silence for the time-out": {workertest.Action{Do: workertest.Say}, 500},
	} {
		t.Run(name+" fails all live jobs", func(t *testing.T) {
			t.Parallel()
			short := func(c *worker.Config) { c.Settings.Timeouts.Response = time.Second }
			w := scripted(t, short, workertest.Action{Do: workertest.Reflect, Text: "true"}, c.action)
			jobs, streams := batchOf("a", "b")
			step(t, w, jobs[:1], 0)
			assert.True(t, workertest.Reply(t, streams[0]).More)
			err := w.Iterate(jobs, 1, nil)
			require.Error(t, err)
			assert.False(t, worker.Unsent(err))
			for i, s := range streams {
				if i == 0 && strings.Contains(name, "nobody") {
					workertest.Reply(t, s)
				}
				failure := workertest.Failure(t, s)
				assert.Equal(t, "Worker died.", fault.Message(failure))
				assert.Equal(t, c.status, fault.Status(failure))
				assert.True(t, jobs[i].Done())
			}
			require.NoError(t, w.Stop(t.Context()))
			assert.Equal(t, worker.Stopped, w.State())
		})
	}
	t.Run("a describe without an answer says so", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 50 * time.Millisecond }, workertest.Action{Do: workertest.Say})
		jobs, streams := batchOf("a")
		jobs[0].Kind = job.Describe
		err := w.Iterate(jobs, 0, nil)
		require.Error(t, err)
		assert.Equal(t, "Failed to get customized model matadata.", fault.Message(workertest.Failure(t, streams[0])))
	})
	t.Run("each iteration has its own time", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 500 * time.Millisecond }, workertest.Action{Do: workertest.Reflect, Text: "true"})
		jobs, _ := batchOf("a")
		for known := range 3 {
			step(t, w, jobs, min(known, 1))
			after(300 * time.Millisecond)
		}
	})
}

// What the worker knows of a job is lost with it: the known jobs fail, the new
// ones are another worker's.
func TestIterateUnsent(t *testing.T) {
	t.Parallel()
	reflects := workertest.Action{Do: workertest.Reflect, Text: "true"}
	for name, c := range map[string]struct {
		script []workertest.Action
		end    func(t *testing.T, w *worker.Worker)
		check  func(t *testing.T, failure error)
	}{
		"SCH-015 the process was killed": {
			[]workertest.Action{reflects},
			func(t *testing.T, w *worker.Worker) {
				t.Helper()
				require.NoError(t, syscall.Kill(w.Status().PID, syscall.SIGKILL))
				<-w.Done()
			},
			func(t *testing.T, failure error) {
				t.Helper()
				assert.Equal(t, "Worker died.", fault.Message(failure))
				assert.Equal(t, 507, fault.Status(failure))
			},
		},
		"the worker has said more than it was asked": {
			[]workertest.Action{{Do: workertest.Say, Says: []workertest.Message{
				{Items: []workertest.Answer{{ID: "r0", Next: "true"}}}, {Items: []workertest.Answer{{ID: "r0", Next: "true"}}},
			}}},
			func(*testing.T, *worker.Worker) { after(100 * time.Millisecond) },
			func(t *testing.T, failure error) {
				t.Helper()
				assert.Equal(t, "Worker died.", fault.Message(failure))
				assert.Equal(t, 500, fault.Status(failure))
			},
		},
		"CLI-025 it was interrupted with a reason": {
			[]workertest.Action{reflects},
			func(_ *testing.T, w *worker.Worker) { w.Interrupt(fault.New(fault.Busy, "stopping")) },
			func(t *testing.T, failure error) {
				t.Helper()
				assert.Equal(t, fault.Busy, fault.KindOf(failure))
			},
		},
	} {
		t.Run("between two iterations "+name, func(t *testing.T) {
			t.Parallel()
			w := scripted(t, nil, c.script...)
			jobs, streams := batchOf("a", "b")
			step(t, w, jobs[:1], 0)
			workertest.Reply(t, streams[0])
			c.end(t, w)
			err := w.Iterate(jobs, 1, nil)
			require.True(t, worker.Unsent(err), err)
			c.check(t, workertest.Failure(t, streams[0]))
			assert.False(t, jobs[1].Done())
			assert.True(t, jobs[1].Return(), "another worker may have it")
			require.NoError(t, w.Stop(t.Context()))
		})
	}
	t.Run("there is no process", func(t *testing.T) {
		t.Parallel()
		jobs, _ := batchOf("a")
		err := worker.New(workertest.Config(t, workertest.Behaving(t, workertest.Echoes))).Iterate(jobs, 0, nil)
		assert.True(t, worker.Unsent(err))
		assert.False(t, jobs[0].Done())
	})
}

func TestIterateInterrupted(t *testing.T) {
	t.Parallel()
	a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Do: workertest.Reflect, Text: "true"}, {Gate: true}}})
	gate := workertest.NewGate(t, a)
	w := workertest.Started(t, worker.New(workertest.Config(t, a)))
	jobs, streams := batchOf("a", "b")
	step(t, w, jobs[:1], 0)
	workertest.Reply(t, streams[0])
	var ended sync.WaitGroup
	ended.Go(func() {
		err := w.Iterate(jobs, 1, nil)
		assert.Error(t, err)
		assert.False(t, worker.Unsent(err))
	})
	gate.Await(t)
	w.Interrupt(fault.New(fault.Busy, "stopping"))
	ended.Wait()
	for _, s := range streams {
		assert.Equal(t, fault.Busy, fault.KindOf(workertest.Failure(t, s)))
	}
	gate.Open(t)
}
