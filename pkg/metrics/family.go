package metrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// family is a metric with its series.
type family struct {
	name, help string
	kind       Type
	labels     []string

	mu     sync.RWMutex // Protects fields below
	series map[string]*series
	order  []*series // of first appearance
}

// series is a metric for one set of label values.
type series struct {
	labels []*dto.LabelPair // in the order of the definition
	metric prometheus.Metric
	update func(float64)
}

// bounds are the buckets of every histogram (MET §12.1).
func bounds() []float64 {
	return []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
}

// newFamily returns a family for a definition that was checked. Without
// dimensions it has its only series at once.
func newFamily(d Definition) *family {
	f := &family{
		name: d.Name, kind: d.Type, labels: d.Dimensions,
		help:   "Torchserve prometheus " + d.Type.String() + " metric with unit: " + d.Unit,
		series: make(map[string]*series),
	}
	if len(f.labels) == 0 {
		_, _ = f.make("", nil, nil) // nothing limits it
	}
	return f
}

var (
	errLabels   = errors.New("Incorrect number of labels.")               //nolint:revive,staticcheck // compat(0.12): MET §4.1
	errNegative = errors.New("Amount to increment must be non-negative.") //nolint:revive,staticcheck // compat(0.12): MET §10
	errLimit    = errors.New("the model has too many series")
)

// update applies value to the series of these label values. A new one is taken
// off b, which may be nil.
func (f *family) update(value float64, values []string, b *budget) error {
	if len(values) != len(f.labels) {
		return errLabels
	}
	if f.kind == Counter && value < 0 {
		return errNegative
	}
	var room [256]byte
	key := appendKey(room[:0], values)
	f.mu.RLock()
	s := f.series[string(key)]
	f.mu.RUnlock()
	if s == nil {
		var err error
		if s, err = f.make(string(key), values, b); err != nil {
			return err
		}
	}
	s.update(value)
	return nil
}

// appendKey appends a text that is the same for the same values only.
func appendKey(dst []byte, values []string) []byte {
	for _, v := range values {
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		dst = append(dst, v...)
	}
	return dst
}

func (f *family) make(key string, values []string, b *budget) (*series, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.series[key]; s != nil {
		return s, nil // somebody was faster
	}
	if !b.take() {
		return nil, errLimit
	}
	s := f.newSeries()
	for i, v := range values {
		s.labels = append(s.labels, &dto.LabelPair{Name: &f.labels[i], Value: new(strings.ToValidUTF8(v, "\uFFFD"))})
	}
	f.series[key] = s
	f.order = append(f.order, s)
	return s, nil
}

func (f *family) newSeries() *series {
	opts := prometheus.Opts{Name: f.name, Help: f.help}
	switch f.kind {
	case Counter:
		c := prometheus.NewCounter(prometheus.CounterOpts(opts))
		return &series{metric: c, update: c.Add}
	case Histogram:
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: f.name, Help: f.help, Buckets: bounds()})
		return &series{metric: h, update: h.Observe}
	default:
		g := prometheus.NewGauge(prometheus.GaugeOpts(opts))
		return &series{metric: g, update: g.Set}
	}
}

// remove drops the series of these label values, if there is one.
func (f *family) remove(values []string) {
	key := string(appendKey(nil, values))
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.series[key]
	delete(f.series, key)
	f.order = slices.DeleteFunc(f.order, func(each *series) bool { return each == s })
}

// gather returns the family as it is now.
func (f *family) gather() *dto.MetricFamily {
	f.mu.RLock()
	all := slices.Clone(f.order)
	f.mu.RUnlock()
	kind := map[Type]dto.MetricType{
		Counter: dto.MetricType_COUNTER, Gauge: dto.MetricType_GAUGE, Histogram: dto.MetricType_HISTOGRAM,
	}[f.kind]
	gathered := &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &kind}
	for _, s := range all {
		m := new(dto.Metric)
		if s.metric.Write(m) == nil { // it never fails for these types
			m.Label = s.labels
			gathered.Metric = append(gathered.Metric, m)
		}
	}
	return gathered
}

// samples returns the names of the samples that the family may have; its own
// name is among them even for a histogram, which has none of it.
func (f *family) samples() []string {
	names := []string{f.name}
	if f.kind == Histogram {
		names = append(names, f.name+"_bucket", f.name+"_count", f.name+"_sum")
	}
	return names
}

// exposed are the families that /metrics shows, in order.
type exposed struct {
	mu       sync.Mutex // Protects fields below
	families []*family
	samples  map[string]bool // names that are taken
}

// add fails where another family has samples of the same name.
func (e *exposed) add(f *family) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range f.samples() {
		if e.samples[name] {
			return fmt.Errorf("Collector already registered that provides name: %s", name) //nolint:staticcheck // compat(0.12): MET §2.4
		}
	}
	for _, name := range f.samples() {
		e.samples[name] = true
	}
	e.families = append(e.families, f)
	return nil
}

// has reports whether a family has samples of this name.
func (e *exposed) has(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.samples[name]
}

// all returns the families in order.
func (e *exposed) all() []*family {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.families)
}
