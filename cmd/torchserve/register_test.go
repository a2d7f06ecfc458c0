package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/config"
)

// accepts answers a registration that goes on.
func accepts(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", "/models/m/1.0")
	says(202, `{"status":"Processing worker updates..."}`)(w, r)
}

// inTurn answers with one body after the other, and with the last one for ever.
func inTurn(bodies ...string) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		says(200, bodies[min(int(n.Add(1)), len(bodies))-1])(w, r)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args      string
		register  http.HandlerFunc
		describe  http.HandlerFunc
		want      result
		wantQuery string
	}{
		"workers are awaited": {
			"a.mar", accepts, inTurn(described(2, 2), described(2, 2, "UNLOADING", "UNLOADING"), described(2, 2, "READY", "UNLOADING"), described(2, 2, "READY", "READY")),
			result{exitOK, "Model m 1.0 is registered; workers ready: 2\n", "Registering a.mar …\nWorker 9000: loading\nWorker 9001: loading\nWorker 9000: ready\nWorker 9001: ready\n"},
			"synchronous=false&url=a.mar",
		},
		"or not": {
			"https://u:p@h/a.mar?sig=s3cr3t --no-wait --initial-workers 2 --max-batch-delay 0", accepts, says(200, described(2, 2)),
			result{exitOK, "Processing worker updates...\n", "Registering https://h/a.mar …\n"},
			"initial_workers=2&max_batch_delay=0&synchronous=false&url=https%3A%2F%2Fu%3Ap%40h%2Fa.mar%3Fsig%3Ds3cr3t",
		},
		"none are wanted": {
			"a.mar", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/models/m/1.0")
				says(200, `{"status":"registered with 0 initial workers"}`)(w, r)
			}, says(200, described(0, 0)),
			result{exitOK, "registered with 0 initial workers\n", "Registering a.mar …\nIt has no worker yet: torchserve scale m 1\n"},
			"synchronous=false&url=a.mar",
		},
		"a server that does not say the name": {
			"a.mar", says(202, `{"status":"Processing worker updates..."}`), nil,
			result{exitOK, "Processing worker updates...\n", "Registering a.mar …\n"},
			"synchronous=false&url=a.mar",
		},
		"a worker that fails": {
			"a.mar", accepts, says(200, described(1, 1, "failed")),
			result{exitFailed, "", "Registering a.mar …\nWorker 9000: failed\ntorchserve: error: worker 9000 of model m did not start:\n  ImportError: no torch?[2J\n" +
				"The server tries again; all that the worker said: torchserve logs model --model m\nWithout it: torchserve unregister m --version 1.0\n"},
			"synchronous=false&url=a.mar",
		},
		"workers that were given up": {
			"a.mar", accepts, says(200, described(9, 9)),
			result{exitFailed, "", "Registering a.mar …\ntorchserve: error: the server has given up to start the workers of model m\n" +
				"Why: torchserve logs model --model m. Another try: torchserve scale m 9\n"},
			"synchronous=false&url=a.mar",
		},
		"workers that do not come": {
			"a.mar --wait 30ms", accepts, says(200, described(1, 1, "UNLOADING")),
			result{exitFailed, "", "Registering a.mar …\nWorker 9000: loading\ntorchserve: error: the workers of m are not ready after 30ms\n" +
				"The server goes on trying. How it is: torchserve describe m; what the workers say: torchserve logs model --model m\n"},
			"synchronous=false&url=a.mar",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := make(chan string, 1)
			routes := map[string]http.HandlerFunc{"POST /models": func(w http.ResponseWriter, r *http.Request) {
				query <- r.URL.RawQuery
				c.register(w, r)
			}}
			if c.describe != nil {
				routes["GET /models/m/1.0"] = c.describe
			}
			got := serveRoutes(t, routes).call(t, append([]string{"register"}, strings.Fields(c.args)...)...)
			if name == "workers that do not come" { // on a slow machine the time may be over before it is known
				got.stderr = strings.Replace(got.stderr, "Registering a.mar …\ntorch", "Registering a.mar …\nWorker 9000: loading\ntorch", 1)
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.wantQuery, <-query)
		})
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	s := serveRoutes(t, map[string]http.HandlerFunc{
		"PUT /models/m":               says(202, `{"status":"Processing worker updates..."}`),
		"GET /models/m":               inTurn(described(1, 1, "READY", "READY"), described(1, 1, "READY")),
		"PUT /models/m/2/set-default": says(200, `{"status":"Default version\u001b updated"}`),
		"DELETE /models/m":            says(409, `{"code":409,"type":"ConflictStatusException","message":"no:\u001b[2J\n\tm"}`),
	})
	assert.Equal(t, result{exitOK, "Model m 1.0; workers ready: 1\n", "Worker 9000: ready\nWorker 9001: ready\n"}, s.call(t, "scale", "m", "1"), "one has to go")
	assert.Equal(t, result{exitOK, "Processing worker updates...\n", ""}, s.call(t, "scale", "m", "1", "--no-wait"))
	assert.Equal(t, result{exitOK, "Default version? updated\n", ""}, s.call(t, "set-default", "m", "2"))
	assert.Equal(t, result{exitFailed, "", "torchserve: error: no:?[2J\n\tm\n"}, s.call(t, "unregister", "m"), "texts of others do not move the cursor")
}

// shelf is a session with a server here, whose model store it is.
func shelf(t *testing.T) (s *session, notes *strings.Builder, store string) {
	t.Helper()
	store, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	notes = &strings.Builder{}
	s = &session{caller: &caller{stdout: io.Discard, stderr: notes}, target: target{pid: 1, cfg: config.Config{Models: config.Models{Store: store}}}}
	return s, notes, store
}

func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(content)
	}
	return all
}

func TestShelve(t *testing.T) {
	t.Parallel()
	t.Run("a file is copied, and taken away again", func(t *testing.T) {
		t.Parallel()
		s, notes, store := shelf(t)
		path := put(t, t.TempDir(), "a.mar", "archive")
		location, undo, err := s.shelve(t.Context(), path, false)
		require.NoError(t, err)
		assert.Equal(t, "a.mar", location)
		assert.Equal(t, map[string]string{"a.mar": "archive"}, files(t, store))
		info, err := os.Stat(filepath.Join(store, "a.mar"))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o644), info.Mode())
		undo()
		assert.Empty(t, files(t, store))
		copied := filepath.Join(store, "a.mar")
		assert.Equal(t, fmt.Sprintf("Copied %s to %s (7 B).\nRemoved %s again.\n", path, copied, copied), notes.String())
	})
	t.Run("a file of the store stays, by whatever path", func(t *testing.T) {
		t.Parallel()
		s, notes, store := shelf(t)
		path := put(t, store, "a.mar", "archive")
		link := filepath.Join(t.TempDir(), "b.mar")
		require.NoError(t, os.Symlink(path, link))
		for _, p := range []string{path, link} {
			location, undo, err := s.shelve(t.Context(), p, false)
			require.NoError(t, err)
			undo()
			assert.Equal(t, "a.mar", location)
		}
		assert.Equal(t, map[string]string{"a.mar": "archive"}, files(t, store))
		assert.Empty(t, notes.String())
	})
	t.Run("the same file is there already", func(t *testing.T) {
		t.Parallel()
		s, notes, store := shelf(t)
		put(t, store, "a.mar", "archive")
		location, undo, err := s.shelve(t.Context(), put(t, t.TempDir(), "a.mar", "archive"), false)
		require.NoError(t, err)
		undo()
		assert.Equal(t, "a.mar", location)
		assert.Equal(t, map[string]string{"a.mar": "archive"}, files(t, store), "it was not ours to take away")
		assert.Equal(t, "The model store has a.mar already.\n", notes.String())
	})
	t.Run("another file is replaced by force only", func(t *testing.T) {
		t.Parallel()
		s, _, store := shelf(t)
		there, path := put(t, store, "a.mar", "old"), put(t, t.TempDir(), "a.mar", "new")
		_, _, err := s.shelve(t.Context(), path, false)
		require.EqualError(t, err, "the model store has another file of that name: "+there)
		assert.Equal(t, map[string]string{"a.mar": "old"}, files(t, store))
		_, undo, err := s.shelve(t.Context(), path, true)
		require.NoError(t, err)
		undo()
		assert.Equal(t, map[string]string{"a.mar": "new"}, files(t, store))
	})
	t.Run("what is no file here goes on as it is", func(t *testing.T) {
		t.Parallel()
		s, _, store := shelf(t)
		folder, err := filepath.EvalSymlinks(t.TempDir())
		require.NoError(t, err)
		for _, c := range [][2]string{{"https://h/x.mar", "https://h/x.mar"}, {"nowhere.mar", "nowhere.mar"}, {folder, folder}} {
			location, _, err := s.shelve(t.Context(), c[0], false)
			require.NoError(t, err)
			assert.Equal(t, c[1], location)
		}
		assert.Empty(t, files(t, store))
	})
	t.Run("refusals", func(t *testing.T) {
		t.Parallel()
		s, _, store := shelf(t)
		require.NoError(t, os.Mkdir(filepath.Join(store, "a.mar"), 0o700))
		path := put(t, t.TempDir(), "a.mar", "new")
		_, _, err := s.shelve(t.Context(), path, true)
		require.ErrorContains(t, err, "a.mar is there and no regular file")
		_, _, err = s.shelve(t.Context(), "./nowhere.mar", false)
		require.EqualError(t, err, "there is no file ./nowhere.mar")
		_, _, err = s.shelve(t.Context(), "/dev/null", false)
		require.EqualError(t, err, "/dev/null is no regular file")
		s.pid = 0
		_, _, err = s.shelve(t.Context(), path, false)
		require.EqualError(t, err, path+" is on this machine, the server elsewhere")
	})
	t.Run("a copy that fails leaves nothing", func(t *testing.T) {
		t.Parallel()
		s, _, store := shelf(t)
		ctx, cancel := canceled(t)
		defer cancel()
		_, _, err := s.shelve(ctx, put(t, t.TempDir(), "a.mar", "archive"), false)
		require.Error(t, err)
		assert.Empty(t, files(t, store))
	})
}

// TestRegisterUndone: a copy goes only if the server has surely not registered it.
func TestRegisterUndone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // in the store
	}{
		"refused":                            {says(400, `{"code":400,"type":"BadRequestException","message":"no"}`), ""},
		"the connection breaks":              {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "archive"},
		"the answer breaks off":              {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9") }, "archive"},
		"whoever asked does not wait longer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, notes, store := shelf(t)
			s.cfg.Security.ModelAPI.Enabled = true
			s.api = client.New(client.Config{Management: client.Endpoint{Base: serveRoutes(t, map[string]http.HandlerFunc{"POST /models": c.answer}).base, HTTP: &http.Client{}}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.Error(t, (&registration{given: func(string) bool { return false }}).run(ctx, s, put(t, t.TempDir(), "a.mar", "archive")))
			assert.Equal(t, c.want, files(t, store)["a.mar"])
			assert.Equal(t, c.want != "", strings.Contains(notes.String(), "The server may do it all the same"))
		})
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"a.mar": "a.mar", "https://u:p@h/a@b.mar?sig=x": "https://h/a@b.mar", "https://h": "https://h", "s3://b/x": "s3://b/x", "https://u:p@h?x": "https://h",
	} {
		assert.Equal(t, want, shown(location))
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB"} {
		assert.Equal(t, want, size(n))
	}
	assert.Empty(t, moment(time.Time{}))
}
