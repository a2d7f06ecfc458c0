package snapshot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/magiconair/properties"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// recorded returns a snapshot that 0.12 has written: its lines, and what they
// say.
func recorded(t testing.TB, name string) (lines []string, values map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "test", "vectors", "snapshot", name))
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), read(t, text)
}

// read reads properties as Java does; none of these needs more than the library
// can.
func read(t testing.TB, text []byte) map[string]string {
	t.Helper()
	p, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes(text)
	require.NoError(t, err)
	return p.Map()
}

// folder returns a folder that keeps everything, and where it is.
func folder(t testing.TB) (*snapshot.Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "logs", "config")
	return snapshot.NewFolder(snapshot.FolderConfig{Dir: dir}), dir
}

// saved returns the lines of a snapshot that we write.
func saved(t testing.TB, s snapshot.State, all []snapshot.Property) []string {
	t.Helper()
	f, dir := folder(t)
	require.NoError(t, f.Save(s, all))
	text, err := os.ReadFile(filepath.Join(dir, s.Name))
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestAsRecorded(t *testing.T) {
	t.Parallel()
	t.Run("CLI-034 a file is the same text as 0.12's", func(t *testing.T) {
		t.Parallel()
		const name = "20261125065908233-startup.cfg"
		want, values := recorded(t, name)
		s, err := snapshot.Parse(values["model_snapshot"])
		require.NoError(t, err)
		s.Created = s.Created.UTC() // its machine's zone
		var all []snapshot.Property
		for key, value := range values {
			if key != "model_snapshot" {
				all = append(all, snapshot.Property{Key: key, Value: value})
			}
		}
		got := saved(t, s, all)
		assert.Equal(t, want[:2], got[:2], "comments")
		for i, line := range want {
			if strings.HasPrefix(line, "own_key=") { // D-CLI-13
				want[i] = strings.NewReplacer("é", `\u00E9`, "中", `\u4E2D`).Replace(line)
			}
		}
		assert.ElementsMatch(t, want, got)
		assert.True(t, strings.HasPrefix(got[len(got)-1], "model_snapshot="), "the last line: what is cut off is seen to be")
	})
	t.Run("CLI-035 the models of a file of 0.12", func(t *testing.T) {
		t.Parallel()
		_, values := recorded(t, "20261125065956289-snapshot.cfg")
		s, err := snapshot.Parse(values["model_snapshot"])
		require.NoError(t, err)
		assert.Equal(t, "20261125065956289-snapshot.cfg", s.Name)
		assert.Equal(t, 8, s.Count)
		assert.Equal(t, time.UnixMilli(1795589996290), s.Created)
		plain := snapshot.Version{
			Version: "1.0", Default: true, Archive: "z.mar", Workers: model.Workers{Min: 1, Max: 1},
			Size: 1, Delay: 100 * time.Millisecond, Response: 120 * time.Second, Startup: 120 * time.Second, Runtime: model.Python,
		}
		of := func(name model.Name, version model.Version, change func(*snapshot.Version)) snapshot.Version {
			v := plain
			v.Name, v.Version = name, version
			change(&v)
			return v
		}
		assert.Equal(t, []snapshot.Version{
			of("A", "1.0", func(*snapshot.Version) {}),
			of("A a<'&>é=\"\\/\t\u2028x", "1.0", func(*snapshot.Version) {}),
			of("echo", "1.0", func(v *snapshot.Version) {
				v.Default, v.Archive, v.Workers, v.Size, v.Delay = false, "echo1.mar", model.Workers{Min: 2, Max: 3}, 4, 33*time.Millisecond
			}),
			of("echo", "2.0", func(v *snapshot.Version) {
				v.Archive, v.Workers, v.Size, v.Delay, v.Response = "echo2.mar", model.Workers{Min: 2, Max: 2}, 5, 44*time.Millisecond, 50*time.Second
			}),
			of("pp", "1.0", func(v *snapshot.Version) { v.Archive, v.ParallelLevel = "pp.mar", 2 }),
			of("v", "2.0", func(v *snapshot.Version) { v.Default, v.Archive, v.Runtime = false, "v2.mar", model.Python3 }),
			of("v", "9.1", func(v *snapshot.Version) { v.Default, v.Archive = false, "v9.mar" }),
			of("v", "10.0", func(v *snapshot.Version) { v.Archive = "v10.mar" }),
		}, s.Versions)
		text, err := s.JSON()
		require.NoError(t, err)
		assert.JSONEq(t, values["model_snapshot"], text)
	})
}
