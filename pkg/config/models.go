package config

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Models is what concerns archives, models and workflows.
type Models struct {
	Store         string // absolute, links resolved
	WorkflowStore string // absolute, links resolved
	LoadAll       bool   // every archive of the store
	Load          []Initial
	Versions      map[string]map[string]VersionDefaults // the models key: name, version
	Defaults      ModelDefaults
	Handler       string // for archives that name none
	Envelope      string // of every model; empty: as the manifest says
	Fetch         Fetch
	Unpack        Unpack
	Dependencies  Dependencies
}

// Initial is a model to load at start; without a Name the archive's counts.
type Initial struct{ Name, Location string }

// ModelDefaults is what holds for a version where nothing else does. Workers
// of zero means not set; StartWorkers is the number for models loaded at
// start: that, else GPUs, else CPUs, and 1 when debugging.
type ModelDefaults struct {
	Workers      int
	StartWorkers int
	QueueSize    int // jobs
	Response     time.Duration
	Startup      time.Duration
	Unregister   time.Duration // wait for the end of a killed worker
}

// VersionDefaults is the models key's word about one version. Zero values
// mean absent.
type VersionDefaults struct {
	MinWorkers int
	MaxWorkers int
	BatchSize  int
	BatchDelay time.Duration
	Response   time.Duration
	Startup    time.Duration
	Runtime    model.Runtime
}

// Fetch says which archives may be fetched. A URL is allowed when any of
// Allowed matches; the patterns are anchored and ignore case. AllowedByDefault
// means that nobody restricted them.
type Fetch struct {
	Allowed          []*regexp.Regexp
	AllowedByDefault bool
	MaxSize          int64         // bytes; 0: unlimited
	MaxTime          time.Duration // of one download; 0: unlimited
	MaxWait          time.Duration // for bytes of one; 0: unlimited
}

// Unpack bounds what an archive may become.
type Unpack struct {
	MaxEntries int64
	MaxSize    int64 // bytes, unpacked
	MaxRatio   int64 // unpacked to packed
}

// Dependencies says whether requirements of archives are installed.
type Dependencies struct {
	Install bool
	Timeout time.Duration
}

func (r *reader) models(host Server) Models {
	m := Models{
		Store:         r.store(),
		WorkflowStore: r.workflowStore(),
		Versions:      r.versions(),
		Handler:       r.trimmed("default_service_handler"),
		Envelope:      r.trimmed("service_envelope"),
		Fetch: Fetch{
			Allowed: r.allowedURLs(), MaxSize: r.int("archive_max_download_bytes"),
			MaxTime: r.seconds("archive_max_download_sec"), MaxWait: r.seconds("archive_download_wait_sec"),
		},
		Unpack: Unpack{
			MaxEntries: r.int("archive_max_entries"),
			MaxSize:    r.int("archive_max_bytes"),
			MaxRatio:   r.int("archive_max_ratio"),
		},
		Dependencies: Dependencies{
			Install: r.bool("install_py_dep_per_model"),
			Timeout: r.seconds("install_py_dep_timeout_sec"),
		},
		Defaults: ModelDefaults{
			Workers:    int(r.atLeast("default_workers_per_model", 0)),
			QueueSize:  int(r.int("job_queue_size")),
			Response:   r.atLeastSeconds("default_response_timeout"),
			Startup:    r.atLeastSeconds("default_startup_timeout"),
			Unregister: r.atLeastSeconds("unregister_model_timeout"),
		},
	}
	_, restricted := r.given("allowed_urls")
	m.Fetch.AllowedByDefault = !restricted
	m.Defaults.StartWorkers = r.startWorkers(m.Defaults.Workers, host)
	m.LoadAll, m.Load = r.initialModels()
	return m
}

func (r *reader) atLeastSeconds(key string) time.Duration {
	return time.Duration(r.atLeast(key, 0)) * time.Second
}

func (r *reader) startWorkers(configured int, host Server) int {
	if r.debug() {
		return 1
	}
	return cmp.Or(configured, host.GPUs, host.CPUs)
}

// store checks and returns the model store (section 12). The texts are those
// of 0.12's launcher.
func (r *reader) store() string {
	text := r.trimmed("model_store")
	switch {
	case text == "":
		r.exact("Missing mandatory parameter --model-store")
		return ""
	case !isDir(r.abs(text)):
		r.exact("--model-store directory not found: " + text)
	}
	return r.canonical(text)
}

func (r *reader) workflowStore() string {
	text := r.trimmed("workflow_store")
	if text == "" {
		text = r.trimmed("model_store")
	}
	if text == "" || isDir(r.abs(text)) {
		return r.canonical(text)
	}
	switch r.set["workflow_store"].Origin {
	case FromFlag:
		r.exact("--workflow-store directory not found: " + text)
	case FromFile, FromSnapshot, FromEnv: // 0.12 started
		r.lax("workflow_store", "workflow_store directory not found: "+text)
	case ByDefault: // the model store, whose fault is known
	}
	return r.canonical(text)
}

// initialModels reads load_models (section 11.1). A snapshot that holds models
// is restored instead; what was asked for at this start replaces an empty one
// (D-CLI-18).
func (r *reader) initialModels() (all bool, list []Initial) {
	asked := r.set["load_models"]
	if state, restoring := r.given("model_snapshot"); restoring {
		if asked.Origin != FromFlag && asked.Origin != FromEnv {
			return false, nil
		}
		if !emptySnapshot(state) {
			r.warn(Warning{Key: "load_models", Level: Warn, Text: "Models passed in " + asked.Where + " are ignored, restoring from snapshot " + r.source.File})
			return false, nil
		}
	}
	if strings.EqualFold(strings.TrimSpace(asked.Value), "all") {
		return true, nil
	}
	for _, item := range r.list("load_models") {
		list = append(list, parseInitial(item))
	}
	return false, list
}

// parseInitial reads name=location. The part before = is a name only if it
// cannot be the beginning of a URL or path (D-CFG-16).
func parseInitial(item string) Initial {
	name, location, ok := strings.Cut(item, "=")
	if !ok || strings.ContainsAny(name, "/:") {
		return Initial{Location: item}
	}
	return Initial{Name: strings.TrimSpace(name), Location: strings.TrimSpace(location)}
}

func emptySnapshot(state string) bool {
	var s struct {
		ModelCount int `json:"modelCount"`
	}
	return json.Unmarshal([]byte(state), &s) == nil && s.ModelCount <= 0
}

// allowedURLs compiles the patterns. Blanks around them do not count: no URL has
// them (D-MGT-14).
func (r *reader) allowedURLs() []*regexp.Regexp {
	const key = "allowed_urls"
	var all []*regexp.Regexp
	for text := range strings.SplitSeq(r.text(key), ",") {
		re, err := compileWhole(strings.TrimSpace(text), "i")
		if err != nil {
			r.refuse(key, err.Error())
			continue
		}
		all = append(all, re)
	}
	return all
}
