package pool

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// converse hands an asynchronous worker one job after the other, as they come
// (SCH §14), until it fails, its process ends, or ctx ends; what it has then is
// finished.
func (s *slot) converse(ctx context.Context) error {
	var flying atomic.Int64
	next := func(ctx context.Context) (*job.Job, error) {
		places := math.MaxInt32
		if most := s.pool.cfg.Settings.AsyncLimit; most > 0 {
			places = most - int(flying.Load())
		}
		if err := s.collect(ctx, batch.Limits{Size: 1}, places); err != nil {
			return nil, err
		}
		j := s.jobs[0]
		clear(s.jobs) // do not keep it alive
		flying.Add(1)
		s.pool.running.Add(1)
		return j, nil
	}
	unsent, err := s.worker.Converse(ctx, next, func() {
		flying.Add(-1)
		s.pool.running.Add(-1)
	})
	if unsent == nil {
		return err
	}
	s.pool.running.Add(-1)
	if worker.Unsent(err) {
		s.settle([]*job.Job{unsent}, err)
	} else {
		s.putBack([]*job.Job{unsent})
	}
	return err
}
