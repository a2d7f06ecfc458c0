package auth_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/auth"
)

const failedUpdate = "error " + auth.HandlerLogger + " - Failed to update key file\n"

func TestToken(t *testing.T) {
	t.Parallel()

	t.Run("TOK-016 the answer is one line feed", func(t *testing.T) {
		t.Parallel()
		w := start(t).renew("inference")
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, "\n", w.Body.String())
		assert.Equal(t, "1", w.Header().Get("Content-Length"))
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	})

	t.Run("TOK-017 the inference key is replaced, nothing else", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := start(t)
			old := s.file()
			wait(t, time.Minute)
			require.Equal(t, http.StatusOK, s.renew("inference").Code)
			f := s.file()
			assert.Equal(t, old.Management, f.Management)
			assert.Equal(t, old.API, f.API)
			assert.Equal(t, time.Minute, f.Inference.expires(t).Sub(old.Inference.expires(t)))
			assert.Equal(t, http.StatusBadRequest, s.status(s.infer, http.MethodGet, "/ping", old.Inference.Key))
			assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
			assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key))
		})
	})

	t.Run("TOK-018 the management key is replaced, nothing else", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := start(t)
			old := s.file()
			wait(t, time.Minute)
			require.Equal(t, http.StatusOK, s.renew("management").Code)
			f := s.file()
			assert.Equal(t, old.Inference, f.Inference)
			assert.Equal(t, old.API, f.API)
			assert.Equal(t, time.Minute, f.Management.expires(t).Sub(old.Management.expires(t)))
			assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", old.Management.Key))
			assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key))
			assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
		})
	})

	for name, query := range map[string]string{
		"TOK-019 no type":                  "",
		"TOK-019 empty type":               "?type=",
		"TOK-019 upper case":               "?type=MANAGEMENT",
		"TOK-019 api":                      "?type=api",
		"TOK-019 API":                      "?type=API",
		"TOK-019 token":                    "?type=token",
		"TOK-021 of two values, the first": "?type=wrong&type=inference",
	} {
		t.Run(name+" is a bad request", func(t *testing.T) {
			t.Parallel()
			s := start(t)
			f := s.file()
			w := s.do(s.mgmt, http.MethodGet, "/token"+query, f.API.Key)
			assert.Equal(t, http.StatusBadRequest, w.Code)
			assert.JSONEq(t, `{"code": 400, "type": "BadRequestException",
				"message": "Parameter type must be management or inference."}`, w.Body.String())
			assert.Equal(t, f, s.file())
			assert.Equal(t, 1, count(s.log, failedUpdate))
		})
	}

	t.Run("TOK-021 the first of two values counts", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		old := s.file()
		require.Equal(t, http.StatusOK,
			s.status(s.mgmt, http.MethodGet, "/token?type=inference&type=management", old.API.Key))
		assert.NotEqual(t, old.Inference, s.file().Inference)
		assert.Equal(t, old.Management, s.file().Management)
	})

	t.Run("TOK-020 other keys are refused with the other text", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		f := s.file()
		for _, key := range []string{"", "wrong", f.Inference.Key, f.Management.Key} {
			w := s.do(s.mgmt, http.MethodGet, "/token?type=inference", key)
			assert.Equal(t, http.StatusBadRequest, w.Code)
			assert.Equal(t, strings.Replace(refusal, "Authorization", "Authentication", 1), w.Body.String())
			assert.Len(t, w.Body.String(), 155)
		}
		assert.Equal(t, f, s.file())
		assert.Equal(t, 4, count(s.log, failedUpdate))
	})

	t.Run("TOK-023 methods", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		f := s.file()
		for _, method := range []string{"PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
			w := s.do(s.mgmt, method, "/token?type=inference", f.API.Key)
			assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
			assert.Contains(t, w.Body.String(), "MethodNotAllowedException")
			assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, method, "/token?type=inference", ""), method)
		}
		assert.Equal(t, f, s.file())
		assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodPost, "/token?type=inference", f.API.Key))
		assert.NotEqual(t, f.Inference, s.file().Inference)
	})

	t.Run("TOK-024 a deleted file comes back", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		f := s.file()
		require.NoError(t, os.Remove(s.cfg.KeyFile))
		require.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/token?type=inference", f.API.Key))
		assert.Equal(t, os.FileMode(0o600), mode(t, s.cfg.KeyFile))
		assert.Equal(t, f.API, s.file().API)
	})

	t.Run("TOK-025 a folder that cannot be written keeps the old key", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		f := s.file()
		dir := filepath.Dir(s.cfg.KeyFile)
		require.NoError(t, os.Rename(dir, dir+".moved")) // root may write everywhere, but not below a file
		require.NoError(t, os.WriteFile(dir, nil, 0o600))
		w := s.renewWith(f.API.Key, "inference")
		require.NoError(t, os.Remove(dir))
		require.NoError(t, os.Rename(dir+".moved", dir))
		assert.Equal(t, http.StatusInternalServerError, w.Code)
		assert.JSONEq(t, `{"code": 500, "type": "InternalServerException", "message": "Failed to update key file"}`,
			w.Body.String())
		assert.Equal(t, 1, count(s.log, failedUpdate))
		assert.Equal(t, f, s.file())
		assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
	})

	t.Run("TOK-046 concurrent renewals leave file and memory consistent", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		api := s.file().API
		for range 10 { // what is lost in a race is only seen after its last renewals
			old := s.file()
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					kind := []string{"inference", "management"}[i%2]
					assert.Equal(t, http.StatusOK, s.renewWith(api.Key, kind).Code)
				})
			}
			wg.Wait()
			f := s.file()
			assert.Equal(t, api, f.API)
			assert.NotEqual(t, old.Inference, f.Inference)
			assert.NotEqual(t, old.Management, f.Management)
			require.Equal(t, http.StatusOK, s.ping(f.Inference.Key))
			require.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key))
		}
		files, err := os.ReadDir(filepath.Dir(s.cfg.KeyFile))
		require.NoError(t, err)
		assert.Len(t, files, 1)
	})
}

//nolint:misspell // compat(0.12): the banner is spelled like this
func TestLog(t *testing.T) {
	t.Parallel()

	t.Run("TOK-005 the banner and the line", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		assert.Equal(t, `info org.pytorch.serve.util.TokenAuthorization - 
######
TorchServe now enforces token authorization by default.
This requires the correct token to be provided when calling an API.
Key file located at `+s.cfg.KeyFile+`
Check token authorization documenation for information: `+
			`https://github.com/torchserve-go/torchserve/blob/main/docs/token_authorization_api.md 
######

info org.pytorch.serve.http.TokenAuthorizationHandler - Token Authorization Enabled
`, s.log.String())
	})

	t.Run("TOK-006 no key in any line", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		f := s.file()
		for _, key := range []string{f.Inference.Key, f.Management.Key, f.API.Key} {
			for _, target := range []string{"/ping", "/models", "/token?type=x", "/token?type=inference"} {
				s.do(s.mgmt, http.MethodGet, target, key)
				s.do(s.infer, http.MethodGet, target, key)
			}
		}
		after := s.file()
		require.NoError(t, s.keys.Close())
		for _, key := range []string{f.Inference.Key, f.Management.Key, f.API.Key, after.Inference.Key} {
			assert.NotContains(t, s.log.String(), key)
		}
		assert.Positive(t, count(s.log, failedUpdate))
	})
}
