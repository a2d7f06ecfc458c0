package archiver_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archiver"
)

// TestExtraFiles is about the names that extra files get. It works in their
// folder.
func TestExtraFiles(t *testing.T) {
	tree := []string{
		"a.txt", "b.txt", ".hidden", "d/one", "d/.env", "d/sub/two", "d/.git/config", "d/__pycache__/x.pyc", "d/__MACOSX/x", "d/x.pyc",
		"e/one", "e/sub/three", "brackets[1].txt", "[", "c/d/four",
	}
	for name, c := range map[string]struct {
		extra    string
		keepTree bool
		want     string // names, without those of handler and manifest
		said     string
	}{
		"files, one of a folder":                    {"a.txt,d/one", false, "a.txt one", ""},
		"MAR-146 blanks, and nothing":               {" a.txt , ,b.txt,", false, "a.txt b.txt", ""},
		"no files at all":                           {"", false, "", ""},
		"MAR-146 a directory":                       {"d", false, ".env one sub/two x.pyc", ""},
		"a directory with a slash":                  {"d/", false, ".env one sub/two x.pyc", ""},
		"MAR-146 directories with equal parts":      {"c,c/d,e", false, "d/four four one sub/three", ""},
		"MAR-146 equal names, the last one counts":  {"d/one,e", false, "one sub/three", "Two files are named one: e/one is packed, d/one is not"},
		"the same file twice":                       {"a.txt,a.txt", false, "a.txt", ""},
		"the handler as an extra file":              {"h.py", false, "", ""},
		"MAR-146 a pattern":                         {"*.txt", false, "a.txt b.txt brackets[1].txt", ""},
		"MAR-146 a class":                           {"[a].t?t", false, "a.txt", ""},
		"a class that excludes":                     {"[!ab].txt,[!a].txt", false, "b.txt", "Given wildcard pattern did not match any file: [!ab].txt"},
		"a pattern is not recursive":                {"**/one", false, "one", "Two files are named one: e/one is packed, d/one is not"},
		"a pattern of folders":                      {"[c-d]/d", false, "four", ""},
		"wildcards do not match hidden names":       {"d/*", false, "one two x x.pyc", "Two files are named x.pyc: d/x.pyc is packed, d/__pycache__/x.pyc is not"},
		"unless they say so":                        {"./.h*", false, ".hidden", ""},
		"a name with brackets":                      {"brackets[1].txt", false, "brackets[1].txt", ""},
		"a file named by a bracket":                 {"[", false, "[", ""},
		"MAR-146 a pattern that nothing matches":    {"*.nope,a.txt", false, "a.txt", "Given wildcard pattern did not match any file: *.nope"},
		"a kept tree":                               {"d,a.txt", true, "a.txt d/.env d/one d/sub/two d/x.pyc", ""},
		"a kept tree in a folder":                   {"c/d/", true, "d/four", ""},
		"kept trees side by side":                   {"d/sub,e/sub", true, "sub/three sub/two", ""},
		"kept trees of a pattern":                   {"[de]", true, "d/.env d/one d/sub/two d/x.pyc e/one e/sub/three", ""},
		"a kept tree without a name of its own":     {"c/.", true, "d/four", ""},
		"a kept tree with a name that is left out":  {"d/.git,d/__*", true, "", "directories of such a name are left out"},
		"a hidden directory that is named for sure": {"d/.git", false, "config", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, tree...)
			t.Chdir(p.dir)
			m := p.model()
			m.Handler, m.Extra = "h.py", c.extra
			packed := p.pack(m, func(out *archiver.Output) { out.KeepTree = c.keepTree })
			found := strings.Replace(" "+strings.Join(names(packed), " ")+" ", " h.py ", " ", 1)
			assert.Equal(t, strings.TrimSpace(c.want+" MAR-INF/MANIFEST.json"), strings.TrimSpace(found))
			if c.said == "" {
				assert.Empty(t, p.said)
			} else {
				assert.Contains(t, strings.Join(p.said, "\n"), c.said)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	link := func(t *testing.T, p *place, target, at string) {
		t.Helper()
		require.NoError(t, os.Symlink(target, p.path(at)))
	}
	t.Run("what they lead to is packed", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "x/one", "elsewhere/two")
		link(t, p, p.path("elsewhere"), "x/dir")
		link(t, p, "one", "x/file")
		m := p.model()
		m.Extra = p.path("x")
		assert.Equal(t, []item{
			{name: "dir/two", content: "elsewhere/two"},
			{name: "file", content: "x/one"},
		}, contents(readZip(t, p.pack(m).Path))[:2])
	})
	for name, c := range map[string]struct{ target, want string }{
		"nowhere":            {"nowhere", "No such file: "},
		"back":               {"..", "it leads back to where it is"},
		"to itself":          {"link", "too many levels of symbolic links"},
		"to what is no file": {"/dev/null", "Invalid extra file given "},
	} {
		t.Run("a link that leads "+name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "x/deep/one")
			link(t, p, c.target, "x/deep/link")
			assert.ErrorContains(t, p.refused(func(m *archiver.Model) { m.Extra = p.path("x") }), c.want)
		})
	}
	t.Run("a pipe", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "x/one")
		require.NoError(t, syscall.Mkfifo(p.path("x/pipe"), 0o600))
		for _, extra := range []string{"x", "x/pipe"} {
			assert.EqualError(t, p.refused(func(m *archiver.Model) { m.Extra = p.path(extra) }), "Invalid extra file given "+p.path("x/pipe"))
		}
		assert.EqualError(t, p.refused(func(m *archiver.Model) { m.Serialized = p.path("x/pipe") }), "Not a file: "+p.path("x/pipe"))
	})
}

// contents leaves only name and content of the files of an archive.
func contents(all []item) []item {
	for i := range all {
		all[i] = item{name: all[i].name, content: all[i].content}
	}
	return all
}

func TestReserved(t *testing.T) {
	t.Parallel()
	t.Run("an archive gets one manifest", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "x/MAR-INF/MANIFEST.json", "x/MAR-INF/other")
		m := p.model()
		m.Extra = p.path("x")
		assert.Equal(t, []string{"MAR-INF/other", "h.py", "MAR-INF/MANIFEST.json"}, names(p.pack(m)))
		assert.Equal(t, []string{p.path("x/MAR-INF/MANIFEST.json") + " is not packed: the archive gets its own"}, p.said)
	})
	for _, format := range []archiver.Format{archiver.Default, archiver.NoArchive} {
		t.Run("an archive is not packed into itself: "+string(format), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.out = p.dir
			m := p.model()
			m.Format, m.Extra = format, p.dir
			first := names(p.pack(m))
			assert.Equal(t, first, names(p.pack(m, force)))
			m.Extra = filepath.Join(p.dir, "*")
			assert.Equal(t, first, names(p.pack(m, force)))
		})
	}
	t.Run("a file and a directory of one name", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "x/h.py/file")
		err := p.refused(func(m *archiver.Model) { m.Extra = p.path("x") })
		assert.ErrorContains(t, err, "h.py would be a file and a directory")
	})
}
