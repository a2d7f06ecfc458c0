package metrics

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// arity is the number of dimension values, the host included, of the metrics
// that the server itself updates (MET §4).
//
//nolint:gochecknoglobals // read-only table
var arity = map[string]int{
	"Requests2XX": 2, "Requests4XX": 2, "Requests5XX": 2,
	"ts_inference_requests_total": 3, "ts_inference_latency_microseconds": 3, "ts_queue_latency_microseconds": 3,
	"QueueTime": 2, "WorkerThreadTime": 2, "WorkerLoadTime": 3,
}

// shows reports whether the metric of a name has series, and with which type.
func (m Mode) shows(name string, t Type) (Type, bool) {
	switch m {
	case Prometheus:
		return t, true
	case Legacy:
		switch name {
		case "ts_inference_requests_total", "ts_inference_latency_microseconds", "ts_queue_latency_microseconds":
			return Counter, true
		}
	case Log:
	}
	return t, false
}

func (r *Recorder) setServer(defs []Definition) {
	byName := make(map[string]*meter, len(defs))
	for _, d := range defs {
		if n, ok := arity[d.Name]; ok && n != len(d.Dimensions) {
			r.refuse("ts_metrics", d, fmt.Errorf("it has %d dimensions, its updates have %d values; they are cut or filled up", len(d.Dimensions), n))
		}
		m, err := r.meter(d)
		if err != nil {
			r.refuse("ts_metrics", d, err)
			continue
		}
		byName[d.Name] = m
	}
	r.builtIn = builtIn{
		answers2XX: byName["Requests2XX"], answers4XX: byName["Requests4XX"], answers5XX: byName["Requests5XX"],
		requests:     byName["ts_inference_requests_total"],
		latency:      byName["ts_inference_latency_microseconds"],
		queueLatency: byName["ts_queue_latency_microseconds"],
		queueTime:    byName["QueueTime"], threadTime: byName["WorkerThreadTime"], loadTime: byName["WorkerLoadTime"],
	}
}

func (r *Recorder) setModels(defs []Definition) {
	byName := make(map[string]*meter, len(defs))
	for _, d := range defs {
		m, err := r.meter(d.withHost())
		if err != nil {
			r.refuse("model_metrics", d, err)
			continue
		}
		byName[d.Name] = m
	}
	r.models.byName.Store(&byName)
}

// withHost adds the dimension of the host. The list may be shared with other
// entries of the file: it is copied.
func (d Definition) withHost() Definition {
	d.Dimensions = append(slices.Clone(d.Dimensions), hostDimension)
	return d
}

func (r *Recorder) refuse(section string, d Definition, err error) {
	r.cfg.Log.Error().Msg(loadFailure + section + "." + d.Type.String() + " " + strconv.Quote(d.Name) + ": " + err.Error())
}

// meter makes the meter of d and, where the mode has series, its family.
func (r *Recorder) meter(d Definition) (*meter, error) {
	m := newMeter(d)
	t, shown := r.cfg.Mode.shows(d.Name, d.Type)
	if !shown {
		return m, nil
	}
	d.Type = t
	if err := d.check(); err != nil {
		return nil, err
	}
	m.family = newFamily(d)
	return m, r.shown.add(m.family)
}

// check tells why Prometheus could not take d.
func (d Definition) check() error {
	if !isName(d.Name, true) {
		return errors.New("Invalid metric name: " + d.Name)
	}
	for i, label := range d.Dimensions {
		switch {
		case !isName(label, false), label == "le" && d.Type == Histogram, slices.Contains(d.Dimensions[:i], label):
			return errors.New("Invalid metric label name: " + label)
		case strings.HasPrefix(label, "__"):
			return errors.New("Invalid metric label name, reserved for internal use: " + label)
		}
	}
	return nil
}

// isName reports whether s is a name of a metric, which may have colons, or of
// a label.
func isName(s string, colons bool) bool {
	return s != "" && s == legal(s, colons)
}

// legal returns s as a legal name: other characters become underscores.
func legal(s string, colons bool) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == ':' && colons:
			return c
		default:
			return '_'
		}
	}, s)
	if name == "" || '0' <= name[0] && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// legal returns d as Prometheus can take it (MET §8.2).
func (d Definition) legal() Definition {
	d.Name = legal(d.Name, true)
	d.Dimensions = slices.Clone(d.Dimensions)
	for i, label := range d.Dimensions {
		label = legal(label, false)
		if strings.HasPrefix(label, "__") {
			label = "_" + strings.TrimLeft(label, "_")
		}
		d.Dimensions[i] = label
	}
	return d
}
