package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// quiet is a sink that drops everything.
type quiet struct{}

func (quiet) Deliver(job.Reply) bool { return true }
func (quiet) Fail(error)             {}

// again makes jobs of batch ready to be sent once more.
func again(batch []*job.Job, body []byte) {
	for i := range batch {
		*batch[i] = job.Job{
			ID: ids[i], Sink: quiet{},
			Request: job.Request{Parameters: []job.Parameter{{Name: "body", Value: body}}},
		}
	}
}

var ids = []string{"0000-0000", "0000-0001", "0000-0002", "0000-0003", "0000-0004", "0000-0005", "0000-0006", "0000-0007"}

func TestExchangeAllocations(t *testing.T) {
	w := workertest.Started(t, worker.New(workertest.Config(t, workertest.Behaving(t, workertest.Echoes))))
	const runs = 100
	batches := make([][]*job.Job, runs+1)
	for i := range batches {
		j, _ := workertest.NewJob("r", "ok")
		j.Sink = quiet{}
		batches[i] = []*job.Job{j}
	}
	next := 0
	allocs := testing.AllocsPerRun(runs, func() {
		if err := w.Exchange(batches[next]); err != nil {
			t.Error(err)
		}
		next++
	})
	assert.LessOrEqual(t, allocs, 3.0, "the reply's id, content type and body")
}

func BenchmarkExchange(b *testing.B) {
	for name, c := range map[string]struct{ size, body int }{
		"1x100B": {1, 100}, "8x100B": {8, 100}, "1x1MiB": {1, 1 << 20},
	} {
		b.Run(name, func(b *testing.B) {
			cfg := workertest.Config(b, workertest.Behaving(b, workertest.Echoes))
			w := workertest.Started(b, worker.New(cfg))
			batch := make([]*job.Job, c.size)
			for i := range batch {
				batch[i] = &job.Job{}
			}
			body := make([]byte, c.body)
			b.ReportAllocs()
			b.SetBytes(int64(c.size * c.body))
			for b.Loop() {
				again(batch, body)
				for _, j := range batch {
					j.Take(time.Time{})
				}
				require.NoError(b, w.Exchange(batch))
			}
		})
	}
}
