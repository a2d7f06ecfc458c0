package server

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func opened(t *testing.T, temp string) *workDir {
	t.Helper()
	w, err := openWorkDir(temp)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.close() }) // the test may have done it
	return w
}

// crashed makes w look like the directory of a server that was killed.
func crashed(t *testing.T, w *workDir) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(w.own, ".ts.sock.9000"), nil, 0o600))
	require.NoError(t, w.lock.Close())
}

func TestWorkDir(t *testing.T) {
	t.Parallel()
	t.Run("it is this user's alone, and goes", func(t *testing.T) {
		t.Parallel()
		temp := t.TempDir()
		w := opened(t, temp)
		for _, dir := range []string{w.shared, w.own} {
			info, err := os.Stat(dir)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
		}
		assert.Equal(t, filepath.Join(temp, ".torchserve-"+strconv.Itoa(os.Geteuid())), w.shared)
		require.NoError(t, w.close())
		assert.NoDirExists(t, w.own)
		assert.DirExists(t, w.shared)
	})
	t.Run("what a killed server left is removed, what a living one has is not", func(t *testing.T) {
		t.Parallel()
		temp := filepath.Join(t.TempDir(), "odd [*?] name")
		require.NoError(t, os.Mkdir(temp, 0o700))
		dead, living := opened(t, temp), opened(t, temp)
		assert.NotEqual(t, dead.own, living.own, "CLI-049 two servers never share one")
		crashed(t, dead)
		python := filepath.Join(living.python(), "0123", "ts")
		require.NoError(t, os.MkdirAll(python, 0o700))
		foreign := filepath.Join(living.shared, "foreign")
		require.NoError(t, os.Mkdir(foreign, 0o700))
		opened(t, temp)
		assert.NoDirExists(t, dead.own)
		assert.DirExists(t, living.own)
		assert.DirExists(t, python)
		assert.DirExists(t, foreign, "nobody says that its server is gone")
	})
	t.Run("many start at once", func(t *testing.T) {
		t.Parallel()
		temp := t.TempDir()
		require.NoError(t, opened(t, temp).close())
		var all sync.WaitGroup
		dirs := make(chan *workDir, 16) // as many as there are starts
		for range cap(dirs) {
			all.Go(func() {
				w, err := openWorkDir(temp)
				if assert.NoError(t, err) {
					dirs <- w
				}
			})
		}
		all.Wait()
		close(dirs)
		for w := range dirs {
			assert.FileExists(t, filepath.Join(w.own, lockName), "nobody took it for a dead one's")
			require.NoError(t, w.close())
		}
	})
	for name, make := range map[string]func(path string) error{
		"a file":                 func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a link":                 func(path string) error { return os.Symlink(t.TempDir(), path) },
		"a directory for others": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		t.Run(name+" in its place is refused", func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			path := filepath.Join(temp, ".torchserve-"+strconv.Itoa(os.Geteuid()))
			require.NoError(t, make(path))
			_, err := openWorkDir(temp)
			require.EqualError(t, err, "work directory below "+temp+" (set TEMP to another one): "+
				path+" is not a directory of this user alone: remove it")
		})
	}
	t.Run("a temporary directory that is gone", func(t *testing.T) {
		t.Parallel()
		_, err := openWorkDir(filepath.Join(t.TempDir(), "none"))
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.True(t, strings.HasPrefix(err.Error(), "work directory below "))
	})
}

// TestMemoryLimit is not parallel: the limit is the process's.
func TestMemoryLimit(t *testing.T) { //nolint:paralleltest // see above
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	assert.Greater(t, memoryLimit(), int64(64<<20), "of the machine")
	assert.Less(t, memoryLimit(), int64(math.MaxInt64))
	debug.SetMemoryLimit(3 << 30)
	assert.Equal(t, int64(3<<30), memoryLimit(), "GOMEMLIMIT")
}

func TestUndoStack(t *testing.T) {
	t.Parallel()
	var u undoStack
	var said []string
	step := func(name string, err error) {
		u.push(name, func(context.Context) error {
			said = append(said, name)
			return err
		})
	}
	step("first", nil)
	step("second", assert.AnError)
	step("third", os.ErrClosed)
	err := u.unwind(t.Context())
	require.EqualError(t, err, "stop third: "+os.ErrClosed.Error()+"\nstop second: "+assert.AnError.Error())
	assert.Equal(t, []string{"third", "second", "first"}, said)
	require.NoError(t, u.unwind(t.Context()))
	assert.Len(t, said, 3)
}
