package metrics

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// contentType is that of every answer: Accept is not looked at (MET §11).
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler answers /metrics, whatever the method: the defined metrics that have
// series, in the order of the file, then the server's own. The query parameter
// name[], which may be repeated, selects samples by their name.
func (r *Recorder) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		text := r.expose(q.URL.Query()["name[]"])
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text) // a client that has gone needs nothing
	})
}

// expose returns the samples of these names, all if there are none.
func (r *Recorder) expose(names []string) []byte {
	var x exposition
	if names != nil {
		x.wanted = make(map[string]bool, len(names))
		for _, name := range names {
			x.wanted[name] = true
		}
	}
	for _, f := range r.shown.all() {
		x.family(f.gather())
	}
	own, err := r.native.Gather()
	if err != nil {
		r.cfg.Log.Error().Err(err).Msg("Some metrics cannot be shown")
	}
	for _, f := range own {
		if !r.shown.has(f.GetName()) {
			x.family(f)
		}
	}
	return x.text
}

// exposition is the text format 0.0.4 with the habits of 0.12: labels in their
// own order with a comma after each, numbers as Java prints them, the count
// before the sum (MET §12).
type exposition struct {
	text   []byte
	wanted map[string]bool // names of samples; nil: all
}

func (x *exposition) family(f *dto.MetricFamily) {
	start := len(x.text)
	name := f.GetName()
	x.text = append(x.text, "# HELP "+name+" "...)
	x.text = appendEscaped(x.text, f.GetHelp(), false)
	x.text = append(x.text, "\n# TYPE "+name+" "+strings.ToLower(f.GetType().String())+"\n"...)
	header := len(x.text)
	for _, m := range f.GetMetric() {
		x.metric(name, m)
	}
	if x.wanted != nil && len(x.text) == header {
		x.text = x.text[:start]
	}
}

func (x *exposition) metric(name string, m *dto.Metric) {
	switch {
	case m.GetCounter() != nil:
		x.sample(name, m, bound{}, m.GetCounter().GetValue())
	case m.GetGauge() != nil:
		x.sample(name, m, bound{}, m.GetGauge().GetValue())
	case m.GetHistogram() != nil:
		h := m.GetHistogram()
		for _, b := range h.GetBucket() {
			x.sample(name+"_bucket", m, bound{"le", b.GetUpperBound()}, float64(b.GetCumulativeCount()))
		}
		x.sample(name+"_bucket", m, bound{"le", math.Inf(1)}, float64(h.GetSampleCount()))
		x.totals(name, m, h.GetSampleCount(), h.GetSampleSum())
	case m.GetSummary() != nil:
		s := m.GetSummary()
		for _, q := range s.GetQuantile() {
			x.sample(name, m, bound{"quantile", q.GetQuantile()}, q.GetValue())
		}
		x.totals(name, m, s.GetSampleCount(), s.GetSampleSum())
	}
}

func (x *exposition) totals(name string, m *dto.Metric, count uint64, sum float64) {
	x.sample(name+"_count", m, bound{}, float64(count))
	x.sample(name+"_sum", m, bound{}, sum)
}

// bound is the last label of a bucket or a quantile; without a name there is
// none.
type bound struct {
	name  string
	value float64
}

func (x *exposition) sample(name string, m *dto.Metric, b bound, value float64) {
	if x.wanted != nil && !x.wanted[name] {
		return
	}
	x.text = append(x.text, name...)
	if len(m.GetLabel()) > 0 || b.name != "" {
		x.text = append(x.text, '{')
		for _, l := range m.GetLabel() {
			x.text = append(x.text, l.GetName()+`="`...)
			x.text = appendEscaped(x.text, l.GetValue(), true)
			x.text = append(x.text, `",`...)
		}
		if b.name != "" {
			x.text = append(x.text, b.name+`="`...)
			x.text = appendNumber(x.text, b.value)
			x.text = append(x.text, `",`...)
		}
		x.text = append(x.text, '}')
	}
	x.text = append(x.text, ' ')
	x.text = appendNumber(x.text, value)
	x.text = append(x.text, '\n')
}

func appendEscaped(dst []byte, s string, quotes bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\\', c == '"' && quotes:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
