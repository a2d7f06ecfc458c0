package archive_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestUnknown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls("https://good/.*") })
	f.put(t, "noop.mar", zipped(t, noop()))
	for name, c := range map[string]struct{ url, text string }{
		"MGT-012 empty":                             {"", "empty url"},
		"MAR-041 MGT-013 unknown name":              {"nope.mar", "Model not found at: nope.mar"},
		"MAR-042 MGT-012 dots in front":             {"../x.mar", "Relative path is not allowed in url: ../x.mar"},
		"MAR-042 dots in a query":                   {"https://good/noop.mar?a=..", "Relative path is not allowed in url: https://good/noop.mar?a=.."},
		"MAR-042 dots in escapes":                   {"https://good/%2e%2E/x.mar", "Relative path is not allowed in url: https://good/%2e%2E/x.mar"},
		"MAR-042 dots inside a name":                {"no..op.mar", "Relative path is not allowed in url: no..op.mar"},
		"MAR-044 s3":                                {"s3://b/x.mar", "Model not found at: s3://b/x.mar"},
		"MAR-045 MGT-015 http":                      {"http://good/noop.mar", "Given URL http://good/noop.mar does not match any allowed URL(s)"},
		"MAR-045 file":                              {"FILE:///noop.mar", "Given URL FILE:///noop.mar does not match any allowed URL(s)"},
		"MAR-045 what 0.12 takes for a file":        {"fil://noop.mar", "Given URL fil://noop.mar does not match any allowed URL(s)"},
		"a text that ends like a URL is a name":     {"xhttps://good/nope.mar", "Model not found at: xhttps://good/nope.mar"},
		"a URL without a file name":                 {"https://good/dir/", "Model not found at: https://good/dir/"},
		"a name with a zero":                        {"a\x00b", "Model not found at: a\x00b"},
		"MAR-045 a URL that hides another behind @": {"https://good@evil/x.mar", "Given URL https://good@evil/x.mar does not match any allowed URL(s)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.refused(t, archive.Request{URL: c.url, Name: "x"}, 404, notFoundType, c.text)
		})
	}
	none := newFixture(t, nil)
	s := archive.New(archive.Config{WorkDir: none.work})
	_, err := s.Open(t.Context(), archive.Request{URL: "noop.mar"})
	assert.Equal(t, "Model store has not been configured.", fault.Message(err))
	assert.True(t, fault.Is(err, fault.ModelNotFound))
}

func TestNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.put(t, "noop.mar", zipped(t, noop()))
	for name, url := range map[string]string{
		"MAR-043 MGT-035 directories in front are dropped": "sub/noop.mar",
		"MAR-043 so are absolute ones":                     "/x/noop.mar",
		"backslashes separate":                             `c:\x\noop.mar`,
		"MAR-044 s3 names what is in the store":            "s3://bucket/noop.mar",
		"an unknown scheme is part of a name":              "gs://bucket/noop.mar",
		"ftp: query and fragment do not count":             "ftp://h/noop.mar?x=/y#/z",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := f.opened(t, archive.Request{URL: url})
			assert.Equal(t, url, u.Archive.URL)
		})
	}
	t.Run("MAR-054 a bare name is a name whatever the patterns match", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls(".*") })
		f.put(t, "noop.mar", zipped(t, noop()))
		f.opened(t, archive.Request{URL: "noop.mar"})
		f.refused(t, archive.Request{URL: "nope.mar"}, 404, notFoundType, "Model not found at: nope.mar")
	})
}

// TestHas: what Has says, Open finds, as far as files are concerned.
func TestHas(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls("https://good/.*") })
	f.put(t, "noop.mar", zipped(t, noop()))
	f.put(t, "dir/file", nil)
	for location, want := range map[string]bool{
		"noop.mar": true, "sub/noop.mar": true, "dir": true, filepath.Join(f.models, "dir"): true, filepath.Join(f.models, "dir") + "/": true,
		"https://good/x.mar": true, "https://evil/x.mar": false, "nope.mar": false, "": false, ".": false, "../noop.mar": false, t.TempDir(): false,
	} {
		assert.Equal(t, want, f.Has(location), "%q", location)
	}
}

func TestStoreName(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"noop.mar": "noop.mar", "/a/noop.mar": "noop.mar", "/a/dir/": "dir", "https://h/a/no%20op.mar?sig=a/b#c": "no%20op.mar", "file:///a/noop.mar": "noop.mar", "": "",
	} {
		assert.Equal(t, want, archive.StoreName(location), location)
	}
}

func TestList(t *testing.T) {
	f := newFixture(t, nil)
	for _, name := range []string{"a.mar", "b.model", "c.tar.gz", "d.tgz", "e.zip", ".hidden.mar", "notes.txt", "x.tar", "dir/file", ".git/file", "g.mar/file"} {
		f.put(t, name, nil)
	}
	names, err := f.List()
	require.NoError(t, err)
	t.Run("MAR-078", func(t *testing.T) {
		assert.Equal(t, []string{"a.mar", "b.model", "c.tar.gz", "d.tgz", "dir", "e.zip", "g.mar"}, names)
	})
	_, err = archive.New(archive.Config{}).List()
	assert.Equal(t, "Model store is not configured.", fault.Message(err))
	gone := filepath.Join(f.models, "gone")
	_, err = archive.New(archive.Config{ModelStore: gone}).List()
	assert.Equal(t, "Model store path is not found: "+gone, fault.Message(err))
}
