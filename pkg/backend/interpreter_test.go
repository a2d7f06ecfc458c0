package backend_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/backend"
	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

// program writes a shell script that stands for an interpreter and counts how
// often it is run.
func program(t *testing.T, body string) (path, runs string) {
	t.Helper()
	dir := t.TempDir()
	path, runs = filepath.Join(dir, "python"), filepath.Join(dir, "runs")
	script := "#!/bin/sh\necho run >> " + runs + "\n" + body + "\n"
	procgrouptest.Program(t, path, script)
	return path, runs
}

func TestInterpreters(t *testing.T) {
	t.Parallel()
	t.Run("a launcher is seen through", func(t *testing.T) {
		t.Parallel()
		path, _ := program(t, "echo 3 11 /opt/python/bin/python3.11")
		var i backend.Interpreters
		got, err := i.Resolve(path)
		require.NoError(t, err)
		assert.Equal(t, "/opt/python/bin/python3.11", got)
	})
	t.Run("CFG-043 it is asked in the environment of workers", func(t *testing.T) {
		t.Parallel()
		path, _ := program(t, `test -z "$HOME" && echo 3 11 /opt/$WHICH/python`)
		i := backend.Interpreters{Environ: []string{"WHICH=this"}}
		got, err := i.Resolve(path)
		require.NoError(t, err)
		assert.Equal(t, "/opt/this/python", got)
	})
	t.Run("it is asked once, however many wait", func(t *testing.T) {
		t.Parallel()
		path, runs := program(t, "echo 3 8 /usr/bin/python3")
		var i backend.Interpreters
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := i.Resolve(path)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		text, err := os.ReadFile(runs)
		require.NoError(t, err)
		assert.Equal(t, "run\n", string(text))
	})
	t.Run("one that does not know its path is used by name", func(t *testing.T) {
		t.Parallel()
		path, _ := program(t, "echo 3 12 None")
		var i backend.Interpreters
		got, err := i.Resolve(path)
		require.NoError(t, err)
		assert.Equal(t, path, got)
	})
	for name, c := range map[string]struct{ body, says string }{
		"older than 3.8":    {"echo 3 7 /usr/bin/python3.7", "its version 3.7 is too old: workers need Python 3.8 or newer"},
		"Python 2":          {"echo 2 7 /usr/bin/python2", "its version 2.7 is too old"},
		"no Python":         {"echo hello", "it is no Python"},
		"numbers expected":  {"echo a b c", "it is no Python"},
		"one that fails":    {"exit 3", "it does not run"},
		"says nothing else": {"true", "it is no Python"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			path, _ := program(t, c.body)
			var i backend.Interpreters
			_, err := i.Resolve(path)
			require.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, path)
			assert.ErrorContains(t, err, "--python")
		})
	}
}
