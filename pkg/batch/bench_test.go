package batch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// quiet is a sink that drops everything.
type quiet struct{}

func (quiet) Deliver(job.Reply) bool { return true }
func (quiet) Fail(error)             {}

func TestAllocations(t *testing.T) {
	q := batch.NewQueue(16)
	jobs := make([]job.Job, 2000)
	next, into := 0, make([]*job.Job, 0, 8)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		j := &jobs[next]
		j.Sink, j.Created = quiet{}, time.Time{}
		next++
		_ = q.Put(j)
		into, _ = q.Collect(t.Context(), batch.Limits{Size: 8, Delay: time.Millisecond}, into[:0])
		into[0].Deliver(job.Reply{})
	}))
}

func BenchmarkCollect(b *testing.B) {
	for _, size := range []int{1, 8} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q := batch.NewQueue(64)
			jobs := make([]*job.Job, size)
			for i := range jobs {
				jobs[i] = &job.Job{Sink: quiet{}}
			}
			into := make([]*job.Job, 0, size)
			b.ReportAllocs()
			for b.Loop() {
				for _, j := range jobs {
					if err := q.Put(j); err != nil {
						b.Fatal(err)
					}
				}
				into, _ = q.Collect(b.Context(), batch.Limits{Size: size}, into[:0])
				for _, j := range into {
					j.Return()
				}
			}
		})
	}
}
