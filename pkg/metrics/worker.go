package metrics

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/visible"
)

// maxDetected is how many metrics and series of one model are taken over from
// its lines: a library that prints the right prefix must not fill the memory.
const maxDetected = 1000

// models are the metrics of the workers' lines.
type models struct {
	byName atomic.Pointer[map[string]*meter] // replaced, never changed; nil meter: refused for good

	mu      sync.Mutex // Protects the fields below and serializes replacements
	budgets map[model.Name]*budget
}

// budget is what a model may still add. A nil one is without end.
type budget struct {
	used atomic.Int64
	told atomic.Bool
}

func (b *budget) take() bool { return b == nil || b.used.Add(1) <= maxDetected }

// Worker takes the measurements of one worker.
type Worker struct {
	of     *Recorder
	model  model.Name
	budget *budget
	log    zerolog.Logger
}

// Worker returns what takes the measurements of a worker of a model. log, the
// worker's own, gets what is wrong with its lines.
func (r *Recorder) Worker(name model.Name, log zerolog.Logger) *Worker {
	r.models.mu.Lock()
	defer r.models.mu.Unlock()
	b := r.models.budgets[name]
	if b == nil {
		b = new(budget)
		r.models.budgets[name] = b
	}
	return &Worker{of: r, model: name, budget: b, log: log}
}

// WorkerLoadTime records how long the launch of the worker with this name took
// (D3).
func (w *Worker) WorkerLoadTime(worker string, d time.Duration) {
	text := w.of.take()
	text.record(w.of.builtIn.loadTime, milliseconds(d), worker, levelHost, w.of.cfg.Host)
	text.send(w.of.cfg.Server)
}

// WorkerThreadTime records what a round trip took beside the worker's own time.
func (w *Worker) WorkerThreadTime(d time.Duration) {
	text := w.of.take()
	text.record(w.of.builtIn.threadTime, milliseconds(d), levelHost, w.of.cfg.Host)
	text.send(w.of.cfg.Server)
}

// Line takes a metric line of the worker's process without its mark. What is
// wrong with it is logged.
func (w *Worker) Line(text string) {
	l, err := parseLine(text)
	switch {
	case errors.Is(err, errNumber):
		w.log.Warn().Msg("Metric " + l.name + " is dropped, its value is " + l.number)
		return
	case err != nil:
		w.log.Error().Msg(`Failed to parse metrics line: "[METRICS]` + text + `".`)
		return
	}
	m, known := (*w.of.models.byName.Load())[l.name]
	var budget *budget // a new metric was paid for, its first series too
	switch {
	case !known:
		m, err = w.detect(&l)
	case m != nil && m.detected:
		budget = w.budget
	}
	if err == nil && m != nil {
		err = w.of.update(m, &l, budget)
	}
	switch {
	case errors.Is(err, errLimit):
		w.tellLimit()
	case err != nil:
		w.log.Error().Msg("Failed to update backend metric " + l.name + ": " + err.Error())
	}
}

func (w *Worker) tellLimit() {
	if w.budget.told.CompareAndSwap(false, true) {
		w.log.Warn().Msgf("Model %s has more than %d auto detected metrics or series, further ones are dropped", w.model, maxDetected)
	}
}

// update applies a line to its metric.
func (r *Recorder) update(m *meter, l *line, b *budget) error {
	var room [8]string
	values := l.appendValues(room[:0])
	if m.family != nil {
		return m.family.update(l.value, values, b)
	}
	request := "null"
	if l.requested {
		request = l.request
	}
	text := r.take()
	*text.text = append(m.appendTo(*text.text, l.value, values), ",requestID:"...)
	*text.text = visible.Append(*text.text, request)
	text.stamp()
	text.send(r.cfg.Model)
	return nil
}

// detect makes a metric of the line of an unknown one (MET §9). It returns nil
// where it must not, or where another line has shown that it cannot.
func (w *Worker) detect(l *line) (*meter, error) {
	r := w.of
	if !r.cfg.AutoDetect {
		return nil, nil //nolint:nilnil // no metric is a good answer
	}
	t, ok := typeOf(l.kind)
	if !ok {
		return nil, fmt.Errorf("no such type: %q", l.kind)
	}
	r.models.mu.Lock()
	defer r.models.mu.Unlock()
	known := *r.models.byName.Load()
	if m, ok := known[l.name]; ok {
		return m, nil // another worker was faster
	}
	if !w.budget.take() {
		return nil, errLimit
	}
	w.log.Info().Msg("Registering auto detected backend metric: " + l.describe())
	d := Definition{Name: l.name, Unit: l.unit, Type: t, Dimensions: l.dimensions()}.withHost()
	m, err := r.detected(d)
	more := maps.Clone(known)
	more[l.name] = m
	r.models.byName.Store(&more)
	return m, err
}

// detected returns the meter of a metric whose names are a model's choice.
func (r *Recorder) detected(d Definition) (*meter, error) {
	m, err := r.meter(d.legal())
	if err != nil {
		return nil, err
	}
	own := newMeter(d) // log lines keep the names
	own.family, own.detected = m.family, true
	return own, nil
}

// describe returns the line as 0.12 shows a metric.
func (l *line) describe() string {
	text := l.name + "." + l.unit + ":" + l.number + "|#" + l.dims + "|#hostname:" + l.host
	if l.requested {
		text += ",requestID:" + l.request
	}
	return text + ",timestamp:" + l.time
}
