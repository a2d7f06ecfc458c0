package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//nolint:tparallel // one scenario, step by step
func TestTokenRefusal(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t)
	inference, management, api := s.Key(e2etest.Inference), s.Key(e2etest.Management), s.Key(e2etest.API)
	file := s.Read("key_file.json")

	t.Run("TOK-007 the answer to a call without key", func(t *testing.T) {
		require.Len(t, refusal, 154)
		reply := s.In(t).Get(e2etest.Inference, "/ping", "")
		assert.Equal(t, http.StatusBadRequest, reply.Status)
		assert.Equal(t, refusal, reply.Body)
		assert.Equal(t, "154", reply.Header.Get("Content-Length"))
		assert.Equal(t, "application/json", reply.Header.Get("Content-Type"))
		assert.Equal(t, `Bearer realm="torchserve"`, reply.Header.Get("WWW-Authenticate"))
		answer := s.In(t).Raw(e2etest.Inference, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
		assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%s", answer)
		assert.Regexp(t, `(?i)\r\nconnection: close\r\n`, answer)
	})
	pairs := []struct {
		id     string
		to     e2etest.Role
		path   string
		opens  string
		closed []string
		body   string
	}{
		{"TOK-008", e2etest.Inference, "/ping", inference, []string{management, api}, refusal},
		{"TOK-009", e2etest.Management, "/models", management, []string{inference, api}, refusal},
	}
	for _, pair := range pairs {
		t.Run(pair.id+" each key opens its own listener", func(t *testing.T) {
			assert.Equal(t, http.StatusOK, s.In(t).Get(pair.to, pair.path, pair.opens).Status)
			for _, key := range pair.closed {
				reply := s.In(t).Get(pair.to, pair.path, key)
				assert.Equal(t, http.StatusBadRequest, reply.Status)
				assert.Equal(t, pair.body, reply.Body)
			}
		})
	}
	t.Run("TOK-020 /token takes the API key only", func(t *testing.T) {
		require.Len(t, tokenRefusal, 155)
		for _, key := range []string{"", management, inference, "wrong"} {
			for _, kind := range []string{"management", "inference"} {
				reply := s.In(t).Get(e2etest.Management, "/token?type="+kind, key)
				assert.Equal(t, http.StatusBadRequest, reply.Status)
				assert.Equal(t, tokenRefusal, reply.Body)
			}
		}
		assert.Equal(t, file, s.In(t).Read("key_file.json"), "nothing changes")
		assert.Equal(t, http.StatusOK, s.In(t).Get(e2etest.Inference, "/ping", inference).Status)
		s.In(t).AwaitLog("ts_log.log", "org.pytorch.serve.http.TokenAuthorizationHandler - Failed to update key file")
	})
	t.Run("TOK-037 /token of the other listeners", func(t *testing.T) {
		s := s.In(t)
		for _, key := range []string{"", api, management} {
			assert.Equal(t, refusal, s.Get(e2etest.Inference, "/token?type=inference", key).Body)
		}
		assert.Equal(t, http.StatusNotFound, s.Get(e2etest.Inference, "/token?type=inference", inference).Status)
		for _, key := range []string{"", api} {
			assert.Equal(t, http.StatusNotFound, s.Get(e2etest.Metrics, "/token?type=inference", key).Status)
		}
		assert.Equal(t, file, s.Read("key_file.json"))
	})
	t.Run("TOK-050 a path that cannot be decoded", func(t *testing.T) {
		for _, listener := range []e2etest.Role{e2etest.Inference, e2etest.Management} {
			answer := s.In(t).Raw(listener, "GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%s", answer)
			assert.NotContains(t, answer, "Token Auth")
		}
	})
	t.Run("TOK-010 unknown paths and TOK-013 the grammar", func(t *testing.T) {
		s := s.In(t)
		assert.Equal(t, http.StatusBadRequest, s.Get(e2etest.Inference, "/nowhere", "").Status)
		assert.Equal(t, http.StatusNotFound, s.Get(e2etest.Inference, "/nowhere", inference).Status)
		for header, status := range map[string]int{
			"Authorization: Bearer   " + inference:                                   200,
			"authorization: Bearer\t" + inference:                                    200,
			"AUTHORIZATION:   Bearer " + inference:                                   200,
			"Authorization: bearer " + inference:                                     400,
			"Authorization: " + inference:                                            400,
			"Authorization: Basic " + inference:                                      400,
			"Authorization: Bearer":                                                  400,
			"Authorization: Bearer " + inference + " x":                              400,
			"Authorization: Bearer " + inference + "\r\nAuthorization: Bearer other": 400,
			"X-Authorization: Bearer " + inference:                                   400,
			"Cookie: Authorization=Bearer " + inference:                              400,
		} {
			answer := s.Raw(e2etest.Inference, "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+header+"\r\n\r\n")
			assert.True(t, strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", status)), "%q: %s", header, answer)
		}
	})
	t.Run("TOK-052 refused calls are counted and logged", func(t *testing.T) {
		s := s.In(t)
		s.Get(e2etest.Inference, "/ping?mark=52", "")
		s.Await("the access line", func() bool {
			return regexp.MustCompile(`"GET /ping\?mark=52 HTTP/1\.1" 400 \d+\n`).MatchString(s.Logs("access_log.log"))
		})
		s.AwaitLog("ts_metrics.log", "Requests4XX.Count:1.0|#Level:Host|")
	})
}

func TestUnreadUpload(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t)
	for _, length := range []string{"Content-Length: 6291456", "Transfer-Encoding: chunked"} {
		t.Run("TOK-045 an upload without key is refused before it is sent, "+length, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			answer := s.In(t).Raw(e2etest.Inference, "POST /predictions/none HTTP/1.1\r\nHost: x\r\n"+length+"\r\n\r\n")
			assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%s", answer)
			assert.Contains(t, answer, refusal)
			assert.Less(t, time.Since(began), 5*time.Second, "nor is it waited for")
		})
	}
}

//nolint:tparallel // one scenario, step by step
func TestProbes(t *testing.T) {
	t.Parallel()
	healthy := e2etest.Start(t, e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
	healthy.AwaitReady()
	sick := e2etest.Start(t, e2etest.Serve(e2etest.Archive{Name: "sick", Handler: "raise RuntimeError('never')\n"}))
	for _, listener := range []e2etest.Role{e2etest.Inference, e2etest.Management} {
		t.Run("probes of "+string(listener)+" need no key and name nothing", func(t *testing.T) {
			for _, path := range []string{"/livez", "/readyz"} {
				reply := healthy.In(t).Get(listener, path, "")
				assert.Equal(t, http.StatusOK, reply.Status)
				assert.NotContains(t, reply.Body, "echo")
			}
			assert.Equal(t, http.StatusOK, sick.In(t).Get(listener, "/livez", "").Status)
			reply := sick.In(t).Get(listener, "/readyz", "")
			assert.Equal(t, http.StatusServiceUnavailable, reply.Status)
			assert.NotContains(t, reply.Body, "sick")
			reply = healthy.In(t).Do(e2etest.Call{Method: http.MethodPost, To: listener, Path: "/livez"})
			assert.Equal(t, refusal, reply.Body, "GET only")
		})
	}
	t.Run("TOK-012 what describes the API is open", func(t *testing.T) {
		for _, listener := range []e2etest.Role{e2etest.Inference, e2etest.Management, e2etest.Metrics} {
			s := healthy.In(t)
			assert.Equal(t, http.StatusOK, s.Do(e2etest.Call{Method: http.MethodOptions, To: listener, Path: "/"}).Status)
			assert.Equal(t, http.StatusOK, s.Get(listener, "/api-description", "").Status)
			assert.Equal(t, http.StatusMethodNotAllowed, s.Get(listener, "/", "").Status)
		}
	})
	t.Run("TOK-011 the metrics are open", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, healthy.In(t).Get(e2etest.Metrics, "/metrics", "").Status)
	})
	t.Run("token_exempt_ping opens /ping alone", func(t *testing.T) {
		s := e2etest.Start(t, e2etest.Properties("token_exempt_ping=true"))
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", "").Status)
		assert.Equal(t, http.StatusBadRequest, s.Get(e2etest.Inference, "/predictions/x", "").Status)
		assert.Equal(t, http.StatusBadRequest, s.Get(e2etest.Management, "/models", "").Status)
	})
	t.Run("token_protect_metrics asks for the management key", func(t *testing.T) {
		s := e2etest.Start(t, e2etest.Properties("token_protect_metrics=true"))
		assert.Equal(t, refusal, s.Get(e2etest.Metrics, "/metrics", "").Body)
		assert.Equal(t, refusal, s.Get(e2etest.Metrics, "/metrics", s.Key(e2etest.Inference)).Body)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Metrics, "/metrics", s.Key(e2etest.Management)).Status)
	})
	t.Run("token_refusal_status 401", func(t *testing.T) {
		s := e2etest.Start(t, e2etest.Properties("token_refusal_status=401"))
		assert.Equal(t, http.StatusUnauthorized, s.Get(e2etest.Inference, "/ping", "").Status)
		assert.Equal(t, http.StatusForbidden, s.Get(e2etest.Inference, "/ping", s.Key(e2etest.Management)).Status)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", s.Key(e2etest.Inference)).Status)
	})
}

//nolint:tparallel // one scenario, step by step
func TestSharedListener(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Properties("management_address=http://127.0.0.1:{inference}"),
		e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
	inference, management, api := s.Key(e2etest.Inference), s.Key(e2etest.Management), s.Key(e2etest.API)
	t.Run("TOK-038 the route chooses the key", func(t *testing.T) {
		s := s.In(t)
		ask := func(path, key string) int { return s.Get(e2etest.Inference, path, key).Status }
		for path, key := range map[string]string{"/ping": inference, "/models": management, "/models/echo": management} {
			for _, each := range []string{inference, management, api} {
				want := http.StatusBadRequest
				if each == key {
					want = http.StatusOK
				}
				assert.Equal(t, want, ask(path, each), path)
			}
		}
		assert.Equal(t, "shared", s.Predict("echo", "shared").Body)
		assert.Equal(t, http.StatusNotFound, ask("/nowhere", inference))
		assert.Equal(t, http.StatusBadRequest, ask("/nowhere", management))
		assert.Equal(t, http.StatusBadRequest, ask("/token?type=management", management))
		assert.Equal(t, http.StatusOK, ask("/token?type=management", api))
		assert.Equal(t, http.StatusBadRequest, ask("/models", management), "it was replaced")
		assert.Equal(t, http.StatusOK, ask("/models", s.Key(e2etest.Management)))
	})
}

// TestForwardedHeader asks a model which Authorization header it sees.
func TestForwardedHeader(t *testing.T) {
	t.Parallel()
	const headers = `
def handle(data, context):
    if data is None:
        return None
    every = context.get_all_request_header(0)
    return [repr(sorted((k.lower(), v) for k, v in every.items() if k.lower() in ("authorization", "x-mark")))]
`
	model := e2etest.Serve(e2etest.Archive{Name: "headers", Handler: headers})
	call := func(s *e2etest.Server, key string) string {
		return s.Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: "/predictions/headers", Key: key,
			Header: map[string]string{"X-Mark": "seen"},
		}).Body
	}
	t.Run("TOK-044 never while authorization is on", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, model)
		assert.Equal(t, "[('x-mark', 'seen')]", call(s, s.Key(e2etest.Inference)))
	})
	t.Run("TOK-044 always while it is off", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, model, e2etest.NoTokens())
		assert.Equal(t, "[('authorization', 'Bearer mine'), ('x-mark', 'seen')]", call(s, "mine"))
	})
	t.Run("token_forward_header keeps it", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, model, e2etest.Properties("token_forward_header=true"))
		key := s.Key(e2etest.Inference)
		assert.Equal(t, "[('authorization', 'Bearer "+key+"'), ('x-mark', 'seen')]", call(s, key))
	})
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	preflight := func(s *e2etest.Server, to e2etest.Role) e2etest.Reply {
		return s.Do(e2etest.Call{
			Method: http.MethodOptions, To: to, Path: "/predictions/x",
			Header: map[string]string{"Origin": "https://page.test", "Access-Control-Request-Method": "POST"},
		})
	}
	listeners := []e2etest.Role{e2etest.Inference, e2etest.Management}
	t.Run("TOK-053 with CORS a preflight needs no key", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Properties("cors_allowed_origin=https://page.test",
			"cors_allowed_methods=GET, POST", "cors_allowed_headers=X-Mark"))
		for _, to := range listeners {
			reply := preflight(s, to)
			assert.Equal(t, http.StatusOK, reply.Status)
			assert.Equal(t, "https://page.test", reply.Header.Get("Access-Control-Allow-Origin"))
			assert.Equal(t, "GET, POST", reply.Header.Get("Access-Control-Allow-Methods"))
			assert.Equal(t, "X-Mark", reply.Header.Get("Access-Control-Allow-Headers"))
		}
		plain := s.Do(e2etest.Call{Method: http.MethodOptions, To: e2etest.Inference, Path: "/predictions/x"})
		assert.Equal(t, refusal, plain.Body, "without the headers it is no preflight")
	})
	t.Run("TOK-053 without CORS it is refused", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t)
		for _, to := range listeners {
			assert.Equal(t, refusal, preflight(s, to).Body)
		}
	})
}
