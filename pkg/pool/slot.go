package pool

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// slot is the life of one worker, from its creation to the end of its last
// process; run is its goroutine.
type slot struct {
	pool    *Pool
	place   Slot
	worker  Worker
	created time.Time
	log     zerolog.Logger
	launch  chan<- error // takes the outcome of the first start; nil: nobody asks

	retired context.CancelFunc // ends everything but a batch in flight
	hurried context.CancelFunc // ends the politeness of the last stop
	gone    sync.Once          // leaves pool.alive
	ended   chan struct{}      // closed when run has ended
	err     error              // why the process may still be there; read after ended

	jobs   []*job.Job // the batch in work, or the live jobs of continuous batching; reused
	known  int        // of the live jobs, those that the worker has seen
	atWork int        // part of pool.running
	next   []*job.Job // the batch that was sent ahead; its array is reused
	unsent *job.Job   // head of the batch that could not be sent last time

	line batch.Line // where it takes jobs, since it was loaded; others read it under mu

	mu     sync.Mutex // Protects fields below
	pacing pacing
	gaveUp bool
	cutoff *time.Timer // of what is in flight when the worker is retired; nil: none
}

// Why a slot stops collecting while its worker is not retired.
var (
	errDied    = errors.New("the worker process has ended")
	errRetired = errors.New("the worker was scaled away")
)

// run drives the worker until ctx ends and has then stopped it; hurry cuts the
// politeness of that short.
func (s *slot) run(ctx, hurry context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		err := s.live(ctx)
		if ctx.Err() != nil {
			break
		}
		s.pause(ctx, err)
	}
	s.report(errRetired)
	s.log.Debug().Msg("Shutting down the thread .. Scaling down.")
	s.worker.Retire()
	s.err = s.end(hurry)
}

// live is one incarnation of the worker, from the start of its process until it
// has failed, or ctx has ended.
func (s *slot) live(ctx context.Context) error {
	if err := s.worker.Start(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	recovered := s.pacing.loaded()
	s.mu.Unlock()
	if recovered {
		s.log.Info().Msg("Auto recovery succeeded, reset recoveryStartTS")
	}
	return s.serve(ctx)
}

// serve hands batches to the worker until it fails, its process ends, or ctx
// ends.
func (s *slot) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer cancel(nil)
	died, line := s.worker.Done(), s.pool.waiting.Line()
	watcher.Go(func() {
		select {
		case <-died:
			cancel(errDied)
		case <-ctx.Done():
		}
		s.offer(0)
		line.Leave()
	})
	s.mu.Lock()
	s.line = line
	s.mu.Unlock()
	s.offer(1) // who hears that it is loaded may count on it
	s.report(nil)
	defer s.leaveLine()
	limits := s.pool.limits()
	switch set := s.pool.cfg.Settings; {
	case set.Async:
		return s.converse(ctx)
	case set.Sequence.Continuous:
		return repeat(func() error { return s.step(ctx, limits) })
	default:
		ahead := func() []*job.Job { return s.readAhead(ctx, limits) }
		return repeat(func() error { return s.work(ctx, limits, ahead) })
	}
}

// repeat does something until it fails.
func repeat(what func() error) error {
	for {
		if err := what(); err != nil {
			return err
		}
	}
}

// leaveLine answers what waited for this worker alone.
func (s *slot) leaveLine() {
	s.offer(0)
	refuseAll(s.line.Close())
}

// offer says how many jobs the worker would take, where that matters.
func (s *slot) offer(n int) {
	if t := s.pool.tickets; t != nil {
		t.offer(s, n)
	}
}

// nowHas counts the jobs that the worker has.
func (s *slot) nowHas(n int) {
	s.pool.nowRuns(n-s.atWork, min(n, 1)-min(s.atWork, 1))
	s.atWork = n
}

// work has one batch answered: the one that was sent ahead, else one that it
// collects. What was collected is sent even if ctx has ended meanwhile, and what
// was sent ahead is finished: both count as in flight.
func (s *slot) work(ctx context.Context, limits batch.Limits, ahead func() []*job.Job) error {
	if len(s.next) > 0 {
		s.jobs, s.next = s.next, s.jobs[:0]
	} else if err := s.collect(ctx, limits, 1); err != nil {
		return err
	}
	s.nowHas(len(s.jobs))
	err := s.worker.ExchangeAhead(s.jobs, ahead)
	s.nowHas(0)
	s.settle(s.jobs, err)
	s.line.Settle(nil)
	clear(s.jobs) // do not keep answered requests alive
	if err != nil && len(s.next) > 0 {
		s.takeBack(err)
	}
	return err
}

// readAhead takes the batch that the worker shall find when it is done with the
// one that it has. Only the worker that is alone, and stays so, does that:
// another one might be free earlier.
func (s *slot) readAhead(ctx context.Context, limits batch.Limits) []*job.Job {
	p := s.pool
	if ctx.Err() == nil && p.queue != nil && p.tickets == nil && p.scaler == nil && p.alive.Load() == 1 {
		s.next = p.queue.Ready(limits, worker.MaxAhead, s.next[:0])
	}
	return s.next
}

// takeBack decides over the batch that was sent ahead of one that ended with
// err.
func (s *slot) takeBack(err error) {
	if worker.Unbegun(err) {
		s.putBack(s.next)
	} else {
		for _, j := range s.next {
			j.Fail(err)
		}
	}
	clear(s.next)
	s.next = s.next[:0]
}

// collect blocks until there is a batch and leaves it in s.jobs. places is how
// many jobs the worker would take.
func (s *slot) collect(ctx context.Context, limits batch.Limits, places int) error {
	s.offer(places)
	err := s.take(ctx, limits)
	if err != nil {
		places = 0
	}
	s.took(max(0, places-len(s.jobs)), s.jobs)
	return err
}

// take is collect without a word about places.
func (s *slot) take(ctx context.Context, limits batch.Limits) error {
	jobs, err := s.line.Collect(ctx, limits, s.jobs[:0])
	s.jobs = jobs
	if err != nil {
		s.pool.sweep() // what was collected is queued again
	}
	return err
}

// took notes that jobs were taken, and how many more the worker would take.
func (s *slot) took(more int, jobs []*job.Job) {
	if t := s.pool.tickets; t != nil {
		t.offer(s, more)
		t.withdraw(jobs...)
	}
}

// putBack returns jobs that were never sent to the head of what waits.
func (s *slot) putBack(jobs []*job.Job) {
	if t := s.pool.tickets; t != nil {
		t.promise(jobs)
	}
	refuseAll(s.line.Return(jobs))
	s.pool.sweep()
}

// settle decides over the jobs of an exchange that ended with err. What was not
// sent is given to another worker (SCH-D11), but not for ever: a batch that this
// worker cannot take a second time shares its fate.
func (s *slot) settle(jobs []*job.Job, err error) {
	if !worker.Unsent(err) || len(jobs) == 0 {
		s.unsent = nil
		return
	}
	if s.unsent != jobs[0] {
		s.unsent = jobs[0]
		s.putBack(jobs)
		return
	}
	s.unsent = nil
	failAll(jobs, err)
}

// refuseAll answers jobs for which there is no worker any more.
func refuseAll(jobs []*job.Job) {
	for _, j := range jobs {
		j.Fail(busy())
	}
}

// failAll answers jobs that a worker could not take.
func failAll(jobs []*job.Job, cause error) {
	failure := &fault.Error{Kind: fault.Worker, Status: http.StatusInternalServerError, Message: "Worker died.", Err: cause}
	for _, j := range jobs {
		j.Fail(failure)
	}
}

// pause stops what is left of an incarnation that failed and waits until the
// next one is due: for ever, when the window of restarts is over.
func (s *slot) pause(ctx context.Context, cause error) {
	now := time.Now()
	if state := s.worker.State(); state == worker.ModelLoaded { // one that failed to start has said so
		s.log.Info().Msgf("%d Worker disconnected. %v", s.place.Port, state)
	}
	s.mu.Lock()
	first := s.pacing.failed(now)
	delay, again := s.pacing.next(now, s.pool.cfg.Settings.Timeouts.Retry)
	s.gaveUp = !again
	s.mu.Unlock()
	if first {
		s.log.Info().Msgf("Auto recovery start timestamp: %d", now.UnixMilli())
	} else {
		s.log.Warn().Msg("Auto recovery failed again")
	}
	s.report(cause)
	s.kill(ctx)
	if !again {
		s.depart()
		<-ctx.Done()
		return
	}
	s.log.Info().Msgf("Retry worker: %d in %d seconds.", s.place.Port, int(delay.Seconds()))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// kill stops the process without politeness: it has failed.
func (s *slot) kill(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.worker.Stop(ctx); err != nil {
		s.log.Error().Err(err).Msg("The process of a failed worker is still there")
	}
}

// report tells the scale call that created the worker how its first start went.
func (s *slot) report(err error) {
	if s.launch != nil {
		s.launch <- err // has a place for each start
		s.launch = nil
	}
}

// depart notes that the worker will serve no more, and answers what is queued
// if it was the last one.
func (s *slot) depart() {
	s.gone.Do(func() { s.pool.alive.Add(-1) })
	s.pool.sweep()
}

// retire lets the worker finish its batch within limit and stop for good. It
// does not wait for that; call it once, or release.
func (s *slot) retire(limit time.Duration) {
	s.mu.Lock()
	s.cutoff = time.AfterFunc(limit, func() { s.abort(nil) })
	s.mu.Unlock()
	s.release()
}

// release is retire without a limit.
func (s *slot) release() {
	if s.pool.cfg.Vacate != nil {
		s.pool.cfg.Vacate(s.place)
	}
	s.retired()
	s.depart()
}

// spare reports whether others can do all the work that is to come. A worker to
// which a sequence belongs cannot be spared; one that can gets none any more.
func (s *slot) spare() bool {
	s.mu.Lock()
	line := s.line
	s.mu.Unlock()
	return line != nil && line.Resign()
}

// abort cuts short what a retired worker still does; its jobs get reason, if
// there is one.
func (s *slot) abort(reason *fault.Error) {
	s.hurried()
	s.worker.Interrupt(reason)
}

// end stops the process of a retired worker and lets its place go. It may be
// called again after an error.
func (s *slot) end(hurry context.Context) error {
	err := s.worker.Stop(hurry)
	s.mu.Lock()
	if s.cutoff != nil {
		s.cutoff.Stop()
	}
	s.mu.Unlock()
	if err != nil {
		s.log.Warn().Err(err).Msg("WorkerThread timed out while cleaning, please resend request.")
		return err
	}
	s.pool.forget(s)
	if s.pool.cfg.Release != nil {
		s.pool.cfg.Release(s.place)
	}
	return nil
}

// hasEnded reports whether run has ended. A slot that left its process behind
// is among the leaving ones even then.
func (s *slot) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// healthy reports whether the worker has not failed, or not for too long.
func (s *slot) healthy(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pacing.within(now, s.pool.cfg.Settings.Timeouts.Retry)
}

// hasGivenUp reports whether the worker will not be started again.
func (s *slot) hasGivenUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gaveUp
}
