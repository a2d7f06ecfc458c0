package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// ModelFigures is what a model version does at the moment.
type ModelFigures struct {
	Name    model.Name
	Version model.Version

	Queued   int           // jobs that wait
	Capacity int           // of the queue, waiting jobs included
	Oldest   time.Duration // that the first of them has waited
	Running  int           // jobs that workers have
	Loaded   int           // workers that are ready for jobs
	Workers  int           // that are there, loaded or not
	Wanted   model.Workers // between these
	// Scalings counts the decisions of automatic scaling; nil: there is none.
	Scalings map[model.ScalingReason]int
}

// prefix begins the names of this server's own metrics, those of Go and of the
// process too.
const prefix = "ts_"

// native returns the registry of what is always shown (decisions.md, "Metrics
// and logging"), and the counter that is in it.
func native(models func() []ModelFigures) (*prometheus.Registry, *prometheus.CounterVec) {
	registry := prometheus.NewRegistry()
	own := prometheus.WrapRegistererWithPrefix(prefix, registry)
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "token_refusals_total", Help: "Requests without the key that they needed.",
	}, []string{"listener"})
	own.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		refusals,
		&modelCollector{figures: models, gauges: modelGauges(), scalings: scalings()},
	)
	return registry, refusals
}

// modelCollector asks for the figures whenever they are wanted.
type modelCollector struct {
	figures func() []ModelFigures
	gauges  []modelGauge

	scalings *prometheus.Desc
}

type modelGauge struct {
	desc  *prometheus.Desc
	value func(f ModelFigures) float64
}

func modelGauges() []modelGauge {
	gauge := func(name, help string, value func(f ModelFigures) float64) modelGauge {
		return modelGauge{prometheus.NewDesc(name, help, []string{"model_name", "model_version"}, nil), value}
	}
	return []modelGauge{
		gauge("queue_length", "Jobs that wait for a worker.", func(f ModelFigures) float64 { return float64(f.Queued) }),
		gauge("queue_capacity", "Jobs that may wait.", func(f ModelFigures) float64 { return float64(f.Capacity) }),
		gauge("queue_oldest_wait_seconds", "How long the first waiting job has waited.", func(f ModelFigures) float64 { return f.Oldest.Seconds() }),
		gauge("jobs_running", "Jobs that workers have.", func(f ModelFigures) float64 { return float64(f.Running) }),
		gauge("workers", "Workers that are there, loaded or not.", func(f ModelFigures) float64 { return float64(f.Workers) }),
		gauge("workers_min", "Workers that are wanted at least.", func(f ModelFigures) float64 { return float64(f.Wanted.Min) }),
		gauge("workers_max", "Workers that are wanted at most.", func(f ModelFigures) float64 { return float64(f.Wanted.Max) }),
		gauge("workers_loaded", "Workers that are ready for jobs.", func(f ModelFigures) float64 { return float64(f.Loaded) }),
	}
}

func scalings() *prometheus.Desc {
	return prometheus.NewDesc("autoscale_decisions_total", "Workers that were added or retired automatically.",
		[]string{"model_name", "model_version", "direction", "reason"}, nil)
}

// Describe sends what Collect may send.
func (c *modelCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		descs <- g.desc
	}
	descs <- c.scalings
}

// Collect sends the figures of all models.
func (c *modelCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, f := range c.figures() {
		for _, g := range c.gauges {
			metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(f), string(f.Name), string(f.Version))
		}
		for reason, n := range f.Scalings {
			metrics <- prometheus.MustNewConstMetric(c.scalings, prometheus.CounterValue, float64(n),
				string(f.Name), string(f.Version), direction(reason), string(reason))
		}
	}
}

func direction(reason model.ScalingReason) string {
	if reason.Adds() {
		return "up"
	}
	return "down"
}
