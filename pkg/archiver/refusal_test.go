package archiver_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archiver"
)

// refused packs a model with a change, forced, which must fail and leave the
// export path as it was.
func (p *place) refused(change func(m *archiver.Model)) error {
	p.t.Helper()
	m, out := p.model(), p.output()
	change(&m)
	out.Force = true
	return p.unchanged(func() error {
		_, err := m.Pack(p.t.Context(), out)
		return err
	})
}

// unchanged checks that what fails leaves the export path as it was.
func (p *place) unchanged(do func() error) error {
	p.t.Helper()
	before := listing(p.t, p.out)
	err := do()
	require.Error(p.t, err)
	assert.Equal(p.t, before, listing(p.t, p.out))
	return err
}

// shown returns a text with OUT for the export path and HANDLER for the handler.
func (p *place) shown(text string) string {
	return strings.NewReplacer(p.out, "OUT", p.path("h.py"), "HANDLER").Replace(text)
}

const (
	rule   = "special characters.\nThe allowed regular expression filter for model name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$"
	exists = " already exists.\nPlease specify --force/-f option to overwrite the model archive output file.\nSee -h/--help for more details."
)

// TestChecks is about what is refused before anything is read.
func TestChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(m *archiver.Model, out *archiver.Output)
		there  string // a file below the export path
		want   string // OUT stands for the export path
		said   []string
	}{
		"MAR-140 a blank in the name": {func(m *archiver.Model, _ *archiver.Output) { m.Name = "a b" }, "", "Model name contains " + rule, nil},
		"MAR-140 no name":             {func(m *archiver.Model, _ *archiver.Output) { m.Name = "" }, "", "Model name contains " + rule, nil},
		"MAR-140 a name that leads elsewhere": {
			func(m *archiver.Model, _ *archiver.Output) { m.Name = "../m" }, "", "Model name contains " + rule, nil,
		},
		"MAR-140 the name comes before the export path": {
			func(m *archiver.Model, out *archiver.Output) { m.Name, out.Dir = "-m", "nowhere" }, "", "Model name contains " + rule, nil,
		},
		"MAR-140 the export path is a file": {
			func(_ *archiver.Model, out *archiver.Output) { out.Dir += "/file" }, "file",
			"Given export-path OUT/file is not a directory. Point to a valid export-path directory.", nil,
		},
		"MAR-140 it is there":                {func(*archiver.Model, *archiver.Output) {}, "m.mar", "OUT/m.mar" + exists, nil},
		"MAR-140 it is there, by other ways": {func(_ *archiver.Model, out *archiver.Output) { out.Dir += "//" }, "m.mar", "OUT//m.mar" + exists, nil},
		"MAR-140 it is there, compressed": {
			func(m *archiver.Model, _ *archiver.Output) { m.Format = archiver.Tgz }, "m.tar.gz", "OUT/m.tar.gz" + exists, nil,
		},
		"MAR-140 it is there, as a directory": {
			func(m *archiver.Model, _ *archiver.Output) { m.Format = archiver.NoArchive }, "m/file", "OUT/m" + exists, nil,
		},
		"MAR-140 it is there before files are looked for": {
			func(m *archiver.Model, _ *archiver.Output) { m.Handler = "nowhere.py" }, "m.mar", "OUT/m.mar" + exists, nil,
		},
		"MAR-140 no handler": {
			func(m *archiver.Model, out *archiver.Output) { m.Handler, out.Force = "nowhere", true }, "m.mar",
			"No such file: nowhere.py",
			[]string{"Overwriting OUT/m.mar ..."},
		},
		"MAR-140 no weights":      {func(m *archiver.Model, _ *archiver.Output) { m.Serialized = "w.pt" }, "", "No such file: w.pt", nil},
		"MAR-140 no model":        {func(m *archiver.Model, _ *archiver.Output) { m.Definition = "m.py" }, "", "No such file: m.py", nil},
		"MAR-140 no requirements": {func(m *archiver.Model, _ *archiver.Output) { m.Requirements = "r.txt" }, "", "No such file: r.txt", nil},
		"MAR-140 no config":       {func(m *archiver.Model, _ *archiver.Output) { m.Config = "c.yaml" }, "", "No such file: c.yaml", nil},
		"MAR-140 no extra file":   {func(m *archiver.Model, _ *archiver.Output) { m.Extra = "doc.go,x,y" }, "", "No such file: x", nil},
		"a directory for a file":  {func(m *archiver.Model, out *archiver.Output) { m.Serialized = out.Dir }, "", "Not a file: OUT", nil},
		"a file for a directory": {
			func(m *archiver.Model, _ *archiver.Output) { m.Serialized = m.Handler + "/w" }, "", "Cannot read HANDLER/w: not a directory", nil,
		},
		"an unknown format": {func(m *archiver.Model, _ *archiver.Output) { m.Format = "rar" }, "", "Unknown archive format: rar", nil},
		"a directory in the place of a file": {
			func(_ *archiver.Model, out *archiver.Output) { out.Force = true }, "m.mar/file", "OUT/m.mar is a directory. Move it away and retry.", nil,
		},
		"a directory of somebody": {
			func(m *archiver.Model, out *archiver.Output) { m.Format, out.Force = archiver.NoArchive, true }, "m/file",
			"OUT/m is not the directory of a model: it has no MAR-INF/MANIFEST.json. Move it away and retry.", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if c.there != "" {
				require.NoError(t, os.MkdirAll(filepath.Dir(p.target(c.there)), 0o755))
				require.NoError(t, os.WriteFile(p.target(c.there), nil, 0o644))
			}
			m, out := p.model(), p.output()
			c.change(&m, &out)
			err := p.unchanged(func() error {
				_, err := m.Pack(t.Context(), out)
				return err
			})
			assert.Equal(t, c.want, p.shown(err.Error()))
			for i := range p.said {
				p.said[i] = p.shown(p.said[i])
			}
			assert.Equal(t, c.said, p.said)
		})
	}
}

func TestExportPath(t *testing.T) {
	t.Parallel()
	t.Run("MAR-145 it is made", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.out = p.target("new/folder")
		assert.FileExists(t, p.pack(p.model()).Path)
		assert.Equal(t, []string{"Export directory (" + p.out + ") does not exist. Creating..."}, p.said)
	})
	t.Run("a new archive takes the place of the old one", func(t *testing.T) {
		t.Parallel()
		for _, format := range []archiver.Format{archiver.Default, archiver.Tgz, archiver.NoArchive} {
			p := newPlace(t, "old", "new")
			m := p.model()
			m.Format, m.Extra = format, p.path("old")
			first := p.pack(m)
			m.Extra = p.path("new")
			second := p.pack(m, force)
			assert.Equal(t, first.Path, second.Path)
			assert.Equal(t, []string{"h.py", "new", "MAR-INF/MANIFEST.json"}, names(second))
			assert.Equal(t, []string{"Overwriting " + second.Path + " ..."}, p.said)
			if format == archiver.NoArchive {
				assert.Len(t, listing(t, p.out), 3)
			} else {
				assert.Len(t, listing(t, p.out), 1)
			}
		}
	})
	t.Run("an empty directory, and a link to a model", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		m := p.model()
		m.Format = archiver.NoArchive
		require.NoError(t, os.Mkdir(p.target("m"), 0o755))
		p.pack(m, force)
		require.NoError(t, os.Rename(p.target("m"), p.target("first")))
		require.NoError(t, os.Symlink("first", p.target("m")))
		p.pack(m, force)
		info, err := os.Lstat(p.target("m"))
		require.NoError(t, err)
		assert.True(t, info.IsDir(), "the link is replaced")
		assert.FileExists(t, p.target("first/h.py"), "what it led to is not")
	})
	t.Run("a link to an archive", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		require.NoError(t, os.WriteFile(p.target("other.mar"), []byte("other"), 0o644))
		require.NoError(t, os.Symlink("other.mar", p.target("m.mar")))
		p.pack(p.model(), force)
		assert.Equal(t, "other", listing(t, p.out)["other.mar"])
	})
}

// TestFailures is about archives that cannot be completed.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, format := range []archiver.Format{archiver.Default, archiver.ZipStore, archiver.Tgz, archiver.NoArchive} {
		for what, change := range map[string]func(path string) error{
			"vanishes": os.Remove,
			"shrinks":  func(path string) error { return os.Truncate(path, 1) },
		} {
			t.Run("a file "+what+" meanwhile: "+string(format), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, "w.pt")
				m := p.model()
				m.Format, m.Serialized, m.Extra = format, p.path("w.pt"), p.path("*.nope")
				p.pack(m)
				out := p.output()
				out.Force = true
				out.Warn = func(text string) {
					if strings.HasPrefix(text, "Given wildcard") { // the file was seen
						require.NoError(t, change(p.path("w.pt")))
					}
				}
				err := p.unchanged(func() error {
					_, err := m.Pack(t.Context(), out)
					return err
				})
				assert.ErrorContains(t, err, "Failed to convert m to the model-archive.\n")
			})
		}
		t.Run("MAR-149 somebody interrupts: "+string(format), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "w.pt")
			m := p.model()
			m.Format, m.Serialized = format, p.path("w.pt")
			p.pack(m)
			ctx, cancel := context.WithCancel(t.Context())
			out := p.output()
			out.Force = true
			out.Warn = func(string) { cancel() }
			err := p.unchanged(func() error {
				_, err := m.Pack(ctx, out)
				return err
			})
			assert.ErrorIs(t, err, context.Canceled)
		})
	}
	for _, format := range []archiver.Format{archiver.Default, archiver.NoArchive} {
		t.Run("MAR-149 somebody else makes the archive meanwhile: "+string(format), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			m := p.model()
			m.Format, m.Extra = format, p.path("*.nope")
			other := p.model()
			other.Format, other.Version = format, "other"
			out := p.output()
			out.Warn = func(string) { p.pack(other) }
			_, err := m.Pack(t.Context(), out)
			require.Error(t, err)
			made := listing(t, p.out)
			p.pack(other, force)
			assert.Equal(t, listing(t, p.out), made)
		})
	}
	t.Run("MAR-145 an export path that was made goes with the archive", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out := p.output()
		out.Dir = p.target("new/folder")
		err := p.unchanged(func() error {
			_, err := p.model().Pack(ctx, out)
			return err
		})
		assert.ErrorIs(t, err, context.Canceled)
		assert.NoDirExists(t, p.target("new"))
	})
	t.Run("nothing can be written", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.out = "/proc"
		_, err := p.model().Pack(t.Context(), p.output())
		assert.ErrorContains(t, err, "Failed to save the model-archive to model-path \"/proc\". Check the file permissions and retry.\n")
	})
}
