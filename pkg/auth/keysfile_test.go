package auth_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/auth"
)

const (
	inferenceKey  = "inference-key-of-the-operator"
	inferenceOld  = "inference-key-of-yesterday"
	managementKey = "management-key-of-the-operator"
	apiKey        = "api-key-of-the-operator"
)

const outside = `{
  "management": {"key": "` + managementKey + `"},
  "inference": {"key": ["` + inferenceOld + `", "` + inferenceKey + `"]},
  "API": {"key": "` + apiKey + `"}
}
`

// rotated is outside without the old key.
var rotated = strings.Replace(outside, `"`+inferenceOld+`", `, "", 1)

// write makes the file of keys from outside.
func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// fromOutside sets a keys file, in the place of the key file.
func fromOutside(t *testing.T, text string) func(*auth.Config) {
	return func(c *auth.Config) {
		c.KeysFile = filepath.Join(filepath.Dir(c.KeyFile), "keys.json")
		write(t, c.KeysFile, text)
	}
}

func (s *server) ping(key string) int { return s.status(s.infer, http.MethodGet, "/ping", key) }

func TestKeysFromOutside(t *testing.T) {
	t.Parallel()

	t.Run("each key of a list opens its scope and no other", func(t *testing.T) {
		t.Parallel()
		s := start(t, fromOutside(t, outside))
		assert.Equal(t, http.StatusOK, s.ping(inferenceKey))
		assert.Equal(t, http.StatusOK, s.ping(inferenceOld))
		assert.Equal(t, http.StatusBadRequest, s.ping(managementKey))
		assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/models", managementKey))
		assert.Equal(t, http.StatusBadRequest, s.status(s.mgmt, http.MethodGet, "/models", inferenceKey))
		assert.Contains(t, s.log.String(), "Key file located at "+s.cfg.KeysFile+"\n")
	})

	t.Run("no key file is written, the operator's is neither written nor removed", func(t *testing.T) {
		t.Parallel()
		s := start(t, fromOutside(t, outside))
		w := s.renewWith(apiKey, "inference")
		assert.Equal(t, http.StatusConflict, w.Code)
		assert.Contains(t, w.Body.String(), "ConflictStatusException")
		assert.Equal(t, http.StatusBadRequest, s.renewWith(managementKey, "inference").Code)
		require.NoError(t, s.keys.Close())
		assert.NoFileExists(t, s.cfg.KeyFile)
		text, err := os.ReadFile(s.cfg.KeysFile)
		require.NoError(t, err)
		assert.Equal(t, outside, string(text))
	})

	t.Run("an expiry is optional, the API key too", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			at := time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)
			s := start(t, fromOutside(t, `{"management": {"key": "`+managementKey+`"},
				"inference": {"key": "`+inferenceKey+`", "expiration time": "`+at+`"}}`))
			wait(t, time.Minute-1)
			assert.Equal(t, http.StatusOK, s.ping(inferenceKey))
			wait(t, 1)
			assert.Equal(t, http.StatusBadRequest, s.ping(inferenceKey))
			assert.Equal(t, http.StatusOK, s.status(s.mgmt, http.MethodGet, "/models", managementKey))
			assert.Equal(t, http.StatusBadRequest, s.renewWith(apiKey, "inference").Code)
		})
	})

	t.Run("the key file of a server is a keys file", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		copied := start(t, func(c *auth.Config) { c.KeysFile = s.cfg.KeyFile })
		assert.Equal(t, http.StatusOK, copied.ping(s.file().Inference.Key))
	})
}

func TestKeysFileRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":                 {"", "not in the layout of key_file.json"},
		"no JSON":               {"{secret", "no JSON at byte 2"},
		"a list":                {"[]", "wrong type"},
		"no inference key":      {`{"management": {"key": "` + managementKey + `"}}`, "no inference key"},
		"no management key":     {`{"inference": {"key": "` + inferenceKey + `"}}`, "no management key"},
		"an empty list":         {strings.Replace(outside, `"`+managementKey+`"`, "[]", 1), "no management key"},
		"null":                  {strings.Replace(outside, `"`+managementKey+`"`, "null", 1), "management key is shorter than 16"},
		"a number":              {strings.Replace(outside, `"`+managementKey+`"`, "1234567890123456", 1), "wrong type"},
		"a short key":           {strings.Replace(outside, managementKey, "secret-15-chars", 1), "management key is shorter than 16"},
		"a blank in a key":      {strings.Replace(outside, apiKey, "secret of the operator", 1), "API key has characters"},
		"one key for two kinds": {strings.Replace(outside, managementKey, inferenceOld, 1), "two kinds share a key"},
		"a misspelled expiry": {
			strings.Replace(outside, `"key": "`+apiKey, `"expiration_time": "", "key": "`+apiKey, 1),
			"not in the layout of key_file.json",
		},
		"an unreadable expiry": {
			strings.Replace(outside, `"key": "`+apiKey, `"expiration time": "secret", "key": "`+apiKey, 1),
			"not in the layout of key_file.json",
		},
		"text behind": {outside + "{}", "text after the end"},
		"too large":   {outside + strings.Repeat(" ", 1<<20), "larger than 1048576 bytes"},
	} {
		t.Run(name+" stops the start without quoting a key", func(t *testing.T) {
			t.Parallel()
			cfg, lines := base(t, fromOutside(t, c.text))
			_, err := auth.Open(cfg)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "token_keys_file")
			require.ErrorContains(t, err, cfg.KeysFile)
			for _, secret := range []string{inferenceKey, inferenceOld, managementKey, apiKey, "secret", "123456789"} {
				assert.NotContains(t, err.Error(), secret)
			}
			assert.Equal(t, 1, count(lines, "Token Authorization setup unsuccessful"))
		})
	}

	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o600: true, 0o440: true, 0o640: true, 0o604: false, 0o644: false, 0o602: false} {
		t.Run("mode "+mode.String(), func(t *testing.T) {
			t.Parallel()
			cfg, _ := base(t, fromOutside(t, outside))
			require.NoError(t, os.Chmod(cfg.KeysFile, mode))
			_, err := auth.Open(cfg)
			if ok {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, "opens it to everybody")
		})
	}

	for name, make := range map[string]func(path string) error{
		"missing":  func(string) error { return nil },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := base(t, func(c *auth.Config) { c.KeysFile = c.KeyFile + ".keys" })
			require.NoError(t, make(cfg.KeysFile))
			_, err := auth.Open(cfg)
			assert.ErrorContains(t, err, "token_keys_file")
		})
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	s := start(t, fromOutside(t, outside))
	require.NoError(t, s.keys.Reload(), "unchanged")
	assert.NotContains(t, s.log.String(), "reloaded")

	write(t, s.cfg.KeysFile, "broken")
	require.ErrorContains(t, s.keys.Reload(), s.cfg.KeysFile)
	assert.Equal(t, http.StatusOK, s.ping(inferenceOld), "the old keys stay")

	require.NoError(t, os.Remove(s.cfg.KeysFile))
	require.Error(t, s.keys.Reload())
	assert.Equal(t, http.StatusOK, s.ping(inferenceOld), "the old keys stay")

	write(t, s.cfg.KeysFile, rotated)
	require.NoError(t, s.keys.Reload())
	assert.Equal(t, http.StatusBadRequest, s.ping(inferenceOld))
	assert.Equal(t, http.StatusOK, s.ping(inferenceKey))
	assert.Equal(t, 1, count(s.log, "info "+auth.Logger+" - Token keys reloaded from "+s.cfg.KeysFile+"\n"))

	generated := start(t)
	assert.NoError(t, generated.keys.Reload(), "nothing to read")
	assert.Equal(t, http.StatusOK, generated.ping(generated.file().Inference.Key))
}

// run runs s.keys until the test ends.
func run(t *testing.T, s *server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.keys.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, 10*time.Millisecond)
}

func TestWatch(t *testing.T) {
	t.Parallel()

	t.Run("a file written in place, broken in between", func(t *testing.T) {
		t.Parallel()
		s := start(t, fromOutside(t, outside))
		run(t, s)
		write(t, s.cfg.KeysFile, "broken")
		eventually(t, func() bool { return count(s.log, "Token keys not reloaded, the old ones stay | ") == 1 })
		assert.Equal(t, http.StatusOK, s.ping(inferenceOld))
		write(t, s.cfg.KeysFile, rotated)
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusBadRequest })
		assert.Equal(t, http.StatusOK, s.ping(inferenceKey))
		assert.NotContains(t, s.log.String(), inferenceKey)
	})

	t.Run("a file moved into place", func(t *testing.T) {
		t.Parallel()
		s := start(t, fromOutside(t, outside))
		run(t, s)
		write(t, s.cfg.KeysFile+".new", rotated)
		require.NoError(t, os.Rename(s.cfg.KeysFile+".new", s.cfg.KeysFile))
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusBadRequest })
	})

	t.Run("a Kubernetes Secret", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		version := func(name, text string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
			path := filepath.Join(dir, name, "keys.json")
			write(t, path, text)
			require.NoError(t, os.Chmod(path, 0o440))
		}
		version("..1", outside)
		require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
		require.NoError(t, os.Symlink(filepath.Join("..data", "keys.json"), filepath.Join(dir, "keys.json")))
		s := start(t, func(c *auth.Config) { c.KeysFile = filepath.Join(dir, "keys.json") })
		run(t, s)
		update := func(old, name, text string) { // as the kubelet does it
			version(name, text)
			require.NoError(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
			require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, old)))
		}
		update("..1", "..2", rotated) // may be seen by the first look
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusBadRequest })
		update("..2", "..3", outside) // only by watching
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusOK })
		assert.Equal(t, http.StatusOK, s.ping(inferenceKey))
		assert.NotContains(t, s.log.String(), "not reloaded")
	})

	t.Run("a change before the watch began", func(t *testing.T) {
		t.Parallel()
		s := start(t, fromOutside(t, outside))
		write(t, s.cfg.KeysFile, rotated)
		run(t, s)
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusBadRequest })
	})

	t.Run("D-TOK-25 a folder that goes away and comes back", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "keys")
		put := func(text string) {
			require.NoError(t, os.Mkdir(dir, 0o755))
			write(t, filepath.Join(dir, "keys.json"), text)
		}
		put(outside)
		s := start(t, func(c *auth.Config) { c.KeysFile = filepath.Join(dir, "keys.json") })
		run(t, s)
		require.NoError(t, os.RemoveAll(dir))
		eventually(t, func() bool { return count(s.log, "Token keys not reloaded, the old ones stay | ") > 0 })
		assert.Equal(t, http.StatusOK, s.ping(inferenceOld))
		put(rotated)
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusBadRequest })
		write(t, s.cfg.KeysFile, outside) // by the new watch
		eventually(t, func() bool { return s.ping(inferenceOld) == http.StatusOK })
	})

	t.Run("a folder that cannot be watched is logged, the keys stay", func(t *testing.T) {
		t.Parallel()
		s := start(t, fromOutside(t, outside))
		require.NoError(t, os.RemoveAll(filepath.Dir(s.cfg.KeysFile)))
		run(t, s)
		eventually(t, func() bool {
			return count(s.log, "The folder of token_keys_file cannot be watched; it is tried again") == 1
		})
		assert.Equal(t, http.StatusOK, s.ping(inferenceKey))
	})

	t.Run("generated keys: nothing to watch", func(t *testing.T) {
		t.Parallel()
		assert.NoError(t, start(t).keys.Run(t.Context()))
	})
}
