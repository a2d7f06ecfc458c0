package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/auth"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log collects lines of both loggers as "LEVEL logger - message".
type log struct {
	mu   sync.Mutex // Protects fields below
	text bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	var e struct{ Level, Logger, Message, Error string }
	if err := json.Unmarshal(line, &e); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(e.Level + " " + e.Logger + " - " + e.Message)
	if e.Error != "" {
		l.text.WriteString(" | " + e.Error)
	}
	l.text.WriteByte('\n')
	return len(line), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *log) named(name string) zerolog.Logger {
	return zerolog.New(l).With().Str("logger", name).Logger()
}

// base is a valid configuration with a key file in a new folder.
func base(t *testing.T, change ...func(*auth.Config)) (auth.Config, *log) {
	t.Helper()
	lines := new(log)
	cfg := auth.Config{
		Enabled:       true,
		KeyFile:       filepath.Join(t.TempDir(), "key_file.json"),
		KeyBytes:      32,
		Expiry:        time.Hour,
		RefusalStatus: http.StatusBadRequest,
		Log:           lines.named(auth.Logger),
		HandlerLog:    lines.named(auth.HandlerLogger),
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg, lines
}

// server is Keys before routers like those of the real server.
type server struct {
	t     *testing.T
	cfg   auth.Config
	keys  *auth.Keys
	log   *log
	infer http.Handler
	mgmt  http.Handler
	seen  http.Header // of the request that last reached a route
	calls atomic.Uint32
}

func start(t *testing.T, change ...func(*auth.Config)) *server {
	t.Helper()
	cfg, lines := base(t, change...)
	k, err := auth.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, k.Close()) })
	s := &server{t: t, cfg: cfg, keys: k, log: lines}
	s.infer = s.router(k.TokenAuthorizationHandler(auth.Inference, fail), "/ping", "/predictions/{model}")
	s.mgmt = s.router(k.TokenAuthorizationHandler(auth.Management, fail), "/models", "/models/{model}", "/token")
	return s
}

func (s *server) router(guard func(http.Handler) http.Handler, routes ...string) http.Handler {
	r := chi.NewRouter()
	r.Use(guard)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, fault.New(fault.RouteNotFound, fault.RouteNotFoundMessage))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, fault.New(fault.MethodNotAllowed, fault.MethodNotAllowedMessage))
	})
	answer := func(_ http.ResponseWriter, r *http.Request) { s.seen = r.Header.Clone() }
	r.Options("/", answer)
	for _, path := range append(routes, "/api-description", "/livez", "/readyz") {
		if path == "/token" {
			r.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				if err := s.keys.Token(w, r); err != nil {
					fail(w, r, err)
				}
			})
			continue
		}
		r.HandleFunc(path, answer)
	}
	return r
}

// fail writes failures, and closes their connections, as pkg/rest does.
func fail(w http.ResponseWriter, _ *http.Request, err error) {
	body, _ := json.MarshalIndent(struct {
		Code    int    `json:"code"`
		Type    string `json:"type"`
		Message string `json:"message"`
	}{fault.Status(err), fault.KindOf(err).Row().Type, fault.Message(err)}, "", "  ")
	w.Header().Set("Connection", "close")
	w.WriteHeader(fault.Status(err))
	_, _ = w.Write(append(body, '\n'))
}

// do sends a request whose Authorization header is "Bearer key"; an empty key
// sends none. Each comes from another address, so that none is slowed.
func (s *server) do(h http.Handler, method, target, key string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	n := s.calls.Add(1)
	r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1", n/256%256, n%256)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (s *server) status(h http.Handler, method, target, key string, header ...string) int {
	return s.do(h, method, target, key, header...).Code
}

func (s *server) renew(kind string) *httptest.ResponseRecorder {
	return s.renewWith(s.file().API.Key, kind)
}

func (s *server) renewWith(api, kind string) *httptest.ResponseRecorder {
	return s.do(s.mgmt, http.MethodGet, "/token?type="+kind, api)
}

type entry struct {
	Key     string `json:"key"`
	Expires string `json:"expiration time"`
}

type file struct {
	Management entry `json:"management"`
	Inference  entry `json:"inference"`
	API        entry `json:"API"`
}

func (e entry) expires(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, e.Expires)
	require.NoError(t, err)
	return at
}

func (s *server) file() file {
	s.t.Helper()
	text, err := os.ReadFile(s.cfg.KeyFile)
	require.NoError(s.t, err)
	var f file
	require.NoError(s.t, json.Unmarshal(text, &f))
	return f
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Mode()
}
