package config

import (
	"slices"
	"strings"
	"time"
)

// Logs is where and how is logged. The Level and below apply to the built-in
// configuration only: a File of the user wins (logging.md §12).
type Logs struct {
	Dir         string // absolute
	MetricsDir  string // absolute
	File        string // log4j2 configuration, absolute; empty: the built-in one
	Async       bool
	TimeZone    *time.Location
	Level       string // TRACE to OFF, upper case
	Levels      []LoggerLevel
	Console     bool
	JSON        bool
	MaxSize     int64         // bytes of a file before it is rotated
	MaxArchives int           // rotated files kept; 0: all
	MaxAge      time.Duration // of rotated files; 0: unlimited
}

// LoggerLevel is the level of one logger and those below it.
type LoggerLevel struct{ Logger, Level string }

func (r *reader) logs() Logs {
	l := Logs{
		Dir:         r.canonical(r.logLocation()),
		MetricsDir:  r.canonical(r.location("METRICS_LOCATION")),
		File:        r.logConfig(),
		Async:       r.bool("async_logging") || strings.HasSuffix(r.jvm["log4j2.contextSelector"], "AsyncLoggerContextSelector"),
		TimeZone:    r.timeZone(),
		Level:       r.mustChoose("log_level"),
		Console:     r.bool("log_console"),
		JSON:        r.mustChoose("log_format") == "json",
		MaxSize:     r.int("log_max_bytes"),
		MaxArchives: int(r.int("log_max_archives")),
		MaxAge:      time.Duration(r.int("log_max_age_days")) * 24 * time.Hour,
	}
	row, _ := Lookup("log_level") // its levels hold for single loggers too
	for _, item := range r.list("log_levels") {
		logger, level, ok := strings.Cut(item, "=")
		level = strings.ToUpper(strings.TrimSpace(level))
		if !ok || !slices.Contains(row.Rule.Values, level) {
			r.refuse("log_levels", "log_levels: "+item+" is not logger=LEVEL")
		}
		l.Levels = append(l.Levels, LoggerLevel{strings.TrimSpace(logger), level})
	}
	return l
}

// logLocation is the folder of the logs as given; it is needed before the
// properties source is known.
func (r *reader) logLocation() string { return r.location("LOG_LOCATION") }

func (r *reader) location(name string) string {
	for _, dir := range []string{r.env[name], r.jvm[name]} {
		if dir != "" {
			return dir
		}
	}
	return "logs"
}

// logConfig is the log4j2 file: of the flag, else of vmargs.
func (r *reader) logConfig() string {
	if f := r.src.Flags.LogConfig; f != "" {
		return r.abs(f)
	}
	for _, name := range []string{"log4j.configurationFile", "log4j2.configurationFile"} {
		if f := strings.TrimPrefix(r.jvm[name], "file://"); f != "" {
			return r.abs(f)
		}
	}
	return ""
}

func (r *reader) timeZone() *time.Location {
	name := r.jvm["user.timezone"]
	if name == "" {
		return time.Local
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		r.warn(Warning{Key: "vmargs", Level: Warn, Text: "Unknown time zone " + name + " in vmargs: log times are local"})
		return time.Local
	}
	return zone
}
