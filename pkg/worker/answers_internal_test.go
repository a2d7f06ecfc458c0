package worker

import (
	"bytes"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// ends counts the last answers to a job.
type ends struct{ n, after int }

func (e *ends) Deliver(r job.Reply) bool {
	if e.n > 0 {
		e.after++
	}
	if !r.More {
		e.n++
	}
	return true
}
func (e *ends) Fail(error) { e.n++ }

// FuzzAnswers lets a worker say anything, under continuous batching and in a
// conversation: no job has two ends, and none that is over is told more.
func FuzzAnswers(f *testing.F) {
	message := func(code int, items ...wire.Item) []byte {
		return wire.Response{Code: code, Message: "m", Items: items}.Append(nil)
	}
	item := func(id string, headers ...string) wire.Item {
		i := wire.Item{RequestID: id, Status: 200, Body: []byte("b")}
		for at := 0; at+1 < len(headers); at += 2 {
			i.Headers = append(i.Headers, job.Header{Name: headers[at], Value: headers[at+1]})
		}
		return i
	}
	f.Add(message(200, item("a", wire.StreamNext, "true"), item("b", wire.StreamNext, "maybe"), item("c")), uint8(1))
	f.Add(append(message(200, item("b", "end", "s1;s2; ;")), message(200, item("a", wire.StreamNext, "false"))...), uint8(3))
	f.Add(append(message(503, item("b"), item("stranger")), message(507)...), uint8(0))
	f.Add(message(200, item("a"), item("a"), item("stranger")), uint8(2))
	f.Fuzz(func(t *testing.T, said []byte, known uint8) {
		w := New(Config{MaxResponse: 1 << 10, SequenceEnd: "end", Log: func(string, string) zerolog.Logger { return zerolog.Nop() }})
		jobs := taken("a", "b", "c")
		hear(t, said, jobs, func(r wire.Response) error {
			for _, id := range w.sequenceEnds(r) {
				assert.NotEmpty(t, id)
			}
			return w.deliverStep(jobs, int(known)%(len(jobs)+1), r)
		})

		jobs, landed := taken("a", "b", "c"), 0
		talk := &talk{
			w: w, conn: &conn{reader: wire.NewReader(nil, 1)}, landed: func() { landed++ }, changed: make(chan struct{}, 1),
			flights: make(map[string]*flight), late: make(map[string]struct{}),
		}
		for _, j := range jobs {
			talk.flights[j.ID] = &flight{job: j}
		}
		hear(t, said, jobs, func(r wire.Response) error {
			talk.deliver(r)
			return nil
		})
		assert.Len(t, jobs, landed+len(talk.flights))
	})
}

func taken(ids ...string) (jobs []*job.Job) {
	for _, id := range ids {
		j := &job.Job{ID: id, Sink: &ends{}}
		j.Take(time.Time{})
		jobs = append(jobs, j)
	}
	return jobs
}

// hear delivers what was said, as long as it makes sense, and verifies what
// became of the jobs.
func hear(t *testing.T, said []byte, jobs []*job.Job, deliver func(wire.Response) error) {
	t.Helper()
	reader := wire.NewReader(bytes.NewReader(said), 1<<10)
	for {
		r, err := reader.Response()
		if err != nil || deliver(r) != nil {
			break
		}
	}
	for _, j := range jobs {
		sink, ok := j.Sink.(*ends)
		require.True(t, ok)
		assert.LessOrEqual(t, sink.n, 1, j.ID)
		assert.Zero(t, sink.after, j.ID)
		assert.Equal(t, sink.n == 1, j.Done(), j.ID)
	}
}
