package archiver_test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archiver"
)

// noon is when the archives of these tests are made.
func noon() time.Time { return time.Date(2024, 11, 22, 12, 0, 0, 0, time.UTC) }

// place is a directory with the files of a model, and one for archives.
type place struct {
	t    *testing.T
	dir  string // files
	out  string // export path
	said []string
}

func newPlace(t *testing.T, files ...string) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), out: t.TempDir()}
	p.put(append(files, "h.py")...)
	return p
}

// put writes files, each with its path as content.
func (p *place) put(files ...string) {
	p.t.Helper()
	for _, f := range files {
		require.NoError(p.t, os.MkdirAll(filepath.Dir(p.path(f)), 0o755))
		require.NoError(p.t, os.WriteFile(p.path(f), []byte(f), 0o644))
	}
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

// target returns the path of an archive.
func (p *place) target(name string) string { return p.out + "/" + name }

// model is one that can be packed.
func (p *place) model() archiver.Model {
	return archiver.Model{Name: "m", Version: "1.0", Handler: p.path("h.py")}
}

// output keeps what the user is told.
func (p *place) output() archiver.Output {
	return archiver.Output{Dir: p.out, Created: noon(), Warn: func(text string) { p.said = append(p.said, text) }}
}

// pack makes an archive, which must work.
func (p *place) pack(m archiver.Model, change ...func(*archiver.Output)) archiver.Packed {
	p.t.Helper()
	out := p.output()
	for _, c := range change {
		c(&out)
	}
	packed, err := m.Pack(p.t.Context(), out)
	require.NoError(p.t, err)
	return packed
}

func force(out *archiver.Output) { out.Force = true }

// names returns the names in an archive, in its order.
func names(packed archiver.Packed) []string {
	all := make([]string, 0, len(packed.Files))
	for _, f := range packed.Files {
		all = append(all, f.Name)
	}
	return all
}

// item is a file in an archive, as a reader finds it.
type item struct {
	name, content string
	mode          os.FileMode
	modified      time.Time
	stored        bool // not compressed
}

func readZip(t *testing.T, path string) []item {
	t.Helper()
	z, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, z.Close()) }()
	var all []item
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		if f.Method == zip.Store {
			require.Zero(t, f.Flags&8, "Java cannot read a stored entry whose size stands behind it")
		}
		all = append(all, item{f.Name, string(content), f.Mode(), f.Modified, f.Method == zip.Store})
	}
	return all
}

func readTar(t *testing.T, path string) []item {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	gz, err := gzip.NewReader(f)
	require.NoError(t, err)
	var all []item
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		all = append(all, item{h.Name, string(content), h.FileInfo().Mode(), h.ModTime, false})
	}
}

// listing returns the files below a directory, by their path.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			content, err := os.ReadFile(filepath.Join(dir, name))
			found[name] = string(content)
			return err
		}
		return err
	}))
	return found
}
