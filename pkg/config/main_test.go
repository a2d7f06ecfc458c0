package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a working directory in which a server could start: a model store, a
// Python on PATH, two CPUs.
type site struct {
	t   *testing.T
	src config.Sources
	env map[string]string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	s := &site{t: t, env: map[string]string{"PATH": filepath.Join(dir, "bin")}}
	s.src = config.Sources{Dir: dir, CPUs: 2, Flags: config.Flags{ModelStore: "store"}}
	s.mkdir("store")
	s.program("bin/python3")
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.src.Dir, name) }

func (s *site) mkdir(name string) { require.NoError(s.t, os.MkdirAll(s.path(name), 0o750)) }

func (s *site) file(name, content string) string {
	s.mkdir(filepath.Dir(name))
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(content), 0o600))
	return s.path(name)
}

func (s *site) program(name string) string {
	path := s.file(name, "")
	require.NoError(s.t, os.Chmod(path, 0o700))
	return path
}

func (s *site) try() (config.Config, error) {
	s.src.Environ = nil
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		s.src.Environ = append(s.src.Environ, name+"="+s.env[name])
	}
	return config.Load(s.src)
}

func (s *site) load() config.Config {
	s.t.Helper()
	c, err := s.try()
	require.NoError(s.t, err)
	return c
}

// faults returns the lines of a refused configuration.
func (s *site) faults() []string {
	s.t.Helper()
	c, err := s.try()
	var faults *config.Error
	require.ErrorAs(s.t, err, &faults)
	require.Equal(s.t, config.Config{}, c)
	return strings.Split(err.Error(), "\n")
}

// properties writes config.properties.
func (s *site) properties(lines ...string) *site {
	s.file("config.properties", strings.Join(lines, "\n")+"\n")
	return s
}

// with is a site with these properties.
func with(t *testing.T, lines ...string) *site {
	t.Helper()
	return newSite(t).properties(lines...)
}

func effective(c config.Config, key string) string {
	for _, p := range c.Effective() {
		if p.Key == key {
			return p.Value
		}
	}
	return "(not set)"
}

func texts(c config.Config) []string {
	all := make([]string, 0, len(c.Warnings))
	for _, w := range c.Warnings {
		all = append(all, w.Text)
	}
	return all
}
