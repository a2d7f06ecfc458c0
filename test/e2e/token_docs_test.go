package e2e

import (
	"archive/zip"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// keyFile is key_file.json as the documents show it.
var keyFile = regexp.MustCompile(`^\{
  "management": \{
    "key": "[A-Za-z0-9_-]+",
    "expiration time": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,9})?Z"
  \},
  "inference": \{
    "key": "[A-Za-z0-9_-]+",
    "expiration time": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,9})?Z"
  \},
  "API": \{
    "key": "[A-Za-z0-9_-]+"
  \}
\}$`)

// TestTokenDocument keeps the promises of the document on token authorization of
// 0.12, in its order (TOK §13).
//
//nolint:tparallel // one scenario, step by step
func TestTokenDocument(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Properties("enable_model_api=true"),
		e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}),
		e2etest.Shelve(e2etest.Archive{Name: "other", Handler: e2etest.Echo}))
	key := func(kind e2etest.Role) string { return s.Key(kind) }

	t.Run("A1 on by default, a correct token is needed", func(t *testing.T) {
		assert.Equal(t, http.StatusBadRequest, s.In(t).Get(e2etest.Inference, "/ping", "").Status)
		assert.Equal(t, http.StatusBadRequest, s.In(t).Get(e2etest.Inference, "/ping", "wrong").Status)
		assert.Equal(t, http.StatusOK, s.In(t).Get(e2etest.Inference, "/ping", key(e2etest.Inference)).Status)
	})
	t.Run("A8 TOK-005 the log says so", func(t *testing.T) {
		const last = "Check token authorization documenation for information: https://" //nolint:misspell // compat(0.12): TOK §11
		s.In(t).AwaitLog("ts_log.log", "TokenAuthorizationHandler - ")
		for _, log := range []string{s.Stdout.String(), s.In(t).Logs("ts_log.log")} {
			assert.Contains(t, log, " [INFO ] main org.pytorch.serve.http.TokenAuthorizationHandler - Token Authorization Enabled\n")
			assert.Contains(t, log, " [INFO ] main org.pytorch.serve.util.TokenAuthorization - \n######\n"+
				"TorchServe now enforces token authorization by default.\n"+
				"This requires the correct token to be provided when calling an API.\n"+
				"Key file located at "+s.Path("key_file.json")+"\n"+
				last)
		}
	})
	t.Run("A9 TOK-001 TOK-002 TOK-003 the key file in the working directory", func(t *testing.T) {
		s := s.In(t)
		assert.Regexp(t, keyFile, s.Read("key_file.json"))
		assert.Equal(t, os.FileMode(0o600), s.Mode("key_file.json"))
		assert.NotEqual(t, key(e2etest.Inference), key(e2etest.Management))
		assert.NotEqual(t, key(e2etest.Inference), key(e2etest.API))
		assert.NotEqual(t, key(e2etest.Management), key(e2etest.API))
	})
	t.Run("A10 the uses of the three keys", func(t *testing.T) {
		s := s.In(t)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Management, "/models/echo", key(e2etest.Management)).Status)
		assert.Equal(t, "image", s.Predict("echo", "image").Body)
		reply := s.Get(e2etest.Management, "/token?type=management", key(e2etest.API))
		assert.Equal(t, http.StatusOK, reply.Status)
	})
	for id, kind := range map[string]e2etest.Role{"TOK-016 TOK-017": e2etest.Inference, "TOK-018": e2etest.Management} {
		t.Run("A11 "+id+" /token?type="+string(kind)+" replaces the key", func(t *testing.T) { rotates(t, s.In(t), kind) })
	}
	t.Run("A13 edits of the file change nothing and go with the next key", func(t *testing.T) {
		s := s.In(t)
		inference, api := key(e2etest.Inference), key(e2etest.API)
		s.Write("key_file.json", strings.ReplaceAll(s.Read("key_file.json"), inference, "mine"))
		assert.Equal(t, http.StatusBadRequest, s.Get(e2etest.Inference, "/ping", "mine").Status)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", inference).Status)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Management, "/token?type=management", api).Status)
		assert.Equal(t, inference, s.Key(e2etest.Inference))
		require.NoError(t, os.Remove(s.Path("key_file.json")))
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Management, "/token?type=management", api).Status)
		assert.Regexp(t, keyFile, s.Read("key_file.json"))
	})
	t.Run("A15 who may do what", func(t *testing.T) {
		s := s.In(t)
		for _, change := range []struct{ method, path string }{
			{http.MethodPost, "/models?url=other.mar&initial_workers=1&synchronous=true"},
			{http.MethodPut, "/models/echo?min_worker=1"},
			{http.MethodDelete, "/models/echo"},
		} {
			call := e2etest.Call{Method: change.method, To: e2etest.Management, Path: change.path}
			for _, call.Key = range []string{"", key(e2etest.Inference), key(e2etest.API)} {
				assert.Equal(t, refusal, s.Do(call).Body)
			}
		}
		assert.Equal(t, refusal, s.Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: "/predictions/echo", Key: key(e2etest.Management),
		}).Body)
		assert.Equal(t, http.StatusOK, s.Manage(http.MethodPost, "/models?url=other.mar&initial_workers=1&synchronous=true").Status)
		assert.Equal(t, "added", s.Predict("other", "added").Body)
		assert.Equal(t, http.StatusOK, s.Manage(http.MethodDelete, "/models/other").Status)
		assert.Equal(t, http.StatusNotFound, s.Predict("other", "removed").Status)
	})
	t.Run("A12 the file goes at shutdown", func(t *testing.T) {
		assert.Zero(t, s.In(t).Stop())
		assert.False(t, s.Exists("key_file.json"))
	})
	t.Run("A6 file false and the flag: off", func(t *testing.T) {
		assertSwitch(t, false, switches{file: []string{"disable_token_authorization=false"}, flag: true}.start(t))
	})
	t.Run("A4 A7 file true and no flag: off", func(t *testing.T) {
		assertSwitch(t, false, switches{file: []string{"disable_token_authorization=true"}}.start(t))
	})
	t.Run("A2 A3 A5 the environment is the strongest, the flag can only disable", func(t *testing.T) {
		gate, variable := "enable_envvars_config=true", "TS_DISABLE_TOKEN_AUTHORIZATION="
		assertSwitch(t, false, switches{file: []string{gate}, env: []string{variable + "true"}}.start(t))
		assertSwitch(t, true, switches{file: []string{gate}, env: []string{variable + "false"}, flag: true}.start(t))
	})
}

// rotates replaces the key of a kind and checks who may do what afterwards.
func rotates(t *testing.T, s *e2etest.Server, kind e2etest.Role) {
	t.Helper()
	use := map[e2etest.Role]string{e2etest.Inference: "/ping", e2etest.Management: "/models"}
	var before, after map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(s.Read("key_file.json")), &before))
	old, expired := s.Key(kind), expiry(t, s, string(kind))

	reply := s.Get(e2etest.Management, "/token?type="+string(kind), s.Key(e2etest.API))
	assert.Equal(t, http.StatusOK, reply.Status)
	assert.Equal(t, "\n", reply.Body)
	assert.Equal(t, "1", reply.Header.Get("Content-Length"))
	assert.Equal(t, "application/json", reply.Header.Get("Content-Type"))

	assert.Equal(t, refusal, s.Get(kind, use[kind], old).Body)
	assert.Equal(t, http.StatusOK, s.Get(kind, use[kind], s.Key(kind)).Status)
	assert.True(t, expiry(t, s, string(kind)).After(expired))
	assert.WithinDuration(t, time.Now().Add(time.Hour), expiry(t, s, string(kind)), time.Minute)
	assert.Regexp(t, keyFile, s.Read("key_file.json"))
	assert.Equal(t, os.FileMode(0o600), s.Mode("key_file.json"))
	require.NoError(t, json.Unmarshal([]byte(s.Read("key_file.json")), &after))
	for name, entry := range before {
		if name != string(kind) {
			assert.Equal(t, string(entry), string(after[name]))
		}
	}
}

// TestTokenPluginDocument keeps the promises of the older document, whose keys came
// from a plugin (TOK §12.4, §13).
func TestTokenPluginDocument(t *testing.T) {
	t.Parallel()
	const line = " [INFO ] main org.pytorch.serve.servingsdk.impl.PluginsManager - Loading plugin for endpoint token\n"
	for name, options := range map[string][]e2etest.Option{
		"the option":     {e2etest.Args("--plugins-path", "plugins")},
		"its short form": {e2etest.Args("--ppath", "plugins")},
		"the property":   {e2etest.Properties("plugins_path=plugins")},
		"a pattern":      {e2etest.Args("--plugins-path", "plugins/*")},
	} {
		t.Run("B1 B2 TOK-047 a jar with the token plugin, found by "+name, func(t *testing.T) {
			t.Parallel()
			site := e2etest.NewSite(t, options...)
			writeTokenJar(t, site.Path("plugins/endpoint.jar"))
			s := site.Start()
			assert.Zero(t, s.Stop())
			assert.Contains(t, s.Stdout.String(), line)
			assert.Contains(t, s.Logs("ts_log.log"), line)
		})
	}
	t.Run("B3 keys, rotation, expiry and deletion", func(t *testing.T) {
		t.Parallel()
		site := e2etest.NewSite(t, e2etest.Args("--plugins-path", "plugins"))
		writeTokenJar(t, site.Path("plugins/endpoint.jar"))
		s := site.Start()
		assertSwitch(t, true, s)
		assert.Regexp(t, keyFile, s.Read("key_file.json"))
		rotates(t, s, e2etest.Inference)
		rotates(t, s, e2etest.Management)
		assert.Zero(t, s.Stop())
		assert.False(t, s.Exists("key_file.json"))
	})
	t.Run("a switch wins over the plugin", func(t *testing.T) {
		t.Parallel()
		site := e2etest.NewSite(t, e2etest.Args("--plugins-path", "plugins"), e2etest.NoTokens())
		writeTokenJar(t, site.Path("plugins/endpoint.jar"))
		assertSwitch(t, false, site.Start())
	})
	t.Run("B4 one token plugin only", func(t *testing.T) {
		t.Parallel()
		site := e2etest.NewSite(t)
		writeTokenJar(t, site.Path("plugins/a.jar"))
		writeTokenJar(t, site.Path("plugins/b.jar"))
		got := site.Run("--foreground", "--ncs", "--model-store", site.Store, "--plugins-path", "plugins")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stdout+got.Stderr, `Multiple plugins found for endpoint "token"`)
	})
}

// writeTokenJar makes a jar whose service file names the class of the older form.
func writeTokenJar(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	require.NoError(t, err)
	z := zip.NewWriter(f)
	w, err := z.Create("META-INF/services/org.pytorch.serve.servingsdk.ModelServerEndpoint")
	require.NoError(t, err)
	_, err = w.Write([]byte("# endpoints\n\norg.pytorch.serve.plugins.endpoint.Token\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
}
