package e2etest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// started is the line by which a server says that it serves.
const started = "Model server started."

// Server is a running server.
type Server struct {
	*Site
	PID            int
	Stdout, Stderr *Output

	process *process
	client  *http.Client
}

// Start makes a site and starts a server in it. The server is stopped when the
// test ends.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	return NewSite(t, options...).Start()
}

// In returns the server for use in a sub-test, which its methods then fail.
func (s *Server) In(t testing.TB) *Server {
	server := *s
	server.Site = s.Site.In(t)
	return &server
}

// Start starts a server with a command line, by default one that serves the
// site's models, and waits until it serves. If somebody else took one of its
// ports in between, it tries others.
func (s *Site) Start(words ...string) *Server {
	s.t.Helper()
	if len(words) == 0 {
		words = s.line()
	}
	for attempt := 1; ; attempt++ {
		server, err := s.try(words)
		if err == nil {
			return server
		}
		if attempt == 5 || !strings.Contains(err.Error(), "address already in use") {
			require.NoError(s.t, err)
		}
		s.Configure()
	}
}

func (s *Site) try(words []string) (*Server, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), s.patience)
	defer cancel()
	p := s.spawn(words)
	server := &Server{
		Site: s, PID: p.cmd.Process.Pid, Stdout: p.stdout, Stderr: p.stderr,
		process: p, client: newClient(s.patience),
	}
	if err := p.stdout.Await(ctx, started); err != nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.ended
		return nil, fmt.Errorf("no server, exit code %d: %w\n%s", p.code(), err, p.said())
	}
	server.PID = s.frontend(server.PID)
	s.t.Cleanup(server.cleanup)
	if !s.background {
		return server, nil
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, fmt.Errorf("the command does not return: %w\n%s", context.Cause(ctx), p.said())
	}
	pid, err := strconv.Atoi(s.Read(s.PIDFile()))
	server.PID = pid
	return server, err
}

// cleanup stops the server and looks for processes that it left.
func (s *Server) cleanup() {
	if s.running() {
		s.Signal(syscall.SIGTERM)
		if !s.gone() {
			assert.Fail(s.t, "the server does not stop")
			s.Kill()
		}
	}
	s.client.CloseIdleConnections()
	for _, p := range s.leftovers() {
		assert.Fail(s.t, "left behind", "%v", p)
	}
	if s.t.Failed() {
		s.t.Log(s.process.said())
	}
}

// leftovers returns the processes of the site after the server's end. Workers of
// a killed server have ten seconds to notice (CLI-029), as have those of 0.12.
func (s *Server) leftovers() []Process {
	if !s.process.killed && !s.published {
		return s.Processes()
	}
	_ = poll(10*time.Second, func() bool { return len(s.Processes()) == 0 })
	return s.Processes()
}

func (s *Server) running() bool {
	if s.background {
		return Alive(s.PID)
	}
	select {
	case <-s.process.ended:
		return false
	default:
		return true
	}
}

// gone waits for the server's end.
func (s *Server) gone() bool {
	return poll(patience, func() bool { return !s.running() })
}

// Wait blocks until the server and its output have ended and returns its exit code; that of a
// background server is not known, and 0.
func (s *Server) Wait() int {
	s.t.Helper()
	require.True(s.t, s.gone(), "the server does not end")
	require.True(s.t, s.process.finished(), "the server's output does not end")
	if s.background {
		return 0
	}
	return s.process.code()
}

// Stop stops the server as an operator does, with SIGTERM, and returns its exit
// code.
func (s *Server) Stop() int {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	return s.Wait()
}

// Kill ends the server at once, with SIGKILL.
func (s *Server) Kill() {
	s.t.Helper()
	s.process.killed = true
	s.Signal(syscall.SIGKILL)
	s.Wait()
}

// Signal sends a signal to the server.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.PID, signal); !errors.Is(err, syscall.ESRCH) {
		require.NoError(s.t, err)
	}
}

// Key returns the key of a kind, from the key file.
func (s *Site) Key(kind Role) string {
	s.t.Helper()
	var file map[Role]struct{ Key string }
	require.NoError(s.t, json.Unmarshal([]byte(s.Read("key_file.json")), &file))
	require.NotEmpty(s.t, file[kind].Key, "no %s key in the key file", kind)
	return file[kind].Key
}

// Logs returns the content of a log file, "ts_log.log" for one; it is complete when
// the server has ended.
func (s *Site) Logs(file string) string {
	s.t.Helper()
	return s.Read(filepath.Join("logs", file))
}

// AwaitOutput blocks until a text appears on the server's standard output.
func (s *Server) AwaitOutput(text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.Stdout.Await(ctx, text), "%q does not appear", text)
}

// AwaitLog blocks until a text appears in a log file; its lines are written a
// moment after what they are about.
func (s *Server) AwaitLog(file, text string) {
	s.t.Helper()
	s.Await(file+" has "+strconv.Quote(text), func() bool { return strings.Contains(s.Logs(file), text) })
}

// AwaitReady blocks until all models have their workers.
func (s *Server) AwaitReady() {
	s.t.Helper()
	s.Await("/readyz answers 200", func() bool {
		return s.Get(Inference, "/readyz", "").Status == http.StatusOK
	})
}

// Mode returns the permissions of a file of the working directory.
func (s *Site) Mode(name string) os.FileMode {
	s.t.Helper()
	info, err := os.Lstat(s.Path(name))
	require.NoError(s.t, err)
	return info.Mode().Perm()
}
