package backend_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/backend"
)

func TestCPULauncher(t *testing.T) {
	t.Parallel()
	count := func(t *testing.T, runs string) int {
		t.Helper()
		text, err := os.ReadFile(runs)
		require.NoError(t, err)
		return len(text) / len("run\n")
	}
	t.Run("WRK-047 one that works is tried once", func(t *testing.T) {
		t.Parallel()
		words := filepath.Join(t.TempDir(), "words")
		path, runs := program(t, `echo "$@" > `+words)
		c := &backend.CPULauncher{Args: []string{"--node_id", "0"}}
		for range 3 {
			require.NoError(t, c.Check(t.Context(), path, "", nil))
		}
		assert.Equal(t, 1, count(t, runs))
		text, err := os.ReadFile(words)
		require.NoError(t, err)
		assert.Equal(t, "-m torch.backends.xeon.run_cpu --node_id 0 --no_python hostname\n", string(text))
	})
	t.Run("WRK-047 another one is tried again each time, and says why", func(t *testing.T) {
		t.Parallel()
		path, runs := program(t, "echo Traceback; echo \"ModuleNotFoundError: No module named 'torch'\" >&2; exit 1")
		c := &backend.CPULauncher{}
		for range 2 {
			assert.EqualError(t, c.Check(t.Context(), path, "", nil), "start hostname with torch.backends.xeon.run_cpu of "+path+
				": exit status 1: ModuleNotFoundError: No module named 'torch'")
		}
		assert.Equal(t, 2, count(t, runs))
	})
	t.Run("CFG-043 in the directory and the environment of the worker, once for each", func(t *testing.T) {
		t.Parallel()
		path, runs := program(t, `test "$MODEL" != without -a -z "$HOME"`)
		dir := t.TempDir()
		c := &backend.CPULauncher{}
		for range 2 {
			for _, env := range [][]string{{"MODEL=one"}, {"MODEL=two"}} {
				require.NoError(t, c.Check(t.Context(), path, dir, env))
			}
		}
		assert.Equal(t, 2, count(t, runs))
		require.NoError(t, c.Check(t.Context(), path, "/", []string{"MODEL=one"}))
		assert.Equal(t, 3, count(t, runs), "there it may import something else")
		require.Error(t, c.Check(t.Context(), path, dir, []string{"MODEL=without"}))
		require.Error(t, c.Check(t.Context(), path, dir+"/none", []string{"MODEL=one"}))
	})
	t.Run("who waits can give up", func(t *testing.T) {
		t.Parallel()
		path, _ := program(t, "sleep 600")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, (&backend.CPULauncher{}).Check(ctx, path, "", nil), context.Canceled)
	})
}
