package archiver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archiver"
	"github.com/torchserve-go/torchserve/pkg/model"
)

const whole = `{
  "createdOn": "22/11/2024 12:00:00",
  "runtime": "python3",
  "model": {
    "modelName": "m",
    "serializedFile": "w \u00e9<&>\ud83d\ude00.pt",
    "handler": "h.py",
    "modelFile": "model.py",
    "modelVersion": "1 \"\\",
    "requirementsFile": "r.txt",
    "configFile": "c.yaml"
  },
  "archiverVersion": "0.12.0"
}`

const plain = `{
  "createdOn": "22/11/2024 12:00:00",
  "runtime": "python",
  "model": {
    "modelName": "m",
    "handler": "h.py",
    "modelVersion": "1.0"
  },
  "archiverVersion": "0.12.0"
}`

func TestModel(t *testing.T) {
	t.Parallel()
	t.Run("MAR-141 MAR-144 a compressed zip file with the manifest at its end", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "d/model.py", "w é<&>😀.pt", "r.txt", "c.yaml", "extra/sub/x")
		require.NoError(t, os.Chmod(p.path("c.yaml"), 0o700))
		packed := p.pack(archiver.Model{
			Name: "m", Version: `1 "\`, Handler: p.path("h.py"), Runtime: model.Python3, Serialized: p.path("w é<&>😀.pt"),
			Definition: p.path("d/model.py"), Extra: p.path("extra"), Requirements: p.path("r.txt"), Config: p.path("c.yaml"),
		})
		assert.Equal(t, p.target("m.mar"), packed.Path)
		info, err := os.Stat(packed.Path)
		require.NoError(t, err)
		assert.Equal(t, info.Size(), packed.Size)
		assert.Zero(t, info.Mode().Perm()&0o111)
		want := []item{
			{name: "c.yaml", content: "c.yaml", mode: 0o755},
			{name: "h.py", content: "h.py"},
			{name: "model.py", content: "d/model.py"},
			{name: "r.txt", content: "r.txt"},
			{name: "sub/x", content: "extra/sub/x"},
			{name: "w é<&>😀.pt", content: "w é<&>😀.pt"},
			{name: "MAR-INF/MANIFEST.json", content: whole},
		}
		for i := range want {
			want[i].mode |= 0o644
			want[i].modified = noon() // the files are younger than this archive
		}
		assert.Equal(t, want, readZip(t, packed.Path))
		assert.Empty(t, p.said)
		for i, f := range packed.Files {
			assert.Equal(t, archiver.File{Name: want[i].name, Size: int64(len(want[i].content))}, f)
		}
	})
	t.Run("MAR-141 zip-store", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "ü")
		old := time.Date(2020, 2, 29, 23, 59, 58, 0, time.UTC)
		require.NoError(t, os.Chtimes(p.path("h.py"), old, old))
		require.NoError(t, os.Chtimes(p.path("ü"), time.Time{}, time.Unix(0, 0)))
		m := p.model()
		m.Format, m.Extra = archiver.ZipStore, p.path("ü")
		assert.Equal(t, []item{
			{"h.py", "h.py", 0o644, old, true},
			{"ü", "ü", 0o644, time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), true},
			{"MAR-INF/MANIFEST.json", plain, 0o644, noon(), true},
		}, readZip(t, p.pack(m).Path))
	})
	t.Run("MAR-142 tgz", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "extra/sub/x")
		m := p.model()
		m.Format, m.Extra = archiver.Tgz, p.path("extra")
		packed := p.pack(m)
		assert.Equal(t, p.target("m.tar.gz"), packed.Path)
		all := readTar(t, packed.Path)
		for i := range all {
			all[i].modified = all[i].modified.UTC()
		}
		assert.Equal(t, []item{
			{"m/h.py", "h.py", 0o644, noon(), false},
			{"m/sub/x", "extra/sub/x", 0o644, noon(), false},
			{"m/MAR-INF/MANIFEST.json", plain, 0o644, noon(), false},
		}, all)
	})
	t.Run("MAR-143 no-archive", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "extra/sub/run")
		require.NoError(t, os.Chmod(p.path("extra/sub/run"), 0o744))
		m := p.model()
		m.Format, m.Extra = archiver.NoArchive, p.path("extra")
		packed := p.pack(m)
		assert.Equal(t, p.target("m"), packed.Path)
		assert.Equal(t, map[string]string{"h.py": "h.py", "sub/run": "extra/sub/run", "MAR-INF/MANIFEST.json": plain}, listing(t, packed.Path))
		info, err := os.Stat(filepath.Join(packed.Path, "sub", "run"))
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&0o100)
		assert.True(t, info.ModTime().Equal(noon()))
		assert.Equal(t, int64(len("h.py")+len("extra/sub/run")+len(plain)), packed.Size)
	})
	t.Run("the same files make the same archive", func(t *testing.T) {
		t.Parallel()
		for _, format := range []archiver.Format{archiver.Default, archiver.ZipStore, archiver.Tgz} {
			var made []string
			for range 2 {
				p := newPlace(t, "x/1", "x/2", "x/3")
				m := p.model()
				m.Format, m.Extra = format, p.path("x")
				content, err := os.ReadFile(p.pack(m).Path)
				require.NoError(t, err)
				made = append(made, string(content))
			}
			assert.Equal(t, made[0], made[1], format)
		}
	})
}

// TestHandlers is about which file of a handler is packed.
func TestHandlers(t *testing.T) {
	for name, c := range map[string]struct {
		handler string
		runtime model.Runtime
		files   []string // there are
		packed  string   // the one that is packed; empty: none
		want    string   // in the manifest
	}{
		"a file":                                 {"h.py", "", nil, "h.py", "h.py"},
		"a file without its suffix":              {"d/own", "", []string{"d/own.py"}, "own.py", "own"},
		"a function":                             {"d/own:entry", "", []string{"d/own.py"}, "own.py", "own:entry"},
		"MAR-148 a function of a file":           {"h.py:entry", "", nil, "h.py", "h.py:entry"},
		"MAR-148 the suffix is at the end":       {"x.pyz/own", "", []string{"x.pyz/own.py"}, "own.py", "own"},
		"a colon in a folder":                    {"a:b/own.py:entry", "", []string{"a:b/own.py"}, "own.py", "own.py:entry"},
		"MAR-147 one of the server":              {"image_classifier", "", nil, "", "image_classifier"},
		"MAR-147 another one":                    {"vllm_handler", model.Python3, nil, "", "vllm_handler"},
		"MAR-147 one that 0.12 wants a file of":  {"densenet_handler", "", nil, "", "densenet_handler"},
		"MAR-147 the same, and there is a file":  {"densenet_handler", "", []string{"densenet_handler.py"}, "densenet_handler.py", "densenet_handler"},
		"a file that is named like a built-in":   {"image_classifier.py", "", []string{"image_classifier.py"}, "image_classifier.py", "image_classifier.py"},
		"none":                                   {"", "", nil, "", ""},
		"MAR-147 one of the C++ worker":          {"TorchScriptHandler", model.LSP, nil, "", "TorchScriptHandler"},
		"a library":                              {"own:Class", model.LSP, []string{"own.so", "own.dylib"}, "own.so", "own:Class"},
		"a built-in of Python for a C++ runtime": {"base_handler", model.LSP, []string{"base_handler.so", "base_handler.dylib"}, "base_handler.so", "base_handler"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(newPlace(t, c.files...).dir)
			packed, err := archiver.Model{Name: "m", Version: "1", Handler: c.handler, Runtime: c.runtime, Format: archiver.NoArchive}.
				Pack(t.Context(), archiver.Output{})
			require.NoError(t, err)
			assert.Equal(t, "m", packed.Path)
			found := names(packed)
			if library, is := strings.CutSuffix(found[0], ".dylib"); is {
				found[0] = library + ".so"
			}
			if c.packed == "" {
				assert.Len(t, found, 1)
			} else {
				assert.Equal(t, c.packed, found[0])
			}
			manifest, err := os.ReadFile("m/MAR-INF/MANIFEST.json")
			require.NoError(t, err)
			if c.want == "" {
				assert.NotContains(t, string(manifest), "handler")
			} else {
				assert.Contains(t, string(manifest), `"handler": "`+c.want+`"`)
			}
		})
	}
}

func TestCreatedOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	before := time.Now().Truncate(time.Second)
	m := p.model()
	m.Format = archiver.NoArchive
	packed := p.pack(m, func(out *archiver.Output) { out.Created = time.Time{} })
	manifest := listing(t, packed.Path)[model.ManifestFile]
	_, text, _ := strings.Cut(manifest, `"createdOn": "`)
	created, err := time.ParseInLocation("02/01/2006 15:04:05", text[:19], time.Local)
	require.NoError(t, err, "MAR-144")
	assert.WithinRange(t, created, before, time.Now())
}
