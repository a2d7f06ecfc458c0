package archive_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestWorkDirectory(t *testing.T) {
	t.Parallel()
	t.Run("MAR-065 every registration has its own directory", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "noop.mar", zipped(t, noop()))
		a, b := f.opened(t, archive.Request{URL: "noop.mar"}), f.opened(t, archive.Request{URL: "noop.mar"})
		assert.NotEqual(t, a.Archive.Dir, b.Archive.Dir)
		for _, u := range []*archive.Unpacked{a, b} {
			assert.Equal(t, f.work, filepath.Dir(u.Archive.Dir))
			assert.Regexp(t, regexp.MustCompile("^[0-9a-f]{32}$"), filepath.Base(u.Archive.Dir))
		}
		require.NoError(t, a.Remove())
		assert.NoDirExists(t, a.Archive.Dir)
		assert.DirExists(t, b.Archive.Dir)
		info, err := os.Stat(f.work)
		require.NoError(t, err)
		assert.Equal(t, os.ModeDir|0o700, info.Mode())
	})
	t.Run("MAR-067 the end removes model directories and keeps archives", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, nil)
		f.put(t, "local.mar", zipped(t, noop()))
		f.put(t, "dir/noop.py", nil)
		f.opened(t, archive.Request{URL: "local.mar"})
		f.opened(t, archive.Request{URL: "dir", Name: "dir"})
		f.opened(t, archive.Request{URL: h.URL + "/fetched.mar"})
		write(t, filepath.Join(f.work, "foreign", "file"), nil)
		write(t, filepath.Join(f.work, strings.Repeat("0", 32), "file"), nil)
		require.NoError(t, f.Close())
		assert.Len(t, tree(t, f.work), 4, "what is not ours stays")
		assert.ElementsMatch(t, []string{"local.mar", "fetched.mar", "dir", "dir/noop.py"}, f.visible(t))
		_, err := f.Open(t.Context(), archive.Request{URL: "local.mar"})
		assert.True(t, fault.Is(err, fault.Internal), "%v", err)
	})
	t.Run("a start removes what a killed server has left and nothing else", func(t *testing.T) {
		t.Parallel()
		killed := newFixture(t, nil)
		killed.put(t, "noop.mar", zipped(t, noop()))
		left := killed.opened(t, archive.Request{URL: "noop.mar"})
		// A killed process has no lock any more; its directory under another
		// name stands for it, because this process still holds the lock.
		own, err := filepath.Glob(filepath.Join(killed.work, ".torchserve-*"))
		require.NoError(t, err)
		require.Len(t, own, 1)
		stale := filepath.Join(killed.work, ".torchserve-stale")
		id := strings.Repeat("ab", 16)
		for _, name := range []string{"lock", id, id + ".download/half"} {
			write(t, filepath.Join(stale, name), nil)
		}
		write(t, filepath.Join(killed.work, id, "noop.py"), nil)
		write(t, filepath.Join(killed.work, "foreign", "file"), nil)
		write(t, filepath.Join(killed.models, ".downloads", "left.part"), nil)

		next := newFixture(t, func(cfg *archive.Config) { cfg.WorkDir, cfg.ModelStore = killed.work, killed.models })
		require.NoError(t, next.Prepare())
		assert.NoDirExists(t, stale)
		assert.NoDirExists(t, filepath.Join(killed.work, id))
		assert.NoDirExists(t, filepath.Join(killed.models, ".downloads"))
		assert.FileExists(t, filepath.Join(killed.work, "foreign", "file"))
		assert.DirExists(t, left.Archive.Dir, "the other instance lives")
	})
	t.Run("a cleaner of the temporary directory does no lasting harm", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "noop.mar", zipped(t, noop()))
		u := f.opened(t, archive.Request{URL: "noop.mar"})
		require.NoError(t, os.RemoveAll(f.work))
		f.opened(t, archive.Request{URL: "noop.mar"})
		require.NoError(t, u.Remove())
	})
	t.Run("a work directory that cannot be made is named", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "noop.mar", zipped(t, noop()))
		write(t, filepath.Dir(f.work), nil)
		err := f.Prepare()
		require.Error(t, err)
		assert.Contains(t, err.Error(), f.work)
		assert.Contains(t, err.Error(), "TEMP")
		_, err = f.Open(t.Context(), archive.Request{URL: "noop.mar"})
		assert.Equal(t, "Failed to save model: noop.mar", fault.Message(err))
	})
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	h := newHost(t, serve(zipped(t, noop())))
	f := newFixture(t, nil)
	f.put(t, "local.mar", zipped(t, noop()))
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			location := []string{"local.mar", h.URL + "/a.mar", fmt.Sprintf("%s/%d.mar", h.URL, i)}[i%3]
			u, err := f.Open(t.Context(), archive.Request{URL: location})
			if assert.NoError(t, err) {
				assert.FileExists(t, filepath.Join(u.Archive.Dir, "noop.py"))
				assert.NoError(t, u.Remove())
			}
		})
	}
	group.Wait()
	assert.Equal(t, []string{"local.mar"}, f.visible(t))
	assert.Empty(t, f.modelDirs(t))
}
