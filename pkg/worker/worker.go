package worker

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// Logger names of 0.12 that a worker writes to.
const (
	LogThread    = "org.pytorch.serve.wlm.WorkerThread"
	LogLifeCycle = "org.pytorch.serve.wlm.WorkerLifeCycle"
	LogModel     = "MODEL_LOG"
)

// Metrics is told what happens. Implementations must return at once and be safe
// for concurrent use.
type Metrics interface {
	// WorkerLoadTime is called when a launch has led to a loaded model.
	WorkerLoadTime(worker string, d time.Duration)
	// WorkerThreadTime is called after a round trip with the time that was not
	// spent waiting for the worker.
	WorkerThreadTime(d time.Duration)
	// Line is called with the text of a metric line of the process, without
	// its [METRICS] mark.
	Line(text string)
}

// NoMetrics does nothing.
type NoMetrics struct{}

// WorkerLoadTime does nothing.
func (NoMetrics) WorkerLoadTime(string, time.Duration) {}

// WorkerThreadTime does nothing.
func (NoMetrics) WorkerThreadTime(time.Duration) {}

// Line does nothing.
func (NoMetrics) Line(string) {}

// Config describes one worker. It is not changed after New.
type Config struct {
	Port        int // number and id of the worker, never reused
	Archive     model.Archive
	Settings    model.Settings
	GPU         int      // device number, -1 for none
	Env         []string // variables beside those of Launch
	Launch      Launch
	MaxResponse int           // bytes per field of an answer
	StopLimit   time.Duration // for a killed process to end (unregister_model_timeout)
	Metrics     Metrics
	// Log makes the logger with this name and thread.
	Log func(name, thread string) zerolog.Logger
}

// bootLimit is the least time that a process gets to say that it listens; a
// longer startup time-out extends it (SCH-D8).
const bootLimit = 2 * time.Minute

// Worker is one worker of a model version.
type Worker struct {
	cfg     Config
	name    string // W-9000-mnist_1.0
	machine Machine
	log     zerolog.Logger // thread's own
	cycle   zerolog.Logger

	conn      *conn  // of the slot's goroutine only
	streaming []bool // per job of the batch in work; reused

	mu        sync.Mutex // Protects fields below
	proc      *process
	lastError string
}

// New returns a worker whose process is not started.
func New(cfg Config) *Worker {
	w := &Worker{cfg: cfg, name: Name(cfg.Port, cfg.Archive)}
	w.log = cfg.Log(LogThread, w.name)
	w.cycle = cfg.Log(LogLifeCycle, w.name)
	return w
}

// Start brings up an incarnation: process, connection, loaded model. It blocks
// until then, until the start has failed, or until ctx ends; after an error
// nothing of the incarnation is left and the state is Stopped. The error is a
// fault of kind Worker whose Status is that of the load (500, or 507 for out of
// memory) and whose Details are the last words of the process.
func (w *Worker) Start(ctx context.Context) error {
	began := time.Now()
	err := w.start(ctx)
	if err == nil {
		w.cfg.Metrics.WorkerLoadTime(w.name, time.Since(began))
		w.remember("")
		return nil
	}
	failure := w.startFailure(err)
	w.log.Error().Msg("Backend worker error\n" + initializationError + ": " + failure.Message)
	w.log.Warn().Msgf("Load model failed: %s, error: Worker died.", w.cfg.Archive.Name)
	w.remember(failure.Details)
	w.end(func(p *process) error { return p.kill(w.cfg.StopLimit) })
	w.move(Stopped)
	return failure
}

// initializationError is the class name under which 0.12 logs a failed start;
// scripts look for it (LOG-046).
const initializationError = "org.pytorch.serve.wlm.WorkerInitializationException"

func (w *Worker) start(ctx context.Context) error {
	if err := w.spawn(); err != nil {
		return err
	}
	p := w.process()
	if err := p.waitReady(ctx, max(bootLimit, w.cfg.Settings.Timeouts.Startup)); err != nil {
		return err
	}
	w.move(Started)
	if err := w.connect(ctx); err != nil {
		return err
	}
	return w.load(ctx)
}

func (w *Worker) spawn() error {
	args, err := w.cfg.Launch.command(w.cfg.Port, w.cfg.Archive, w.cfg.Settings)
	if err != nil {
		return err
	}
	w.cycle.Debug().Msg("Worker cmdline: " + cmdline(args))
	env := w.cfg.Launch.environ(w.cfg.Archive, w.cfg.Env...)
	p, err := spawn(args, w.cfg.Archive.Dir, env, 1, streamLog{
		stdout: w.cfg.Log(LogModel, w.name+"-stdout"),
		stderr: w.cfg.Log(LogModel, w.name+"-stderr"),
		ended: func(stream string) {
			w.cycle.Info().Msg("Stopped Scanner - " + w.name + "-" + stream)
		},
		metric: w.cfg.Metrics.Line,
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.proc = p
	w.mu.Unlock()
	return nil
}

func (w *Worker) connect(ctx context.Context) error {
	network, address := w.cfg.Launch.address(w.cfg.Port)
	shown := address
	if network == "tcp" {
		shown = "/" + address
	}
	w.log.Info().Msg("Connecting to: " + shown)
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	c, err := dial(ctx, network, address, w.cfg.MaxResponse)
	w.conn = c
	return err
}

func (w *Worker) load(ctx context.Context) error {
	a := w.cfg.Archive
	w.flushing("LOAD", 1)
	defer closeOnCancel(ctx, w.conn)()
	r, err := w.conn.load(wire.Load{
		ModelName:           string(a.Name),
		ModelPath:           a.Dir,
		BatchSize:           w.cfg.Settings.Batching.Size,
		Handler:             a.Handler,
		GPU:                 w.cfg.GPU,
		Envelope:            a.Envelope,
		LimitMaxImagePixels: w.cfg.Launch.LimitPixels,
	}, w.cfg.Settings.Timeouts.Startup)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	if r.Code != 200 {
		w.move(Failed)
		return fault.Wrap(fault.Worker, r.Message, &loadRefused{code: r.Code})
	}
	w.move(ModelLoaded)
	return nil
}

// loadRefused is a load that was answered with an error code.
type loadRefused struct{ code int }

func (l *loadRefused) Error() string { return "the worker could not load the model" }

// closeOnCancel closes c when ctx ends, until the returned function is called:
// a blocked read has no other way to notice.
func closeOnCancel(ctx context.Context, c *conn) (stop func() bool) {
	return context.AfterFunc(ctx, c.close)
}

// startFailure turns the error of a start into what callers and clients see.
func (w *Worker) startFailure(err error) *fault.Error {
	f := &fault.Error{Op: "start worker", Subject: w.name, Kind: fault.Worker, Status: 500, Message: err.Error(), Err: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f.Message = errNoAnswer.Error()
	}
	var refused *loadRefused
	if errors.As(err, &refused) {
		f.Status, f.Message = clientStatus(refused.code), fault.Message(err)
	}
	p := w.process()
	if p == nil {
		f.Message = "Failed start worker process"
		f.Details = err.Error()
		return f
	}
	if p.endedWithin(exitNotice) && p.outOfMemory() {
		f.Status = 507
	}
	f.Details = p.out.lastWords()
	return f
}

// exitNotice is how long a closed connection waits for the reaper's word on how
// the process ended.
const exitNotice = 500 * time.Millisecond

// Done returns a channel that is closed when the process of the current
// incarnation has ended.
func (w *Worker) Done() <-chan struct{} { return w.process().exited }

// Stop ends the incarnation politely and blocks until its process has ended.
// ctx cuts the polite rungs of the ladder short, not the last one. The error is
// a fault of kind CleanupTimeout.
func (w *Worker) Stop(ctx context.Context) error {
	err := w.end(func(p *process) error { return p.stop(ctx, w.cfg.StopLimit) })
	if err != nil {
		return fault.Wrap(fault.CleanupTimeout, "", err)
	}
	return nil
}

// Retire marks the worker as stopped for good.
func (w *Worker) Retire() { w.move(ScaledDown) }

// end closes the connection, ends the process as told and removes the socket.
func (w *Worker) end(stop func(*process) error) error {
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
	p := w.process()
	if p == nil {
		return nil
	}
	err := stop(p)
	if network, path := w.cfg.Launch.address(w.cfg.Port); network == "unix" {
		removeSocket(path)
	}
	w.mu.Lock()
	w.proc = nil
	w.mu.Unlock()
	return err
}

// State returns the state of the worker.
func (w *Worker) State() State { return w.machine.State() }

// Port returns the worker's number.
func (w *Worker) Port() int { return w.cfg.Port }

// Status returns the worker as describe shows it, but for its creation time.
func (w *Worker) Status() model.WorkerStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	state := w.machine.State()
	s := model.WorkerStatus{
		ID: w.cfg.Port, Ready: state == ModelLoaded, State: state.String(),
		PID: -1, GPU: w.cfg.GPU, Error: w.lastError,
	}
	if w.proc != nil {
		s.PID = w.proc.pid()
	}
	return s
}

func (w *Worker) process() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proc
}

func (w *Worker) remember(lastError string) {
	w.mu.Lock()
	w.lastError = lastError
	w.mu.Unlock()
}

// move changes the state and logs it in 0.12's words; a refused move is logged
// and changes nothing.
func (w *Worker) move(to State) {
	from, err := w.machine.Move(to)
	if err != nil {
		if from != ScaledDown { // a retired worker still ends its incarnation
			w.log.Error().Err(err).Msg("Unexpected state of worker")
		}
		return
	}
	w.log.Debug().Msgf("%s State change %v -> %v", w.name, from, to)
}

func (w *Worker) flushing(command string, n int) {
	if e := w.log.Debug(); e.Enabled() {
		e.Msgf("Flushing req.cmd %s repeats %d to backend at: %d", command, n, time.Now().UnixMilli())
	}
}
