package config

import (
	"regexp"
	"strings"
	"time"
)

// Workers is how worker processes are started and spoken to.
type Workers struct {
	Python           string // absolute path of the interpreter
	Home             string // directory with ts/, absolute; empty: the embedded one
	TCP              bool   // sockets are TCP, not Unix
	FirstPort        int
	DistributionPort int
	MaxResponse      int64          // bytes of one field of a reply
	HideEnv          *regexp.Regexp // names of variables kept from workers; nil: none
	Env              []string       // variables for every worker, NAME=value
	CPULauncher      CPULauncher
	CPPLogConfig     string // absolute; empty: none
	LimitImagePixels bool
	StopGrace        time.Duration // from asking a worker to end to killing it
	Debug            bool          // nobody starts workers, their time is unlimited
}

// CPULauncher says whether workers are started through
// torch.backends.xeon.run_cpu, and with which arguments.
type CPULauncher struct {
	Enabled bool
	Args    []string
}

func (r *reader) workers() Workers {
	w := Workers{
		Python:           r.python(),
		Home:             r.home(),
		TCP:              !r.bool("use_native_io"),
		FirstPort:        int(r.int("initial_worker_port")),
		DistributionPort: int(r.int("initial_distribution_port")),
		MaxResponse:      r.int("max_response_size"),
		HideEnv:          r.hiddenEnv(),
		Env:              r.workerEnv(),
		CPPLogConfig:     r.cppLogConfig(),
		LimitImagePixels: r.bool("limit_max_image_pixels"),
		StopGrace:        r.seconds("worker_stop_grace_sec"),
		Debug:            r.debug(),
	}
	w.CPULauncher.Enabled = r.bool("cpu_launcher_enable")
	if args := r.text("cpu_launcher_args"); len(args) > 1 {
		w.CPULauncher.Args = strings.Split(args, " ")
	}
	return w
}

func (r *reader) debug() bool {
	return r.bool("debug") || strings.EqualFold(r.jvm["TS_DEBUG"], "true")
}

// home is a package ts other than the embedded one. The key never counted
// with 0.12's command, so it does not here.
func (r *reader) home() string {
	if p := r.set["model_server_home"]; (p.Origin == FromFile || p.Origin == FromSnapshot) && p.Value != "" {
		r.warn(Warning{Key: p.Key, Level: Warn, Text: "model_server_home has no effect in a file, set TS_MODEL_SERVER_HOME"})
	}
	home := r.jvm["model_server_home"]
	if v, ok := r.env["TS_MODEL_SERVER_HOME"]; ok {
		home = v
	}
	if home == "" {
		return ""
	}
	if !isDir(r.abs(home)) {
		r.refuse("model_server_home", "Model server home not exist: "+home)
	}
	return r.canonical(home)
}

func (r *reader) hiddenEnv() *regexp.Regexp {
	text := r.text("blacklist_env_vars")
	if text == "" {
		return nil
	}
	re, err := compileWhole(text, "s") // a line feed in a name must not hide it from the pattern
	if err != nil {
		r.refuse("blacklist_env_vars", err.Error())
	}
	return re
}

// workerEnv is what every worker gets beside the server's own variables. The
// sequence headers of the server are told to the backend, unless somebody has
// told it others (D-CFG-11).
func (r *reader) workerEnv() []string {
	env := []string{
		"TS_DECODE_INPUT_REQUEST=" + r.text("decode_input_request"),
		"TS_IPEX_ENABLE=" + r.text("ipex_enable"),
		"TS_IPEX_GPU_ENABLE=" + r.text("ipex_gpu_enable"),
	}
	for _, part := range []string{"id", "start", "end"} {
		name := "TS_REQUEST_SEQUENCE_" + strings.ToUpper(part)
		if _, ok := r.env[name]; !ok {
			env = append(env, name+"="+r.text("ts_header_key_sequence_"+part))
		}
	}
	return env
}

func (r *reader) cppLogConfig() string {
	path := r.path("cpp_log_config")
	if r.set["cpp_log_config"].Origin == FromFlag && !isFile(path) {
		r.exact("--cpp-log-config file not found: " + path)
	}
	return path
}
