package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

// continuous is a model whose workers have up to size live jobs.
func continuous(size int) model.Settings {
	s := base()
	s.Batching = model.Batching{Size: size}
	s.Sequence.Continuous = true
	return s
}

func TestLiveJobs(t *testing.T) {
	t.Run("a worker that has gone between two iterations fails its live jobs, the next one takes the others", func(t *testing.T) {
		tm := &team{answer: func(f *fake, jobs []*job.Job) error {
			switch {
			case f.launches() > 1:
				return f.finish(jobs, 0, nil, nil)
			case len(f.seen()) > 1:
				f.die()
				return errUnsent()
			}
			jobs[0].Deliver(job.Reply{Status: 200, More: true})
			return nil
		}}
		bubble(t, tm, continuous(2), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			pass(time.Minute)
			a.failed(t, fault.Worker, 0)
			assert.Equal(t, "Worker died.", fault.Message(a.err))
			b := submit(t, p, "b")
			pass(time.Minute)
			b.answered(t, 0)
			assert.Equal(t, [][]string{{"a"}, {"a"}, {"b"}}, tm.at(0).seen())
		})
	})
}
