package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

const (
	modelArchiver    = "torch-model-archiver"
	workflowArchiver = "torch-workflow-archiver"
)

// inventory is a handler that answers with what its archive has.
const inventory = `
import json, os
def entry(data, context):
    if data is None:
        return None
    root = context.system_properties["model_dir"]
    found = [os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names]
    files = sorted(name for name in found if "__pycache__" not in name)
    told = {"files": files, "handler": context.manifest["model"]["handler"], "config": context.model_yaml_config}
    return [json.dumps(told)] * len(data)
`

// workbench is a site whose program is an archiver, with the files of a model.
func workbench(t *testing.T, archiver string) *e2etest.Site {
	t.Helper()
	s := e2etest.NewSite(t, e2etest.Use(archiver))
	put(t, s.Dir, map[string]string{
		"inventory.py": inventory, "w é.pt": "weights", "net/model.py": "model", "r.txt": "", "c.yaml": "key: value\n", "spec.yaml": "dag: {entry: []}\n", "there/m.mar": "",
		"x/one.json": "1", "x/sub/two.txt": "2", "x/.git/config": "", "x/__pycache__/x.pyc": "", "x/.hidden": "h", "x/sub/x.pyc": "",
	})
	require.NoError(t, os.Mkdir(s.Path("out"), 0o755))
	return s
}

// packedFile is what an archive has of a file.
type packedFile struct {
	Content    string
	Compressed bool
}

// ofOneArchive is what differs between two archives of the same files anyway.
var ofOneArchive = regexp.MustCompile(`"createdOn": "\d\d/\d\d/\d{4} \d\d:\d\d:\d\d"`)

// inside is what is in an archive.
type inside struct {
	t     *testing.T
	files map[string]packedFile
	last  string // the name of the last file
}

func (in *inside) add(name string, r io.Reader, compressed bool) {
	in.t.Helper()
	content, err := io.ReadAll(r)
	require.NoError(in.t, err)
	assert.NotContains(in.t, in.files, name)
	in.files[name] = packedFile{ofOneArchive.ReplaceAllString(string(content), "createdOn"), compressed}
	in.last = name
}

// unpacked returns the files of an archive by their names. The last one is its
// manifest.
func unpacked(t *testing.T, path string) map[string]packedFile {
	t.Helper()
	in := &inside{t, map[string]packedFile{}, ""}
	info, err := os.Stat(path)
	require.NoError(t, err)
	switch {
	case info.IsDir():
		in.folder(path)
		return in.files
	case strings.HasSuffix(path, ".gz"):
		in.tar(path)
	default:
		in.zip(path)
	}
	assert.Regexp(t, "AR-INF/MANIFEST.json$", in.last)
	return in.files
}

func (in *inside) folder(path string) {
	in.t.Helper()
	require.NoError(in.t, fs.WalkDir(os.DirFS(path), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(path, name))
		in.add(name, bytes.NewReader(content), false)
		return err
	}))
}

func (in *inside) tar(path string) {
	in.t.Helper()
	f, err := os.Open(path)
	require.NoError(in.t, err)
	defer func() { require.NoError(in.t, f.Close()) }()
	gz, err := gzip.NewReader(f)
	require.NoError(in.t, err)
	r := tar.NewReader(gz)
	for h, err := r.Next(); !errors.Is(err, io.EOF); h, err = r.Next() {
		require.NoError(in.t, err)
		in.add(h.Name, r, true)
	}
}

func (in *inside) zip(path string) {
	in.t.Helper()
	z, err := zip.OpenReader(path)
	require.NoError(in.t, err)
	defer func() { require.NoError(in.t, z.Close()) }()
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(in.t, err)
		in.add(f.Name, r, f.Method == zip.Deflate)
	}
}

// spaced splits a line at blanks; a tilde stands for a blank within a word.
func spaced(line string) []string {
	words := strings.Fields(line)
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "~", " ")
	}
	return words
}

// complaint returns what a failed command says, without usage and traceback.
func complaint(r e2etest.Result) string {
	text, _, _ := strings.Cut(r.Stderr, "Traceback")
	if _, usage, found := strings.Cut(text, ": error: "); found {
		return usage
	}
	return text
}

// TestArchiverLikeOriginal runs our archiver and that of 0.12 on the same files:
// they make the same archives, warn and refuse alike.
func TestArchiverLikeOriginal(t *testing.T) {
	t.Parallel()
	dir := published(t)
	original, ours := workbench(t, filepath.Join(dir, "bin", modelArchiver)), workbench(t, modelArchiver)
	const everything = " --serialized-file=w~é.pt --model-file=net/model.py --extra-files=x,*.yaml -r=r.txt -c=c.yaml --runtime=python3"
	for name, c := range map[string]struct{ line, archive string }{
		"MAR-141 MAR-144 MAR-146 default": {"--archive-format=default" + everything, "m1.mar"},
		"MAR-141 MAR-144 zip-store":       {"--archive-format=zip-store" + everything, "m2.mar"},
		"MAR-142 MAR-144 tgz":             {"--archive-format=tgz" + everything, "m3.tar.gz"},
		"MAR-143 MAR-144 no-archive":      {"--archive-format=no-archive" + everything, "m4"},
		"MAR-144 no version":              {"-v=", "m5.mar"},
		"MAR-144 text":                    {`-v=1~"é<&>\`, "m6.mar"},
		"MAR-146 patterns":                {"--extra-files=x/*.json,x/[!o_]*,*.nope,,x/sub", "m7.mar"},
		"MAR-146 hidden files":            {"--extra-files=x/.h*,x/.g*", "m8.mar"},
		"MAR-147 a built-in handler":      {"--handler=text_classifier", "m9.mar"},
		"a function":                      {"--handler=inventory:entry", "m10.mar"},
		"of an option the last one":       {"-v 1 -v2 -fv 3 --ver 4", "m11.mar"},
		"MAR-140 a name":                  {"--model-name=-m", ""},
		"MAR-140 an export path":          {"--export-path=r.txt", ""},
		"MAR-140 it is there":             {"--export-path=there --model-name=m", ""},
		"MAR-140 a format":                {"--archive-format=rar", ""},
		"MAR-140 a runtime":               {"--runtime=perl", ""},
		"MAR-140 an argument":             {"-f more", ""},
		"MAR-140 a prefix":                {"--model x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model, _, _ := strings.Cut(c.archive, ".")
			words := append([]string{"--model-name=" + model, "--handler=inventory.py", "-v=1.0", "--export-path=out"}, spaced(c.line)...)
			want, got := original.In(t).Run(words...), ours.In(t).Run(words...)
			assert.Equal(t, want.Code, got.Code)
			assert.Equal(t, complaint(want), complaint(got))
			if c.archive != "" {
				require.Zero(t, got.Code)
				assert.Equal(t, unpacked(t, original.Path("out/"+c.archive)), unpacked(t, ours.Path("out/"+c.archive)))
			}
		})
	}
}

// TestArchivesServed has our server, and TorchServe 0.12, load what the archivers
// make: ours, and that of 0.12.
func TestArchivesServed(t *testing.T) {
	t.Parallel()
	t.Run("our archives in our server", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		served(t, l, modelArchiver, "")
		served(t, l, modelArchiver, "--keep-tree")
	})
	t.Run("our archives in TorchServe 0.12", func(t *testing.T) {
		t.Parallel()
		dir := published(t)
		needJava(t)
		l := newLab(t, e2etest.Published(dir), e2etest.Env("TS_MODEL_SERVER_HOME="+e2etest.Backend(t), "PYTHONDONTWRITEBYTECODE=1"))
		served(t, l, modelArchiver, "")
		t.Run("WFL-021 a workflow", func(t *testing.T) {
			s := workbench(t, workflowArchiver)
			put(t, s.Dir, map[string]string{"spec.yaml": "models: {}\ndag: {entry: []}\n"})
			done := s.Run("--workflow-name=w", "--spec-file=spec.yaml", "--handler=inventory.py", "--export-path="+l.Store)
			assert.Equal(t, e2etest.Result{Stdout: done.Stdout}, done)
			reply := l.In(t).Manage("POST", "/workflows?url=w.war")
			assert.Contains(t, reply.Body, "Workflow w has been registered and scaled successfully.")
		})
	})
	t.Run("archives of 0.12 in our server", func(t *testing.T) {
		t.Parallel()
		dir := published(t)
		served(t, newLab(t), filepath.Join(dir, "bin", modelArchiver), "")
	})
}

// served has a server load the archives of an archiver, one of each format.
func served(t *testing.T, l lab, archiver, option string) {
	t.Helper()
	s := workbench(t, archiver)
	entry, id, tree := "inventory.py:entry", " MAR-148 ", []string{".hidden", "one.json", "sub/two.txt", "sub/x.pyc"}
	if filepath.IsAbs(archiver) {
		entry, id = "inventory:entry", " " // it knows no other form
	}
	words := []string{"-v=1.0", "--handler=" + entry, "--serialized-file=w é.pt", "--extra-files=x", "-c=c.yaml", "--export-path=" + l.Store}
	if option != "" {
		words = append(words, option)
		for i := range tree {
			tree[i] = "x/" + tree[i]
		}
	}
	files := append([]string{"MAR-INF/MANIFEST.json", "c.yaml", "inventory.py", "w é.pt"}, tree...)
	slices.Sort(files)
	want, err := json.Marshal(map[string]any{"files": files, "handler": entry, "config": map[string]string{"key": "value"}})
	require.NoError(t, err)
	for format, c := range map[string]struct{ id, suffix string }{
		"default": {"MAR-141", ".mar"}, "zip-store": {"MAR-141", ".mar"}, "tgz": {"MAR-142", ".tar.gz"}, "no-archive": {"MAR-143", ""},
	} {
		t.Run(c.id+id+format+option, func(t *testing.T) {
			model := strings.ReplaceAll(format+option, "-", "_")
			done := s.In(t).Run(append(words, "--model-name="+model, "--archive-format="+format)...)
			require.Zero(t, done.Code, done.Stderr)
			register(t, l.Server, "initial_workers=1&synchronous=true&url="+model+c.suffix)
			assert.JSONEq(t, string(want), l.In(t).Predict(model, "").Body)
		})
	}
}

func TestArchiverCommands(t *testing.T) {
	t.Parallel()
	model, workflow := workbench(t, modelArchiver), workbench(t, workflowArchiver)
	for name, c := range map[string]struct {
		site   *e2etest.Site
		line   string
		code   int
		stderr string // its end
	}{
		"MAR-140 nothing": {model, "", 2, "torch-model-archiver: error: the following arguments are required: --model-name, --handler, -v/--version\n"},
		"MAR-140 no file": {model, "--model-name=m -v=1 --handler=nowhere.py", 1, "ERROR - No such file: nowhere.py\n"},
		"MAR-145 a new export path": {
			model, "--model-name=m -v=1 --handler=inventory --export-path=new/path", 0, "WARNING - Export directory (new/path) does not exist. Creating...\n",
		},
		"MAR-140 a name": {
			model, "--model-name=a~b -v=1 --handler=nowhere.py", 1,
			"ERROR - Model name contains special characters.\nThe allowed regular expression filter for model name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$\n",
		},
		"WFL-020 nothing": {workflow, "", 2, "torch-workflow-archiver: error: the following arguments are required: --workflow-name, --spec-file\n"},
		"WFL-020 a prefix": {
			workflow, "--e x", 2, "torch-workflow-archiver: error: ambiguous option: --e could match --export-path, --extra-files\n",
		},
		"WFL-020 a name": {
			workflow, "--workflow-name=a~b --spec-file=spec.yaml", 1,
			"ERROR - Workflow name contains special characters.\nThe allowed regular expression filter for workflow name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$\n",
		},
		"WFL-020 no export path": {
			workflow, "--workflow-name=w --spec-file=spec.yaml --export-path=nowhere", 1,
			"ERROR - Given export-path nowhere is not a directory. Point to a valid export-path directory.\n",
		},
		"WFL-023 a function without handler": {
			workflow, "--workflow-name=w --spec-file=spec.yaml", 0,
			"WARNING - Workflow specification spec.yaml: entry is no model, so it must be a function of a --handler\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.site.In(t).Run(spaced(c.line)...)
			assert.Equal(t, c.code, got.Code)
			assert.True(t, strings.HasSuffix("\n"+got.Stderr, "\n"+c.stderr), "%s", got.Stderr)
			if c.code == 2 {
				assert.True(t, strings.HasPrefix(got.Stderr, "usage: torch-"), "%s", got.Stderr)
			}
		})
	}
	for _, s := range []*e2etest.Site{model, workflow} {
		help := s.Run("--help")
		assert.Zero(t, help.Code)
		assert.Contains(t, help.Stdout, "Examples:\n")
		assert.Contains(t, help.Stdout, "--keep-tree")
	}
}

//nolint:tparallel // the second one needs the archive of the first
func TestWorkflowArchiver(t *testing.T) {
	t.Parallel()
	s := workbench(t, workflowArchiver)
	put(t, s.Temp, map[string]string{"w/mine": ""})
	words := []string{"--workflow-name=w", "--spec-file=spec.yaml", "--handler=inventory.py", "--extra-files=x", "--export-path=out"}
	t.Run("WFL-021 WFL-024 what is packed", func(t *testing.T) {
		done := s.In(t).Run(words...)
		assert.Equal(t, e2etest.Result{Stdout: done.Stdout}, done)
		all := unpacked(t, s.Path("out/w.war"))
		want := "{\n  createdOn,\n  \"workflow\": {\n    \"workflowName\": \"w\",\n    \"specFile\": \"spec.yaml\",\n" +
			"    \"handler\": \"inventory.py\"\n  },\n  \"archiverVersion\": \"0.2.15\"\n}"
		assert.Equal(t, packedFile{want, true}, all["WAR-INF/MANIFEST.json"])
		assert.Equal(t, packedFile{inventory, true}, all["inventory.py"])
		assert.Len(t, all, 7)
		for name := range all {
			assert.Contains(t, done.Stdout, "  "+name+"\n")
		}
		assert.Equal(t, []string{"w"}, names(t, s.Temp))
		assert.Equal(t, []string{"mine"}, names(t, filepath.Join(s.Temp, "w")))
	})
	t.Run("WFL-020 WFL-022 over one that is there", func(t *testing.T) {
		got := s.In(t).Run(words...)
		assert.Equal(t, e2etest.Result{Code: 1, Stderr: "ERROR - out/w.war already exists.\n" +
			"Please specify --force/-f option to overwrite the workflow archive output file.\nSee -h/--help for more details.\n"}, got)
		got = s.In(t).Run(append(words, "-f")...)
		assert.Zero(t, got.Code)
		assert.Equal(t, "WARNING - Overwriting out/w.war ...\n", got.Stderr)
	})
}

// TestArchiversApart is about archivers that run at once, or are interrupted.
func TestArchiversApart(t *testing.T) {
	t.Parallel()
	t.Run("MAR-149 two at once, and a folder of the same name", func(t *testing.T) {
		t.Parallel()
		s := workbench(t, modelArchiver)
		put(t, s.Temp, map[string]string{"m/mine": ""})
		const archivers = 4
		var all sync.WaitGroup
		for i := range archivers {
			all.Go(func() {
				cmd := s.Command("--model-name=m", "-v=1", "--handler=inventory.py", "--extra-files=x", fmt.Sprintf("--export-path=out/%d", i))
				assert.NoError(t, cmd.Run())
			})
		}
		all.Wait()
		for i := range archivers {
			assert.Len(t, unpacked(t, s.Path(fmt.Sprintf("out/%d/m.mar", i))), 6)
		}
		assert.Equal(t, []string{"m"}, names(t, s.Temp))
		assert.Equal(t, []string{"mine"}, names(t, filepath.Join(s.Temp, "m")))
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		s := workbench(t, modelArchiver)
		put(t, s.Dir, map[string]string{"out/m.mar": "old", "large": ""})
		require.NoError(t, os.Truncate(s.Path("large"), 1<<36)) // nobody packs that while we watch
		cmd := s.Command("-f", "--model-name=m", "-v=1", "--handler=inventory.py", "--serialized-file=large", "--export-path=out")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		s.Await("the archive is being made", func() bool { return len(names(t, s.Path("out"))) == 2 })
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		var ended *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &ended)
		assert.Equal(t, 130, ended.ExitCode())
		assert.Equal(t, "WARNING - Overwriting out/m.mar ...\nERROR - Interrupted; nothing was changed.\n", stderr.String())
		assert.Equal(t, []string{"m.mar"}, names(t, s.Path("out")))
		assert.Equal(t, "old", s.Read("out/m.mar"))
	})
}
