package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Server is what concerns the process as a whole.
type Server struct {
	Dir              string // working directory, absolute
	TempDir          string // unpacked models and sockets lie below it, absolute
	GPUs             int    // accelerators to use
	CPUs             int
	ShutdownGrace    time.Duration // for work in flight at a stop
	StrictParameters bool          // what 0.12 let pass is refused
	Telemetry        bool          // SM_TELEMETRY_LOG is set
	Plugins          Plugins
}

// Plugins says where plugins are looked for: Paths are directories, jars or
// patterns, those of the file first. Native lists the built-in endpoints that
// are on without a jar.
type Plugins struct {
	Paths         []string
	Native        []string
	MaxTransforms int // of the execution-parameters endpoint
}

func (r *reader) server() Server {
	_, telemetry := r.env["SM_TELEMETRY_LOG"]
	return Server{
		Dir:              r.src.Dir,
		TempDir:          r.tempDir(),
		GPUs:             r.gpus(),
		CPUs:             r.src.CPUs,
		ShutdownGrace:    r.seconds("shutdown_grace_sec"),
		StrictParameters: r.bool("strict_parameters"),
		Telemetry:        telemetry,
		Plugins:          r.plugins(),
	}
}

// gpus is the number of accelerators found, clamped by number_of_gpu whatever
// its source (D-CFG-8).
func (r *reader) gpus() int {
	if _, ok := r.given("number_of_gpu"); !ok {
		return r.src.GPUs
	}
	return min(r.src.GPUs, int(r.atLeast("number_of_gpu", 0)))
}

// tempDir is where models are unpacked: TMPDIR does not count, as in 0.12.
func (r *reader) tempDir() string {
	if dir := r.jvm["java.io.tmpdir"]; dir != "" {
		if !isDir(r.abs(dir)) {
			r.refuse("vmargs", "Invalid temp directory: "+dir)
		}
		return r.abs(dir)
	}
	if dir := r.env["TEMP"]; dir != "" {
		return r.abs(dir)
	}
	return "/tmp"
}

func (r *reader) plugins() Plugins {
	p := Plugins{Native: r.list("native_plugins"), MaxTransforms: int(r.int("NUM_WORKERS"))}
	row, _ := Lookup("native_plugins") // in the table
	for _, word := range p.Native {
		if !slices.Contains(row.Rule.Values, word) {
			r.fault(Fault{Key: row.Name, Message: row.Name + ": unknown endpoint " + word, Rule: row.String(), Where: r.set[row.Name].Where})
		}
	}
	for _, text := range []string{r.trimmed("plugins_path"), r.src.Flags.PluginsPath} {
		for _, path := range filepath.SplitList(text) {
			if path != "" {
				p.Paths = append(p.Paths, r.abs(path))
			}
		}
	}
	return p
}

// readJVMArgs returns the -D words of vmargs and names what is left out (CLI
// §9). Options for the memory of a Java machine are dropped silently.
func (r *reader) readJVMArgs(text string) map[string]string {
	known := []string{
		"log4j.configurationFile", "log4j2.configurationFile", "log4j2.contextSelector", "java.io.tmpdir",
		"LOG_LOCATION", "METRICS_LOCATION", "TS_DEBUG", "model_server_home", "tsConfigFile", "user.timezone",
	}
	words := map[string]string{}
	var ignored []string
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "-D"), "=")
		switch {
		case strings.HasPrefix(word, "-D") && slices.Contains(known, name):
			words[name] = value
		case strings.HasPrefix(word, "-X"), word == "-server", word == "-ea":
		default:
			ignored = append(ignored, word)
		}
	}
	if len(ignored) > 0 {
		r.warn(Warning{Key: "vmargs", Level: Warn, Text: "Ignored words of vmargs: " + strings.Join(ignored, " ")})
	}
	return words
}
