package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

var _ pool.Worker = (*worker.Worker)(nil)

// fake is a worker without a process, with time as its only work.
type fake struct {
	place pool.Slot
	team  *team
	calls atomic.Int32 // of Start, Exchange and Stop at the same moment

	mu         sync.Mutex // Protects fields below
	machine    worker.Machine
	starts     int
	stops      int
	interrupts int
	verdict    *fault.Error
	batches    [][]string
	died       chan struct{} // closed when the process ends; nil: no process
	interrupt  chan struct{}
	left       map[*job.Job]int // steps of the jobs that it has begun (continuous batching)
}

// team makes the fakes of one pool and says how they behave. Its function
// fields are not changed while the pool runs.
type team struct {
	load, work time.Duration
	pace       func() time.Duration                 // instead of work; nil: work
	start      func(f *fake, n int) error           // outcome of the n-th start, from 1; nil: it loads
	answer     func(f *fake, jobs []*job.Job) error // instead of an answer after work
	steps      func(j *job.Job) int                 // of continuous batching; nil: one
	ends       func(jobs []*job.Job) []string       // sequences that the model ends with a step; nil: none
	places     int                                  // of the jobs of an asynchronous worker; 0: no end of them
	most       int                                  // jobs of a batch; 0: any number
	unique     bool                                 // no two jobs of a batch have one id
	apart      bool                                 // no two jobs of a batch are of one sequence
	refuse     func() bool                          // whether the process dies when it is to be sent something
	polite     time.Duration                        // that a process takes to stop unless it is killed
	stop       func(f *fake, n int) error           // outcome of the n-th stop, from 1
	log        *bytes.Buffer                        // nil: none
	pinned     bool                                 // the workers share the CPU cores

	mu       sync.Mutex // Protects fields below
	port     int
	fakes    []*fake
	vacated  []int
	released []int
	faults   []string       // what no worker should see
	latest   map[string]int // per sequence, the number of the job that began last
}

// errUnsent is what an exchange returns before the worker has got anything; the
// worker package recognises its own error only, which Exchange of a worker that
// was never started returns.
func errUnsent() error {
	return worker.New(worker.Config{Log: nolog}).Exchange(nil)
}

// sequenceID is the header that names a sequence.
const sequenceID = "sequence"

func nolog(string, string) zerolog.Logger { return zerolog.Nop() }

func (tm *team) config(settings model.Settings) pool.Config {
	tm.places = settings.AsyncLimit
	out := io.Discard
	if tm.log != nil {
		out = zerolog.SyncWriter(tm.log)
	}
	return pool.Config{
		Archive:  model.Archive{Name: "m", Version: "1.0"},
		Settings: settings,
		Assign: func() pool.Slot {
			tm.mu.Lock()
			defer tm.mu.Unlock()
			tm.port++
			return pool.Slot{Port: 8999 + tm.port, GPU: -1}
		},
		Vacate: func(s pool.Slot) {
			tm.mu.Lock()
			defer tm.mu.Unlock()
			tm.vacated = append(tm.vacated, s.Port)
		},
		Release: func(s pool.Slot) {
			tm.mu.Lock()
			defer tm.mu.Unlock()
			tm.released = append(tm.released, s.Port)
		},
		NewWorker: func(s pool.Slot) pool.Worker {
			tm.mu.Lock()
			defer tm.mu.Unlock()
			f := &fake{place: s, team: tm}
			tm.fakes = append(tm.fakes, f)
			return f
		},
		Pinned:    tm.pinned,
		Sequences: model.SequenceHeaders{ID: sequenceID, Start: "start", End: "end"},
		StopLimit: 10 * time.Second,
		Log: func(name, thread string) zerolog.Logger {
			return zerolog.New(out).With().Str("logger", name).Str("thread", thread).Logger()
		},
	}
}

// left are the workers that were on their way out when a number of workers had
// been made.
func (tm *team) left() []int {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return slices.Clone(tm.vacated)
}

func (tm *team) at(i int) *fake {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.fakes[i]
}

func (tm *team) size() int {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return len(tm.fakes)
}

func (tm *team) gone() []int {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return append([]int(nil), tm.released...)
}

// processes counts the fakes whose process is there.
func (tm *team) processes() int {
	n := 0
	for i := range tm.size() {
		f := tm.at(i)
		f.mu.Lock()
		if f.died != nil {
			n++
		}
		f.mu.Unlock()
	}
	return n
}

// alone fails when two goroutines drive the worker at once.
func (f *fake) alone() (leave func()) {
	if f.calls.Add(1) != 1 {
		panic("two goroutines drive one worker")
	}
	return func() { f.calls.Add(-1) }
}

func (f *fake) Start(ctx context.Context) error {
	defer f.alone()()
	f.mu.Lock()
	f.starts++
	n := f.starts
	f.died, f.interrupt, f.left = make(chan struct{}), make(chan struct{}), make(map[*job.Job]int)
	died := f.died
	f.mu.Unlock()
	err := f.boot(ctx, died, n)
	if err != nil {
		f.mu.Lock()
		f.died = nil
		f.mu.Unlock()
		_, _ = f.machine.Move(worker.Stopped)
		return &fault.Error{Kind: fault.Worker, Status: 500, Message: "no start", Err: err}
	}
	_, err = f.machine.Move(worker.ModelLoaded)
	return err
}

func (f *fake) boot(ctx context.Context, died <-chan struct{}, n int) error {
	if _, err := f.machine.Move(worker.Started); err != nil {
		return err
	}
	select {
	case <-after(f.team.load):
	case <-died:
		return errors.New("died while loading")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if f.team.start != nil {
		return f.team.start(f, n)
	}
	return nil
}

// ExchangeAhead takes a batch ahead as the real worker does, and answers it in
// its turn.
func (f *fake) ExchangeAhead(jobs []*job.Job, next func() []*job.Job) error {
	if next != nil {
		next()
	}
	return f.Exchange(jobs)
}

func (f *fake) Exchange(jobs []*job.Job) error {
	defer f.alone()()
	if f.team.refuses() {
		f.die()
		return errUnsent()
	}
	f.note(jobs)
	f.team.inOrder(jobs)
	f.mu.Lock()
	died, interrupt := f.died, f.interrupt
	f.mu.Unlock()
	if f.team.answer != nil {
		return f.team.answer(f, jobs)
	}
	return f.finish(jobs, f.team.takes(), died, interrupt)
}

// finish answers jobs after some work, unless the process ends before.
func (f *fake) finish(jobs []*job.Job, work time.Duration, died, interrupt <-chan struct{}) error {
	select {
	case <-died:
	case <-interrupt:
		f.mu.Lock()
		reason := f.verdict
		f.mu.Unlock()
		if reason != nil {
			for _, j := range jobs {
				j.Fail(reason)
			}
			return reason
		}
	case <-after(work):
		for _, j := range jobs {
			j.Deliver(job.Reply{Status: 200, Body: []byte(f.name())})
		}
		return nil
	}
	return kill(jobs)
}

// kill answers jobs as a dying worker does.
func kill(jobs []*job.Job) error {
	failure := &fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died."}
	for _, j := range jobs {
		j.Fail(failure)
	}
	return failure
}

func (f *fake) Interrupt(reason *fault.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interrupts++
	f.verdict = reason
	if f.interrupt != nil {
		select {
		case <-f.interrupt:
		default:
			close(f.interrupt)
		}
	}
}

func (f *fake) Stop(ctx context.Context) error {
	defer f.alone()()
	f.mu.Lock()
	f.stops++
	n := f.stops
	running := f.died != nil
	f.died = nil
	f.mu.Unlock()
	if running {
		select {
		case <-after(f.team.polite):
		case <-ctx.Done():
		}
	}
	if f.machine.State() != worker.None {
		_, _ = f.machine.Move(worker.Stopped)
	}
	if f.team.stop != nil {
		return f.team.stop(f, n)
	}
	return nil
}

func (f *fake) Retire() { _, _ = f.machine.Move(worker.ScaledDown) }

func (f *fake) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.died
}

func (f *fake) State() worker.State { return f.machine.State() }

func (f *fake) Status() model.WorkerStatus {
	return model.WorkerStatus{
		ID: f.place.Port, Ready: f.State() == worker.ModelLoaded, State: f.State().String(), PID: -1, GPU: f.place.GPU,
	}
}

func (f *fake) name() string { return fmt.Sprint(f.place.Port) }

// die ends the process, if there is one.
func (f *fake) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.died == nil {
		return
	}
	select {
	case <-f.died:
	default:
		close(f.died)
	}
}

func (f *fake) seen() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]string(nil), f.batches...)
}

func (f *fake) launches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts
}
