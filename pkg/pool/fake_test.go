package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

	mu        sync.Mutex // Protects fields below
	machine   worker.Machine
	starts    int
	stops     int
	batches   [][]string
	died      chan struct{} // closed when the process ends; nil: no process
	interrupt chan struct{}
}

// team makes the fakes of one pool and says how they behave. Its function
// fields are not changed while the pool runs.
type team struct {
	load, work time.Duration
	start      func(f *fake, n int) error           // outcome of the n-th start, from 1; nil: it loads
	answer     func(f *fake, jobs []*job.Job) error // instead of an answer after work
	stop       func(f *fake, n int) error           // outcome of the n-th stop, from 1
	log        *bytes.Buffer                        // nil: none

	mu       sync.Mutex // Protects fields below
	port     int
	fakes    []*fake
	released []int
}

// errUnsent is what an exchange returns before the worker has got anything; the
// worker package recognises its own error only, which Exchange of a worker that
// was never started returns.
func errUnsent() error {
	return worker.New(worker.Config{Log: nolog}).Exchange(nil)
}

func nolog(string, string) zerolog.Logger { return zerolog.Nop() }

func (tm *team) config(settings model.Settings) pool.Config {
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
		StopLimit: 10 * time.Second,
		Log: func(name, thread string) zerolog.Logger {
			return zerolog.New(out).With().Str("logger", name).Str("thread", thread).Logger()
		},
	}
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
	f.died, f.interrupt = make(chan struct{}), make(chan struct{})
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
	timer := time.NewTimer(f.team.load)
	defer timer.Stop()
	select {
	case <-timer.C:
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

func (f *fake) Exchange(jobs []*job.Job) error {
	defer f.alone()()
	f.mu.Lock()
	ids := make([]string, 0, len(jobs))
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	f.batches = append(f.batches, ids)
	died, interrupt := f.died, f.interrupt
	f.mu.Unlock()
	if f.team.answer != nil {
		return f.team.answer(f, jobs)
	}
	return f.finish(jobs, f.team.work, died, interrupt)
}

// finish answers jobs after some work, unless the process ends before.
func (f *fake) finish(jobs []*job.Job, work time.Duration, died, interrupt <-chan struct{}) error {
	timer := time.NewTimer(work)
	defer timer.Stop()
	select {
	case <-died:
	case <-interrupt:
	case <-timer.C:
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

func (f *fake) Interrupt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.interrupt != nil {
		select {
		case <-f.interrupt:
		default:
			close(f.interrupt)
		}
	}
}

func (f *fake) Stop(context.Context) error {
	defer f.alone()()
	f.mu.Lock()
	f.stops++
	n := f.stops
	f.died = nil
	f.mu.Unlock()
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

// client is a job and what came back for it.
type client struct {
	job *job.Job

	mu    sync.Mutex // Protects fields below
	when  time.Time
	reply *job.Reply
	err   error
	last  int // final answers: must become 1
}

func newClient(id string) *client {
	c := &client{}
	c.job = &job.Job{ID: id, Ref: model.Ref{Name: "m"}, Sink: c, Created: time.Now()}
	return c
}

func (c *client) Deliver(r job.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.More {
		c.last++
		c.reply, c.when = &r, time.Now()
	}
}

func (c *client) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.err, c.when = err, time.Now()
}

func (c *client) answers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// answered requires a good answer, after this long.
func (c *client) answered(t *testing.T, after time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NoError(t, c.err)
	require.Equal(t, 1, c.last, "job %s must have one answer", c.job.ID)
	assert.Equal(t, after, c.when.Sub(c.job.Created), "time of the answer to %s", c.job.ID)
}

// failed requires an error of this kind, after this long.
func (c *client) failed(t *testing.T, kind fault.Kind, after time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, 1, c.last, "job %s must have one answer", c.job.ID)
	require.Error(t, c.err)
	assert.Equal(t, kind, fault.KindOf(c.err))
	assert.Equal(t, after, c.when.Sub(c.job.Created), "time of the answer to %s", c.job.ID)
}

// base is a plain model: batches of one, a window of 300 s.
func base() model.Settings {
	return model.Settings{
		Batching:  model.Batching{Size: 1, Delay: model.DefaultBatchDelay},
		Timeouts:  model.Timeouts{Response: 120 * time.Second, Startup: 120 * time.Second, Retry: model.DefaultRetryWindow},
		QueueSize: 100,
	}
}

// bubble runs a test in virtual time with a pool that is closed at its end.
func bubble(t *testing.T, tm *team, s model.Settings, test func(t *testing.T, p *pool.Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := pool.New(tm.config(s))
		defer func() {
			require.NoError(t, p.Close(t.Context()))
			assert.Zero(t, tm.processes(), "processes after Close")
			assert.Len(t, tm.gone(), tm.size(), "every worker is released once")
		}()
		test(t, p)
	})
}

// pass lets virtual time pass, and everything happen that is then due.
func pass(d time.Duration) {
	<-time.NewTimer(d).C
	synctest.Wait()
}

// scale sets min = max = n and waits.
func scale(t *testing.T, p *pool.Pool, n int) {
	t.Helper()
	progress, err := p.Scale(t.Context(), model.Workers{Min: n, Max: n}, true)
	require.NoError(t, err)
	require.Equal(t, model.Done, progress)
}

func submit(t *testing.T, p *pool.Pool, id string) *client {
	t.Helper()
	c := newClient(id)
	require.NoError(t, p.Submit(t.Context(), c.job))
	return c
}

// refused requires that the pool does not take a job.
func refused(t *testing.T, p *pool.Pool) {
	t.Helper()
	c := newClient("refused")
	err := p.Submit(t.Context(), c.job)
	require.Error(t, err)
	assert.Equal(t, fault.Busy, fault.KindOf(err))
	assert.Empty(t, fault.Message(err), "the edge words it")
	synctest.Wait()
	assert.Zero(t, c.answers(), "the sink of a refused job is not called")
}

// ports lists the workers that describe shows.
func ports(p *pool.Pool) []int {
	all := []int{}
	for _, w := range p.Status().Workers {
		all = append(all, w.ID)
	}
	return all
}
