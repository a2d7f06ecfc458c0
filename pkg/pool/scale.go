package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// Scale makes the number of workers at least w.Min and at most w.Max, which
// must not be less; with a w.Min of 0 there are none afterwards. Workers that
// gave up are replaced as far as the minimum asks for it, and dropped
// otherwise. Pinned workers are all replaced. Surplus workers leave newest first,
// each after the batch it has in work, which gets as long as the response
// time-out.
//
// Scale sets this going and returns: the new workers are in Status then, and
// nobody need wait for them. A closed pool is a fault of kind Busy.
func (p *Pool) Scale(ctx context.Context, w model.Workers) (*Change, error) {
	if p.isClosed() {
		return nil, busy()
	}
	if err := p.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer p.passTurn()
	if p.isClosed() {
		return nil, busy()
	}
	surplus, missing := p.trim(w)
	p.alive.Add(1) // for those to come: what is queued need not be refused when all others leave
	for _, s := range surplus {
		s.retire(p.cfg.Settings.Timeouts.Response)
	}
	launches := make(chan error, missing) // nobody may be there to take the outcomes
	for range missing {
		p.start(ctx, launches)
	}
	p.alive.Add(-1)
	p.sweep()
	if p.scaler != nil {
		p.scaler.restart(ctx)
	}
	return &Change{pool: p, least: w.Min, started: missing, launches: launches, stopped: surplus}, nil
}

// Change is what a Scale has set going.
type Change struct {
	pool     *Pool
	least    int // workers wanted
	started  int
	launches <-chan error // one outcome per started worker
	stopped  []*slot
}

// Wait blocks until the new workers are loaded and the surplus ones have
// stopped; ctx ends the waiting, not the work. It then returns Done, or Partial
// when fewer workers run than are wanted. The first worker that cannot be started
// ends the waiting with its error, a fault of kind Worker, while it is retried
// and the others go on. A process that does not end is a fault of kind
// CleanupTimeout. Call it once.
func (c *Change) Wait(ctx context.Context) (model.Progress, error) {
	if err := c.await(ctx); err != nil {
		return model.Partial, err
	}
	if c.pool.Running() < c.least {
		return model.Partial, nil
	}
	return model.Done, nil
}

// trim takes the workers that are too many, and those that gave up, out of the
// list, and returns them with the number of those that are missing. Only the
// holder of the turn may call it.
func (p *Pool) trim(w model.Workers) (surplus []*slot, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers = w
	most := w.Max
	if w.Min == 0 || p.cfg.Pinned {
		most = 0 // MGT-044: the maximum alone keeps no worker
	}
	kept := make([]*slot, 0, len(p.slots))
	for _, s := range p.slots {
		if len(kept) < most && !s.hasGivenUp() {
			kept = append(kept, s)
		} else {
			surplus = append(surplus, s)
		}
	}
	p.slots = kept
	p.leaving = append(p.leaving, surplus...)
	return surplus, max(w.Min-len(kept), 0)
}

// start adds a worker and lets its slot run. Only the holder of the turn may call
// it.
func (p *Pool) start(ctx context.Context, launches chan<- error) *slot {
	place := p.cfg.Assign()
	place.Share = p.share()
	s := &slot{
		pool:    p,
		place:   place,
		worker:  p.cfg.NewWorker(place),
		created: time.Now(),
		log:     p.cfg.Log(worker.LogThread, worker.Name(place.Port, p.cfg.Archive)),
		launch:  launches,
		ended:   make(chan struct{}),
	}
	ctx = context.WithoutCancel(ctx) // workers outlive the call that wanted them; retire ends them
	hurry, hurried := context.WithCancel(ctx)
	ctx, retired := context.WithCancel(ctx)
	s.hurried, s.retired = hurried, retired
	p.alive.Add(1)
	p.mu.Lock()
	p.slots = append(p.slots, s)
	p.mu.Unlock()
	go s.run(ctx, hurry)
	return s
}

// share returns the first part of the CPU cores that no worker has. A worker that
// comes and goes by itself finds one because there are parts for as many as may be.
func (p *Pool) share() worker.Share {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cfg.Pinned {
		return worker.Share{}
	}
	s := worker.Share{Of: p.workers.Min}
	if p.scaler != nil {
		s.Of = p.workers.Max
	}
	for slices.ContainsFunc(p.slots, func(other *slot) bool { return other.place.Share.Index == s.Index }) {
		s.Index++
	}
	return s
}

// await blocks until the workers are loaded and stopped as wanted, until the
// first of them fails, or until ctx ends.
func (c *Change) await(ctx context.Context) error {
	for range c.started {
		select {
		case err := <-c.launches:
			if err != nil && !errors.Is(err, errRetired) {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, s := range c.stopped {
		select {
		case <-s.ended:
			if s.err != nil {
				return s.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close stops the pool for good: queued jobs are answered Busy at once, batches
// in flight are finished until ctx ends or Config.StopLimit is over, then
// answered with the cause of ctx, if that is a fault, else as by a dying worker,
// and all workers are stopped. When it returns,
// everything has been waited for, but for the processes that did not end: these
// are a fault of kind CleanupTimeout, and calling Close again tries again.
// Closing a closed pool does nothing.
func (p *Pool) Close(ctx context.Context) error {
	p.refusing.Store(true)
	if err := p.takeTurn(ctx); err != nil {
		return fault.Wrap(fault.CleanupTimeout, "", err)
	}
	defer p.passTurn()
	if p.scaler != nil {
		p.scaler.stop()
	}
	leaving, stuck := p.retireAll()
	refuseAll(p.waiting.Close())

	grace, cancel := context.WithTimeout(ctx, p.cfg.StopLimit)
	defer cancel()
	stop := context.AfterFunc(grace, func() {
		var reason *fault.Error
		if !errors.As(context.Cause(grace), &reason) {
			reason = nil
		}
		for _, s := range leaving {
			s.abort(reason)
		}
	})
	defer stop()
	var failed []error
	for _, s := range leaving {
		<-s.ended
		failed = append(failed, s.err)
	}
	for _, s := range stuck {
		failed = append(failed, s.end(grace))
	}
	return errors.Join(failed...)
}

// retireAll empties the list of workers. It returns those that are on their
// way, and those whose process did not end when it should have.
func (p *Pool) retireAll() (leaving, stuck []*slot) {
	p.mu.Lock()
	all := p.slots
	p.closed, p.workers, p.slots = true, model.Workers{}, nil
	for _, s := range p.leaving {
		if s.hasEnded() {
			stuck = append(stuck, s)
		} else {
			leaving = append(leaving, s)
		}
	}
	p.leaving = append(p.leaving, all...)
	p.mu.Unlock()
	for _, s := range all {
		s.retire(p.cfg.Settings.Timeouts.Response)
	}
	return append(leaving, all...), stuck
}

// forget drops a worker that has gone.
func (p *Pool) forget(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaving = slices.DeleteFunc(p.leaving, func(other *slot) bool { return other == s })
}

func (p *Pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// takeTurn waits for the turn to change the workers; a free one is taken even
// if ctx has ended.
func (p *Pool) takeTurn(ctx context.Context) error {
	select {
	case <-p.turn:
		return nil
	default:
	}
	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Pool) passTurn() { p.turn <- struct{}{} }
