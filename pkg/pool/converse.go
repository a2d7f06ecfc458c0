package pool

import (
	"context"
	"math"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// converse hands an asynchronous worker one job after the other, as they come
// (SCH §14), until it fails, its process ends, or ctx ends; what it has then is
// finished.
func (s *slot) converse(ctx context.Context) error {
	a := &air{slot: s, leaving: func() bool { return ctx.Err() != nil }}
	a.count(0)
	next := func(ctx context.Context) (*job.Job, error) {
		if err := s.take(ctx, batch.Limits{Size: 1}); err != nil {
			return nil, err
		}
		j := s.jobs[0]
		clear(s.jobs) // do not keep it alive
		a.count(1, j)
		return j, nil
	}
	unsent, err := s.worker.Converse(ctx, next, func() { a.count(-1) })
	if unsent == nil {
		return err
	}
	a.count(-1)
	if worker.Unsent(err) {
		s.settle([]*job.Job{unsent}, err)
	} else {
		s.putBack([]*job.Job{unsent})
	}
	return err
}

// air counts the jobs that an asynchronous worker has.
type air struct {
	slot    *slot
	leaving func() bool // it takes no more

	mu sync.Mutex // Protects fields below
	n  int
}

// count notes that jobs were taken, or that one is over.
func (a *air) count(change int, taken ...*job.Job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n += change
	a.slot.pool.nowRuns(change, 0)
	places := math.MaxInt32
	if most := a.slot.pool.cfg.Settings.AsyncLimit; most > 0 {
		places = max(0, most-a.n)
	}
	if a.leaving() {
		places = 0
	}
	a.slot.took(places, taken)
}
