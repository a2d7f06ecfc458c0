package logging

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
)

// levels are the configured levels by logger name; the empty name is the root.
type levels map[string]zerolog.Level

func parseLevels(root string, single map[string]string) (levels, error) {
	l := levels{
		"":               zerolog.InfoLevel,
		AccessName:       zerolog.InfoLevel,
		ModelName:        zerolog.TraceLevel,
		MetricsName:      zerolog.TraceLevel,
		ModelMetricsName: zerolog.TraceLevel,
	}
	if root != "" {
		level, err := parseLevel(root)
		if err != nil {
			return nil, fmt.Errorf("log_level: %w", err)
		}
		l[""] = level
	}
	for name, text := range single {
		level, err := parseLevel(text)
		if err != nil {
			return nil, fmt.Errorf("log level of %s: %w", name, err)
		}
		l[name] = level
	}
	return l, nil
}

func parseLevel(text string) (zerolog.Level, error) {
	switch strings.ToLower(text) {
	case "all", "trace":
		return zerolog.TraceLevel, nil
	case "debug":
		return zerolog.DebugLevel, nil
	case "info":
		return zerolog.InfoLevel, nil
	case "warn":
		return zerolog.WarnLevel, nil
	case "error":
		return zerolog.ErrorLevel, nil
	case "fatal":
		return zerolog.FatalLevel, nil
	case "off":
		return zerolog.Disabled, nil
	default:
		return 0, fmt.Errorf("unknown level %q, use off, fatal, error, warn, info, debug, trace or all", text)
	}
}

// of returns the level of the logger name: its own, or that of the nearest name
// above it.
func (l levels) of(name string) zerolog.Level {
	for {
		if level, ok := l[name]; ok {
			return level
		}
		name = name[:max(strings.LastIndexByte(name, '.'), 0)]
	}
}
