package pool

import (
	"context"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// converse hands an asynchronous worker one job after the other, as they come
// (SCH §14), until it fails, its process ends, or ctx ends; what it has then is
// finished.
func (s *slot) converse(ctx context.Context) error {
	next := func(ctx context.Context) (*job.Job, error) {
		if err := s.collect(ctx, batch.Limits{Size: 1}); err != nil {
			return nil, err
		}
		j := s.jobs[0]
		clear(s.jobs) // do not keep it alive
		s.pool.nowRuns(1, 0)
		return j, nil
	}
	unsent, err := s.worker.Converse(ctx, next, func() { s.pool.nowRuns(-1, 0) })
	if unsent == nil {
		return err
	}
	s.pool.nowRuns(-1, 0)
	if worker.Unsent(err) {
		s.settle([]*job.Job{unsent}, err)
	} else {
		s.putBack([]*job.Job{unsent})
	}
	return err
}
