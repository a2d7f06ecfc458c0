package worker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Launch says how worker processes are started; it is the same for all workers
// of a server.
type Launch struct {
	Home          string // directory that contains the package ts
	Python        string // interpreter, absolute
	MetricsConfig string // path of metrics.yaml
	MetricsJSON   string // what that file says, as JSON; empty: workers read it themselves
	SocketDir     string // private directory of the worker sockets
	LogDir        string // directory of the logs, absolute
	Debug         bool   // no process is started: somebody has, and it listens at the worker's address
	TCP           bool   // TCP on 127.0.0.1 instead of unix sockets

	// Resolve returns the program to run in the place of an interpreter, or why
	// it cannot be used; nil: the interpreter as it is.
	Resolve func(python string) (string, error)

	Environ []string               // the server's environment
	Hidden  func(name string) bool // names not handed on; nil: none
	Extra   []string               // TS_… variables made from the configuration

	CPPLogConfig string // for C++ workers; empty: none
	LimitPixels  bool   // limit_max_image_pixels

	CPULauncher *CPULauncher // nil: the system decides on which cores workers run
}

// address returns where the worker, or the rank, with this port listens.
func (l Launch) address(port int) (network, address string) {
	if l.TCP {
		return "tcp", "127.0.0.1:" + strconv.Itoa(port)
	}
	return "unix", filepath.Join(l.SocketDir, ".ts.sock."+strconv.Itoa(port))
}

// held returns the path, without the rank, of the files in which the worker with
// this port keeps the lines that it holds back.
func (l Launch) held(port int) string {
	return filepath.Join(l.SocketDir, ".ts.held."+strconv.Itoa(port))
}

// command returns the argument list of a worker (WRK §9.1, §9.4, §9.6). pin returns
// the words that bind what an interpreter runs to CPU cores.
func (l Launch) command(port int, a model.Archive, s model.Settings, pin func(python string) []string) ([]string, error) {
	if a.Runtime == model.LSP {
		return l.cppCommand(port, a)
	}
	python, err := l.Interpreter(a, s)
	if err != nil {
		return nil, err
	}
	args := []string{python}
	if s.Devices.Ranks() > 0 {
		if args, err = l.torchrun(python, port, a, s); err != nil {
			return nil, err
		}
	}
	args = append(args, pin(python)...)
	args = append(args, filepath.Join(l.Home, "ts", "model_service_worker.py"))
	args = append(args, l.socketFlags(port, "--sock-type", "--sock-name")...)
	args = append(args, "--metrics-config", l.MetricsConfig)
	if s.Async {
		args = append(args, "--async")
	}
	return args, nil
}

func (l Launch) socketFlags(port int, kind, name string) []string {
	if l.TCP {
		return []string{kind, "tcp", "--port", strconv.Itoa(port)}
	}
	_, path := l.address(port)
	return []string{kind, "unix", name, path}
}

// Interpreter returns the Python that runs for a model, or why there is none: that
// of its own environment, once it has one (WRK §9.3). It may block for seconds.
func (l Launch) Interpreter(a model.Archive, s model.Settings) (string, error) {
	python := l.Python
	switch {
	case a.Runtime == model.Python3:
		python = "python3"
	case s.UseVenv:
		own := filepath.Join(l.Packages(a), "venv", "bin", "python")
		if _, err := os.Stat(own); err == nil {
			return own, nil // made by one that was asked
		}
	}
	if python == "" {
		return "", errors.New("no Python interpreter: set --python or the key python")
	}
	if l.Resolve == nil {
		return python, nil
	}
	return l.Resolve(python)
}

// Packages returns the directory of what is installed for a model: its own, or for
// a directory that is served in place the holder of the link.
func (Launch) Packages(a model.Archive) string {
	if isLink(a.Dir) {
		return filepath.Dir(a.Dir)
	}
	return a.Dir
}

func (l Launch) cppCommand(port int, a model.Archive) ([]string, error) {
	binary := filepath.Join(l.Home, "ts", "cpp", "bin", "model_worker_socket")
	if _, err := os.Stat(binary); err != nil {
		return nil, errors.New("model_worker_socket not found")
	}
	args := append([]string{binary}, l.socketFlags(port, "--sock_type", "--sock_name")...)
	args = append(args, "--runtime_type", "LSP", "--model_dir", a.Dir)
	if l.CPPLogConfig != "" {
		args = append(args, "--logger_config_path", l.CPPLogConfig)
	}
	return append(args, "--metrics_config_path", l.MetricsConfig), nil
}

// maxVariable is the size in bytes up to which a YAML file is handed to the
// worker as a variable, in JSON; systems refuse larger ones than 128 KiB. A
// worker with a larger file needs PyYAML.
const maxVariable = 100 << 10

func appendDocument(env []string, name, text string) []string {
	if text == "" || len(text) > maxVariable {
		return env
	}
	return append(env, name+"="+text)
}

// Inherited returns what workers get of the server's environment, never nil. The
// filter applies to that only, so that it cannot remove what a worker needs to start
// (WRK-D22).
func (l Launch) Inherited() []string {
	env := make([]string, 0, len(l.Environ))
	for _, kv := range l.Environ {
		name, _, _ := strings.Cut(kv, "=")
		if l.Hidden == nil || !l.Hidden(name) {
			env = append(env, kv)
		}
	}
	return env
}

// Environment returns the environment of a worker (WRK §10).
func (l Launch) Environment(a model.Archive, extra ...string) []string {
	inherited := ""
	env := slices.DeleteFunc(l.Inherited(), func(kv string) bool {
		value, ok := strings.CutPrefix(kv, "PYTHONPATH=")
		if ok {
			inherited = value
		}
		return ok
	})
	env = append(env, l.Extra...)
	env = append(env, "PYTHONPATH="+l.pythonPath(a, inherited), "TS_METRIC_MARK="+ownMark)
	env = appendDocument(env, "TS_METRICS_CONFIG_JSON", l.MetricsJSON)
	env = appendDocument(env, "TS_MODEL_CONFIG_JSON", a.ConfigJSON)
	if a.Runtime == model.LSP {
		env = prependPath(env, "LD_LIBRARY_PATH", filepath.Join(l.Home, "ts", "cpp", "lib"))
	}
	return append(env, extra...)
}

func prependPath(env []string, name, dir string) []string {
	for i, kv := range env {
		if rest, ok := strings.CutPrefix(kv, name+"="); ok {
			env[i] = name + "=" + dir + string(os.PathListSeparator) + rest
			return env
		}
	}
	return append(env, name+"="+dir)
}

// pythonPath concatenates the five parts of WRK §10 step 3.
func (l Launch) pythonPath(a model.Archive, inherited string) string {
	var parts []string
	if before, _, found := strings.Cut(a.Handler, ":"); found {
		if slash := strings.LastIndexByte(before, '/'); slash >= 0 {
			before = before[:slash]
		}
		parts = append(parts, before)
	}
	if inherited != "" {
		parts = append(parts, inherited)
	}
	parts = append(parts, canonical(a.Dir))
	if packages := l.Packages(a); packages != a.Dir {
		parts = append(parts, packages)
	}
	home := l.Home
	if strings.Contains(home, "site-packages") || strings.Contains(home, "dist-packages") {
		home = "" // compat(0.12): the string then ends with a separator (WRK-049)
	}
	return strings.Join(append(parts, home), string(os.PathListSeparator))
}

func canonical(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// cmdline formats an argument list as 0.12 logs it.
func cmdline(args []string) string { return "[" + strings.Join(args, ", ") + "]" }
