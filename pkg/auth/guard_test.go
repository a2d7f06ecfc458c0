package auth_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/auth"
)

// wait lets d of a bubble's time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func count(l *log, line string) int { return strings.Count(l.String(), line) }

const refusal = `{
  "code": 400,
  "type": "InvalidKeyException",
  "message": "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
}
`

func TestGuard(t *testing.T) {
	s := start(t)
	f := s.file()

	t.Run("TOK-007 no header: the known answer", func(t *testing.T) {
		w := s.do(s.infer, http.MethodGet, "/ping", "")
		assert.Equal(t, http.StatusBadRequest, w.Code)
		assert.Equal(t, refusal, w.Body.String())
		assert.Len(t, w.Body.String(), 154)
		assert.Equal(t, `Bearer realm="torchserve"`, w.Header().Get("WWW-Authenticate"))
	})

	for name, c := range map[string]struct {
		listener    http.Handler
		method      string
		target, key string
		want        int
	}{
		"TOK-008 ping, inference key":            {s.infer, "GET", "/ping", f.Inference.Key, 200},
		"TOK-008 ping, management key":           {s.infer, "GET", "/ping", f.Management.Key, 400},
		"TOK-008 ping, API key":                  {s.infer, "GET", "/ping", f.API.Key, 400},
		"TOK-009 models, management key":         {s.mgmt, "GET", "/models", f.Management.Key, 200},
		"TOK-009 models, inference key":          {s.mgmt, "GET", "/models", f.Inference.Key, 400},
		"TOK-009 models, API key":                {s.mgmt, "GET", "/models", f.API.Key, 400},
		"TOK-010 unknown path, no key":           {s.infer, "GET", "/nothing", "", 400},
		"TOK-010 unknown path, key":              {s.infer, "GET", "/nothing", f.Inference.Key, 404},
		"TOK-010 unknown path, no key, mgmt":     {s.mgmt, "GET", "/nothing", "", 400},
		"TOK-010 unknown path, key, mgmt":        {s.mgmt, "GET", "/nothing", f.Management.Key, 404},
		"TOK-012 OPTIONS, inference":             {s.infer, "OPTIONS", "/", "", 200},
		"TOK-012 OPTIONS, management":            {s.mgmt, "OPTIONS", "/", "", 200},
		"TOK-012 GET root":                       {s.infer, "GET", "/", "", 405},
		"TOK-012 description":                    {s.infer, "GET", "/api-description", "", 200},
		"TOK-012 description, POST, management":  {s.mgmt, "POST", "/api-description", "", 200},
		"TOK-012 nothing below the description":  {s.infer, "GET", "/api-description/m/predict", "", 400},
		"TOK-014 key in the query":               {s.infer, "GET", "/ping?token=" + f.Inference.Key, "", 400},
		"TOK-022 a model named like the route":   {s.mgmt, "GET", "/models/tokenizer", f.Management.Key, 200},
		"TOK-022 API key does not open it":       {s.mgmt, "GET", "/models/token?type=inference", f.API.Key, 400},
		"TOK-037 token on inference, no key":     {s.infer, "GET", "/token?type=inference", "", 400},
		"TOK-037 token on inference, API key":    {s.infer, "GET", "/token?type=inference", f.API.Key, 400},
		"TOK-037 token on inference, key":        {s.infer, "GET", "/token?type=inference", f.Inference.Key, 404},
		"livez is open":                          {s.infer, "GET", "/livez", "", 200},
		"readyz is open":                         {s.mgmt, "GET", "/readyz", "", 200},
		"livez is open to HEAD":                  {s.infer, "HEAD", "/livez", "", 200},
		"readyz is open to HEAD":                 {s.mgmt, "HEAD", "/readyz", "", 200},
		"livez, other method":                    {s.infer, "POST", "/livez", "", 400},
		"nothing below livez":                    {s.infer, "GET", "/livez/x", "", 400},
		"a dot segment is no exemption":          {s.mgmt, "GET", "/livez/../models", "", 400},
		"an escaped slash is no exemption":       {s.mgmt, "GET", "/livez%2f..%2fmodels", "", 400},
		"preflight without CORS settings is not": {s.infer, "OPTIONS", "/ping", "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, s.status(c.listener, c.method, c.target, c.key))
		})
	}

	t.Run("TOK-022 Referer has no effect", func(t *testing.T) {
		assert.Equal(t, http.StatusOK,
			s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key, "Referer", "http://x/token"))
		assert.Equal(t, http.StatusBadRequest,
			s.status(s.mgmt, http.MethodGet, "/models?type=inference", f.API.Key, "Referer", "http://x/token"))
		assert.Equal(t, f, s.file())
	})

	for name, c := range map[string]struct {
		values []string
		want   int
	}{
		"one blank":         {[]string{"Bearer K"}, 200},
		"several blanks":    {[]string{"Bearer   K"}, 200},
		"TAB":               {[]string{"Bearer\tK"}, 200},
		"no scheme":         {[]string{"K"}, 400},
		"other scheme":      {[]string{"Basic K"}, 400},
		"lower case":        {[]string{"bearer K"}, 400},
		"upper case":        {[]string{"BEARER K"}, 400},
		"scheme alone":      {[]string{"Bearer"}, 400},
		"blank alone":       {[]string{"Bearer "}, 400},
		"no blank":          {[]string{"BearerK"}, 400},
		"two words":         {[]string{"Bearer K K"}, 400},
		"part of the key":   {[]string{"Bearer " + f.Inference.Key[:42]}, 400},
		"more than the key": {[]string{"Bearer Kx"}, 400},
		"other case":        {[]string{"Bearer " + swapCase(f.Inference.Key)}, 400},
		"two equal":         {[]string{"Bearer K", "Bearer K"}, 200},
		"two, right first":  {[]string{"Bearer K", "Bearer x"}, 400},
		"two, right last":   {[]string{"Bearer x", "Bearer K"}, 400},
		"empty":             {[]string{""}, 400},
	} {
		t.Run("TOK-013 header: "+name, func(t *testing.T) {
			var header []string
			for _, v := range c.values {
				header = append(header, "Authorization", strings.ReplaceAll(v, "K", f.Inference.Key))
			}
			assert.Equal(t, c.want, s.status(s.infer, http.MethodGet, "/ping", "", header...))
		})
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func TestGuardOnTheWire(t *testing.T) {
	s := start(t)
	key := s.file().Inference.Key
	srv := httptest.NewTLSServer(s.infer)
	t.Cleanup(srv.Close)
	dial := func(t *testing.T) net.Conn {
		c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).
			DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}

	for _, name := range []string{"authorization", "AUTHORIZATION", "aUTHORIZATIOn"} {
		t.Run("TOK-015 "+name, func(t *testing.T) {
			c := dial(t)
			_, err := io.WriteString(c, "GET /ping HTTP/1.1\r\nHost: x\r\n"+name+": Bearer "+key+"  \r\n\r\n")
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.NoError(t, resp.Body.Close())
		})
	}

	t.Run("TOK-045 an upload is refused unread", func(t *testing.T) {
		c := dial(t)
		_, err := io.WriteString(c, "POST /predictions/m HTTP/1.1\r\nHost: x\r\nContent-Length: 6291456\r\n\r\nfirst bytes")
		require.NoError(t, err)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil) // comes although the body never does
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, refusal, string(body))
		assert.True(t, resp.Close)
		_, err = in.ReadByte()
		assert.ErrorIs(t, err, io.EOF)
	})
}

func TestRefusalStatus(t *testing.T) {
	s := start(t, func(c *auth.Config) { c.RefusalStatus = http.StatusUnauthorized })
	f := s.file()
	for name, c := range map[string]struct {
		target, key string
		want        int
	}{
		"none":       {"/models", "", 401},
		"wrong":      {"/models", "wrong", 401},
		"other kind": {"/models", f.Inference.Key, 403},
		"right":      {"/models", f.Management.Key, 200},
		"token":      {"/token?type=inference", f.Management.Key, 403},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, s.status(s.mgmt, http.MethodGet, c.target, c.key))
		})
	}
}

func TestExemptions(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin", "http://x", "Access-Control-Request-Method", "GET"}

	t.Run("a preflight passes with CORS (D-TOK-29)", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *auth.Config) { c.CORS = true })
		assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodOptions, "/models", "", preflight...))
		assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodOptions, "/models", "", preflight[:2]...))
		assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", "", preflight...))
		without := start(t)
		assert.Equal(t, http.StatusBadRequest, without.status(without.mgmt, http.MethodOptions, "/models", "", preflight...))
	})

	t.Run("ping opens with token_exempt_ping, on inference alone", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *auth.Config) { c.ExemptPing = true })
		assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", ""))
		assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", "wrong"))
		assert.Equal(t, http.StatusNotFound, s.status(s.infer, http.MethodGet, "/ping/x", ""))
		assert.Equal(t, http.StatusBadRequest, s.status(s.infer, http.MethodGet, "/pingx", ""))
		assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/ping", ""))
	})

	metrics := func(s *server) http.Handler {
		return s.router(s.keys.TokenAuthorizationHandler(auth.Metrics, fail), "/metrics")
	}
	t.Run("TOK-011 TOK-012 TOK-037 the metrics listener is open", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		assert.Equal(t, http.StatusOK, s.status(metrics(s), http.MethodGet, "/metrics", ""))
		assert.Equal(t, http.StatusOK, s.status(metrics(s), http.MethodOptions, "/", ""))
		assert.Equal(t, http.StatusOK, s.status(metrics(s), http.MethodGet, "/api-description", ""))
		assert.Equal(t, http.StatusNotFound, s.status(metrics(s), http.MethodGet, "/token?type=inference", ""))
	})
	t.Run("metrics ask for the management key with token_protect_metrics", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *auth.Config) { c.ProtectMetrics = true })
		f := s.file()
		assert.Equal(t, http.StatusBadRequest, s.status(metrics(s), http.MethodGet, "/metrics", ""))
		assert.Equal(t, http.StatusBadRequest, s.status(metrics(s), http.MethodGet, "/metrics", f.Inference.Key))
		assert.Equal(t, http.StatusOK, s.status(metrics(s), http.MethodGet, "/metrics", f.Management.Key))
		assert.Equal(t, http.StatusOK, s.status(metrics(s), http.MethodGet, "/api-description", ""))
	})

	t.Run("each row has a reason", func(t *testing.T) {
		t.Parallel()
		table := auth.Exemptions(auth.Config{ExemptPing: true, CORS: true})
		assert.Len(t, table, 7)
		for _, row := range table {
			assert.NotEmpty(t, row.Reason, row.Path)
		}
	})
}

func TestForwarding(t *testing.T) {
	t.Parallel()

	t.Run("TOK-044 routes see no Authorization while it is on", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *auth.Config) { c.ExemptPing = true })
		key := s.file().Inference.Key
		require.Equal(t, http.StatusOK, s.status(s.infer, http.MethodPost, "/predictions/m", key, "X-Other", "1"))
		assert.Equal(t, http.Header{"X-Other": {"1"}}, s.seen)
		require.Equal(t, http.StatusOK, s.status(s.infer, http.MethodPost, "/ping", key))
		assert.Empty(t, s.seen)
	})
	t.Run("they do with token_forward_header", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *auth.Config) { c.ForwardHeader = true })
		key := s.file().Inference.Key
		require.Equal(t, http.StatusOK, s.status(s.infer, http.MethodPost, "/predictions/m", key))
		assert.Equal(t, http.Header{"Authorization": {"Bearer " + key}}, s.seen)
	})
	t.Run("TOK-033 TOK-044 off: no file, all open, the header passes, /token is unknown", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *auth.Config) { c.Enabled, c.DisabledBy = false, "--disable-token-auth" })
		assert.NoFileExists(t, s.cfg.KeyFile)
		assert.Equal(t, "warn "+auth.HandlerLogger+" - Token Authorization Disabled by --disable-token-auth\n", s.log.String())
		require.Equal(t, http.StatusOK, s.status(s.infer, http.MethodPost, "/predictions/m", "", "Authorization", "mine"))
		assert.Equal(t, http.Header{"Authorization": {"mine"}}, s.seen)
		w := s.do(s.mgmt, http.MethodGet, "/token?type=inference", "")
		assert.Equal(t, http.StatusNotFound, w.Code)
		assert.Contains(t, w.Body.String(), "ResourceNotFoundException")
		assert.NoError(t, s.keys.Run(t.Context()))
		assert.NoError(t, s.keys.Reload())
	})
}

func TestGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var counted []auth.Scope
		s := start(t, func(c *auth.Config) { c.Refused = func(s auth.Scope) { counted = append(counted, s) } })
		key := s.file().Inference.Key
		timed := func(key, remote string) time.Duration {
			r := httptest.NewRequest(http.MethodGet, "/ping", http.NoBody)
			r.RemoteAddr = remote
			r.Header.Set("Authorization", "Bearer "+key)
			w, began := httptest.NewRecorder(), time.Now()
			s.infer.ServeHTTP(w, r)
			if key == "guess" {
				assert.Equal(t, refusal, w.Body.String())
			}
			return time.Since(began)
		}
		for range 20 {
			require.Zero(t, timed("guess", "192.0.2.1:1"))
		}
		assert.Equal(t, 250*time.Millisecond, timed("guess", "192.0.2.1:2"), "from another port")
		assert.Equal(t, 250*time.Millisecond, timed("guess", "[::ffff:192.0.2.1]:2"), "the same address")
		assert.Zero(t, timed("guess", "192.0.2.2:1"), "another address")
		assert.Zero(t, timed(key, "192.0.2.1:3"), "the right key never waits")
		for range 20 {
			require.Zero(t, timed("guess", "[2001:db8::1]:1"))
		}
		assert.Equal(t, 250*time.Millisecond, timed("guess", "[2001:db8::2]:1"), "the same network")
		wait(t, 20*time.Second)
		assert.Zero(t, timed("guess", "192.0.2.1:1"), "forgotten")
		assert.Len(t, counted, 45)
		assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", ""))
		assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/token", ""))
		assert.Equal(t, []auth.Scope{auth.Inference, auth.Management, auth.API}, counted[44:])
	})
}
