package backend_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/backend"
)

// worker is the file that the server starts.
const worker = "ts/model_service_worker.py"

// listing returns the content of all files below dir by slash-separated name.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		found[name] = string(content)
		return err
	})
	require.NoError(t, err)
	return found
}

// sources returns what is to be unpacked, read from where the tests run.
func sources(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range []string{"ts", "model_archiver"} {
		for file, content := range listing(t, name) {
			if !strings.Contains(file, "__pycache__") {
				found[name+"/"+file] = content
			}
		}
	}
	return found
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on", "the", "way")

	home, err := backend.Unpack(dir)
	require.NoError(t, err)

	assert.Equal(t, dir, filepath.Dir(home))
	assert.Equal(t, sources(t), listing(t, home))
	assert.Contains(t, listing(t, home), worker)
	assert.Contains(t, listing(t, home), "ts/__init__.py")
	assertAlone(t, home)
}

// assertAlone fails if there is anything beside home.
func assertAlone(t *testing.T, home string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(home))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, filepath.Base(home), entries[0].Name())
}

func TestUnpackUsesACompleteCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	home, err := backend.Unpack(dir)
	require.NoError(t, err)
	compiled := filepath.Join(home, "ts", "__pycache__", "wire.pyc")
	require.NoError(t, os.Mkdir(filepath.Dir(compiled), 0o700))
	require.NoError(t, os.WriteFile(compiled, []byte("compiled"), 0o600))

	again, err := backend.Unpack(dir)
	require.NoError(t, err)

	assert.Equal(t, home, again)
	assert.FileExists(t, compiled, "the copy was not replaced")
	assertAlone(t, home)
}

func TestUnpackMendsACopy(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"a file was removed": os.Remove,
		"a file was changed": func(path string) error { return os.WriteFile(path, []byte("raise SystemExit"), 0o600) },
		"all was removed":    func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			home, err := backend.Unpack(dir)
			require.NoError(t, err)
			require.NoError(t, damage(filepath.Join(home, filepath.FromSlash(worker))))

			again, err := backend.Unpack(dir)
			require.NoError(t, err)

			assert.Equal(t, home, again)
			assert.Equal(t, sources(t), listing(t, home))
			assertAlone(t, home)
		})
	}
}

func TestUnpackByManyAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	homes := make([]string, 8)
	var all sync.WaitGroup
	for i := range homes {
		all.Go(func() {
			home, err := backend.Unpack(dir)
			assert.NoError(t, err)
			homes[i] = home
		})
	}
	all.Wait()

	for _, home := range homes {
		assert.Equal(t, homes[0], home)
	}
	assert.Equal(t, sources(t), listing(t, homes[0]))
	assertAlone(t, homes[0])
}

func TestUnpackWhereNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	_, err := backend.Unpack(file)

	require.Error(t, err)
	assert.ErrorContains(t, err, file)
}
