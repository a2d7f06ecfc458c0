package config

import (
	"slices"
	"strings"
)

// Flags are the values of the command line; the zero value of each means that
// it was not given.
type Flags struct {
	ConfigFile        string   // --ts-config
	ModelStore        string   // --model-store
	WorkflowStore     string   // --workflow-store
	Models            []string // --models
	LogConfig         string   // --log-config
	CPPLogConfig      string   // --cpp-log-config
	Python            string   // --python
	PluginsPath       string   // --plugins-path
	NoConfigSnapshots bool     // --no-config-snapshots
	DisableTokenAuth  bool     // --disable-token-auth
	EnableModelAPI    bool     // --enable-model-api
	RefuseModelAPI    bool     // --enable-model-api=false
}

// Sources is all that Load looks at, beside the files that these name.
type Sources struct {
	Flags      Flags
	Environ    []string // NAME=value, as os.Environ
	Dir        string   // working directory, absolute
	Executable string   // path of this program; empty: unknown
	GPUs       int      // accelerators found
	CPUs       int      // 1 and more
	// Resolve looks a host name up; nil: names are not looked up.
	Resolve func(host string) error
}

// Load reads, merges and validates the configuration. On failure the error is
// an *Error that lists all faults, and the Config is the zero value. Load
// blocks on files and on src.Resolve only.
func Load(src Sources) (Config, error) {
	r := newReader(src)
	r.checkLauncher()
	file := r.readSource()
	if len(r.faults) > 0 { // what a missing file would say cannot be judged
		return Config{}, &Error{Faults: r.faults, Source: r.source}
	}
	r.merge(file)
	host := r.server()
	c := Config{
		Source:    r.source,
		Server:    host,
		Models:    r.models(host),
		Listen:    r.listen(),
		HTTP:      r.http(),
		Workers:   r.workers(),
		Security:  r.security(),
		Metrics:   r.metrics(),
		Logs:      r.logs(),
		Snapshots: r.snapshots(),
		set:       r.set,
		file:      r.file,
	}
	r.review(c)
	if c.Server.StrictParameters {
		r.refuseLax()
	}
	if len(r.faults) > 0 {
		return Config{}, &Error{Faults: r.faults, Source: r.source}
	}
	c.Warnings = r.warnings
	return c, nil
}

// checkLauncher makes the checks that come before the properties source is
// looked at (CLI §2 steps 4 and 5).
func (r *reader) checkLauncher() {
	if f := r.src.Flags.LogConfig; f != "" && !isFile(r.abs(f)) {
		r.exact("--log-config file not found: " + r.abs(f))
	}
	if dir := r.env["TEMP"]; dir != "" && !isDir(r.abs(dir)) {
		r.exact("Invalid temp directory: " + dir + ", please check TEMP environment variable.")
	}
}

// merge lays the sources over each other, weakest first (section 1).
func (r *reader) merge(file []property) {
	r.mergeFile(file)
	if r.source.Kind == NamedSource { // 0.12's launcher reads vmargs of no other
		r.source.JVMArgs = r.set["vmargs"].Value
	}
	r.jvm = r.readJVMArgs(r.source.JVMArgs)
	r.mergeFlags()
	if _, ok := r.set["workflow_store"]; !ok {
		if store, ok := r.set["model_store"]; ok { // before the environment, as in 0.12
			r.set["workflow_store"] = Property{Key: "workflow_store", Value: store.Value, Where: store.Where}
		}
	}
	r.mergeEnv()
}

func (r *reader) mergeFile(file []property) {
	origin := FromFile
	if slices.ContainsFunc(file, func(p property) bool { return p.key == "model_snapshot" }) {
		origin = FromSnapshot
	}
	var unknown []string
	for _, p := range file {
		value, missing := substitute(p.value, r.env)
		for _, name := range missing {
			r.fault(Fault{Key: p.key, Message: "Invalid Environment Variable " + name, Where: r.source.File})
		}
		if p.key == "version" || p.key == "tsConfigFile" { // D-CFG-12, D-CLI-16
			continue
		}
		if _, ok := Lookup(p.key); !ok {
			unknown = append(unknown, p.key)
		}
		r.file = append(r.file, Property{Key: p.key, Value: p.value, Origin: origin, Where: r.source.File})
		r.set[p.key] = Property{Key: p.key, Value: value, Origin: origin, Where: r.source.File}
	}
	for _, key := range unknown {
		r.lax(key, "Unknown key "+key+" in "+r.source.File+" is ignored")
	}
}

func (r *reader) mergeFlags() {
	f := r.src.Flags
	values := map[string]string{
		"model_store":    f.ModelStore,
		"workflow_store": f.WorkflowStore,
		"load_models":    strings.Join(f.Models, ","),
		"python":         f.Python,
	}
	if f.CPPLogConfig != "" {
		values["cpp_log_config"] = r.abs(f.CPPLogConfig)
	}
	if f.DisableTokenAuth {
		values["disable_token_authorization"] = "true"
	}
	if f.EnableModelAPI || f.RefuseModelAPI {
		values["enable_model_api"] = "false"
		if f.EnableModelAPI {
			values["enable_model_api"] = "true"
		}
	}
	for key, value := range values {
		if value != "" {
			row, _ := Lookup(key)
			r.override(key, value, FromFlag, row.Flag)
		}
	}
}

// mergeEnv applies the TS_ variables (section 6).
func (r *reader) mergeEnv() {
	gate := strings.EqualFold(r.trimmed("enable_envvars_config"), "true")
	urls := strings.EqualFold(r.trimmed("use_env_allowed_urls"), "true")
	var ignored []string
	for _, k := range table {
		for _, name := range k.variables() {
			value, ok := r.env[name]
			switch {
			case !ok:
			case !k.Always() && (!gate || k.Name == "allowed_urls" && !urls):
				ignored = append(ignored, name)
			default:
				r.override(k.Name, value, FromEnv, name)
			}
		}
	}
	if len(ignored) > 0 {
		r.warn(Warning{Level: Warn, Text: "Ignored without enable_envvars_config=true (TS_ALLOWED_URLS: and use_env_allowed_urls=true): " + strings.Join(ignored, ", ")})
	}
}

// override sets a key to a stronger value.
func (r *reader) override(key, value string, origin Origin, where string) {
	r.set[key] = Property{Key: key, Value: value, Origin: origin, Where: where}
}

// refuseLax makes faults of the warnings about what 0.12 let pass.
func (r *reader) refuseLax() {
	for _, w := range r.warnings {
		if w.Lax {
			r.fault(Fault{Key: w.Key, Message: w.Text, Rule: "strict_parameters=true", Where: r.set[w.Key].Where})
		}
	}
}
