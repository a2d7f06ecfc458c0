package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// result is what a command came to.
type result struct {
	code           int
	stdout, stderr string
}

// place is where a command is called: its environment, input, and pid file.
type place struct {
	env     map[string]string
	stdin   string
	pid     string // content of the pid file; empty: there is none
	silence time.Duration
}

// call runs a command line in a process of its own making.
func (p place) call(t *testing.T, args ...string) result {
	t.Helper()
	pids := pidFile{filepath.Join(t.TempDir(), ".model_server.pid")}
	if p.pid != "" {
		require.NoError(t, os.WriteFile(pids.path, []byte(p.pid), 0o600))
	}
	var stdout, stderr bytes.Buffer
	root := &cobra.Command{Use: "torchserve", SilenceErrors: true, SilenceUsage: true}
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	addCommands(root, &caller{
		stdin: strings.NewReader(p.stdin), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return p.env[name] }, pids: func() pidFile { return pids },
		silence: p.silence,
	})
	code := call(root, args, &stderr)
	return result{code, stdout.String(), strings.ReplaceAll(stderr.String(), pids.path, "PIDFILE")}
}

// elsewhere is a server that is named by its address, and answers by route.
type elsewhere struct {
	place
	base string
}

func handlerOf(routes map[string]http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	return mux
}

func serveRoutes(t *testing.T, routes map[string]http.HandlerFunc) elsewhere {
	t.Helper()
	s := httptest.NewServer(handlerOf(routes))
	t.Cleanup(s.Close)
	return at(s.URL)
}

func at(address string) elsewhere {
	return elsewhere{place{env: map[string]string{addressVariable: address, managementVariable: address}}, address}
}

// serveSocket serves as serveRoutes does, on a Unix socket: the metrics are looked for
// there, too, and not at the usual port, where somebody else's server may be.
func serveSocket(t *testing.T, routes map[string]http.HandlerFunc) elsewhere {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts") //nolint:usetesting // t.TempDir's path may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(handlerOf(routes))
	require.NoError(t, s.Listener.Close())
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return at("unix:" + path)
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// described is the server's description of a model, with workers of these states.
func described(least, most int, workers ...string) string {
	type worker struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Error  string `json:"error,omitempty"`
	}
	all := []worker{}
	for i, state := range workers {
		w := worker{ID: fmt.Sprint(9000 + i), Status: state}
		if state == "failed" {
			w.Status, w.Error = "UNLOADING", "ImportError: no torch\x1b[2J"
		}
		all = append(all, w)
	}
	text, _ := json.Marshal([]any{map[string]any{
		"modelName": "m", "modelVersion": "1.0", "minWorkers": least, "maxWorkers": most, "workers": all, "gaveUp": least == 9,
	}})
	return string(text)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"models x":                                "torchserve models: error: unexpected argument: x\nHelp: torchserve models --help\n",
		"describe":                                "torchserve describe: error: missing MODEL\nHelp: torchserve describe --help\n",
		"set-default m":                           "torchserve set-default: error: missing VERSION\nHelp: torchserve set-default --help\n",
		"models --nonsense":                       "torchserve models: error: unknown flag: --nonsense\nHelp: torchserve models --help\n",
		"models --address localhost":              "torchserve models: error: --address localhost: not of the form http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH\nHelp: torchserve models --help\n",
		"models --address http://h:0":             "torchserve models: error: --address http://h:0: not of the form http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH\nHelp: torchserve models --help\n",
		"scale m 4 --max 2 --address http://h":    "torchserve scale: error: --max 2 is less than WORKERS, 4\nHelp: torchserve scale --help\n",
		"logs nonsense":                           "torchserve logs: error: there is no log nonsense: " + logNames + "\nHelp: torchserve logs --help\n",
		"logs -n -1":                              "torchserve logs: error: --lines is a number of 0 and more\nHelp: torchserve logs --help\n",
		"token API --address http://h":            "torchserve token: error: there is no key of the kind API: inference or management\nHelp: torchserve token --help\n",
		"scale m some --address http://h":         "torchserve scale: error: WORKERS is a number of 0 and more, not some\nHelp: torchserve scale --help\n",
		"predict m --address http://h --header a": "torchserve predict: error: --header \"a\" is not of the form 'Name: value'\nHelp: torchserve predict --help\n",
		"predict m --address http://h --header authorization:Bearer~x": "torchserve predict: error: --header Authorization: keys do not belong on a command line, which everybody here can see: use --key-file\n" +
			"Help: torchserve predict --help\n",
		"predict m f --address http://h -d x":   "torchserve predict: error: --data and a file: one request has one body\nHelp: torchserve predict --help\n",
		"predict m f g --address http://h -o x": "torchserve predict: error: --output takes one answer, there are 2 files\nHelp: torchserve predict --help\n",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, result{exitUsage, "", want}, place{}.call(t, words(line)...))
		})
	}
}

func TestNotRunning(t *testing.T) {
	t.Parallel()
	want := "torchserve: error: no server is running here\nLooked for PIDFILE.\n" +
		"Start one: torchserve --start --ncs --model-store model_store --models all\n" +
		"Or name one: --address http://HOST:8080 --key-file FILE\n"
	for name, pid := range map[string]string{"no pid file": "", "an orphan": "garbage", "another program's": fmt.Sprint(os.Getppid())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, result{exitFailed, "", want}, place{pid: pid}.call(t, "models"))
			assert.Equal(t, result{exitNotRunning, "", want}, place{pid: pid}.call(t, "status"))
			got := place{pid: pid}.call(t, "status", "--json")
			assert.Equal(t, result{exitNotRunning, "{\n  \"running\": false,\n  \"ready\": false,\n  \"models\": []\n}\n", ""}, got)
		})
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	notFound := says(404, `{"type":"ModelNotFoundException","message":"Model not found: m"}`)
	for name, c := range map[string]struct {
		routes map[string]http.HandlerFunc
		args   string
		want   string
	}{
		"an unknown model": {
			map[string]http.HandlerFunc{"GET /models": says(200, `{"models":[{"modelName":"a"},{"modelName":"b\u001b[2J"}]}`), "GET /models/m": notFound},
			"describe m", "Model not found: m\nRegistered here: a, b?[2J\n",
		},
		"an unknown model, and none at all": {
			map[string]http.HandlerFunc{"GET /models": says(200, `{"models":[]}`), "POST /predictions/m": notFound},
			"predict m -d x", "Model not found: m\nNo model is registered: torchserve register ARCHIVE\n",
		},
		"an unknown model, and no list": {
			map[string]http.HandlerFunc{"GET /models": says(500, ``), "GET /models/m": notFound},
			"describe m", "Model not found: m\nThose that are there: torchserve models\n",
		},
		"no key": {
			map[string]http.HandlerFunc{"GET /models": says(400, `{"type":"InvalidKeyException","message":"Token Authorization failed."}`)},
			"models", "Token Authorization failed.\nNo key was sent: --key-file or TORCHSERVE_KEY_FILE names the file with the keys.\n",
		},
		"no model API": {
			map[string]http.HandlerFunc{"DELETE /models/m": says(405, `{"type":"MethodNotAllowedException","message":"Not allowed."}`)},
			"unregister m", "Not allowed.\nRegistering and unregistering by calls is off unless the server is started with --enable-model-api, " +
				"or enable_model_api=true stands in config.properties.\n",
		},
		"a queue that is full": {
			map[string]http.HandlerFunc{"POST /predictions/m": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "1")
				says(503, `{"type":"ServiceUnavailableException","message":"No worker."}`)(w, r)
			}},
			"predict m -d x", "No worker.\nThe server asks to try again in 1s. Its workers: torchserve status\n",
		},
		"a handler that fails": {
			map[string]http.HandlerFunc{"POST /predictions/m": says(503, `{"type":"InternalServerException","message":"Prediction failed"}`)},
			"predict m -d x", "Prediction failed\nWhat the model's handler said: torchserve logs model\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serveRoutes(t, c.routes).call(t, strings.Fields(c.args)...)
			assert.Equal(t, result{exitFailed, "", "torchserve: error: " + c.want}, got)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		got := place{}.call(t, "models", "--management-address", "http://127.0.0.1:1/")
		assert.Equal(t, exitFailed, got.code)
		assert.Equal(t, "torchserve: error: no server answers at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n"+
			"Is it running, and is the address right? --address names the inference, --management-address the management listener.\n", got.stderr)
	})
	t.Run("keys that have expired, and keys of somebody else", func(t *testing.T) {
		t.Parallel()
		const refusal = "torchserve: error: Token Authorization failed.\nThe keys were read from "
		s := serveRoutes(t, map[string]http.HandlerFunc{"GET /models": says(400, `{"type":"InvalidKeyException","message":"Token Authorization failed."}`)})
		for expires, want := range map[time.Time]string{
			time.Now().Add(-time.Hour): "The management key expired ", time.Now().Add(time.Hour): "Are they another server's, or older than its last start?",
		} {
			file := filepath.Join(t.TempDir(), "keys.json")
			text := fmt.Sprintf(`{"management":{"key":"s3cr3t","expiration time":%q}}`, expires.Format(time.RFC3339))
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			got := s.call(t, "models", "--key-file", file)
			assert.Equal(t, exitFailed, got.code)
			assert.Contains(t, got.stderr, refusal+file+".\n"+want)
			assert.NotContains(t, got.stderr, "s3cr3t")
		}
		got := s.call(t, "models", "--key-file", "nowhere")
		assert.Equal(t, "torchserve: error: management key: read nowhere: no such file or directory\nName the file with the keys with --key-file.\n", got.stderr)
	})
}

func TestModels(t *testing.T) {
	t.Parallel()
	s := serveRoutes(t, map[string]http.HandlerFunc{
		"GET /models":   says(200, `{"models":[{"modelName":"a","modelUrl":"a.mar"},{"modelName":"resnet"}]}`),
		"GET /models/m": says(200, described(1, 2, "READY", "failed")),
	})
	assert.Equal(t, result{exitOK, "MODEL   ARCHIVE\na       a.mar\nresnet  -\n", ""}, s.call(t, "models"))
	assert.JSONEq(t, `{"models":[{"modelName":"a","modelUrl":"a.mar"},{"modelName":"resnet"}]}`, s.call(t, "models", "--json").stdout)
	assert.Equal(t, described(1, 2, "READY", "failed"), s.call(t, "describe", "m", "--json").stdout, "as the server says it")
	got := s.call(t, "describe", "m")
	assert.Contains(t, got.stdout, "Workers    1 ready, 1 to 2 wanted\n")
	assert.Contains(t, got.stdout, "9000    ready ")
	assert.Contains(t, got.stdout, "9001    failed ")
	assert.Contains(t, got.stdout, "\nWorker 9001:\n  ImportError: no torch?[2J\n")
}

func TestStatus(t *testing.T) {
	t.Parallel()
	routes := func(ready int, health string) map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{
			"GET /readyz":          says(ready, `{"status":"`+health+`"}`),
			"GET /api-description": says(200, `{"info":{"version":"0.12.0"}}`),
			"GET /models":          says(200, `{"models":[{"modelName":"m"},{"modelName":"gone"}]}`),
			"GET /models/m/all":    says(200, described(2, 2, "READY")),
			"GET /models/gone/all": says(404, `{"type":"ModelNotFoundException","message":"gone"}`),
		}
	}
	const model = "\nMODEL  VERSION  WORKERS  RUNNING  WAITING\nm      1.0      1/2      ?        0\n"
	for name, c := range map[string]struct {
		status int
		health string
		code   int
		shown  string
	}{
		"ready":     {200, "Healthy", exitOK, "Server      ready\n"},
		"not ready": {503, "Unhealthy", exitFailed, "Server      not ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveSocket(t, routes(c.status, c.health))
			got := s.call(t, "status")
			assert.Equal(t, c.code, got.code)
			assert.Empty(t, got.stderr)
			assert.Equal(t, c.shown+"Version     0.12.0\nInference   "+s.base+"\nManagement  "+s.base+"\n"+model, got.stdout)
			var document map[string]any
			got = s.call(t, "status", "--json")
			assert.Equal(t, c.code, got.code)
			require.NoError(t, json.Unmarshal([]byte(got.stdout), &document))
			assert.Equal(t, c.code == exitOK, document["ready"])
			assert.Equal(t, true, document["running"])
		})
	}
	t.Run("what cannot be asked is said in the document, too", func(t *testing.T) {
		t.Parallel()
		all := routes(200, "Healthy")
		all["GET /models"] = says(400, `{"type":"InvalidKeyException","message":"no key"}`)
		got := serveSocket(t, all).call(t, "status", "--json")
		assert.Equal(t, exitFailed, got.code)
		assert.Contains(t, got.stdout, `"error": "no key"`)
		got = serveSocket(t, all).call(t, "status")
		assert.Equal(t, exitFailed, got.code)
		assert.Contains(t, got.stdout, "Server      ready\n")
		assert.Contains(t, got.stderr, "torchserve: error: no key\n")
	})
}
