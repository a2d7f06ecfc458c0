package server

import (
	"time"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/logging"
	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// metricsThread is the thread text of metric lines.
const metricsThread = "metrics"

// openMetrics reads the definitions of metrics at path, makes the recorder, and
// returns the file as JSON for the workers.
func (s *Server) openMetrics(path string) (document string, err error) {
	log := s.logs.Logger(logging.MetricConfiguration, logging.MainThread)
	definitions, err := metrics.Load(path, log)
	if err != nil {
		return "", &config.Error{Faults: []config.Fault{{Key: "metrics_config", Message: err.Error()}}}
	}
	s.metrics = metrics.New(metrics.Config{
		Mode:        metrics.Mode(s.cfg.Metrics.Mode),
		Definitions: definitions,
		AutoDetect:  s.cfg.Metrics.AutoDetect,
		Server:      s.logs.Lines(logging.MetricsName, metricsThread).Log,
		Model:       s.logs.Lines(logging.ModelMetricsName, metricsThread).Log,
		Models:      s.modelFigures,
		Log:         log,
	})
	return string(yaml11.JSON(definitions.Document)), nil
}

// modelFigures are the gauges of all model versions, asked for at a scrape.
func (s *Server) modelFigures() []metrics.ModelFigures {
	var all []metrics.ModelFigures
	for _, listed := range s.service.List() {
		versions, err := s.service.DescribeAll(listed.Name)
		if err != nil { // removed meanwhile
			continue
		}
		for _, v := range versions {
			all = append(all, figuresOf(v))
		}
	}
	return all
}

func figuresOf(v model.Status) metrics.ModelFigures {
	loaded := 0
	for _, w := range v.Workers {
		if w.Ready {
			loaded++
		}
	}
	oldest := time.Duration(0)
	if !v.QueueOldest.IsZero() {
		oldest = time.Since(v.QueueOldest)
	}
	return metrics.ModelFigures{
		Name: v.Archive.Name, Version: v.Archive.Version,
		Queued: v.QueuePending, Capacity: v.QueuePending + v.QueueCapacity, Oldest: oldest,
		Running: v.Running, Loaded: loaded, Workers: len(v.Workers), Wanted: v.Settings.Workers, Scalings: v.Scalings,
	}
}
