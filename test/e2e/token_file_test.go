package e2e

import (
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

func TestKeyFileGoes(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run("TOK-039 at "+name, func(t *testing.T) {
			t.Parallel()
			s := e2etest.Start(t)
			require.True(t, s.Exists("key_file.json"))
			s.Signal(signal)
			assert.Zero(t, s.Wait())
			assert.False(t, s.Exists("key_file.json"))
		})
	}
	t.Run("TOK-039 at --stop", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Background())
		require.True(t, s.Exists("key_file.json"))
		s.Run("--stop")
		s.Wait()
		assert.False(t, s.Exists("key_file.json"))
	})
	t.Run("TOK-040 at --stop from another directory", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Background())
		stop := s.Command("--stop")
		stop.Dir = t.TempDir()
		out, err := stop.CombinedOutput()
		require.NoError(t, err)
		assert.Equal(t, "TorchServe has stopped.\n", string(out))
		s.Wait()
		assert.False(t, s.Exists("key_file.json"))
	})
	t.Run("a file of somebody else stays", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t)
		s.Write("key_file.json", "{}")
		assert.Zero(t, s.Stop())
		assert.Equal(t, "{}", s.Read("key_file.json"))
	})
	t.Run("TOK-041 after a start that fails", func(t *testing.T) {
		t.Parallel()
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = taken.Close() })
		s := e2etest.NewSite(t, e2etest.Properties("management_address=http://"+taken.Addr().String()))
		got := s.Run("--foreground", "--ncs", "--model-store", s.Store)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "address already in use")
		assert.False(t, s.Exists("key_file.json"))
	})
	t.Run("a directory that cannot be written stops the start", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t, e2etest.Properties("token_key_file=missing/key_file.json"))
		got := s.Run("--foreground", "--ncs", "--model-store", s.Store)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stdout, "Token Authorization setup unsuccessful")
		assert.Contains(t, got.Stderr, "token_key_file")
	})
}

// TestKeyFileMode watches the working directory as closely as it can while keys are
// written, for a file that others may read and that holds a key.
//
//nolint:tparallel // one scenario, step by step
func TestKeyFileMode(t *testing.T) {
	t.Parallel()
	site := e2etest.NewSite(t)
	stop, seen := make(chan struct{}), make(chan []string)
	go func() { seen <- watchModes(site.Dir, stop) }()
	s := site.Start()
	for range 50 {
		require.Equal(t, http.StatusOK, s.Get(e2etest.Management, "/token?type=inference", s.Key(e2etest.API)).Status)
	}
	close(stop)
	t.Run("TOK-042 never readable by others", func(t *testing.T) {
		assert.Empty(t, <-seen)
		assert.Equal(t, fs.FileMode(0o600), s.In(t).Mode("key_file.json"))
	})
	t.Run("TOK-001 one file is left", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(s.Dir, "*key_file*"))
		require.NoError(t, err)
		hidden, err := filepath.Glob(filepath.Join(s.Dir, ".*"))
		require.NoError(t, err)
		assert.Equal(t, []string{s.Path("key_file.json")}, append(files, hidden...))
	})
}

// watchModes returns the files of a directory that were readable by others, those
// of the test itself left out.
func watchModes(dir string, stop <-chan struct{}) []string {
	var wide []string
	for {
		entries, _ := os.ReadDir(dir) // looked at again at once
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || e.IsDir() || e.Name() == "config.properties" {
				continue
			}
			if info.Mode().Perm()&0o077 != 0 {
				wide = append(wide, info.Mode().String()+" "+e.Name())
			}
		}
		select {
		case <-stop:
			return wide
		default:
		}
	}
}

// TestKeysStaySecret uses keys in every way and then looks for them everywhere.
//
//nolint:tparallel // one scenario, step by step
func TestKeysStaySecret(t *testing.T) {
	t.Parallel()
	const curious = `
import logging, os, sys
logging.info("environment %s", dict(os.environ))

def handle(data, context):
    if data is None:
        return None
    print("headers", context.get_all_request_header(0), flush=True)
    logging.info("arguments %s", sys.argv)
    if data[0].get("body") == b"raise":
        raise RuntimeError(repr(context.get_all_request_header(0)))
    return ["done"]
`
	s := e2etest.Start(t, e2etest.Properties("log_level=DEBUG", "enable_model_api=true"),
		e2etest.Serve(e2etest.Archive{Name: "curious", Handler: curious}),
		e2etest.Shelve(e2etest.Archive{Name: "other", Handler: curious}))
	var secrets []string
	collect := func() {
		for _, kind := range []e2etest.Role{e2etest.Inference, e2etest.Management, e2etest.API} {
			secrets = append(secrets, s.Key(kind))
		}
	}
	collect()
	use := func() {
		inference, management := s.Key(e2etest.Inference), s.Key(e2etest.Management)
		s.Predict("curious", "x")
		s.Predict("curious", "raise")
		s.Manage(http.MethodPost, "/models?url=other.mar&initial_workers=1&synchronous=true")
		s.Manage(http.MethodPost, "/models?url=missing.mar")
		s.Manage(http.MethodGet, "/models/curious?customized=true")
		s.Manage(http.MethodDelete, "/models/other")
		s.Get(e2etest.Inference, "/ping", management)
		s.Get(e2etest.Management, "/models", inference)
		s.Do(e2etest.Call{To: e2etest.Inference, Path: "/ping", Header: map[string]string{"Authorization": "Basic " + inference}})
		for _, kind := range []string{"inference", "management", "nonsense"} {
			s.Get(e2etest.Management, "/token?type="+kind, s.Key(e2etest.API))
		}
	}
	use()
	collect()
	use()
	collect()
	const misplaced = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF-" // has the form of a key
	for _, name := range []string{"token", "authorization", "access_token"} {
		s.Get(e2etest.Management, "/models?"+name+"="+misplaced, "")
	}
	s.AwaitReady()
	processes := s.Processes()
	require.Len(t, processes, 2)
	s.AwaitLog("model_log.log", "headers {")
	s.Stop()

	t.Run("TOK-006 no key in logs and output", func(t *testing.T) {
		texts := map[string]string{"stdout": s.Stdout.String(), "stderr": s.Stderr.String()}
		require.NoError(t, filepath.WalkDir(filepath.Dir(s.Dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				texts[path] = s.In(t).Read(path)
			}
			return err
		}))
		require.Contains(t, texts, s.Path("logs/access_log.log"))
		for where, text := range texts {
			assertNoSecret(t, secrets, where, text)
		}
	})
	t.Run("no key that a client puts into the query", func(t *testing.T) {
		assertNoSecret(t, []string{misplaced}, "stdout", s.Stdout.String())
		assertNoSecret(t, []string{misplaced}, "access_log.log", s.In(t).Logs("access_log.log"))
	})
	t.Run("no key in arguments and environments", func(t *testing.T) {
		for _, p := range processes {
			assertNoSecret(t, secrets, p.String(), strings.Join(append(p.Args, p.Environ...), "\n"))
		}
	})
}

func assertNoSecret(t *testing.T, secrets []string, where, text string) {
	t.Helper()
	for i, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			assert.Fail(t, "a key in the open", "key %d in %s: …%s…", i, where, text[max(0, at-80):at])
		}
	}
}
