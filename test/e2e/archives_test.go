package e2e

import (
	"archive/zip"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// world is what the handler of the lab says of its process.
type world struct {
	Environ    map[string]string
	Argv, Path []string
	CWD        string
	PID        int
	Properties struct {
		ModelDir  string `json:"model_dir"`
		GPU       *int   `json:"gpu_id"`
		BatchSize int    `json:"batch_size"`
		Limit     bool   `json:"limit_max_image_pixels"`
	}
	Manifest map[string]any
	Config   map[string]any
}

func (l lab) world(t *testing.T, model string) world {
	t.Helper()
	var w world
	l.In(t).askOf(model, "world", "").JSON(t, &w)
	return w
}

// names returns the names in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := make([]string, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// put writes files into a folder, which is made.
func put(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

func manifest(model string) string {
	return `{"createdOn": "today", "archiverVersion": "1", "model": ` + model + `}`
}

const manifestFile = "MAR-INF/MANIFEST.json"

func TestArchiveForms(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for name, c := range map[string]struct {
		form  e2etest.Form
		moved string // the name in the store
	}{
		"MAR-001 a zip named .mar":            {e2etest.Mar, ""},
		"MAR-002 a tarball named .tar.gz":     {e2etest.TarGz, ""},
		"MAR-002 a tarball named .tgz":        {e2etest.TarGz, "moved.tgz"},
		"MAR-005 a zip named .zip":            {e2etest.Mar, "moved.zip"},
		"MAR-015 a folder of the model store": {e2etest.Folder, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := labArchive("key: value\n")
			a.Name, a.Form = fmt.Sprintf("form%d%s", c.form, filepath.Ext(c.moved)[min(1, len(c.moved)):]), c.form
			a.Files = map[string]string{"deep/er/file.txt": "content"}
			location := a.Write(t, l.Store)
			if c.moved != "" {
				require.NoError(t, os.Rename(filepath.Join(l.Store, location), filepath.Join(l.Store, c.moved)))
				location = c.moved
			}
			register(t, l.Server, "initial_workers=1&url="+location)
			w := l.world(t, a.Name)
			assert.Equal(t, map[string]any{"key": "value"}, w.Config, "MAR-107")
			files := names(t, w.Properties.ModelDir)
			assert.Subset(t, files, []string{"MAR-INF", "deep", "handler.py", "model-config.yaml"})
			assert.FileExists(t, filepath.Join(w.Properties.ModelDir, "deep", "er", "file.txt"))
			assert.Equal(t, location, l.describe(t, a.Name).URL, "MAR-058")
			require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/"+a.Name).Status)
			assert.NoDirExists(t, w.Properties.ModelDir, "MAR-066")
			assert.Contains(t, names(t, l.Store), location, "MAR-066")
		})
	}
	t.Run("MAR-013 MAR-014 a folder elsewhere, and a folder in a folder", func(t *testing.T) {
		t.Parallel()
		inner := labArchive("")
		inner.Name, inner.Form = "inner", e2etest.Folder
		outer := t.TempDir()
		inner.Write(t, outer)
		for _, dir := range []string{filepath.Join(outer, "inner"), outer} {
			register(t, l.Server, "initial_workers=1&url="+url.QueryEscape(dir))
			w := l.world(t, "inner")
			resolved, err := filepath.EvalSymlinks(w.Properties.ModelDir)
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(outer, "inner"), resolved)
			require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/inner").Status)
			assert.FileExists(t, filepath.Join(outer, "inner", "handler.py"))
		}
	})
	t.Run("MAR-055 no folder that is more than a model", func(t *testing.T) {
		t.Parallel()
		for _, location := range []string{".", "/", "./", l.Store + "/"} {
			reply := l.manage(t, "POST", "/models?model_name=all&handler=handler.py&initial_workers=0&url="+url.QueryEscape(location))
			assert.GreaterOrEqual(t, reply.Status, 400, location)
		}
	})
	t.Run("MAR-065 two models of one archive have two folders", func(t *testing.T) {
		t.Parallel()
		l.model(t, "twin", "")
		one, two := l.world(t, "lab").Properties.ModelDir, l.world(t, "twin").Properties.ModelDir
		assert.NotEqual(t, one, two)
		for _, dir := range []string{one, two} {
			assert.Equal(t, filepath.Join(l.Temp, "models"), filepath.Dir(dir), "MAR-068")
			assert.Regexp(t, "^[0-9a-f]{32}$", filepath.Base(dir))
		}
	})
	t.Run("MAR-067 a stop removes the folders and keeps the archives", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		dir := l.world(t, "lab").Properties.ModelDir
		assert.Zero(t, l.Stop())
		assert.NoDirExists(t, dir)
		assert.Contains(t, names(t, l.Store), "lab.mar")
	})
}

// TestManifests registers folders with manifests of all kinds.
func TestManifests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	files := map[string]string{"handler.py": labHandler}
	for name, c := range map[string]struct {
		manifest, query string
		status          int
		want            string // part of the answer, or the version
	}{
		"MAR-021 an empty name":                   {manifest(`{"modelName": "", "handler": "handler.py"}`), "", 400, `"Model name is not defined."`},
		"MAR-022 MAR-027 no JSON":                 {"{", "", 400, `"Failed to parse signature.json."`},
		"MAR-027 nothing":                         {"", "", 400, `"Failed to parse signature.json."`},
		"MAR-027 no model":                        {manifest("null"), "", 400, `"Missing Model entry in manifest file."`},
		"MAR-023 an unknown runtime":              {`{"runtime": "perl", "model": {"modelName": "perl"}}`, "", 400, `"Runtime is not defined or invalid."`},
		"MAR-023 one that the call repairs":       {`{"runtime": "perl", "model": {"modelName": "repaired", "handler": "handler"}}`, "runtime=python", 200, "1.0"},
		"MAR-025 a version that is a number":      {manifest(`{"modelName": "number", "modelVersion": 1.10, "handler": "handler.py"}`), "", 200, "1.10"},
		"MAR-026 MAR-115 no version":              {manifest(`{"modelName": "versionless", "handler": "handler"}`), "", 200, "1.0"},
		"MAR-115 a handler in a folder":           {manifest(`{"modelName": "infolder", "handler": "some/dir/handler.py"}`), "", 200, "1.0"},
		"MAR-115 a function":                      {manifest(`{"modelName": "function", "handler": "handler:handle"}`), "", 200, "1.0"},
		"MAR-115 a function of a file":            {manifest(`{"modelName": "offile", "handler": "handler.py:handle"}`), "", 200, "1.0"},
		"MAR-029 an envelope":                     {manifest(`{"modelName": "enveloped", "handler": "handler.py", "envelope": "nonsense"}`), "", 200, "1.0"},
		"MAR-031 a config file outside the model": {manifest(`{"modelName": "outside", "handler": "handler.py", "configFile": "../../x.yaml"}`), "", 400, "configFile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := maps.Clone(files)
			content[manifestFile] = c.manifest
			dir := put(t, t.TempDir(), content)
			reply := l.manage(t, "POST", "/models?initial_workers=1&"+c.query+"&url="+url.QueryEscape(dir))
			require.Equal(t, c.status, reply.Status, "%s", reply.Body)
			if c.status == http.StatusOK {
				assert.Contains(t, reply.Body, " Version: "+c.want+" registered")
			} else {
				assert.Contains(t, reply.Body, c.want)
				assert.Contains(t, reply.Body, "InvalidModelException")
			}
		})
	}
	t.Run("MAR-020 none, but a name and a handler of the call", func(t *testing.T) {
		t.Parallel()
		dir := put(t, t.TempDir(), files)
		register(t, l.Server, "initial_workers=1&model_name=bare&handler=handler.py&url="+url.QueryEscape(dir))
		d := l.describe(t, "bare")
		assert.Equal(t, "1.0", d.Version)
		assert.Equal(t, "python", d.Runtime)
	})
	t.Run("MAR-030 the handler sees the manifest as it is", func(t *testing.T) {
		t.Parallel()
		l.model(t, "renamed", "handler=handler.py:handle")
		assert.Equal(t, map[string]any{"modelName": "lab", "modelVersion": "1.0", "handler": "handler.py"}, l.world(t, "renamed").Manifest["model"])
	})
	t.Run("MAR-006 MAR-007 MAR-008 archives that are none, or hostile", func(t *testing.T) {
		t.Parallel()
		put(t, l.Store, map[string]string{"empty.mar": "", "text.mar": "no zip", "text.tar.gz": "no tar"})
		f, err := os.Create(filepath.Join(l.Store, "slip.mar"))
		require.NoError(t, err)
		z := zip.NewWriter(f)
		_, err = z.Create("../../../../slipped")
		require.NoError(t, err)
		require.NoError(t, z.Close())
		require.NoError(t, f.Close())
		for archive, want := range map[string]failure{
			"empty.mar":   {400, "InvalidModelException", ""},
			"text.mar":    {400, "InvalidModelException", ""},
			"text.tar.gz": {500, "InternalServerException", "Failed to save model: text.tar.gz"},
			"slip.mar":    {500, "InternalServerException", "Failed to save model: slip.mar"},
		} {
			reply := l.manage(t, "POST", "/models?model_name=x&handler=y&url="+archive)
			var got failure
			reply.JSON(t, &got)
			if want.Message == "" {
				want.Message = got.Message
			}
			assert.Equal(t, want, got)
		}
		assert.NoFileExists(t, filepath.Join(l.Temp, "slipped"))
		assert.Equal(t, http.StatusNotFound, l.manage(t, "GET", "/models/x").Status, "MAR-069")
	})
}

// TestHandlerForms is about how a worker finds its handler, and where it lives.
func TestHandlerForms(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("default_service_handler=fallback:entry"))
	class := "class Model:\n    def initialize(self, context):\n        self.name = context.model_name\n" +
		"    def handle(self, data, context):\n        return [self.name] * len(data)\n"
	function := "CALLS = []\ndef handle(data, context):\n    CALLS.append(data)\n    return data and [str(CALLS[0])] * len(data)\n"
	for name, c := range map[string]struct {
		handler string
		files   map[string]string
		want    string
	}{
		"MAR-116 a class":                              {"h.py", map[string]string{"h.py": class}, "class"},
		"MAR-116 a function beats a class":             {"h.py", map[string]string{"h.py": class + function}, "None"},
		"MAR-116 a function that is not there":         {"h.py:nothing", map[string]string{"h.py": class}, "class"},
		"MAR-117 a function is called with None first": {"h", map[string]string{"h.py": function}, "None"},
		"MAR-122 the folder of the model is importable": {
			"h",
			map[string]string{"h.py": "import beside\ndef handle(data, context):\n    return data and [open('file.txt').read() + beside.TEXT]\n", "beside.py": "TEXT = ' beside'", "file.txt": "here"},
			"here beside",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.files[manifestFile] = manifest(`{"modelName": "class", "handler": "` + c.handler + `"}`)
			model := strings.NewReplacer(" ", "_").Replace(name)
			if c.want == "class" {
				c.want = model
			}
			register(t, l.Server, "initial_workers=1&model_name="+model+"&url="+url.QueryEscape(put(t, t.TempDir(), c.files)))
			assert.Equal(t, c.want, l.In(t).Predict(model, "").Body)
		})
	}
	t.Run("MAR-121 CFG-049 default_service_handler", func(t *testing.T) {
		t.Parallel()
		dir := put(t, t.TempDir(), map[string]string{
			manifestFile:  manifest(`{"modelName": "handlerless"}`),
			"fallback.py": "def entry(data, context):\n    return data and ['fallback']\n",
		})
		register(t, l.Server, "initial_workers=1&url="+url.QueryEscape(dir))
		assert.Equal(t, "fallback", l.In(t).Predict("handlerless", "").Body)
	})
	for name, c := range map[string]struct {
		source string
		logs   []string
	}{
		"MAR-118 two classes": {
			"class A:\n    pass\nclass B:\n    pass\n", []string{"ValueError: Expected only one class in custom service code or a function entry point"},
		},
		"MAR-119 PYB-013 a missing dependency": {"import not_installed\n", []string{"ModuleNotFoundError: No module named 'not_installed'"}},
		"MAR-119 no file":                      {"", []string{"ModuleNotFoundError: No module named 'wrong'", "ModuleNotFoundError: No module named 'ts.torch_handler.wrong'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{manifestFile: manifest(`{"modelName": "wrong", "handler": "wrong"}`), "other.py": ""}
			if c.source != "" {
				files["wrong.py"] = c.source
			}
			model := strings.NewReplacer(" ", "_").Replace(name)
			reply := l.manage(t, "POST", "/models?initial_workers=1&model_name="+model+"&url="+url.QueryEscape(put(t, t.TempDir(), files)))
			assert.Equal(t, http.StatusInternalServerError, reply.Status)
			for _, text := range c.logs {
				l.In(t).AwaitLog("model_log.log", "-"+model+"_1.0-stdout MODEL_LOG - "+text)
			}
			if c.source != "" {
				assert.NotContains(t, reply.Body, "ts.torch_handler.wrong", "not what a built-in handler would have been called")
			}
		})
	}
}
