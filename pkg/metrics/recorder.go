package metrics

import (
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Mode says where the defined metrics go. The texts are those of the start-up
// dump.
type Mode string

// The modes of 0.12. Any other is Log.
const (
	Log        Mode = "LOG"
	Prometheus Mode = "PROMETHEUS"
	Legacy     Mode = "LEGACY" // Log, but the three ts_ counters are series
)

// Config describes a recorder.
type Config struct {
	Mode        Mode
	Definitions Definitions
	AutoDetect  bool   // metrics of models that are not defined are taken over from their lines
	Host        string // empty: the name of this host

	// Server and Model get the lines of ts_metrics.log and model_metrics.log:
	// one or several, each with a line feed at its end. They are called
	// concurrently, must not block and must not keep text. nil: nobody reads.
	Server, Model func(text []byte)

	// Models tells what the models do at the moment, for each answer of
	// Handler; nil: there are none.
	Models func() []ModelFigures

	Now func() time.Time // nil: time.Now
	Log zerolog.Logger   // gets what is wrong with the definitions
}

// Recorder takes all measurements.
type Recorder struct {
	cfg     Config
	builtIn builtIn
	models  models
	shown   exposed

	native   *prometheus.Registry
	refusals *prometheus.CounterVec
	buffers  sync.Pool // of *[]byte
}

// builtIn are the metrics that the server itself updates; nil: not defined.
type builtIn struct {
	answers2XX, answers4XX, answers5XX *meter
	requests, latency, queueLatency    *meter
	queueTime, threadTime, loadTime    *meter
}

// New returns a recorder for the definitions. Those that the mode cannot show
// are logged and left out.
func New(cfg Config) *Recorder {
	if cfg.Host == "" {
		cfg.Host = hostName()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Server == nil {
		cfg.Server = func([]byte) {}
	}
	if cfg.Model == nil {
		cfg.Model = func([]byte) {}
	}
	if cfg.Models == nil {
		cfg.Models = func() []ModelFigures { return nil }
	}
	r := &Recorder{cfg: cfg}
	r.buffers.New = func() any { return new([]byte) }
	r.shown.samples = make(map[string]bool)
	r.models.budgets = make(map[model.Name]*budget)
	r.native, r.refusals = native(cfg.Models)
	r.setServer(cfg.Definitions.Server)
	r.setModels(cfg.Definitions.Model)
	return r
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "Unknown"
	}
	return name
}

// Answered counts an answer of a REST listener by its HTTP status. Only errors
// of the server are Requests5XX (D2).
func (r *Recorder) Answered(status int) {
	var m *meter
	switch {
	case status >= 500:
		m = r.builtIn.answers5XX
	case status >= 400:
		m = r.builtIn.answers4XX
	case status >= 200 && status < 300:
		m = r.builtIn.answers2XX
	}
	text := r.take()
	text.record(m, 1, levelHost, r.cfg.Host)
	text.send(r.cfg.Server)
}

// Requested counts a prediction of a known model, refused or not.
func (r *Recorder) Requested(ref model.Ref) {
	text := r.take()
	text.record(r.builtIn.requests, 1, string(ref.Name), ref.VersionOrDefault(), r.cfg.Host)
	text.send(r.cfg.Server)
}

// Predicted records an answered prediction: the time since its job was made,
// and how much of it the job waited in a queue. It is the one writer of
// QueueTime: 0.12 writes it when the last answer has been sent.
func (r *Recorder) Predicted(ref model.Ref, latency, queued time.Duration) {
	name, version := string(ref.Name), ref.VersionOrDefault()
	text := r.take()
	text.record(r.builtIn.latency, microseconds(latency), name, version, r.cfg.Host)
	text.record(r.builtIn.queueLatency, microseconds(queued), name, version, r.cfg.Host)
	text.record(r.builtIn.queueTime, milliseconds(queued), levelHost, r.cfg.Host)
	text.send(r.cfg.Server)
}

// Refused counts a request that had no key for a listener.
func (r *Recorder) Refused(listener string) { r.refusals.WithLabelValues(listener).Inc() }

// Forget drops the load time of a worker that is gone for good (D6).
func (r *Recorder) Forget(worker string) {
	if m := r.builtIn.loadTime; m != nil && m.family != nil {
		m.family.remove(fit([]string{worker, levelHost, r.cfg.Host}, len(m.family.labels)))
	}
}

// levelHost is the dimension Level of the server's own metrics.
const levelHost = "Host"

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// milliseconds returns whole ones.
func milliseconds(d time.Duration) float64 { return float64(d.Milliseconds()) }

// lines gathers the log lines of one call.
type lines struct {
	of   *Recorder
	text *[]byte
	now  int64 // Unix seconds; 0: not asked yet
}

func (r *Recorder) take() lines {
	text, _ := r.buffers.Get().(*[]byte) // nothing else is in there
	return lines{of: r, text: text}
}

// record updates m, which may be nil. The last value is the host.
func (l *lines) record(m *meter, value float64, values ...string) {
	switch {
	case m == nil:
	case m.family != nil:
		if len(values) != len(m.family.labels) {
			values = fit(values, len(m.family.labels))
		}
		_ = m.family.update(value, values, nil) // fits, and nothing of the server's is negative
	default:
		*l.text = m.appendTo(*l.text, value, values)
		l.stamp()
	}
}

// stamp ends a line.
func (l *lines) stamp() {
	if l.now == 0 {
		l.now = l.of.cfg.Now().Unix()
	}
	*l.text = append(*l.text, ",timestamp:"...)
	*l.text = strconv.AppendInt(*l.text, l.now, 10)
	*l.text = append(*l.text, '\n')
}

// send hands the lines on and gives the buffer back, unless a line of a model
// made it large.
func (l *lines) send(to func(text []byte)) {
	if len(*l.text) > 0 {
		to(*l.text)
	}
	if cap(*l.text) <= maxKept {
		*l.text = (*l.text)[:0]
		l.of.buffers.Put(l.text)
	}
}

const maxKept = 16 << 10 // bytes
