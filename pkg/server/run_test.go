package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/server"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// TestLife follows a server from its start to its end.
func TestLife(t *testing.T) {
	t.Parallel()
	t.Run("CFG-052 CLI-027 CLI-028 MGT-022 MGT-069 from start to end", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "load_models=noop")
		s.put("noop", workertest.Script{})
		accepted := 0
		s.deps.Accepted = func() error { accepted++; return nil }
		r := s.run()
		s.out.await(t, "Model server started.")
		assert.Equal(t, 1, accepted)

		a := r.call("Inference", http.MethodPost, "/predictions/noop", "hello")
		assert.Equal(t, http.StatusOK, a.status)
		assert.Equal(t, "hello", a.body)
		a = r.call("Management", http.MethodGet, "/models/noop", "")
		assert.Equal(t, http.StatusOK, a.status)
		assert.Contains(t, a.body, `"loadedAtStartup": true`, "MGT-069")
		a = r.call("Management", http.MethodPost, "/models?url=noop&model_name=other&initial_workers=1", "")
		assert.Equal(t, http.StatusOK, a.status)
		assert.Contains(t, a.body, `Model \"other\" Version: 1.0 registered with 1 initial workers`, "MGT-022")
		a = r.call("Inference", http.MethodGet, "/ping", "")
		assert.Equal(t, "{\n  \"status\": \"Healthy\"\n}\n", a.body)

		r.stopped()
		assert.NoFileExists(t, s.path("key_file.json"))
		log := s.out.String()
		assert.Equal(t, 1, strings.Count(log, "Model server started."), "CFG-052")
		// CLI §7
		s.out.inOrder(t,
			"Token Authorization Enabled", "Initializing plugins manager...", "Torchserve version: "+version,
			"Loading initial models: noop", "Model noop loaded.",
			"Initialize Inference server with: EpollServerSocketChannel.", "Inference API bind to: "+"http://"+r.Addr("Inference").String(),
			"Initialize Management server with: EpollServerSocketChannel.", "Management API bind to: http://localhost:",
			"Initialize Metrics server with: EpollServerSocketChannel.", "Metrics API bind to: http://0.0.0.0:",
			"\nModel server started.\n",
		)
		// CLI-027
		s.out.inOrder(t, "Model server started.", "Unregistering model ", "Model noop unregistered.", "Torchserve stopped.")
		for _, line := range []string{
			"Unregistering model noop version 1.0", "Unregistering model other version 1.0", "Model other unregistered.",
			"Inference model server stopped.", "Management model server stopped.", "Metrics model server stopped.",
		} {
			assert.Equal(t, 1, strings.Count(log, line), "CLI-027 %s", line)
		}
		assert.True(t, strings.HasSuffix(strings.TrimRight(log, "\n"), "Torchserve stopped."), "CLI-027 it is the last line of\n%s", log)
	})
}

// TestStopDuringStart: a server that is told to stop before it serves does not
// say that it has started.
func TestStopDuringStart(t *testing.T) {
	t.Parallel()
	t.Run("D-CLI-11 CLI-027 a stop before the models are loaded", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "load_models=none,none2")
		cfg := s.config()
		before := s.tree()
		ctx, cancel := context.WithCancel(t.Context())
		s.deps.Accepted = func() error { cancel(); return nil }
		require.NoError(t, server.Run(ctx, cfg, s.deps))
		assert.Equal(t, before, s.tree())
		for _, text := range []string{"Failed to load model", "API bind to", "Model server started."} {
			assert.NotContains(t, s.out.String(), text)
		}
		s.out.inOrder(t, "Inference model server stopped.", "Torchserve stopped.")
	})
	t.Run("a stop before the addresses are bound", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, server.Run(ctx, s.config(), s.deps))
		assert.NotContains(t, s.out.String(), "[ERROR]")
	})
}

// TestConsole: scripts wait for one line, wherever the log goes.
func TestConsole(t *testing.T) {
	t.Parallel()
	t.Run("CFG-052 without a log on the console", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "log_console=false")
		r := s.run()
		s.out.await(t, "Model server started.")
		r.stopped()
		assert.Equal(t, "Model server started.\n", s.out.String())
	})
}

// gatedSite has a model whose workers wait at the gate with each batch.
func gatedSite(t *testing.T, then workertest.Do, lines ...string) (*site, *workertest.Gate) {
	t.Helper()
	s := newSite(t, append(lines, "load_models=noop")...)
	s.put("noop", workertest.Script{Infer: []workertest.Action{{Gate: true, Do: then}}})
	return s, workertest.NewGate(t, model.Archive{Dir: s.path("store/noop")})
}

// predicting sends a request and returns its answer when it comes.
func (r *running) predicting() <-chan answer {
	came := make(chan answer, 1)
	go func() {
		a, err := r.try("Inference", http.MethodPost, "/predictions/noop", "hello")
		assert.NoError(r.t, err, "no reset")
		came <- a
	}()
	return came
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("CLI-024 CLI-026 a request in work is answered, nobody new is let in", func(t *testing.T) {
		t.Parallel()
		s, gate := gatedSite(t, workertest.Echo)
		r := s.run()
		came := r.predicting()
		gate.Await(t)
		r.end()
		s.out.await(t, "Unregistering model noop")
		for refused := false; !refused; {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.Addr("Inference").String())
			if refused = err != nil; !refused { // the listener is about to close
				require.NoError(t, c.Close())
			}
		}
		gate.Open(t)
		assert.Equal(t, "hello", (<-came).body)
	})
	t.Run("CLI-025 a request that takes longer than the grace", func(t *testing.T) {
		t.Parallel()
		s, gate := gatedSite(t, workertest.Hang, "shutdown_grace_sec=1")
		r := s.run()
		came := r.predicting()
		gate.Await(t)
		gate.Open(t)
		r.end()
		a := <-came
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Contains(t, a.body, "ServiceUnavailableException")
		assert.Equal(t, "1", a.header.Get("Retry-After"))
	})
	t.Run("before it has served", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		r := s.run()
		r.end()
		r.stopped()
	})
	t.Run("MGT-025 while a model is being registered", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.put("noop", workertest.Script{Load: workertest.Action{Gate: true}})
		gate := workertest.NewGate(t, model.Archive{Dir: s.path("store/noop")})
		r := s.run()
		s.out.await(t, "Model server started.")
		came := make(chan answer, 1)
		go func() {
			a, err := r.try("Management", http.MethodPost, "/models?url=noop&initial_workers=1", "")
			assert.NoError(t, err)
			came <- a
		}()
		gate.Await(t)
		r.end()
		a := <-came
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Contains(t, a.body, "The server is stopping")
	})
}

func TestListeners(t *testing.T) {
	t.Parallel()
	t.Run("CFG-024 inference and management at one address", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "management_address=http://127.0.0.1:0")
		r := s.run()
		s.out.await(t, "Model server started.")
		assert.Nil(t, r.Addr("Management"))
		assert.NotNil(t, r.Addr("Metrics"))
		assert.Equal(t, 2, strings.Count(s.out.String(), " API bind to: "))
		assert.NotContains(t, s.out.String(), "Management API bind to")
	})
	t.Run("CFG-027 no metrics", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "enable_metrics_api=false")
		assert.Nil(t, s.run().Addr("Metrics"))
		s.out.await(t, "Model server started.")
		assert.NotContains(t, s.out.String(), "Metrics API")
	})
	t.Run("MET-055 no metrics at one address for all", func(t *testing.T) {
		t.Parallel()
		for api, want := range map[string]int{"true": http.StatusOK, "false": http.StatusNotFound} {
			s := newSite(t, "management_address=http://127.0.0.1:0", "enable_metrics_api="+api)
			assert.Equal(t, want, s.run().call("Inference", http.MethodGet, "/metrics", "").status, api)
		}
	})
	t.Run("CFG-023 a unix socket", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		path := s.path("x.sock")
		s.lines = append(s.lines, "management_address=unix:"+path)
		s.run()
		s.out.await(t, "Model server started.")
		c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", path)
		require.NoError(t, err)
		_, err = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		text, err := io.ReadAll(c)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		assert.Contains(t, string(text), "HTTP/1.1 200 OK\r\n")
		assert.Contains(t, s.out.String(), "Management API bind to: unix:"+path)
	})
	t.Run("CFG-028 CFG-030 TLS, self-signed", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "inference_address=https://127.0.0.1:0")
		r := s.run()
		address := r.Addr("Inference").String()
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		c, err := d.DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		_, err = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, c.Close())

		status, body := ask(t, r.Server, "Inference", http.MethodGet, "/ping")
		assert.Equal(t, http.StatusForbidden, status)
		assert.Equal(t, "{\n  \"status\": \"This TorchServe instance only accepts HTTPS requests\"\n}\n", body)
		s.out.await(t, "Recieved HTTP request!") //nolint:misspell // compat(0.12): CFG §10
		assert.Contains(t, s.out.String(), "No certificate is configured")
	})
	t.Run("TLS 1.3 and HTTP/2", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "inference_address=https://127.0.0.1:0")
		r := s.run()
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer tr.CloseIdleConnections()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.Addr("Inference").String()+"/livez", http.NoBody)
		require.NoError(t, err)
		resp, err := (&http.Client{Transport: tr}).Do(q)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, "HTTP/2.0", resp.Proto)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	})
}

func TestPlugins(t *testing.T) {
	t.Parallel()
	t.Run("TOK-047 a token plugin changes nothing", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "plugins_path=plugins")
		s.jar("plugins/token.jar", "org.pytorch.serve.plugins.endpoint.Token")
		r := s.run()
		s.out.await(t, "Model server started.")
		assert.Contains(t, s.out.String(), "main org.pytorch.serve.servingsdk.impl.PluginsManager - Loading plugin for endpoint token\n")
		status, _ := ask(t, r.Server, "Inference", http.MethodGet, "/ping")
		assert.Equal(t, http.StatusBadRequest, status)
	})
	t.Run("a token plugin, and authorization is off", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "plugins_path=plugins", "disable_token_authorization=true")
		s.jar("plugins/token.jar", "org.pytorch.serve.plugins.endpoint.Token")
		r := s.run()
		s.out.await(t, "Model server started.")
		assert.Contains(t, s.out.String(), "The token plugin is ignored: token authorization is disabled by ")
		status, _ := ask(t, r.Server, "Inference", http.MethodGet, "/ping")
		assert.Equal(t, http.StatusOK, status)
	})
}

// TestNativeEndpoints asks for the endpoints of SageMaker's containers.
func TestNativeEndpoints(t *testing.T) {
	t.Parallel()
	t.Run("CLI-048 PLG-003 PLG-004 PLG-005 PLG-007 PLG-008 PLG-011 PLG-012 PLG-018 PLG-025 PLG-026 PLG-027 over HTTP", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "native_plugins=sagemaker-ping,execution-parameters,model-ready", "NUM_WORKERS=3", "max_request_size=20971520")
		s.put("noop", workertest.Script{})
		r := s.run()
		get := func(target string, status int, body string) {
			t.Helper()
			a := r.call("Inference", http.MethodGet, target, "")
			assert.Equal(t, status, a.status)
			assert.Equal(t, body, a.body)
			assert.NotContains(t, a.header, "Content-Type", "PLG-011")
			assert.NotEmpty(t, a.header.Get("X-Request-Id"), "PLG-012")
		}
		const parameters = "{\n  \"MaxConcurrentTransforms\": 3,\n  \"BatchStrategy\": \"MULTI_RECORD\",\n  \"MaxPayloadInMB\": 20\n}"
		get("/execution-parameters", http.StatusOK, parameters)       // CLI-048 PLG-025
		get("/execution-parameters/x/y?z", http.StatusOK, parameters) // PLG-004
		get("/ping", http.StatusServiceUnavailable, "Models are not loaded")
		get("/model-ready", http.StatusServiceUnavailable, "{\n\t\"Status\": \"Model/s not ready\"\n}\n")
		assert.Equal(t, http.StatusOK, r.call("Management", http.MethodPost, "/models?url=noop&initial_workers=1", "").status)
		get("/ping", http.StatusOK, "{\n\t\"Status\": \"Healthy\"\n}\n") // PLG-005 PLG-026
		get("/model-ready", http.StatusOK, "{\n\t\"Status\": \"Model/s ready\"\n}\n")
		assert.Equal(t, http.StatusOK, r.call("Management", http.MethodDelete, "/models/noop", "").status)
		get("/ping", http.StatusOK, "{\n\t\"Status\": \"Healthy\"\n}\n")
		get("/model-ready", http.StatusServiceUnavailable, "{\n\t\"Status\": \"Model/s not ready\"\n}\n")

		a := r.call("Inference", http.MethodPost, "/ping", "")
		assert.Equal(t, http.StatusInternalServerError, a.status)
		assert.Contains(t, a.body, "ModelServerEndpointException", "PLG-008")
		status, _ := ask(t, r.Server, "Inference", http.MethodGet, "/execution-parameters")
		assert.Equal(t, http.StatusBadRequest, status, "PLG-007")
		assert.Equal(t, http.StatusNotFound, r.call("Management", http.MethodGet, "/execution-parameters", "").status, "PLG-003")
		s.out.await(t, `Running "model-ready" endpoint took `) // PLG-018
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	t.Run("the keys file is read anew, and a broken one changes nothing", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "token_keys_file=keys.json")
		const keys = `{"management":{"key":"management-of-sixteen"},"inference":{"key":"inference-%"},"API":{"key":"api-of-sixteen-and-more"}}`
		s.file("keys.json", strings.ReplaceAll(keys, "%", "of-the-first-one"))
		reload := make(chan struct{})
		s.deps.Reload = reload
		r := s.run()
		s.file("keys.json", "{")
		reload <- struct{}{}
		s.out.await(t, "keys.json") // it says what is wrong, and goes on
		s.file("keys.json", strings.ReplaceAll(keys, "%", "of-the-second-one"))
		reload <- struct{}{}
		reload <- struct{}{} // the one before is done
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Addr("Inference").String()+"/ping", http.NoBody)
		require.NoError(t, err)
		q.Header.Set("Authorization", "Bearer inference-of-the-second-one")
		q.Close = true
		resp, err := (&http.Client{Transport: &http.Transport{}}).Do(q)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, os.Remove(s.path("keys.json")))
		s.file("keys.json", strings.ReplaceAll(keys, "%", "of-the-first-one")) // as it was
	})
}

// TestTwo: servers that share a temporary directory do not disturb each other.
func TestTwo(t *testing.T) {
	t.Parallel()
	t.Run("CLI-049 each has its own workers", func(t *testing.T) {
		t.Parallel()
		one, other := newSite(t, "load_models=noop"), newSite(t, "load_models=noop")
		one.put("noop", workertest.Script{})
		other.put("noop", workertest.Script{})
		other.deps.Environ = append(other.deps.Environ, "TEMP="+one.path("tmp"))
		a, b := one.run(), other.run()
		assert.Equal(t, "hello", a.call("Inference", http.MethodPost, "/predictions/noop", "hello").body)
		assert.Equal(t, "hello", b.call("Inference", http.MethodPost, "/predictions/noop", "hello").body)
		b.stopped()
		assert.Equal(t, "hello", a.call("Inference", http.MethodPost, "/predictions/noop", "hello").body, "CLI-049")
	})
}
