package config

import (
	"os"
	"strings"
	"time"
)

// MetricsMode is where metrics go.
type MetricsMode string

// The modes of 0.12, as the start-up dump spells them.
const (
	MetricsLog        MetricsMode = "LOG"
	MetricsPrometheus MetricsMode = "PROMETHEUS"
	MetricsLegacy     MetricsMode = "LEGACY"
)

// Metrics is how figures are defined, collected and shown.
type Metrics struct {
	API            bool // the listener, and /metrics on a shared one
	Mode           MetricsMode
	File           string // absolute path of metrics.yaml; empty: the built-in one
	AutoDetect     bool
	System         bool // the periodic collector runs
	SystemInterval time.Duration
	SystemCommand  []string // replaces the built-in collector; empty: that one
}

func (r *reader) metrics() Metrics {
	m := Metrics{
		API:            r.bool("enable_metrics_api"),
		Mode:           r.metricsMode(),
		File:           r.path("metrics_config"),
		AutoDetect:     r.bool("model_metrics_auto_detect"),
		System:         !r.bool("disable_system_metrics"),
		SystemInterval: time.Minute,
		SystemCommand:  strings.Fields(r.text("system_metrics_cmd")),
	}
	if m.System { // 0.12 did not look at the interval otherwise
		m.SystemInterval = r.seconds("metric_time_interval")
	}
	if m.File != "" {
		if _, err := os.ReadFile(m.File); err != nil {
			r.refuse("metrics_config", "Failed to load metrics configuration: "+m.File+": "+reason(err))
		}
		m.File = r.canonical(m.File)
	}
	return m
}

func (r *reader) metricsMode() MetricsMode {
	const key = "metrics_mode"
	text := r.text(key)
	mode := MetricsMode(strings.ToUpper(strings.Join(strings.Fields(text), "")))
	switch mode {
	case MetricsLog, MetricsPrometheus, MetricsLegacy:
		return mode
	default:
		r.warn(Warning{Key: key, Level: Mistake, Lax: true, Text: `Configured metrics mode "` + text + `" not supported. Defaulting to "LOG" mode: no such mode`})
		return MetricsLog
	}
}
