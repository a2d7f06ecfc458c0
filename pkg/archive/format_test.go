package archive_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/model"
)

const (
	notFoundType = "ModelNotFoundException"
	invalidType  = "InvalidModelException"
	internalType = "InternalServerException"
	downloadType = "DownloadArchiveException"
)

// noopTree is the model directory of noop.
func noopTree() map[string]string {
	return map[string]string{"noop.py": noop()[0].content, "MAR-INF": "directory", manifestName: goodManifest}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file    string
		content []byte
	}{
		"MAR-001 a zip named .mar":                             {"noop.mar", zipped(t, noop())},
		"MAR-002 a gzip tar named .tar.gz":                     {"noop.tar.gz", tarred(t, "noop/", noop())},
		"MAR-002 a gzip tar named .tgz":                        {"noop.tgz", tarred(t, "noop/", noop())},
		"MAR-003 a gzip tar made with -C dir .":                {"noop.tar.gz", tarred(t, "./", noop())},
		"MAR-005 a zip named .zip":                             {"noop.zip", zipped(t, noop())},
		"a gzip tar named .mar is what it is":                  {"noop.mar", tarred(t, "noop/", noop())},
		"a zip named .model":                                   {"noop.model", zipped(t, noop())},
		"a zip without a suffix":                               {"noop", zipped(t, noop())},
		"MAR-010 absolute names are below the model directory": {"noop.mar", zipped(t, absolute(noop()))},
		"a later entry replaces an earlier one": {
			"noop.mar", zipped(t, append([]entry{{name: "noop.py", content: "old and longer than the new one"}}, noop()...)),
		},
		"directory entries and dots": {
			"noop.tar.gz", tarred(t, "noop/", append([]entry{{name: ""}, {name: "MAR-INF/"}, {name: "./x/../MAR-INF/"}}, noop()...)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put(t, c.file, c.content)
			u := f.opened(t, archive.Request{URL: c.file})
			assert.Equal(t, model.Name("noop"), u.Archive.Name)
			assert.Equal(t, model.Version("2.0"), u.Archive.Version)
			got := tree(t, u.Archive.Dir)
			delete(got, "x") // made by the dots above
			assert.Equal(t, noopTree(), got)
		})
	}
}

func absolute(entries []entry) []entry {
	for i := range entries {
		entries[i].name = "/" + entries[i].name
	}
	return entries
}

func TestModesAreIgnored(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.put(t, "noop.tgz", tarred(t, "noop/", noop()))
	u := f.opened(t, archive.Request{URL: "noop.tgz"})
	info, err := os.Stat(filepath.Join(u.Archive.Dir, "noop.py"))
	require.NoError(t, err)
	assert.Zero(t, info.Mode()&^0o644, "%v", info.Mode())
	info, err = os.Stat(u.Archive.Dir)
	require.NoError(t, err)
	assert.Equal(t, os.ModeDir|0o700, info.Mode())
}

func TestRefusedArchives(t *testing.T) {
	t.Parallel()
	truncated := zipped(t, noop())
	truncated = truncated[:len(truncated)-30]
	encrypted := zipped(t, noop())
	for at := 0; ; {
		i := bytes.Index(encrypted[at:], []byte("PK\x01\x02"))
		if i < 0 {
			break
		}
		at += i + 8
		encrypted[at] |= 1
	}
	badSum := zipped(t, []entry{{name: "a", content: strings.Repeat("a", 100)}})
	badSum[bytes.Index(badSum, []byte("PK\x01\x02"))+16] ^= 0xff
	tarball := tarred(t, "noop/", append(noop(), entry{name: "big", content: strings.Repeat("big", 9999)}))

	const save, read = "Failed to save model: ", "Failed to read model archive: "
	for name, c := range map[string]struct {
		file    string
		content []byte
		status  int
		text    string
	}{
		"MAR-006 an empty .mar":                        {"x.mar", nil, 400, read},
		"MAR-006 a text named .mar":                    {"x.mar", []byte("<html>not found</html>"), 400, read},
		"MAR-006 a .mar without entries":               {"x.mar", zipped(t, nil), 400, read},
		"MAR-006 a truncated .mar":                     {"x.mar", truncated, 400, read},
		"MAR-006 a broken gzip named .mar":             {"x.mar", []byte("\x1f\x8bxxxxxxxxxxxx"), 400, read},
		"MAR-006 a .mar with sizes that are nowhere":   {"x.mar", zipOf(zipEntry{name: "a", size: inZIP64}), 400, read},
		"MAR-007 MGT-020 a corrupt .tar.gz":            {"x.tar.gz", []byte("\x1f\x8bxxxxxxxxxxxx"), 500, save},
		"MAR-007 MGT-020 a text named .tgz":            {"x.tgz", []byte("hello"), 500, save},
		"MAR-007 MGT-020 a gzip of no tar":             {"x.tar.gz", gzipped(t, []byte(strings.Repeat("hello", 999))), 500, save},
		"MAR-007 MGT-020 a truncated .tar.gz":          {"x.tar.gz", tarball[:len(tarball)-40], 500, save},
		"MGT-020 a text named .zip":                    {"x.zip", []byte("hello"), 500, save},
		"MAR-008 a zip entry ../../x":                  {"x.mar", zipped(t, []entry{{name: "../../evil", content: "x"}}), 500, save},
		"MAR-008 a zip entry a/../../x":                {"x.mar", zipped(t, []entry{{name: "a/../../evil", content: "x"}}), 500, save},
		"MAR-008 a zip directory ../../x/":             {"x.mar", zipped(t, []entry{{name: "../../evil/"}}), 500, save},
		"MAR-011 a tar entry a/../../../x":             {"x.tgz", tarred(t, "", []entry{{name: "a/../../../evil", content: "x"}}), 500, save},
		"MAR-011 a tar entry m/..":                     {"x.tgz", tarred(t, "", []entry{{name: "m/..", content: "x"}}), 500, save},
		"an encrypted entry":                           {"x.mar", encrypted, 500, save},
		"an entry with a wrong sum":                    {"x.mar", badSum, 500, save},
		"a name with a zero":                           {"x.mar", zipped(t, []entry{{name: "a\x00b", content: "x"}}), 500, save},
		"a file where a directory is":                  {"x.mar", zipped(t, []entry{{name: "a/b"}, {name: "a"}}), 500, save},
		"MAR-069 a good entry before one that escapes": {"x.mar", zipped(t, append(noop(), entry{name: "../evil"})), 500, save},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put(t, c.file, c.content)
			kind := map[int]string{400: invalidType, 500: internalType}[c.status]
			request := archive.Request{URL: c.file, Name: "given"}
			f.refused(t, request, c.status, kind, c.text+c.file)
			f.refused(t, request, c.status, kind, c.text+c.file) // a retry answers the same
			outside := tree(t, filepath.Dir(f.models))
			for path := range outside {
				assert.NotContains(t, path, "evil")
			}
		})
	}
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestSiblingWithTheSamePrefix(t *testing.T) {
	t.Parallel()
	t.Run("MAR-009", func(t *testing.T) {
		t.Parallel()
		// The directory that an archive is unpacked to has a random name: a
		// link inside the archive stands for the sibling.
		f := newFixture(t, nil)
		f.put(t, "x.tgz", tarred(t, "m/", []entry{{name: "up", link: ".."}, {name: "up/evil", content: "x"}, {name: manifestName, content: goodManifest}}))
		u := f.opened(t, archive.Request{URL: "x.tgz"})
		assert.Equal(t, "x", tree(t, u.Archive.Dir)["up/evil"], "the link was left out, the file stays inside")
		f.put(t, "y.mar", zipped(t, []entry{{name: "../" + filepath.Base(u.Archive.Dir) + "x/evil", content: "x"}}))
		f.refused(t, archive.Request{URL: "y.mar"}, 500, internalType, "Failed to save model: y.mar")
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	t.Run("MAR-012 a link in a tar never becomes an empty file", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "x.tgz", tarred(t, "m/", append(noop(),
			entry{name: "sub/inside.py", link: "../noop.py"},
			entry{name: "later.txt", link: "data/later.txt"},
			entry{name: "data/later.txt", content: "late"},
			entry{name: "absolute", link: "/etc/passwd"},
			entry{name: "outside", link: "../../etc/passwd"},
			entry{name: "dangling", link: "nowhere"},
			entry{name: "self", link: "self"},
			entry{name: "here", link: "."},
			entry{name: "trick", link: "here/../sub"}, // inside by its text, outside by its way
			entry{name: "here/deep", link: "../m"},
		)))
		u := f.opened(t, archive.Request{URL: "x.tgz"})
		want := noopTree()
		want["sub"], want["data"], want["data/later.txt"] = "directory", "directory", "late"
		want["sub/inside.py"], want["later.txt"], want["here"] = "link to ../noop.py", "link to data/later.txt", "link to ."
		assert.Equal(t, want, tree(t, u.Archive.Dir))
		text, err := os.ReadFile(filepath.Join(u.Archive.Dir, "sub", "inside.py"))
		require.NoError(t, err)
		assert.Equal(t, noop()[0].content, string(text))
		assert.Contains(t, f.log.lines(t, "warn"), "Skipped an entry of the archive: a link that leaves the archive")
	})
	t.Run("a link in a zip becomes a file that holds its target", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		h := zip.FileHeader{Name: "link"}
		h.SetMode(os.ModeSymlink | 0o777)
		e, err := w.CreateHeader(&h)
		require.NoError(t, err)
		_, err = e.Write([]byte("/etc/passwd"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		f := newFixture(t, nil)
		f.put(t, "x.mar", b.Bytes())
		u := f.opened(t, archive.Request{URL: "x.mar", Name: "x"})
		assert.Equal(t, map[string]string{"link": "/etc/passwd"}, tree(t, u.Archive.Dir))
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 17<<20) // more than may have any ratio
	bomb := append(noop(), entry{name: "z", content: zeros})
	zipBomb, tarBomb := zipped(t, bomb), tarred(t, "m/", bomb)
	for name, c := range map[string]struct {
		limits  archive.Limits
		content []byte
		details string // empty: it is unpacked
	}{
		"entries, at the limit":              {archive.Limits{Entries: 3}, zipped(t, noop()), ""},
		"entries, above it":                  {archive.Limits{Entries: 2}, zipped(t, noop()), "archive has more than 2 files and directories (archive_max_entries)"},
		"entries of a tar":                   {archive.Limits{Entries: 2}, tarred(t, "m/", noop()), "archive has more than 2 files and directories (archive_max_entries)"},
		"one directory again and again":      {archive.Limits{Entries: 2}, tarred(t, "m/", slices.Repeat([]entry{{name: "d/"}}, 3)), "archive has more than 2 files and directories (archive_max_entries)"},
		"directories that no entry is about": {archive.Limits{Entries: 5}, zipped(t, []entry{{name: "a/b/c/d/e/f"}}), "archive has more than 5 files and directories (archive_max_entries)"},
		"bytes":                              {archive.Limits{Bytes: 100}, zipped(t, noop()), "archive unpacks to more than 100 bytes (archive_max_bytes)"},
		"bytes of a tar":                     {archive.Limits{Bytes: 100}, tarred(t, "m/", noop()), "archive unpacks to more than 100 bytes (archive_max_bytes)"},
		"ratio":                              {archive.Limits{Ratio: 200}, zipBomb, "archive unpacks to more than 200 times its size (archive_max_ratio)"},
		"ratio of a tar":                     {archive.Limits{Ratio: 200}, tarBomb, "archive unpacks to more than 200 times its size (archive_max_ratio)"},
		"ratio of what follows a tar":        {archive.Limits{Ratio: 200}, append(tarred(t, "m/", noop()), tarBomb...), "archive unpacks to more than 200 times its size (archive_max_ratio)"},
		"ratio of a small file":              {archive.Limits{Ratio: 200}, zipped(t, append(noop(), entry{name: "z", content: zeros[:1<<20]})), ""},
		"the directory of a zip is bounded":  {archive.Limits{Entries: 1}, zipOf(manyEntries(20_000)...), "directory of the zip file is too large (archive_max_entries)"},
		"none":                               {archive.Limits{}, zipBomb, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(cfg *archive.Config) { cfg.Limits = c.limits })
			f.put(t, "x.mar", c.content)
			if c.details == "" {
				f.opened(t, archive.Request{URL: "x.mar"})
				return
			}
			assert.Equal(t, c.details, f.refused(t, archive.Request{URL: "x.mar"}, 500, internalType, "Failed to save model: x.mar"))
		})
	}
}

func manyEntries(n int) []zipEntry {
	entries := make([]zipEntry, n)
	for i := range entries {
		entries[i].name = fmt.Sprintf("directory/%0100d", i)
	}
	return entries
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	made := func(t *testing.T, dir string) string {
		t.Helper()
		for _, e := range noop() {
			write(t, filepath.Join(dir, e.name), []byte(e.content))
		}
		return dir
	}
	t.Run("MAR-013 a directory by absolute path is served by a link and survives", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		dir := made(t, filepath.Join(t.TempDir(), "my-model"))
		u := f.opened(t, archive.Request{URL: dir})
		assert.Equal(t, "my-model", filepath.Base(u.Archive.Dir))
		assert.Regexp(t, regexp.MustCompile(`/[0-9a-f]{32}/my-model$`), u.Archive.Dir)
		target, err := os.Readlink(u.Archive.Dir)
		require.NoError(t, err)
		assert.Equal(t, dir, target)
		require.NoError(t, u.Remove())
		assert.Empty(t, f.modelDirs(t))
		assert.Equal(t, noopTree(), tree(t, dir))
		f.opened(t, archive.Request{URL: dir + "/"})
	})
	t.Run("MAR-014 a directory of one directory is entered", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		made(t, filepath.Join(f.models, "outer", "inner"))
		u := f.opened(t, archive.Request{URL: "outer"})
		target, err := os.Readlink(u.Archive.Dir)
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(f.models, "outer", "inner"), target)
		assert.Equal(t, "outer", filepath.Base(u.Archive.Dir))
	})
	t.Run("MAR-015 a directory of the store by its name", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls("https://h/.*") })
		made(t, filepath.Join(f.models, "noop"))
		u := f.opened(t, archive.Request{URL: "noop"})
		assert.Equal(t, "noop", string(u.Archive.Name))
		f.opened(t, archive.Request{URL: filepath.Join(f.models, "noop")})
	})
	t.Run("a directory outside the store needs allowed_urls to admit file URLs", func(t *testing.T) {
		t.Parallel()
		dir := made(t, filepath.Join(t.TempDir(), "noop"))
		f := newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls("https://h/.*") })
		f.refused(t, archive.Request{URL: dir}, http.StatusNotFound, notFoundType, "Model not found at: "+dir)
		f = newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls("file://" + filepath.Dir(dir) + "/.*") })
		f.opened(t, archive.Request{URL: dir})
	})
}

func TestWorkingDirectory(t *testing.T) {
	f := newFixture(t, nil)
	t.Chdir(t.TempDir())
	for _, dir := range []string{"here/noop", "both", "sub/deep"} {
		write(t, filepath.Join(dir, manifestName), []byte(goodManifest))
		write(t, filepath.Join(dir, "noop.py"), nil)
	}
	for _, dir := range []string{"both", "deep"} {
		f.put(t, dir+"/"+manifestName, []byte(`{"model":{"modelName":"of the store"}}`))
		f.put(t, dir+"/noop.py", nil)
	}
	for url, want := range map[string]model.Name{
		"here/noop": "noop", "here": "noop", "here/": "noop", "both": "of the store", "sub/deep": "noop", "deep": "of the store", "no/deep": "of the store",
	} {
		assert.Equal(t, want, f.opened(t, archive.Request{URL: url}).Archive.Name, url)
	}
	t.Run("MAR-055 never the store, the working directory or the root", func(t *testing.T) {
		for _, url := range []string{".", "/", "./", "nope/", f.models, f.models + "/", "//", "http://h/", ".downloads"} {
			f.refused(t, archive.Request{URL: url, Name: "x"}, 404, notFoundType, "Model not found at: "+url)
		}
	})
}
