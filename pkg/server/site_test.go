package server_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
	"github.com/torchserve-go/torchserve/pkg/server"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestMain(m *testing.M) {
	workertest.Main()
	goleak.VerifyTestMain(m)
}

// site is a directory in which a server can run. Its workers are fake ones, and
// its listeners are on free ports.
type site struct {
	t     *testing.T
	dir   string
	lines []string // of config.properties; the last one of a key counts
	flags config.Flags
	deps  server.Deps
	out   *output
}

func newSite(t *testing.T, lines ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts") //nolint:usetesting // t.TempDir's path may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s := &site{t: t, dir: dir, out: &output{}, flags: config.Flags{ModelStore: "store", NoConfigSnapshots: true}, lines: []string{
		"inference_address=http://127.0.0.1:0", "management_address=http://localhost:0", "metrics_address=http://0.0.0.0:0",
		"python=bin/python3", "enable_model_api=true",
	}}
	s.mkdir("bin")
	procgrouptest.Program(t, s.path("bin/python3"), "#!/bin/sh\necho 3 14 "+os.Args[0]+"\n") // it says who it is, and is not asked again
	s.lines = append(s.lines, lines...)
	s.deps = server.Deps{
		Version: version, Stdout: s.out, Stderr: s.out,
		Environ: append(workertest.Launch(t).Environ, "TEMP="+s.mkdir("tmp"), "LOG_LOCATION="+s.path("logs")),
	}
	s.mkdir("store")
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) mkdir(name string) string {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(s.path(name), 0o700))
	return s.path(name)
}

func (s *site) file(name, text string) {
	s.t.Helper()
	s.mkdir(filepath.Dir(name))
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(text), 0o600))
}

// put puts a model noop whose workers follow a script into the store, as a
// directory.
func (s *site) put(name string, script workertest.Script) {
	s.t.Helper()
	text, err := json.Marshal(script)
	require.NoError(s.t, err)
	s.file(filepath.Join("store", name, "MAR-INF", "MANIFEST.json"), `{"model":{"modelName":"`+name+`","handler":"echo"}}`)
	s.file(filepath.Join("store", name, workertest.ScriptFile), string(text))
}

// config loads the configuration.
func (s *site) config() config.Config {
	s.t.Helper()
	s.file("config.properties", strings.Join(s.lines, "\n")+"\n")
	cfg, err := config.Load(config.Sources{
		Dir: s.dir, CPUs: 1, Environ: s.deps.Environ, Flags: s.flags,
	})
	require.NoError(s.t, err)
	return cfg
}

// refused returns the error of a start that must fail, and checks that it left
// nothing behind.
func (s *site) refused() error {
	s.t.Helper()
	cfg := s.config()
	before := s.tree()
	_, err := server.New(s.t.Context(), cfg, s.deps)
	require.Error(s.t, err)
	assert.Equal(s.t, before, s.tree(), "files")
	goleak.VerifyNone(s.t)
	return err
}

// tree lists what is there but logs, the Python package, which servers share,
// and the lock of the start.
func (s *site) tree() []string {
	s.t.Helper()
	all := []string{}
	require.NoError(s.t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, s.dir)
		shared := strings.Contains(name, "/.torchserve-") && (d.Name() == "python" || d.Name() == "lock" || strings.HasPrefix(d.Name(), ".torchserve-"))
		switch {
		case shared && d.Name() == "python", name == "/logs":
			return fs.SkipDir
		case !shared && name != "/tmp/models":
			all = append(all, name)
		}
		return nil
	}))
	return all
}

// running is a server at work.
type running struct {
	*server.Server
	t     *testing.T
	site  *site
	end   context.CancelFunc
	ended chan error
}

// run starts the server; it is stopped, without an error and leaving nothing
// behind, when the test ends or before.
func (s *site) run() *running {
	s.t.Helper()
	cfg := s.config()
	before := s.tree()
	built, err := server.New(s.t.Context(), cfg, s.deps)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	r := &running{Server: built, t: s.t, site: s, end: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- r.Run(ctx) }()
	s.t.Cleanup(func() {
		r.stopped()
		assert.Equal(s.t, before, s.tree(), "files")
	})
	return r
}

// stopped ends the server and waits for it.
func (r *running) stopped() {
	r.t.Helper()
	r.end()
	err, ok := <-r.ended
	if ok {
		assert.NoError(r.t, err)
		close(r.ended)
	}
}

// key returns a key of the key file.
func (r *running) key(kind string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.site.path("key_file.json"))
	require.NoError(r.t, err)
	var keys map[string]struct{ Key string }
	require.NoError(r.t, json.Unmarshal(text, &keys))
	return keys[kind].Key
}

// answer is what a client hears.
type answer struct {
	status int
	body   string
	header http.Header
}

// call asks a listener with the key of its own kind.
func (r *running) call(role, method, target, body string) answer {
	r.t.Helper()
	a, err := r.try(role, method, target, body)
	require.NoError(r.t, err)
	return a
}

func (r *running) try(role, method, target, body string) (answer, error) {
	q, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.Addr(role).String()+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	q.Close = true
	q.Header.Set("Authorization", "Bearer "+r.key(strings.ToLower(role)))
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(q)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text), resp.Header}, err
}

// output is what the server writes to its standard output.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	waiting []waiting
}

type waiting struct {
	text string
	came chan struct{}
}

// Write takes lines.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(p)
	for _, w := range o.waiting {
		o.tell(w)
	}
	return n, err
}

func (o *output) tell(w waiting) {
	if strings.Contains(o.text.String(), w.text) {
		select {
		case w.came <- struct{}{}:
		default:
		}
	}
}

// await blocks until text was written.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	w := waiting{text, make(chan struct{}, 1)}
	o.mu.Lock()
	o.waiting = append(o.waiting, w)
	o.tell(w)
	o.mu.Unlock()
	select {
	case <-w.came:
	case <-t.Context().Done():
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// inOrder checks that texts were written, in this order.
func (o *output) inOrder(t *testing.T, texts ...string) {
	t.Helper()
	rest := o.String()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		require.True(t, found, "%q in its place in\n%s", text, o.String())
		rest = after
	}
}

// jar writes a jar that lists a class of endpoints.
func (s *site) jar(name, class string) {
	s.t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("META-INF/services/org.pytorch.serve.servingsdk.ModelServerEndpoint")
	require.NoError(s.t, err)
	_, err = fmt.Fprintln(f, class)
	require.NoError(s.t, err)
	require.NoError(s.t, w.Close())
	s.file(name, b.String())
}

// taken returns an address that somebody else listens at.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return "http://" + l.Addr().String()
}
