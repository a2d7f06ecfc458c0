package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// bootLimit is the least time that a process gets to say that it listens; a
// longer startup time-out extends it (SCH-D8). It bounds connecting, too.
const bootLimit = 2 * time.Minute

// Start brings up an incarnation: process, connection, loaded model. It blocks
// until then, until the start has failed, or until ctx ends; after an error
// nothing of the incarnation is left and the state is Stopped. The error is a
// fault of kind Worker whose Status is the code of the load (500 for whatever
// is not an answer, 413 for a process that was killed) and whose Details are
// the last words of the process, after the setting to change if it was too slow;
// when ctx ended, its cause is in the chain.
func (w *Worker) Start(ctx context.Context) error {
	began := time.Now()
	w.ruined, w.ahead, w.aheadErr = false, nil, nil
	err := w.start(ctx)
	if err == nil {
		w.cfg.Metrics.WorkerLoadTime(w.name, time.Since(began))
		w.remember("")
		return nil
	}
	failure := w.startFailure(err)
	if ctx.Err() != nil {
		w.log.Debug().Msg("Worker terminated due to scale-down call.")
	} else {
		w.logError(failure.Message)
		if failure.Message == errNoProcess {
			w.log.Error().Err(failure.Err).Msg("The worker process cannot be started")
		}
		w.log.Warn().Msgf("Load model failed: %s, error: Worker died.", w.cfg.Archive.Name)
	}
	if err := w.end(func(p *process) error { return p.kill(w.cfg.StopLimit) }); err != nil {
		w.log.Error().Err(err).Msg("A worker that could not start is still there")
	}
	w.move(Stopped)
	return failure
}

func (w *Worker) start(ctx context.Context) error {
	if err := w.boot(ctx); err != nil {
		return err
	}
	w.move(Started)
	if err := w.connect(ctx); err != nil {
		return err
	}
	return w.load(ctx)
}

// boot brings up a process that listens; with Launch.Debug somebody else has.
func (w *Worker) boot(ctx context.Context) error {
	if w.cfg.Launch.Debug {
		w.attach()
		return nil
	}
	if err := w.spawn(ctx); err != nil {
		return fault.Wrap(fault.Worker, errNoProcess, err)
	}
	return w.process().waitReady(ctx, max(bootLimit, w.cfg.Settings.Timeouts.Startup))
}

// tooSlow says what did not happen in time, and which setting gives it more.
func tooSlow(what string, limit time.Duration) string {
	return fmt.Sprintf("%s within %g s. If it needs longer, raise startupTimeout in model-config.yaml, "+
		"startup_timeout of the registration, or default_startup_timeout.", what, limit.Seconds())
}

func (w *Worker) spawn(ctx context.Context) error {
	var pinned []string
	args, err := w.cfg.Launch.command(w.cfg.Port, w.cfg.Archive, w.cfg.Settings, func(python string) []string {
		pinned = w.pin(ctx, python)
		return pinned
	})
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	w.cycle.Debug().Msg("Worker cmdline: " + cmdline(args))
	devices := w.cfg.Settings.Devices
	held := w.cfg.Launch.held(w.cfg.Port)
	extra := []string{heldVariable + "=" + held}
	ranks := devices.Ranks()
	if ranks > 0 {
		extra = append(extra, torchrunEnv(devices.Torchrun)...)
	}
	p, err := spawn(program{
		args: args, dir: w.cfg.Archive.Dir, env: w.cfg.Launch.Environment(w.cfg.Archive, append(extra, w.cfg.Env...)...),
		held: held, ranks: ranks, indirect: ranks > 0 || pinned != nil,
	}, streamLog{
		stdout: w.cfg.Log(LogModel, w.name+"-stdout"),
		stderr: w.cfg.Log(LogModel, w.name+"-stderr"),
		ended: func(stream string) {
			w.cycle.Info().Msg("Stopped Scanner - " + w.name + "-" + stream)
		},
		metric: w.metric,
	})
	if err != nil {
		return err
	}
	w.spawned(p)
	return nil
}

// metric hands on a metric line. That it came is worth a line when debugging
// only (WRK-D25).
func (w *Worker) metric(text string) {
	if e := w.cycle.Debug(); e.Enabled() {
		e.Msg("result=" + metricMark + text + ", pattern=" + metricMark)
	}
	w.cfg.Metrics.Line(text)
}

// connect connects to every rank.
func (w *Worker) connect(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	first, err := w.dial(limited, 0)
	var others *crew
	if ranks := w.cfg.Settings.Devices.Ranks(); err == nil && ranks > 1 {
		others = &crew{conns: make([]*conn, 0, ranks-1)}
		for rank := 1; rank < ranks && err == nil; rank++ {
			var c *conn
			if c, err = w.dial(limited, rank); err == nil {
				others.conns = append(others.conns, c)
			}
		}
	}
	if first != nil {
		w.connected(first, others)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return fault.Wrap(fault.Worker, errConnectLate, err)
	default:
		return fault.Wrap(fault.Worker, errConnect, err)
	}
}

func (w *Worker) dial(ctx context.Context, rank int) (*conn, error) {
	network, address := w.cfg.Launch.address(w.cfg.Port + rank)
	shown := address
	if network == "tcp" {
		shown = "/" + address
	}
	w.log.Info().Msg("Connecting to: " + shown)
	return dial(ctx, network, address, w.cfg.MaxResponse)
}

func (w *Worker) load(ctx context.Context) error {
	r, err := w.exchangeLoad(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		late := tooSlow("The model did not load", w.cfg.Settings.Timeouts.Startup)
		return &fault.Error{Kind: fault.Worker, Message: errNoAnswer, Details: late, Err: err}
	case err != nil:
		return fault.Wrap(fault.Worker, "Worker died.", err)
	case r.Code != 200:
		w.move(Failed)
		return &fault.Error{Kind: fault.Worker, Status: errorCode(r.Code), Message: r.Message}
	}
	if err := w.watch(); err != nil {
		return fault.Wrap(fault.Worker, "Worker died.", err)
	}
	w.move(ModelLoaded)
	return nil
}

// exchangeLoad has every rank load the model. The answer is that of the first rank
// that failed, else any (SCH-D7).
func (w *Worker) exchangeLoad(ctx context.Context) (r wire.Response, err error) {
	all := w.all()
	hangUp := func() {
		for _, c := range all {
			c.close()
		}
	}
	// A blocked read has no other way to notice the end of ctx.
	defer context.AfterFunc(ctx, hangUp)()
	if err := w.sendLoad(all); err != nil {
		return wire.Response{}, err
	}
	type answer struct {
		r   wire.Response
		err error
	}
	answers := make(chan answer, len(all)) // one per rank: nobody waits to say it
	var readers sync.WaitGroup
	for _, c := range all {
		readers.Go(func() {
			r, err := c.receive()
			answers <- answer{r, err}
		})
	}
	for range all {
		a := <-answers
		if r, err = a.r, a.err; err != nil || r.Code != 200 {
			hangUp() // the others may wait for this one
			break
		}
	}
	readers.Wait()
	return r, err
}

// sendLoad sends the load command to the ranks.
func (w *Worker) sendLoad(ranks []*conn) error {
	began := time.Now()
	a := w.cfg.Archive
	w.flushing("LOAD", 1)
	l := wire.Load{
		ModelName:           string(a.Name),
		ModelPath:           a.Dir,
		BatchSize:           w.cfg.Settings.Batching.Size,
		Handler:             a.Handler,
		GPU:                 w.cfg.GPU,
		Envelope:            a.Envelope,
		LimitMaxImagePixels: w.cfg.Launch.LimitPixels,
	}
	for _, c := range ranks {
		if err := c.sendLoad(l, w.cfg.Settings.Timeouts.Startup); err != nil {
			return err
		}
	}
	w.cfg.Metrics.WorkerThreadTime(time.Since(began))
	return nil
}

// startFailure turns the error of a start into what callers and clients see,
// and keeps the last words of the process for describe.
func (w *Worker) startFailure(err error) *fault.Error {
	f := &fault.Error{Op: "start worker", Subject: w.name, Kind: fault.Worker, Status: 500, Message: fault.Message(err), Err: err}
	if f.Message == "" {
		f.Message = err.Error()
	}
	late := ""
	if answer, ok := errors.AsType[*fault.Error](err); ok {
		f.Status, f.Err, late = cmp.Or(answer.Status, f.Status), answer.Err, answer.Details
	}
	p := w.process()
	switch {
	case p == nil:
		f.Details = cmp.Or(late, err.Error())
	case late != "":
		w.log.Warn().Msg(late)
		f.Details = late + " " + p.out.sinceLoad()
	case p.endedWithin(exitNotice):
		<-p.done // its last words
		if p.killed() {
			f.Status = outOfMemory
		}
		f.Details = p.out.lastWords()
	default:
		f.Details = p.out.lastWords()
	}
	w.remember(cmp.Or(f.Details, f.Message))
	return f
}
