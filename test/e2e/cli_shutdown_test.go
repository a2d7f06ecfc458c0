package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// waiting is a handler that says in a file of the server's working directory that
// it is at work, and answers when it finds another file there.
const waiting = `
import os, time

def handle(data, context):
    if data is None:
        return None
    home = os.environ["E2E_DIR"]
    open(os.path.join(home, "working"), "w").close()
    while not os.path.exists(os.path.join(home, "answer")):
        time.sleep(0.01)
    return [bytes(row.get("body") or row.get("data")) for row in data]
`

// atWork is a server whose model holds one request.
type atWork struct {
	*e2etest.Server
	replies chan e2etest.Reply
	errs    chan error
}

func startAtWork(t *testing.T, options ...e2etest.Option) *atWork {
	t.Helper()
	site := e2etest.NewSite(t, append(options, e2etest.Serve(e2etest.Archive{Name: "waiting", Handler: waiting}))...)
	e2etest.Env("E2E_DIR=" + site.Dir)(site)
	s := &atWork{Server: site.Start(), replies: make(chan e2etest.Reply, 1), errs: make(chan error, 1)}
	call := s.Prediction("waiting", "long")
	go func() {
		reply, err := s.Send(context.Background(), call)
		s.replies <- reply
		s.errs <- err
	}()
	s.Await("the handler works", func() bool { return s.Exists("working") })
	return s
}

// reply returns the answer to the request that the model held.
func (s *atWork) reply(t *testing.T) e2etest.Reply {
	t.Helper()
	require.NoError(t, <-s.errs)
	return <-s.replies
}

// refused reports whether a listener takes no connection.
func refused(s *e2etest.Server, listener e2etest.Role) bool {
	conn, err := net.DialTimeout("tcp", s.Address(listener), time.Second)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

func TestGracefulStop(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{
		"CLI-017 SIGTERM": syscall.SIGTERM, "CLI-017 SIGINT": syscall.SIGINT, "CLI-030 SIGHUP": syscall.SIGHUP,
	} {
		t.Run(name+" CLI-024 CLI-026", func(t *testing.T) {
			t.Parallel()
			s := startAtWork(t)
			workers := s.Workers()
			require.Len(t, workers, 1)
			s.Signal(signal)
			for _, listener := range []e2etest.Role{e2etest.Inference, e2etest.Management, e2etest.Metrics} {
				s.Await(string(listener)+" takes no connection", func() bool { return refused(s.Server, listener) })
			}
			assert.True(t, e2etest.Alive(s.PID), "the request is waited for")
			s.Write("answer", "")
			reply := s.reply(t)
			assert.Equal(t, http.StatusOK, reply.Status)
			assert.Equal(t, "long", reply.Body)
			assert.True(t, reply.Close)
			assert.Zero(t, s.Wait())
			assert.False(t, e2etest.Alive(workers[0].PID))
		})
	}
}

//nolint:tparallel // one scenario, step by step
func TestStopOfIdleServer(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Serve(
		e2etest.Archive{Name: "echo", Handler: e2etest.Echo},
		e2etest.Archive{Name: "folder", Handler: e2etest.Echo, Form: e2etest.Folder},
		e2etest.Archive{Name: "tar", Handler: e2etest.Echo, Form: e2etest.TarGz},
	))
	for _, name := range []string{"echo", "folder", "tar"} {
		assert.Equal(t, name, s.Predict(name, name).Body)
	}
	require.Len(t, s.Workers(), 3)
	unpacked, err := os.ReadDir(filepath.Join(s.Temp, "models"))
	require.NoError(t, err)
	require.NotEmpty(t, unpacked)
	assert.Zero(t, s.Stop())

	t.Run("CLI-027 the lines of a stop", func(t *testing.T) {
		for where, text := range map[string]string{"output": s.Stdout.String(), "ts_log.log": s.Logs("ts_log.log")} {
			for _, listener := range []string{"Inference", "Management", "Metrics"} {
				assert.Contains(t, text, "org.pytorch.serve.ModelServer - "+listener+" model server stopped.\n", where)
			}
			for _, name := range []string{"echo", "folder", "tar"} {
				_, after, found := strings.Cut(text, "org.pytorch.serve.ModelServer - Unregistering model "+name+" version 1.0\n")
				assert.True(t, found, "%s in %s", name, where)
				assert.Contains(t, after, "org.pytorch.serve.wlm.ModelManager - Model "+name+" unregistered.\n", where)
			}
			assert.True(t, strings.HasSuffix(text, " [INFO ] main org.pytorch.serve.ModelServer - Torchserve stopped.\n"), "%s", text)
		}
	})
	t.Run("CLI-028 nothing remains", func(t *testing.T) {
		assert.Empty(t, s.Processes())
		assert.False(t, s.Exists("key_file.json"))
		assert.False(t, s.Exists(s.PIDFile()))
		unpacked, err := os.ReadDir(filepath.Join(s.Temp, "models"))
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		assert.Empty(t, unpacked)
		assert.NoError(t, filepath.WalkDir(s.Temp, func(path string, entry os.DirEntry, err error) error {
			require.NoError(t, err)
			assert.Zero(t, entry.Type()&os.ModeSocket, "%s", path)
			return nil
		}))
	})
}

func TestEndOfGrace(t *testing.T) {
	t.Parallel()
	t.Run("CLI-025 a request that takes longer gets 503", func(t *testing.T) {
		t.Parallel()
		s := startAtWork(t, e2etest.Properties("shutdown_grace_sec=1"))
		began := time.Now()
		s.Signal(syscall.SIGTERM)
		reply := s.reply(t)
		assert.Equal(t, http.StatusServiceUnavailable, reply.Status)
		assert.True(t, reply.Close)
		assert.GreaterOrEqual(t, time.Since(began), time.Second)
		assert.Zero(t, s.Wait())
	})
	t.Run("a second signal ends the server at once", func(t *testing.T) {
		t.Parallel()
		s := startAtWork(t)
		s.Signal(syscall.SIGTERM)
		s.Await("the first signal is taken", func() bool { return refused(s.Server, e2etest.Inference) })
		s.Signal(syscall.SIGTERM)
		assert.Equal(t, 1, s.Wait())
		require.Error(t, <-s.errs)
		s.Await("the workers end", func() bool { return len(s.Processes()) == 0 })
	})
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	const stubborn = `
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
` + waiting
	t.Run("CLI-029 its workers end, the busy ones too", func(t *testing.T) {
		t.Parallel()
		s := startAtWork(t, e2etest.Serve(
			e2etest.Archive{Name: "idle", Handler: e2etest.Echo}, e2etest.Archive{Name: "stubborn", Handler: stubborn},
		))
		s.AwaitReady()
		require.Len(t, s.Workers(), 3)
		killed := time.Now()
		s.Kill()
		s.Await("the workers end", func() bool { return len(s.Processes()) == 0 })
		assert.Less(t, time.Since(killed), 10*time.Second)
		require.Error(t, <-s.errs)
	})
}

func TestSignals(t *testing.T) {
	t.Parallel()
	t.Run("CLI-030 SIGQUIT shows the goroutines and does not end the server", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t)
		s.Signal(syscall.SIGQUIT)
		s.Await("goroutines appear", func() bool { return strings.Contains(s.Stderr.String(), "goroutine ") })
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", s.Key(e2etest.Inference)).Status)
	})
	t.Run("CLI-030 SIGHUP stops a background server gracefully", func(t *testing.T) {
		t.Parallel()
		s := startAtWork(t, e2etest.Background())
		s.Signal(syscall.SIGHUP)
		s.Await("no connection is taken", func() bool { return refused(s.Server, e2etest.Inference) })
		s.Write("answer", "")
		assert.Equal(t, "long", s.reply(t).Body)
		s.Wait()
		assert.False(t, s.Exists("key_file.json"))
		assert.Contains(t, s.Logs("ts_log.log"), "Torchserve stopped.")
	})
}
