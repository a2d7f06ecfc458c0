package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// entry is one entry of an archive to be made. A link makes it a symbolic link
// in a tar file.
type entry struct{ name, content, link string }

const manifestName = "MAR-INF/MANIFEST.json"

// goodManifest is the one that torch-model-archiver writes.
const goodManifest = `{
  "createdOn": "22/11/2024 04:13:33",
  "runtime": "python",
  "model": {
    "modelName": "noop",
    "handler": "noop.py",
    "modelVersion": "2.0"
  },
  "archiverVersion": "0.12.0"
}`

// noop is a model that needs nothing.
func noop() []entry {
	return []entry{{name: "noop.py", content: "def handle(d, c): return d"}, {name: manifestName, content: goodManifest}}
}

// withManifest is noop with another manifest.
func withManifest(text string) []entry {
	return []entry{{name: "noop.py"}, {name: manifestName, content: text}}
}

// withConfig is noop with a model config.
func withConfig(yaml string) []entry {
	return []entry{
		{name: "model-config.yaml", content: yaml},
		{name: manifestName, content: `{"createdOn":"x","archiverVersion":"1","model":{"modelName":"noop","configFile":"model-config.yaml"}}`},
	}
}

func zipped(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		require.NoError(t, err)
		_, err = f.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// tarred makes a gzip tar; prefix comes before every name, as in "noop/".
func tarred(t testing.TB, prefix string, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := tar.Header{Typeflag: tar.TypeReg, Name: prefix + e.name, Size: int64(len(e.content)), Mode: 0o4777}
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.Bytes()
}

// fixture is a store with its folders and its log.
type fixture struct {
	*archive.Store
	models, work string
	log          *logBuffer
}

// defaultURLs are the patterns of 0.12, as the configuration compiles them.
func defaultURLs() []*regexp.Regexp { return urls("file://.*", "http(s)?://.*") }

func urls(patterns ...string) []*regexp.Regexp {
	var compiled []*regexp.Regexp
	for _, p := range patterns {
		compiled = append(compiled, regexp.MustCompile(`(?i)\A(?:`+p+`)\z`))
	}
	return compiled
}

// newFixture makes a store; change edits its configuration.
func newFixture(t testing.TB, change func(*archive.Config)) fixture {
	t.Helper()
	dir := t.TempDir()
	f := fixture{models: filepath.Join(dir, "store"), work: filepath.Join(dir, "tmp", "models"), log: &logBuffer{}}
	require.NoError(t, os.Mkdir(f.models, 0o700))
	cfg := archive.Config{
		ModelStore: f.models, WorkDir: f.work, AllowedURLs: defaultURLs(), Log: zerolog.New(f.log),
		Limits: archive.Limits{Entries: 100_000, Bytes: 64 << 30, Ratio: 200},
	}
	if change != nil {
		change(&cfg)
	}
	f.models = cfg.ModelStore
	f.Store = archive.New(cfg)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

// put writes a file into the store.
func (f fixture) put(t testing.TB, name string, content []byte) {
	t.Helper()
	write(t, filepath.Join(f.models, name), content)
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// opened opens what must be good.
func (f fixture) opened(t testing.TB, r archive.Request) *archive.Unpacked {
	t.Helper()
	u, err := f.Open(t.Context(), r)
	require.NoError(t, err)
	return u
}

// refused opens what must fail with this status, REST type and message, and
// checks that nothing is left in the work directory and that the store is as
// it was. It returns what the client reads beside the message.
func (f fixture) refused(t testing.TB, r archive.Request, status int, kind, message string) (details string) {
	t.Helper()
	before, dirs := tree(t, f.models), f.modelDirs(t)
	u, err := f.Open(t.Context(), r)
	require.Error(t, err)
	assert.Nil(t, u)
	assert.Equal(t, message, fault.Message(err))
	assert.Equal(t, status, fault.Status(err))
	assert.Equal(t, kind, fault.KindOf(err).Row().Type)
	assert.Equal(t, before, tree(t, f.models), "store")
	assert.Equal(t, dirs, f.modelDirs(t), "work directory")
	return fault.Details(err)
}

// modelDirs returns what is in the work directory beside the instance's own
// directory, and what that one holds beside its lock.
func (f fixture) modelDirs(t testing.TB) []string {
	t.Helper()
	names := []string{}
	for name := range tree(t, f.work) {
		top, rest, _ := strings.Cut(name, "/")
		if !strings.HasPrefix(top, ".torchserve-") {
			names = append(names, top)
		} else if rest != "" && rest != "lock" {
			names = append(names, "own: "+rest)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// tree returns the files below dir with their content, and the directories
// and links, the latter with their target.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			files[name] = "directory"
		case d.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(path)
			files[name] = "link to " + target
			return err
		default:
			text, err := os.ReadFile(path)
			files[name] = string(text)
			return err
		}
		return nil
	})
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return files
}

// logBuffer keeps the lines of a log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends lines.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// lines returns the messages of a level, in order.
func (b *logBuffer) lines(t testing.TB, level string) []string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	messages := []string{}
	for line := range strings.Lines(b.text.String()) {
		var event struct{ Level, Message string }
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		if event.Level == level {
			messages = append(messages, event.Message)
		}
	}
	return messages
}

// assertHostile requires that an archive cannot be unpacked, and writes nothing
// where it must not; details is what the client is told of the limit.
func assertHostile(t *testing.T, file string, content []byte, details string) {
	t.Helper()
	f := newFixture(t, nil)
	f.put(t, file, content)
	assert.Equal(t, details, f.refused(t, archive.Request{URL: file, Name: "x"}, 500, internalType, "Failed to save model: "+file))
	for path := range tree(t, filepath.Dir(f.models)) {
		assert.NotContains(t, path, "evil")
	}
}
