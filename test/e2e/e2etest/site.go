package e2etest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

// patience bounds every waiting for the program; nothing good takes as long.
const patience = 20 * time.Second

// Role is a listener of the server, or the key that opens one, by the name that
// the key file uses.
type Role string

// The roles. Metrics is a listener only, API a key only.
const (
	Inference  Role = "inference"
	Management Role = "management"
	Metrics    Role = "metrics"
	API        Role = "API"
)

// Site is the place where one server lives. Its environment has nothing of the
// caller's but PATH and HOME.
type Site struct {
	Dir   string // working directory of all commands
	Temp  string // their TMPDIR and TEMP
	Store string // the model store

	t          testing.TB
	program    string
	ports      map[string]int // by the placeholder in a property
	properties []string
	models     []string
	args       []string
	env        []string
	background bool
	published  bool          // the program is TorchServe 0.12
	patience   time.Duration // bounds the start, each call and Await
}

// Option changes a Site before its first command.
type Option func(*Site)

// Properties adds lines to config.properties. {inference}, {management},
// {metrics}, {grpc_inference} and {grpc_management} stand for the site's ports.
func Properties(lines ...string) Option {
	return func(s *Site) { s.properties = append(s.properties, lines...) }
}

// Args adds words to the command line of Start.
func Args(words ...string) Option {
	return func(s *Site) { s.args = append(s.args, words...) }
}

// Env adds NAME=value settings to the environment; a later one replaces an
// earlier one of the same name, those of the site included.
func Env(settings ...string) Option {
	return func(s *Site) { s.env = append(s.env, settings...) }
}

// Tool puts an executable script where commands are looked for first.
func Tool(name, text string) Option {
	return func(s *Site) {
		s.t.Helper()
		dir := filepath.Join(filepath.Dir(s.Dir), "tools")
		require.NoError(s.t, os.MkdirAll(dir, 0o755))
		s.env = append(s.env, fmt.Sprintf("PATH=%s%c%s", dir, filepath.ListSeparator, searchPath()))
		procgrouptest.Program(s.t, filepath.Join(dir, name), text)
	}
}

// Use has the site's commands run another program: a path, or the name of one that
// is built beside ours.
func Use(program string) Option {
	return func(s *Site) {
		if !filepath.IsAbs(program) {
			program = filepath.Join(filepath.Dir(s.program), program)
		}
		s.program = program
	}
}

// NoTokens switches token authorization off.
func NoTokens() Option { return Args("--disable-token-auth") }

// Background makes Start start a background server, as without --foreground.
func Background() Option {
	return func(s *Site) { s.background = true }
}

// Serve makes archives and lets the server load them.
func Serve(archives ...Archive) Option {
	return func(s *Site) {
		for _, a := range archives {
			s.models = append(s.models, a.Write(s.t, s.Store))
		}
	}
}

// Place copies archives that lie elsewhere into the model store, and lets the server
// load them.
func Place(paths ...string) Option {
	return func(s *Site) {
		for _, path := range paths {
			content, err := os.ReadFile(path)
			require.NoError(s.t, err)
			name := filepath.Base(path)
			s.Write(filepath.Join(s.Store, name), string(content))
			s.models = append(s.models, name)
		}
	}
}

// Shelve makes archives that lie in the model store only.
func Shelve(archives ...Archive) Option {
	return func(s *Site) {
		for _, a := range archives {
			a.Write(s.t, s.Store)
		}
	}
}

// Beside gives the site the store and the ports of another one, whose server must
// not run meanwhile.
func Beside(other *Site) Option {
	return func(s *Site) { s.Store, s.ports = other.Store, other.ports }
}

// NewSite makes a site; it goes when the test ends, with all that is left in it.
func NewSite(t testing.TB, options ...Option) *Site {
	t.Helper()
	program := Program(t)
	root, err := os.MkdirTemp("", "ts") //nolint:usetesting // sockets below t.TempDir would have too long a path
	require.NoError(t, err)
	root, err = filepath.EvalSymlinks(root)
	require.NoError(t, err)
	s := &Site{
		Dir: filepath.Join(root, "w"), Temp: filepath.Join(root, "t"), Store: filepath.Join(root, "w", "model_store"),
		t: t, program: program, patience: patience,
	}
	require.NoError(t, os.MkdirAll(s.Store, 0o755))
	require.NoError(t, os.Mkdir(s.Temp, 0o755))
	s.env = []string{"PATH=" + searchPath(), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + s.Temp, "TEMP=" + s.Temp}
	t.Cleanup(func() {
		s.killAll()
		_ = os.RemoveAll(root) // a test may have taken the rights away
	})
	for _, o := range options {
		o(s)
	}
	if s.ports == nil {
		s.Configure()
	} else {
		s.write()
	}
	return s
}

// In returns the site for use in a sub-test, which its methods then fail.
func (s *Site) In(t testing.TB) *Site {
	site := *s
	site.t = t
	return &site
}

// Configure writes config.properties anew, with free ports.
func (s *Site) Configure() {
	s.t.Helper()
	names := []string{"inference", "management", "metrics", "grpc_inference", "grpc_management"}
	var held []net.Listener
	s.ports = make(map[string]int, len(names))
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(s.t, err)
		held = append(held, l) // until all are chosen, so that no two are the same
		tcp, ok := l.Addr().(*net.TCPAddr)
		require.True(s.t, ok)
		s.ports[name] = tcp.Port
	}
	for _, l := range held {
		require.NoError(s.t, l.Close())
	}
	s.write()
}

func (s *Site) write() {
	s.t.Helper()
	lines := append([]string{
		"inference_address=http://127.0.0.1:{inference}",
		"management_address=http://127.0.0.1:{management}",
		"metrics_address=http://127.0.0.1:{metrics}",
		"grpc_inference_port={grpc_inference}",
		"grpc_management_port={grpc_management}",
		"default_workers_per_model=1",
	}, s.properties...)
	text := strings.Join(lines, "\n") + "\n"
	for name, port := range s.ports {
		text = strings.ReplaceAll(text, "{"+name+"}", strconv.Itoa(port))
	}
	s.Write("config.properties", text)
}

// Port returns the port of a listener.
func (s *Site) Port(listener Role) int { return s.ports[string(listener)] }

// Address returns host and port of a listener.
func (s *Site) Address(listener Role) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port(listener)))
}

// Path returns the absolute path of a file of the working directory.
func (s *Site) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir, name)
}

// Write writes a file of the working directory.
func (s *Site) Write(name, content string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.Path(name), []byte(content), 0o644))
}

// Read returns the content of a file of the working directory; empty if there is
// none.
func (s *Site) Read(name string) string {
	s.t.Helper()
	content, err := os.ReadFile(s.Path(name))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(s.t, err)
	}
	return string(content)
}

// Exists reports whether there is a file of the working directory, be it a
// dangling link.
func (s *Site) Exists(name string) bool {
	_, err := os.Lstat(s.Path(name))
	return err == nil
}

// PIDFile is the path of the site's pid file.
func (s *Site) PIDFile() string { return filepath.Join(s.Temp, ".model_server.pid") }

// Result is what a command line came to.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run executes a command line of the program to its end, and to the end of all
// that it started.
func (s *Site) Run(words ...string) Result {
	s.t.Helper()
	p := s.spawn(words)
	require.True(s.t, p.finished(), "torchserve %s does not end\n%s", words, p.said())
	return Result{Code: p.code(), Stdout: p.stdout.String(), Stderr: p.stderr.String()}
}

// Command returns a command line of the program, not yet started, for what Run
// and Start do not offer.
func (s *Site) Command(words ...string) *exec.Cmd {
	cmd := exec.Command(s.program, words...)
	cmd.Dir = s.Dir
	cmd.Env = slices.Clone(s.env)
	return cmd
}

// MoveProgram copies the program to a path, which the site's commands then run.
func (s *Site) MoveProgram(path string) {
	s.t.Helper()
	// Written by ourselves, it could not be run while another test starts a process, which inherits the open file.
	require.NoError(s.t, exec.Command("cp", s.program, path).Run())
	s.program = path
}

// line is the command line of a plain start.
func (s *Site) line() []string {
	words := []string{"--start", "--ncs", "--model-store", s.Store}
	if !s.background {
		words = append(words, "--foreground")
	}
	if len(s.models) > 0 {
		words = append(append(words, "--models"), s.models...)
	}
	return append(words, s.args...)
}

// Await blocks until check holds, looking at small intervals, and fails the test
// if it never does.
func (s *Site) Await(what string, check func() bool) {
	s.t.Helper()
	require.True(s.t, poll(s.patience, check), "waited in vain: %s", what)
}

// Program returns the path of the built program.
func Program(t testing.TB) string {
	t.Helper()
	path := os.Getenv("TORCHSERVE_BIN")
	if path == "" {
		path = filepath.Join(repository(t), "build", "torchserve")
	}
	_, err := os.Stat(path)
	require.NoError(t, err, "no program to test: run `make build`, or set TORCHSERVE_BIN")
	return path
}

// repository returns the root of this repository: the tests run in a folder of it.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, dir, parent, "no go.mod above the test")
		dir = parent
	}
}

// searchPath is PATH with the folder of the real interpreter first: what a version
// manager puts there instead is a script that takes longer than our workers.
var searchPath = sync.OnceValue(func() string {
	path := os.Getenv("PATH")
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return path // the server will say what is missing
	}
	return fmt.Sprintf("%s%c%s", filepath.Dir(strings.TrimSpace(string(out))), filepath.ListSeparator, path)
})
