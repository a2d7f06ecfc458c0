package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// LogModel is the logger name of 0.12 that admission writes to; the lines of
// slots go to worker.LogThread.
const LogModel = "org.pytorch.serve.wlm.Model"

// Worker is one worker as a slot drives it. Start, Stop and the exchanges are called
// by one goroutine at a time, the others by any.
type Worker interface {
	// Start brings up an incarnation of the process and blocks until its model
	// is loaded; after an error nothing of it is left.
	Start(ctx context.Context) error
	// ExchangeAhead sends a batch and blocks until it is answered completely;
	// next is the batch to put behind it meanwhile. After an error the jobs were
	// answered, unless worker.Unsent says otherwise, and those of next were not.
	ExchangeAhead(jobs []*job.Job, next func() []*job.Job) error
	// Iterate has live jobs worked on for one step; the worker knows the first
	// ones, as many as known says. ended is told of the sequences that the model
	// has ended, before the answers are handed on. After an error the jobs were
	// answered, but for the new ones if worker.Unsent says so.
	Iterate(jobs []*job.Job, known int, ended func(sequences []string)) error
	// Converse sends the jobs that next gives without waiting for answers, until
	// next fails and they are answered, or the incarnation fails; landed is called
	// for each that is over. unsent is a job that nobody has touched.
	Converse(ctx context.Context, next func(context.Context) (*job.Job, error), landed func()) (unsent *job.Job, err error)
	// Stop blocks until the process of an incarnation has ended; ctx cuts its
	// politeness short. Without an incarnation nothing happens.
	Stop(ctx context.Context) error
	// Interrupt makes a running Exchange fail at once, its jobs with reason.
	Interrupt(reason *fault.Error)
	// Retire marks the worker as stopped for good.
	Retire()
	// Done returns a channel that is closed when the process of the started
	// incarnation has ended.
	Done() <-chan struct{}
	State() worker.State
	Status() model.WorkerStatus
}

// Slot is one place for a worker: its number and id, its device and what its
// environment holds beside that of all workers.
type Slot struct {
	Port int
	GPU  int // -1: none
	Env  []string
	// Share is set by the pool, if Config.Pinned.
	Share worker.Share
}

// backlog is what waits in a pool.
type backlog interface {
	// Line returns where one more loaded worker takes its jobs.
	Line() batch.Line
	// Drain and Close return the waiting jobs, which the caller must answer.
	Drain() []*job.Job
	Close() []*job.Job
	Waiting() (pending, free int)
	Oldest() time.Time
	Waits() batch.Waits
}

// Config describes one pool. It is not changed after New.
type Config struct {
	Archive  model.Archive
	Settings model.Settings
	// Assign chooses the port and device of a new worker; it is called once
	// per worker ever created.
	Assign func() Slot
	// Vacate is told that the worker of a slot is on its way out, so that a new one
	// may have its device; nil: nobody.
	Vacate func(Slot)
	// Release is told that the worker of a slot is gone for good; nil: nobody.
	Release func(Slot)
	// NewWorker makes a worker whose process is not started.
	NewWorker func(Slot) Worker
	// Pinned says that the workers share the CPU cores among them: the parts change
	// with their number, so that each call of Scale replaces all of them.
	Pinned bool
	// Sequences are the names of the headers that carry a sequence.
	Sequences model.SequenceHeaders
	// StopLimit is how long Close lets the batches in flight finish
	// (unregister_model_timeout).
	StopLimit time.Duration
	// Log makes the logger with this name and thread.
	Log func(name, thread string) zerolog.Logger
}

// Pool is one model version at work.
type Pool struct {
	cfg         Config
	waiting     backlog
	queue       *batch.Queue     // waiting, unless the model is stateful; then nil
	open        *batch.Sequences // waiting, if the model is stateful; else nil
	sequenceLog zerolog.Logger   // of a stateful model
	tickets     *tickets         // nil: every job is admitted that finds a place
	scaler      *scaler          // nil: the number of workers is what calls make it
	log         zerolog.Logger

	refusing atomic.Bool  // closed, or about to be
	alive    atomic.Int64 // slots that run or may come back
	running  atomic.Int64 // jobs that workers have

	turn chan struct{} // holds one token: the turn to change the workers

	mu      sync.Mutex // Protects fields below
	workers model.Workers
	slots   []*slot // ascending by creation
	leaving []*slot // retired, not yet gone
	closed  bool
}

// New returns a pool without workers; it starts nothing.
func New(cfg Config) *Pool {
	p := &Pool{
		cfg:  cfg,
		log:  cfg.Log(LogModel, "pool"),
		turn: make(chan struct{}, 1), // one turn exists
	}
	if cfg.Settings.Sequence.Batching {
		p.open = newSequences(cfg.Settings)
		p.waiting = p.open
		p.sequenceLog = cfg.Log(LogSequence, "pool")
	} else {
		p.queue = batch.NewQueue(cfg.Settings.QueueSize)
		p.waiting = p.queue
	}
	if cfg.Settings.JobTicket {
		p.tickets = &tickets{}
	}
	if cfg.Settings.Autoscale.On {
		p.scaler = newScaler(p)
	}
	p.turn <- struct{}{}
	return p
}

// busy is the refusal of a job; the edge words it, because the text depends on
// what the client named.
func busy() error { return fault.New(fault.Busy, "") }

// Submit queues j and returns at once; replies reach j's sink later. It returns
// the cause of ctx if that has ended already, or a fault of kind Busy with an
// empty message when the queue is full, no worker runs or may come back, no
// idle worker has a ticket for j, or the pool is stopping; j's sink is then
// never called. Later the end of ctx has no effect: who gives j up abandons it.
func (p *Pool) Submit(ctx context.Context, j *job.Job) error {
	if p.refusing.Load() || p.alive.Load() == 0 {
		return busy()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := p.put(j); err != nil {
		return err
	}
	p.sweep() // the last worker may have left meanwhile
	if p.scaler != nil {
		p.scaler.came()
	}
	return nil
}

func (p *Pool) put(j *job.Job) error {
	if p.open != nil {
		return p.putInSequence(j)
	}
	if !p.admit(j) {
		return busy()
	}
	err := p.queue.Put(j)
	if err != nil && p.tickets != nil {
		p.tickets.withdraw(j)
	}
	if err != nil && p.scaler != nil {
		p.scaler.turnedAway()
	}
	return err
}

// admit reports whether the job may wait for a worker, as far as tickets are
// concerned.
func (p *Pool) admit(j *job.Job) bool {
	if p.tickets == nil || p.tickets.admit(j) {
		return true
	}
	if p.scaler != nil {
		p.scaler.turnedAway()
	}
	p.log.Info().Msg("There are no job tickets available")
	return false
}

// sweep answers everything that is queued when no worker is left to do it.
func (p *Pool) sweep() {
	if p.alive.Load() > 0 {
		return
	}
	refuseAll(p.waiting.Drain())
}

// limits are those of a batch; an eager worker takes what is there at once.
func (p *Pool) limits() batch.Limits {
	b := p.cfg.Settings.Batching
	if b.Eager {
		b.Delay = 0
	}
	return batch.Limits{Size: b.Size, Delay: b.Delay}
}

// most is how many live jobs a worker of continuous batching may have: twice as
// many when a sequence may have several of them (SCH §13.4).
func (p *Pool) most(limits batch.Limits) int {
	if p.open != nil {
		return 2 * limits.Size
	}
	return limits.Size
}

// nowRuns counts so many more jobs that workers have, and workers that have some.
func (p *Pool) nowRuns(jobs, workers int) {
	p.running.Add(int64(jobs))
	if p.scaler != nil {
		p.scaler.effort.change(jobs, workers)
	}
}

// Status returns the model version as describe shows it, but for what only the
// registry knows. Its workers are in ascending order and exclude those that
// were scaled away.
func (p *Pool) Status() model.Status {
	s := model.Status{Archive: p.cfg.Archive, Settings: p.cfg.Settings.Clone()}
	s.QueuePending, s.QueueCapacity = p.waiting.Waiting()
	s.QueueOldest, s.Running = p.waiting.Oldest(), int(p.running.Load())
	if p.scaler != nil {
		s.Scalings = p.scaler.decisions()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Settings.Workers = p.workers
	s.GaveUp = len(p.slots) > 0 && p.alive.Load() == 0
	s.Workers = make([]model.WorkerStatus, 0, len(p.slots))
	for _, slot := range p.slots {
		w := slot.worker.Status()
		w.Created = slot.created
		s.Workers = append(s.Workers, w)
	}
	return s
}

// Workers returns the number of workers that was last asked for.
func (p *Pool) Workers() model.Workers {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workers
}

// Running returns the number of workers that are starting or loaded (SCH §3).
func (p *Pool) Running() int {
	running, _ := p.count(func(s *slot) bool {
		switch s.worker.State() {
		case worker.None, worker.Started, worker.ModelLoaded:
			return true
		case worker.Failed, worker.Stopped, worker.ScaledDown:
			return false
		default:
			return false
		}
	})
	return running
}

// Healthy reports whether as many workers as wanted at least have not failed,
// or not for longer than the window of restarts. Workers that never loaded yet
// are healthy (SCH §6).
func (p *Pool) Healthy() bool {
	now := time.Now()
	healthy, least := p.count(func(s *slot) bool { return s.healthy(now) })
	return healthy >= least
}

// Ready reports whether as many workers as wanted at least are loaded.
func (p *Pool) Ready() bool {
	loaded, least := p.count(isLoaded)
	return loaded >= least
}

// Loaded reports whether a worker is loaded.
func (p *Pool) Loaded() bool {
	loaded, _ := p.count(isLoaded)
	return loaded > 0
}

func isLoaded(s *slot) bool { return s.worker.State() == worker.ModelLoaded }

// count returns how many workers are as asked, and the wanted minimum.
func (p *Pool) count(is func(*slot) bool) (n, least int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		if is(s) {
			n++
		}
	}
	return n, p.workers.Min
}
