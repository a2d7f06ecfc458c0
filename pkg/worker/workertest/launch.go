package workertest

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// Launch returns how a server starts fake workers: TestMain must have called
// Main. The directory of the sockets lives as long as the test.
func Launch(t testing.TB) worker.Launch {
	t.Helper()
	return worker.Launch{
		Home:          t.TempDir(),
		Python:        os.Args[0],
		MetricsConfig: "metrics.yaml",
		SocketDir:     socketDir(t),
		Environ:       append(os.Environ(), variable+"="+asWorker, "GORACE=atexit_sleep_ms=0"), // the detector's wait would look like the worker's
		LimitPixels:   true,
	}
}

// socketDir is not t.TempDir, whose path may be too long for a socket.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// Archive returns a model m of version 1.0 whose workers follow s.
func Archive(t testing.TB, s Script) model.Archive {
	t.Helper()
	a := Behaving(t, "script")
	WriteScript(t, a.Dir, s)
	return a
}

// WriteScript puts s into a model's directory. The next worker that starts
// there follows it.
func WriteScript(t testing.TB, dir string, s Script) {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ScriptFile), text, 0o600))
}

// Behaving returns a model m of version 1.0 whose workers show one of the
// behaviours that Named knows.
func Behaving(t testing.TB, behaviour string) model.Archive {
	t.Helper()
	a := model.Archive{Dir: t.TempDir(), Name: "m", Version: model.DefaultVersion, Handler: behaviour, Runtime: model.Python}
	if s, ok := Named(behaviour); ok && s.Boot.Do != Well {
		WriteScript(t, a.Dir, s) // it does not live to hear the name of its handler
	}
	return a
}

// Config returns the configuration of worker 9000 on the CPU, without logs and
// metrics, with time enough for everything.
func Config(t testing.TB, a model.Archive) worker.Config {
	t.Helper()
	return worker.Config{
		Port:        9000,
		Archive:     a,
		Settings:    model.Settings{Batching: model.Batching{Size: 4}, Timeouts: model.Timeouts{Response: time.Minute, Startup: time.Minute}},
		GPU:         -1,
		Launch:      Launch(t),
		MaxResponse: 6_553_500,
		StopLimit:   time.Minute,
		Metrics:     worker.NoMetrics{},
		Log:         func(string, string) zerolog.Logger { return zerolog.Nop() },
	}
}

// NewJob returns a taken prediction, as a collector hands it to a worker, with
// one parameter body, and the stream of its replies.
func NewJob(id, body string) (*job.Job, *job.Stream) {
	s := job.NewStream()
	j := &job.Job{
		ID:      id,
		Ref:     model.Ref{Name: "m"},
		Request: job.Request{Parameters: []job.Parameter{{Name: "body", ContentType: "text/plain", Value: []byte(body)}}},
		Sink:    s,
		Created: time.Now(),
	}
	j.Take(j.Created)
	return j, s
}

// Gate holds the workers of one model whose script says so.
type Gate struct {
	path string
	held *os.File
}

// gateFile is a named pipe: it opens for a reader when there is a writer.
const gateFile = "fake-worker.gate"

// NewGate makes the gate of a model. It must be there before a worker comes.
func NewGate(t testing.TB, a model.Archive) *Gate {
	t.Helper()
	g := &Gate{path: filepath.Join(a.Dir, gateFile)}
	require.NoError(t, unix.Mkfifo(g.path, 0o600))
	return g
}

// Await blocks until a worker stands at the gate.
func (g *Gate) Await(t testing.TB) {
	t.Helper()
	held, err := os.OpenFile(g.path, os.O_WRONLY, 0)
	require.NoError(t, err)
	g.held = held
}

// Open lets those pass that Await has seen.
func (g *Gate) Open(t testing.TB) {
	t.Helper()
	require.NoError(t, g.held.Close())
}

// pass waits at the gate of the current directory.
func pass() {
	gate, err := os.Open(gateFile)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, gate) // ends when the gate opens
	_ = gate.Close()
}
