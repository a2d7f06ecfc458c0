package snapshot_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// state is a snapshot of one model.
func state(name string) snapshot.State {
	return snapshot.State{Name: name, Created: time.UnixMilli(1), Versions: []snapshot.Version{{Name: "m", Version: "1.0", Archive: "m.mar", Runtime: model.Python}}}
}

const first = "20260101000000000-startup.cfg"

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := []string{}
	for _, e := range entries {
		if e.Name() != ".unfinished" {
			all = append(all, e.Name())
		}
	}
	return all
}

func TestFolder(t *testing.T) {
	t.Parallel()
	t.Run("CLI-043 only the owner can look at it", func(t *testing.T) {
		t.Parallel()
		f, dir := folder(t)
		require.NoError(t, f.Save(state(first), nil))
		for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, first): 0o600} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, want, info.Mode().Perm(), path)
		}
	})
	t.Run("a name is used once", func(t *testing.T) {
		t.Parallel()
		f, dir := folder(t)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.Symlink("/nowhere", filepath.Join(dir, first)))
		require.ErrorIs(t, f.Save(state(first), nil), snapshot.ErrExists)
		assert.Equal(t, []string{first}, names(t, dir))
	})
	t.Run("what cannot be written leaves nothing", func(t *testing.T) {
		t.Parallel()
		f, dir := folder(t)
		require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o700))
		require.NoError(t, os.WriteFile(dir, nil, 0o600))
		require.ErrorContains(t, f.Save(state(first), nil), dir)
		require.NoError(t, os.Remove(dir))
		require.NoError(t, f.Save(state(first), nil))

		target := strings.Repeat("x", 300) + first // too long a name, found out when all is written
		require.Error(t, f.Save(state(target), nil))
		assert.Equal(t, []string{first}, names(t, dir))
		assert.Empty(t, names(t, filepath.Join(dir, ".unfinished")))
	})
	t.Run("keys and values that need escapes", func(t *testing.T) {
		t.Parallel()
		all := []snapshot.Property{
			{"plain", "value"}, {"a key:=#!", "  two blanks # : ! ="}, {"control", "\t\n\r\f\x00\x7f"}, {"beyond", "é中😀"}, {`back\slash`, `C:\models`},
		}
		got := saved(t, state(first), all)
		assert.Equal(t, []string{
			"plain=value",
			`a\ key\:\=\#\!=\  two blanks \# \: \! \=`,
			`control=\t\n\r\f\u0000\u007F`,
			`beyond=\u00E9\u4E2D\uD83D\uDE00`,
			`back\\slash=C\:\\models`,
		}, got[2:7])
	})
}

// TestSaveAgain: texts of versions that are known already are those of now.
func TestSaveAgain(t *testing.T) {
	t.Parallel()
	f, dir := folder(t)
	plain := func(name model.Name, version model.Version) snapshot.Version {
		return snapshot.Version{
			Name: name, Version: version, Archive: "m.mar", Size: 1, Response: model.DefaultResponse, Startup: model.DefaultStartup, Runtime: model.Python,
		}
	}
	byDefault, scaled, handled := plain("m", "1.0"), plain("m", "2.0"), plain("m", "2.0")
	byDefault.Default = true
	scaled.Workers = model.Workers{Min: 1, Max: 2}
	handled.Handler = new("h.py:f")
	odd := plain("n\n = '{\"}", "1.0")
	for i, versions := range [][]snapshot.Version{
		{},
		{plain("m", "1.0")},
		{byDefault, plain("m", "2.0"), odd},
		{plain("m", "1.0"), scaled, odd},
		{plain("m", "1.0"), handled, odd},
		{plain("m", "2.0"), odd, plain("o", "1.0"), plain("o", "2.0"), plain("o", "10.0")},
		{odd},
		{},
		{byDefault, scaled},
	} {
		s := snapshot.State{Name: fmt.Sprintf("2026010100000000%d-snapshot.cfg", i), Created: time.UnixMilli(1), Count: len(versions), Versions: versions}
		require.NoError(t, f.Save(s, nil))
		file, err := os.ReadFile(filepath.Join(dir, s.Name))
		require.NoError(t, err)
		got := read(t, file)["model_snapshot"]
		want, err := s.JSON()
		require.NoError(t, err)
		assert.Equal(t, want, got)
		back, err := snapshot.Parse(got)
		require.NoError(t, err)
		assert.Equal(t, len(versions), back.Count)
		assert.ElementsMatch(t, versions, back.Versions)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	day := func(n int, kind string) string { return fmt.Sprintf("202601%02d000000000-%s.cfg", n, kind) }
	t.Run("D-CLI-20 the newest of each kind stay, and what is not ours", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		foreign := []string{"20250101000000000-other.cfg", "2025-startup.cfg", "notes.txt"}
		for _, name := range foreign {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		}
		require.NoError(t, os.Mkdir(filepath.Join(dir, "20250101000000000-startup.cfg"), 0o700))
		f := snapshot.NewFolder(snapshot.FolderConfig{Dir: dir, Retention: 2, InUse: filepath.Join(dir, day(1, "snapshot"))})
		for n := 1; n <= 5; n++ {
			require.NoError(t, f.Save(state(day(n, "snapshot")), nil))
		}
		require.NoError(t, f.Save(state(day(1, "shutdown")), nil))
		require.NoError(t, f.Save(state(day(2, "startup")), nil))
		assert.ElementsMatch(t, append([]string{
			"20250101000000000-startup.cfg", day(1, "snapshot"), day(4, "snapshot"), day(5, "snapshot"), day(1, "shutdown"), day(2, "startup"),
		}, foreign...), names(t, dir))
	})
	t.Run("0 keeps all", func(t *testing.T) {
		t.Parallel()
		f, dir := folder(t)
		for n := 1; n <= 20; n++ {
			require.NoError(t, f.Save(state(day(n, "snapshot")), nil))
		}
		assert.Len(t, names(t, dir), 20)
	})
	t.Run("D-CLI-21 what a server that was killed has left unfinished goes after an hour", func(t *testing.T) {
		t.Parallel()
		f, dir := folder(t)
		unfinished := filepath.Join(dir, ".unfinished")
		require.NoError(t, os.MkdirAll(unfinished, 0o700))
		for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "young": time.Minute} {
			path := filepath.Join(unfinished, name)
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			at := time.Now().Add(-age)
			require.NoError(t, os.Chtimes(path, at, at))
		}
		require.NoError(t, f.Save(state(first), nil))
		assert.Equal(t, []string{"young"}, names(t, unfinished))
	})
	t.Run("what cannot be removed is told, and does no harm", func(t *testing.T) {
		t.Parallel()
		var log bytes.Buffer
		dir := t.TempDir()
		stuck := filepath.Join(dir, ".unfinished", "stuck")
		require.NoError(t, os.MkdirAll(filepath.Join(stuck, "full"), 0o700))
		require.NoError(t, os.Chtimes(stuck, time.Unix(1, 0), time.Unix(1, 0)))
		f := snapshot.NewFolder(snapshot.FolderConfig{Dir: dir, Log: zerolog.New(&log)})
		require.NoError(t, f.Save(state(first), nil))
		assert.Contains(t, log.String(), "Old snapshots could not be removed")
		assert.Contains(t, log.String(), stuck)
	})
}

func TestNewest(t *testing.T) {
	t.Parallel()
	f, dir := folder(t)
	assert.Zero(t, f.Newest())
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"20261122042545717-startup.cfg", "20251122042545717-snapshot.cfg", "99999999999999999-startup.cfg", "20271122042545717-other.cfg"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	assert.Equal(t, time.Date(2026, 11, 22, 4, 25, 45, 717e6, time.UTC), f.Newest())
}

func BenchmarkSave(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("models=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			f := snapshot.NewFolder(snapshot.FolderConfig{Dir: b.TempDir(), Retention: 50})
			s := state("")
			for i := range n {
				v := s.Versions[0]
				v.Name = model.Name(fmt.Sprintf("m%d", i))
				s.Versions = append(s.Versions, v)
			}
			for i := 0; b.Loop(); i++ {
				s.Name = fmt.Sprintf("%017d-snapshot.cfg", i)
				require.NoError(b, f.Save(s, nil))
			}
		})
	}
}
