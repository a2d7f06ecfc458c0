package auth_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/auth"
)

func TestKeyFile(t *testing.T) {
	t.Parallel()

	t.Run("TOK-001 TOK-002 TOK-004 content, order, mode and expiry", func(t *testing.T) {
		t.Parallel()
		at := time.Date(2024, 2, 16, 20, 12, 24, 801167999, time.FixedZone("", 3600))
		s := start(t, func(c *auth.Config) { c.Now = func() time.Time { return at } })
		f := s.file()
		text, err := os.ReadFile(s.cfg.KeyFile)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf(`{
  "management": {
    "key": "%s",
    "expiration time": "2024-02-16T20:12:24.801167Z"
  },
  "inference": {
    "key": "%s",
    "expiration time": "2024-02-16T20:12:24.801167Z"
  },
  "API": {
    "key": "%s"
  }
}`, f.Management.Key, f.Inference.Key, f.API.Key), string(text))
		assert.Equal(t, os.FileMode(0o600), mode(t, s.cfg.KeyFile))
	})

	t.Run("TOK-003 keys differ and use the URL-safe alphabet", func(t *testing.T) {
		t.Parallel()
		for bytes, length := range map[int]int{6: 8, 32: 43} {
			f := start(t, func(c *auth.Config) { c.KeyBytes = bytes }).file()
			for _, key := range []string{f.Management.Key, f.Inference.Key, f.API.Key} {
				assert.Regexp(t, regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9_-]{%d}$`, length)), key)
			}
			assert.NotEqual(t, f.Management.Key, f.Inference.Key)
			assert.NotEqual(t, f.Management.Key, f.API.Key)
			assert.NotEqual(t, f.Inference.Key, f.API.Key)
		}
	})

	t.Run("TOK-042 no file of the folder is ever readable by others", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		dir := filepath.Dir(s.cfg.KeyFile)
		api, done := s.file().API.Key, make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(done)
			for range 100 {
				assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/token?type=inference", api))
			}
		})
		looks := 0
		for running := true; running; looks++ {
			select {
			case <-done:
				running = false
			default:
			}
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, f := range files {
				if info, err := f.Info(); err == nil { // it may be renamed by now
					require.Equal(t, os.FileMode(0o600), info.Mode(), f.Name())
				}
			}
		}
		wg.Wait()
		assert.Greater(t, looks, 1)
	})

	t.Run("TOK-043 a link is replaced, its target untouched", func(t *testing.T) {
		t.Parallel()
		cfg, lines := base(t)
		target := filepath.Join(filepath.Dir(cfg.KeyFile), "precious")
		require.NoError(t, os.WriteFile(target, []byte("precious"), 0o644))
		require.NoError(t, os.Symlink(target, cfg.KeyFile))
		k, err := auth.Open(cfg)
		require.NoError(t, err)
		text, err := os.ReadFile(target)
		require.NoError(t, err)
		assert.Equal(t, "precious", string(text))
		assert.Equal(t, os.FileMode(0o600), mode(t, cfg.KeyFile), "a file, no link")
		assert.Contains(t, lines.String(), "warn "+auth.Logger+" - "+cfg.KeyFile+" exists already")
		assert.NoError(t, k.Close())
	})

	t.Run("a folder that cannot be written stops the start and names the setting", func(t *testing.T) {
		t.Parallel()
		cfg, lines := base(t)
		require.NoError(t, os.Remove(filepath.Dir(cfg.KeyFile)))
		_, err := auth.Open(cfg)
		require.ErrorContains(t, err, "token_key_file")
		require.ErrorContains(t, err, cfg.KeyFile)
		assert.Equal(t, "error "+auth.Logger+" - Token Authorization setup unsuccessful\n", lines.String())
	})

	t.Run("a folder in the file's place leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		cfg, _ := base(t)
		require.NoError(t, os.MkdirAll(filepath.Join(cfg.KeyFile, "x"), 0o700))
		_, err := auth.Open(cfg)
		require.ErrorContains(t, err, "token_key_file")
		files, err := os.ReadDir(filepath.Dir(cfg.KeyFile))
		require.NoError(t, err)
		assert.Len(t, files, 1)
	})

	t.Run("keys too short stop the start", func(t *testing.T) {
		t.Parallel()
		cfg, _ := base(t, func(c *auth.Config) { c.KeyBytes = 5 })
		_, err := auth.Open(cfg)
		require.ErrorContains(t, err, "token_key_bytes must be 6 or more")
		assert.NoFileExists(t, cfg.KeyFile)
	})
}

func TestClose(t *testing.T) {
	t.Parallel()

	t.Run("removes its own file, once", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		require.NoError(t, s.keys.Close())
		assert.NoFileExists(t, s.cfg.KeyFile)
		require.NoError(t, s.keys.Close())
	})

	t.Run("leaves the file of another server", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		other := start(t, func(c *auth.Config) { c.KeyFile = s.cfg.KeyFile })
		require.NoError(t, s.keys.Close())
		assert.Equal(t, http.StatusOK, other.status(other.infer, http.MethodGet, "/ping", other.file().Inference.Key))
		require.NoError(t, os.WriteFile(s.cfg.KeyFile, []byte("not even JSON"), 0o600))
		require.NoError(t, other.keys.Close())
		assert.FileExists(t, s.cfg.KeyFile)
	})

	t.Run("a renewal that comes too late writes no file", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		api := s.file().API.Key
		require.NoError(t, s.keys.Close())
		assert.Equal(t, http.StatusInternalServerError, s.status(s.mgmt, http.MethodGet, "/token?type=inference", api))
		assert.NoFileExists(t, s.cfg.KeyFile)
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()

	t.Run("TOK-026 a key expires and its renewal works", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := start(t, func(c *auth.Config) { c.Expiry = 3*time.Second + 999*time.Millisecond })
			f := s.file()
			at := func(d time.Duration) { wait(t, d) }
			at(3*time.Second - 1)
			assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
			at(1)
			assert.Equal(t, http.StatusBadRequest, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
			assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key))
			at(24 * 365 * time.Hour)
			require.Equal(t, http.StatusOK, s.renew("inference").Code, "the API key never expires")
			assert.Equal(t, http.StatusOK, s.status(s.infer, http.MethodGet, "/ping", s.file().Inference.Key))
			assert.Equal(t, http.StatusBadRequest, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
			assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key))
			assert.Equal(t, 1, count(s.log, "info "+auth.HandlerLogger+" - Inference token expired\n"))
			assert.Equal(t, 1, count(s.log, "info "+auth.HandlerLogger+" - Management token expired\n"))
		})
	})

	for name, lifetime := range map[string]time.Duration{
		"TOK-028 zero":                     0,
		"TOK-028 negative":                 -time.Minute,
		"TOK-028 positive, below a second": 999 * time.Millisecond,
	} {
		t.Run(name+" expires at once", func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *auth.Config) { c.Expiry = lifetime })
			f := s.file()
			assert.Equal(t, http.StatusBadRequest, s.status(s.infer, http.MethodGet, "/ping", f.Inference.Key))
			assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", f.Management.Key))
			assert.Equal(t, http.StatusOK, s.renew("inference").Code)
		})
	}
}
