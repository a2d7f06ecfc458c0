package worker

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Logger names of 0.12 that a worker writes to.
const (
	LogThread    = "org.pytorch.serve.wlm.WorkerThread"
	LogLifeCycle = "org.pytorch.serve.wlm.WorkerLifeCycle"
	LogBatch     = "org.pytorch.serve.wlm.BatchAggregator"
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
	Share       Share    // of the CPU cores, for Launch.CPULauncher
	Launch      Launch
	MaxResponse int           // bytes per field of an answer
	SequenceEnd string        // response header with which the model ends sequences; empty: it cannot
	StopGrace   time.Duration // between asking a process to end and killing it
	StopLimit   time.Duration // for a killed process to end (unregister_model_timeout)
	Metrics     Metrics
	// Log makes the logger with this name and thread.
	Log func(name, thread string) zerolog.Logger
}

// Name is the name of a worker in logs, metrics and thread fields.
func Name(port int, a model.Archive) string {
	return "W-" + strconv.Itoa(port) + "-" + a.ID()
}

// Worker is one worker of a model version.
type Worker struct {
	cfg      Config
	name     string // W-9000-mnist_1.0
	machine  Machine
	log      zerolog.Logger // thread's own
	cycle    zerolog.Logger
	batchLog zerolog.Logger
	gone     chan struct{} // closed: what Done returns when there is no process

	// Of the slot's goroutine.
	streamed []bool // per job of the batch in work; reused
	ruined   bool   // the incarnation has failed: no politeness

	ahead    *job.Job // first of the batch that was sent ahead; nil: none
	aheadErr error    // why that failed

	mu        sync.Mutex // Protects fields below; conn and crew are written by the slot's goroutine only
	conn      *conn      // to the only process, or the first rank
	crew      *crew      // the other ranks; nil: none
	lost      error      // which of them went away first; nil: none did
	proc      *process
	attached  chan struct{} // of an incarnation without a process of ours; nil: none
	verdict   *fault.Error  // of Interrupt, for the jobs of this incarnation; nil: none
	lastError string
}

// New returns a worker whose process is not started.
func New(cfg Config) *Worker {
	w := &Worker{cfg: cfg, name: Name(cfg.Port, cfg.Archive), gone: make(chan struct{})}
	w.log = cfg.Log(LogThread, w.name)
	w.cycle = cfg.Log(LogLifeCycle, w.name)
	w.batchLog = cfg.Log(LogBatch, w.name)
	close(w.gone)
	return w
}

// Done returns a channel that is closed when the process of the current
// incarnation has ended; without an incarnation it is closed already. Ask again
// after every Start.
func (w *Worker) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.proc != nil:
		return w.proc.exited
	case w.attached != nil:
		return w.attached
	default:
		return w.gone
	}
}

// attach begins an incarnation whose process somebody else has started; all
// that is known of its end is that of the connection.
func (w *Worker) attach() {
	w.mu.Lock()
	w.attached = make(chan struct{})
	w.mu.Unlock()
}

// detach ends such an incarnation and reports whether there was one.
func (w *Worker) detach() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.attached == nil {
		return false
	}
	close(w.attached)
	w.attached = nil
	return true
}

// Interrupt cuts the exchange in work short: its jobs are answered with reason,
// with Worker died. if that is nil, and Exchange returns, after which the
// incarnation must be stopped. It does not block, does nothing when there is no
// connection, and is safe for concurrent use.
func (w *Worker) Interrupt(reason *fault.Error) {
	w.mu.Lock()
	c, crew := w.conn, w.crew
	if c != nil {
		w.verdict = reason
	}
	w.mu.Unlock()
	if c != nil {
		c.close()
		crew.close()
	}
}

// Stop ends the incarnation and blocks until its process has ended: politely,
// or at once if it has failed an exchange. ctx cuts the polite rungs of the
// ladder short, not the last one. Without an incarnation nothing happens. The
// error is a fault of kind CleanupTimeout; the process was killed then, but has
// not ended within StopLimit.
func (w *Worker) Stop(ctx context.Context) error {
	if w.process() == nil && w.conn == nil {
		return nil
	}
	w.move(Stopped)
	err := w.end(func(p *process) error {
		if w.ruined {
			return p.kill(w.cfg.StopLimit)
		}
		return p.stop(ctx, w.cfg.StopGrace, w.cfg.StopLimit)
	})
	if err != nil {
		return fault.Wrap(fault.CleanupTimeout, "", err)
	}
	return nil
}

// Retire marks the worker as stopped for good.
func (w *Worker) Retire() { w.move(ScaledDown) }

// end closes the connections, ends the process as told and removes the sockets.
func (w *Worker) end(stop func(*process) error) error {
	if w.conn != nil {
		w.conn.close()
		w.crew.disband()
		w.connected(nil, nil)
	}
	p := w.process()
	if w.detach() || p == nil {
		return nil
	}
	err := stop(p)
	w.removeSockets()
	w.spawned(nil)
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

func (w *Worker) spawned(p *process) {
	w.mu.Lock()
	w.proc = p
	w.mu.Unlock()
}

func (w *Worker) connected(c *conn, others *crew) {
	w.mu.Lock()
	w.conn, w.crew, w.lost, w.verdict = c, others, nil, nil
	w.mu.Unlock()
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
