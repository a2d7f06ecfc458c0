package logging_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

// roller is a running log of which a test looks at ts_log.log.
type roller struct {
	*bench
	log zerolog.Logger
}

func newRoller(t *testing.T, change func(cfg *logging.Config)) *roller {
	t.Helper()
	b := newBench(t, change)
	ended := make(chan error)
	go func() { ended <- b.Run(t.Context()) }()
	t.Cleanup(func() {
		b.end(t)
		assert.NoError(t, <-ended)
	})
	return &roller{bench: b, log: b.Logger(logging.ModelServer, logging.MainThread)}
}

// write logs text as a batch of its own.
func (r *roller) write(t *testing.T, text string) {
	t.Helper()
	r.log.Error().Msg(text)
	require.Eventually(t, func() bool { return r.has("ts_log.log", text) }, eventually, tick)
}

// unpack waits for an archive and returns its content.
func (r *roller) unpack(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, eventually, tick, name)
	require.Eventually(t, func() bool { _, err := os.Stat(strings.TrimSuffix(path, ".gz")); return err != nil }, eventually, tick)
	return gunzip(t, path)
}

func gunzip(t *testing.T, path string) string {
	t.Helper()
	packed, err := os.ReadFile(path)
	require.NoError(t, err)
	unpack, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	text, err := io.ReadAll(unpack)
	require.NoError(t, err)
	return string(text)
}

func serverFiles(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, "ts_log") {
			found = append(found, name)
		}
	}
	return found
}

func TestRollBySize(t *testing.T) {
	t.Parallel()
	small := func(cfg *logging.Config) { cfg.Rotation.MaxSize = 100 }
	long := strings.Repeat("x", 100)
	t.Run("LOG-007 LOG-008 each roll of a day keeps its archive", func(t *testing.T) {
		t.Parallel()
		r := newRoller(t, small)
		for i, archive := range []string{"ts_log.10-Jun.log.gz", "ts_log.10-Jun.1.log.gz", "ts_log.10-Jun.2.log.gz"} {
			r.write(t, strconv.Itoa(i)+long)
			before := r.read(t, "ts_log.log")
			r.write(t, "short"+strconv.Itoa(i))
			assert.Equal(t, before, r.unpack(t, archive))
			assert.Equal(t, 1, strings.Count(r.read(t, "ts_log.log"), "\n"), "a new file was begun")
			r.clock.Set(10, 7+i)
		}
		assert.Contains(t, gunzip(t, filepath.Join(r.dir, "ts_log.10-Jun.log.gz")), "0"+long)
	})
	t.Run("LOG-007 100 MiB are the limit", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		now := newClock().Now()
		for name, size := range map[string]int64{"ts_log.log": 100 << 20, "model_log.log": 100<<20 + 1} {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			require.NoError(t, os.Truncate(path, size))
			require.NoError(t, os.Chtimes(path, now, now))
		}
		r := newRoller(t, func(cfg *logging.Config) { cfg.Dir, cfg.Rotation = dir, logging.Rotation{} })
		log := r.Logger(logging.ModelName, "W")
		log.Error().Msg("x")
		require.Eventually(t, func() bool {
			about, err := os.Stat(filepath.Join(dir, "model_log.10-Jun.log.gz"))
			return err == nil && about.Size() > 0
		}, eventually, tick)
		about, err := os.Stat(filepath.Join(dir, "ts_log.log"))
		require.NoError(t, err)
		assert.Greater(t, about.Size(), int64(100<<20), "exactly 100 MiB are not too much")
		require.NoError(t, os.Truncate(filepath.Join(dir, "ts_log.log"), 0)) // nothing to compress at the end
	})
	t.Run("a roll that cannot be made keeps the old file", func(t *testing.T) {
		t.Parallel()
		r := newRoller(t, small)
		r.write(t, long)
		path := filepath.Join(r.dir, "ts_log.log")
		require.NoError(t, os.Remove(path)) // nothing to rename
		r.log.Error().Msg("a")
		r.log.Error().Msg("b")
		require.Eventually(t, func() bool { return strings.Contains(r.console.String(), " - b\n") }, eventually, tick)
		require.Eventually(t, func() bool { return strings.Count(r.stderr.String(), "ts_log.log cannot be written") == 1 }, eventually, tick)
	})
}

func TestRollByDay(t *testing.T) {
	t.Parallel()
	t.Run("LOG-009 the first event of a day rolls the file", func(t *testing.T) {
		t.Parallel()
		r := newRoller(t, nil)
		r.write(t, "monday")
		r.clock.Set(10, 23)
		r.write(t, "monday night")
		before := r.read(t, "ts_log.log")
		r.clock.Set(11, 0)
		r.write(t, "tuesday")
		assert.Equal(t, before, r.unpack(t, "ts_log.10-Jun.log.gz"))
		assert.Regexp(t, `^2024-06-11T00:00:00,000 .* - tuesday\n$`, r.read(t, "ts_log.log"))
		assert.Equal(t, []string{"ts_log.10-Jun.log.gz", "ts_log.log"}, serverFiles(t, r.dir))
	})
	t.Run("LOG-009 the file of an earlier process is rolled too", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "ts_log.log")
		require.NoError(t, os.WriteFile(path, []byte("old\n"), 0o600))
		// In the zone of the test clock this is the night of the third.
		last := time.Date(2024, time.June, 2, 20, 0, 0, 0, time.UTC)
		require.NoError(t, os.Chtimes(path, last, last))
		r := newRoller(t, func(cfg *logging.Config) { cfg.Dir = dir })
		r.dir = dir
		r.write(t, "new")
		assert.Equal(t, "old\n", r.unpack(t, "ts_log.03-Jun.log.gz"))
	})
	t.Run("a roll that could not be made is still due", func(t *testing.T) {
		t.Parallel()
		r := newRoller(t, nil)
		r.write(t, "monday")
		path := filepath.Join(r.dir, "ts_log.log")
		require.NoError(t, os.Remove(path)) // nothing to rename
		r.clock.Set(11, 0)
		r.log.Error().Msg("tuesday")
		require.Eventually(t, func() bool { return strings.Contains(r.stderr.String(), "ts_log.log cannot be written") }, eventually, tick)
		require.NoError(t, os.WriteFile(path, []byte("back\n"), 0o600))
		r.write(t, "later")
		assert.Equal(t, "back\n", r.unpack(t, "ts_log.10-Jun.log.gz"))
	})
	t.Run("an empty file is not rolled", func(t *testing.T) {
		t.Parallel()
		r := newRoller(t, nil)
		r.clock.Set(11, 0)
		r.write(t, "tuesday")
		assert.Equal(t, []string{"ts_log.log"}, serverFiles(t, r.dir))
	})
}

func TestArchives(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, dir, name string, day int) {
		t.Helper()
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(name), 0o600))
		last := time.Date(2024, time.June, day, 12, 0, 0, 0, time.UTC)
		require.NoError(t, os.Chtimes(path, last, last))
	}
	for name, c := range map[string]struct {
		rotation logging.Rotation
		want     []string
	}{
		"all are kept": {
			want: []string{"ts_log.01-Jun.log.gz", "ts_log.02-Jun.1.log.gz", "ts_log.02-Jun.log.gz", "ts_log.03-Jun.log.gz"},
		},
		"the youngest are kept": {
			rotation: logging.Rotation{Keep: 2},
			want:     []string{"ts_log.02-Jun.1.log.gz", "ts_log.03-Jun.log.gz"},
		},
		"old ones are removed": {
			rotation: logging.Rotation{MaxAge: 8 * 24 * time.Hour},
			want:     []string{"ts_log.02-Jun.1.log.gz", "ts_log.02-Jun.log.gz", "ts_log.03-Jun.log.gz"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, "ts_log.02-Jun.log.gz", 2)
			put(t, dir, "ts_log.01-Jun.log.gz", 1)
			put(t, dir, "ts_log.02-Jun.1.log", 2) // an earlier process did not come to it
			put(t, dir, "ts_log.03-Jun.log", 3)
			put(t, dir, "ts_log.03-Jun.log.gz.tmp", 3)
			put(t, dir, "ts_log.mine.log", 1)
			put(t, dir, "ts_log.01-Jun.log.bak", 1)
			r := newRoller(t, func(cfg *logging.Config) { cfg.Dir, cfg.Rotation = dir, c.rotation })
			r.dir = dir
			want := slices.Concat(c.want, []string{"ts_log.01-Jun.log.bak", "ts_log.log", "ts_log.mine.log"})
			assert.EventuallyWithT(t, func(now *assert.CollectT) { assert.ElementsMatch(now, want, serverFiles(t, dir)) }, eventually, tick)
			assert.Equal(t, "ts_log.03-Jun.log", gunzip(t, filepath.Join(dir, "ts_log.03-Jun.log.gz")))
		})
	}
	t.Run("trouble is told once and harms nothing", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		put(t, dir, "ts_log.01-Jun.log", 1)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "ts_log.01-Jun.log.gz.tmp", "x"), 0o700))
		r := newRoller(t, func(cfg *logging.Config) { cfg.Dir, cfg.Rotation.MaxSize = dir, 1 })
		r.dir = dir
		for _, text := range []string{"one", "two", "three"} {
			r.write(t, text)
		}
		r.end(t)
		assert.Equal(t, 1, strings.Count(r.stderr.String(), "\n"), r.stderr.String())
		assert.Contains(t, r.stderr.String(), "old files of "+filepath.Join(dir, "ts_log.log")+" cannot be compressed or removed: ")
		assert.Equal(t, "ts_log.01-Jun.log", r.read(t, "ts_log.01-Jun.log"))
	})
}
