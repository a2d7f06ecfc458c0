package logging

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// Config says what is logged and where to.
type Config struct {
	Dir        string    // LOG_LOCATION; empty: logs
	MetricsDir string    // METRICS_LOCATION; empty: logs
	Console    io.Writer // standard output; nil: none
	Stderr     io.Writer // trouble of the log itself, from several goroutines; nil: nowhere

	// Level is the level of the server's own loggers: off, fatal, error, warn,
	// info, debug, trace or all, in any case; empty: info. Levels sets it for
	// single loggers; a name also covers the names below it, as org.pytorch does
	// org.pytorch.serve.ModelServer.
	Level  string
	Levels map[string]string

	JSON     bool // the console gets one JSON object per line; files keep their layout
	Rotation Rotation

	// Now is the clock; its location is the one of the dates. nil: time.Now.
	Now func() time.Time
}

// Rotation says when files are rolled and which archives are kept.
type Rotation struct {
	MaxSize int64         // bytes above which a file is rolled; 0: 100 MiB
	Keep    int           // archives per file; 0: all
	MaxAge  time.Duration // of an archive; 0: any
}

const (
	defaultDir     = "logs"
	defaultMaxSize = 100 << 20 // bytes

	// closeGrace bounds the wait for a destination that does not take its last
	// lines, such as a terminal that is halted.
	closeGrace = 3 * time.Second

	maxKeptBody = 64 << 10 // bytes; a longer text's buffer is not used again
)

// Logs is the open log.
type Logs struct {
	now      func() time.Time
	levels   levels
	console  *output            // nil: none
	server   *output            // ts_log.log; nil: cannot be written
	own      map[string]*output // by logger name
	outputs  []*output          // all of them
	archiver *archiver
	entries  sync.Pool // of *entry

	stop  chan struct{} // closed: write what is left
	end   func()        // closes stop
	write func() error  // writes until stop is closed; once, whoever calls

	stderr io.Writer
}

// Open makes the directories and the five files and returns the log. Lines may
// be logged at once; they are written by Run. A file that cannot be written is
// reported on Stderr and left out (LOG-003). The only error is an unknown level
// in the configuration.
func Open(cfg Config) (*Logs, error) {
	known, err := parseLevels(cfg.Level, cfg.Levels)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Stderr == nil {
		cfg.Stderr = io.Discard
	}
	if cfg.Rotation.MaxSize == 0 {
		cfg.Rotation.MaxSize = defaultMaxSize
	}
	l := &Logs{now: cfg.Now, levels: known, own: map[string]*output{}, stop: make(chan struct{}), stderr: cfg.Stderr}
	l.entries.New = func() any { return new(entry) }
	l.end = sync.OnceFunc(func() { close(l.stop) })
	l.write = sync.OnceValue(l.writeAll)
	l.archiver = &archiver{
		rolled: make(chan struct{}, 1), // a token
		keep:   cfg.Rotation.Keep, maxAge: cfg.Rotation.MaxAge, now: cfg.Now, report: l.cannotArchive,
	}
	l.openOutputs(cfg)
	return l, nil
}

func (l *Logs) openOutputs(cfg Config) {
	if cfg.Console != nil {
		form := full
		if cfg.JSON {
			form = object
		}
		l.console = l.adopt(&output{name: "the console", to: cfg.Console, layout: form})
	}
	open := func(dir, variable, name string, form layout) *output {
		if dir == "" {
			dir = defaultDir // compat(0.12) LOG §2: an empty variable counts as unset
		}
		path := filepath.Join(dir, name)
		f, err := openFile(path, cfg.Rotation.MaxSize, cfg.Now, l.archiver.rolled)
		if err != nil {
			l.problem("%s cannot be written and is left out: %v; set %s to a directory that can", path, err, variable)
			return nil
		}
		l.archiver.paths = append(l.archiver.paths, path)
		return l.adopt(&output{name: path, to: f, layout: form, closer: f})
	}
	l.server = open(cfg.Dir, "LOG_LOCATION", "ts_log.log", full)
	l.own[AccessName] = open(cfg.Dir, "LOG_LOCATION", "access_log.log", short)
	l.own[ModelName] = open(cfg.Dir, "LOG_LOCATION", "model_log.log", full)
	l.own[MetricsName] = open(cfg.MetricsDir, "METRICS_LOCATION", "ts_metrics.log", short)
	l.own[ModelMetricsName] = open(cfg.MetricsDir, "METRICS_LOCATION", "model_metrics.log", short)
}

func (l *Logs) adopt(o *output) *output {
	o.now, o.report = l.now, l.cannotWrite
	o.ready, o.urgent = make(chan struct{}, 1), make(chan struct{}, 1) // tokens
	l.outputs = append(l.outputs, o)
	return o
}

// Logger returns the logger with this name and thread text. Its events never
// block; those that come after the end of Run are not written.
func (l *Logs) Logger(name, thread string) zerolog.Logger {
	own, verbatim := l.own[name]
	w := &writer{logs: l, own: own, verbatim: verbatim, name: name, thread: visible.String(thread)}
	return zerolog.New(w).Level(l.levels.of(name))
}

// Announce writes line to the console alone and without a date, in order with
// the events: scripts wait for "Model server started.".
func (l *Logs) Announce(line string) { l.console.addRaw(line) }

// Run writes the lines until ctx ends or Close is called, then those that are
// left, and closes the files. It returns an error when a destination did not
// take its last lines in time; its goroutine is then left behind, blocked in
// the system call. Call it once.
func (l *Logs) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, l.end)()
	return l.write()
}

// Close ends Run and waits for it; without a Run it writes by itself what was
// logged. It has the bound and the error of Run, and may be called again.
func (l *Logs) Close() error {
	l.end()
	return l.write()
}

func (l *Logs) writeAll() error {
	running := make(map[string]bool, len(l.outputs)+1)
	ended := make(chan string, len(l.outputs)+1) // each sends once, whoever listens
	start := func(name string, run func(stop <-chan struct{})) {
		running[name] = true
		go func() {
			run(l.stop)
			ended <- name
		}()
	}
	for _, o := range l.outputs {
		start(o.name, o.run)
	}
	start("the archive of old files", l.archiver.run)
	<-l.stop
	limit := time.NewTimer(closeGrace)
	defer limit.Stop()
	for len(running) > 0 {
		select {
		case name := <-ended:
			delete(running, name)
		case <-limit.C:
			names := slices.Sorted(maps.Keys(running))
			return fmt.Errorf("close the log: no end within %v: %s", closeGrace, strings.Join(names, ", "))
		}
	}
	return nil
}

func (l *Logs) cannotWrite(name string, err error) {
	l.problem("%s cannot be written, lines are lost: %v", name, err)
}

func (l *Logs) cannotArchive(path string, err error) {
	l.problem("old files of %s cannot be compressed or removed: %v", path, err)
}

// problem tells about trouble of the log itself where it still can.
func (l *Logs) problem(format string, args ...any) {
	_, _ = fmt.Fprintf(l.stderr, "torchserve: "+format+"\n", args...) // there is nobody left to tell
}

// send hands an event to its destinations.
func (l *Logs) send(e *entry, own *output) {
	own.add(e)
	l.server.add(e)
	l.console.add(e)
}

// take returns an entry for now; give takes it back.
func (l *Logs) take(level zerolog.Level, logger, thread string) *entry {
	e, _ := l.entries.Get().(*entry) // nothing else is in there
	e.at = l.now()
	e.level, e.logger, e.thread = level, logger, thread
	e.stamp = e.at.AppendFormat(e.stamp[:0], stampFormat)
	e.body = e.body[:0]
	e.members = nil
	return e
}

func (l *Logs) give(e *entry) {
	e.members = nil // zerolog's
	if cap(e.body) <= maxKeptBody {
		l.entries.Put(e)
	}
}

// writer receives the events of one logger.
type writer struct {
	logs         *Logs
	own          *output // nil: has none, or it cannot be written
	verbatim     bool    // what workers print stays as it is
	name, thread string
}

// Write takes an event without a level.
func (w *writer) Write(p []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, p) }

// WriteLevel takes an event as zerolog wrote it. It keeps nothing of p.
func (w *writer) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	n := len(p)
	k := keptOthers
	if !w.verbatim {
		p, k = withoutSecrets(p), 0
	}
	e := w.logs.take(level, w.name, w.thread)
	e.body = appendBody(e.body, p, k)
	e.members = p
	w.logs.send(e, w.own)
	w.logs.give(e)
	return n, nil
}

var _ zerolog.LevelWriter = (*writer)(nil)
