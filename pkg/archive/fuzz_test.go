package archive_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
)

// fuzzLimits bound what a fuzzer may write.
func fuzzLimits() archive.Limits { return archive.Limits{Entries: 40, Bytes: 1 << 20, Ratio: 200} }

// unpackAny opens an archive of any content. What comes of it lies in its
// directory, is plain and within the limits, and goes when it is removed; a
// refusal leaves nothing.
func unpackAny(t *testing.T, name string, content []byte) {
	t.Helper()
	f := newFixture(t, func(cfg *archive.Config) { cfg.Limits = fuzzLimits() })
	f.put(t, name, content)
	u, err := f.Open(t.Context(), archive.Request{URL: name, Name: "x"})
	if err == nil {
		assertPlain(t, u.Archive.Dir)
		assertInside(t, u.Archive.Dir)
		require.NoError(t, u.Remove())
	}
	assert.Empty(t, f.modelDirs(t))
	outside, err := os.ReadDir(filepath.Dir(f.models))
	require.NoError(t, err)
	assert.Len(t, outside, 2, "%v", outside)
}

// assertInside checks that no link below dir leaves it, and how much there is.
func assertInside(t *testing.T, dir string) {
	t.Helper()
	var size, n int64
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		target, err := filepath.EvalSymlinks(path)
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, target)
		require.NoError(t, err)
		assert.True(t, filepath.IsLocal(rel), "%s leads to %s", path, target)
		info, err := d.Info()
		require.NoError(t, err)
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		n++
		return nil
	})
	require.NoError(t, err)
	assert.LessOrEqual(t, size, fuzzLimits().Bytes*fuzzLimits().Entries, "hard links count again")
	assert.LessOrEqual(t, n-1, fuzzLimits().Entries)
}

func FuzzZip(f *testing.F) {
	for _, seed := range [][]byte{
		zipped(f, noop()), zipOf(zipEntry{name: "a", data: "one", size: inZIP64, extra: zip64(3)}), zipOf(zipEntry{name: "../a"}, zipEntry{name: "d/"}),
		zipOf(zipEntry{name: "a"}, zipEntry{name: "./a/b"}, zipEntry{name: "/a"}), overlapping(zipped(f, []entry{{name: "0", content: "word"}}), 3),
		{'P', 'K', 5, 6},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) { unpackAny(t, "x.mar", content) })
}

// FuzzTar packs its input, so that a change of it reaches the reader of tar.
func FuzzTar(f *testing.F) {
	for _, seed := range [][]tar.Header{
		{{Typeflag: tar.TypeReg, Name: "m/a", Uname: "one"}, {Typeflag: tar.TypeLink, Name: "m/b", Linkname: "m/a"}, {Typeflag: tar.TypeDir, Name: "m/d/"}},
		{{Typeflag: tar.TypeSymlink, Name: "m/s", Linkname: "."}, {Typeflag: tar.TypeSymlink, Name: "m/s/t", Linkname: "../x"}, {Typeflag: tar.TypeReg, Name: "m/x"}},
		{{Typeflag: tar.TypeChar, Name: "m/../a"}},
	} {
		f.Add(tarOf(f, seed...))
	}
	f.Add(block('S', "m/sparse", "word"))
	f.Add(append(block('x', "m/h", records("path", "m/long", "size", "3")), block('0', "m/a", "one")...))
	f.Add(append(block('L', "././@LongLink", "m/name\x00"), block('0', "m/a", "")...))
	f.Fuzz(func(t *testing.T, content []byte) { unpackAny(t, "x.tgz", gzipped(t, content)) })
}

func FuzzGzip(f *testing.F) {
	whole := headed(f, tar.Header{Typeflag: tar.TypeReg, Name: "m/a", Uname: "one"})
	for _, seed := range [][]byte{whole, slices.Concat(whole, whole), whole[:40], {0x1f, 0x8b}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) { unpackAny(t, "x.tgz", content) })
}
