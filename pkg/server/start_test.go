package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/server"
)

// TestStartFails lets each step of the start fail in turn. Not parallel: it looks
// for goroutines.
func TestStartFails(t *testing.T) { //nolint:paralleltest // see above
	user := ".torchserve-" + strconv.Itoa(os.Geteuid())
	for name, c := range map[string]struct {
		line    string
		prepare func(s *site)
		says    []string
	}{
		"token keys": {line: "token_key_file=none/key_file.json", says: []string{"none/key_file.json", "token_key_file"}},
		"plugins": {
			line: "plugins_path=plugins",
			prepare: func(s *site) {
				s.jar("plugins/mine.jar", "org.example.Mine")
			},
			says: []string{"Plugin class org.example.Mine in ", "mine.jar needs the Java plugin bridge"},
		},
		"work directory": {
			prepare: func(s *site) { s.file(filepath.Join("tmp", user), "") },
			says:    []string{"work directory below ", "TEMP", "is not a directory of this user alone"},
		},
		"Python package": {
			prepare: func(s *site) {
				s.mkdir(filepath.Join("tmp", user))
				s.file(filepath.Join("tmp", user, "python"), "")
			},
			says: []string{"unpack Python package"},
		},
		"unpacked models": {
			prepare: func(s *site) { s.file("tmp/models", "") },
			says:    []string{"prepare work directory", "TEMP"},
		},
		"D-CFG-19 folder of a socket": {
			line: "metrics_address=unix:/nowhere/x.sock",
			says: []string{"Failed to bind to address: unix:/nowhere/x.sock: ", "no such file or directory (change metrics_address)"},
		},
		"certificate": {
			line: "metrics_address=https://127.0.0.1:0\nprivate_key_file=k.pem\ncertificate_file=k.pem",
			prepare: func(s *site) {
				s.file("k.pem", "none")
			},
			says: []string{"TLS for https://127.0.0.1:0: ", "private_key_file"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.line)
			if c.prepare != nil {
				c.prepare(s)
			}
			err := s.refused()
			for _, text := range c.says {
				assert.ErrorContains(t, err, text)
			}
		})
	}
	for _, key := range []string{"inference", "management", "metrics"} {
		t.Run("CFG-025 port in use: "+key, func(t *testing.T) {
			s := newSite(t)
			const theirs = "keys of the server that has the port"
			s.file("key_file.json", theirs)
			address := taken(t)
			s.lines = append(s.lines, key+"_address="+address)
			err := s.refused()
			require.ErrorContains(t, err, "Failed to bind to address: "+address+": ")
			assert.ErrorContains(t, err, "(stop what uses it or change "+key+"_address)")
			assert.Contains(t, s.out.String(), "Failed to bind to address: "+address)
			keys, err := os.ReadFile(s.path("key_file.json"))
			require.NoError(t, err)
			assert.Equal(t, theirs, string(keys))
		})
	}
	t.Run("CFG-025 the metrics listener at the address of another", func(t *testing.T) {
		s := newSite(t)
		address := "unix:" + s.path("x.sock")
		s.lines = append(s.lines, "metrics_address="+address, "management_address="+address)
		err := s.refused()
		require.ErrorContains(t, err, "Failed to bind to address: "+address)
		assert.ErrorContains(t, err, "(metrics_address must differ from management_address)")
	})
	t.Run("log", func(t *testing.T) {
		s := newSite(t)
		cfg := s.config()
		cfg.Logs.Level = "loud" // config.Load knows better
		before := s.tree()
		_, err := server.New(t.Context(), cfg, s.deps)
		require.ErrorContains(t, err, "open the log: ")
		assert.Equal(t, before, s.tree())
	})
	t.Run("what the command wants at the end of the start", func(t *testing.T) {
		s := newSite(t)
		s.deps.Accepted = func() error { return errors.New("no pid file") }
		cfg := s.config()
		before := s.tree()
		err := server.Run(t.Context(), cfg, s.deps)
		require.EqualError(t, err, "no pid file")
		assert.Equal(t, before, s.tree())
		assert.NotContains(t, s.out.String(), "Model server started.")
	})
}
