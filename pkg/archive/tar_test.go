package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
)

// headed makes a gzip tar of headers alone.
func headed(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	return gzipped(t, tarOf(t, headers...))
}

// tarOf makes a tar of headers alone; the content of a file is its Uname.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Uname
		h.Uname, h.Size = "", int64(len(content))
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// block makes a tar header by hand, as no writer would, with its data.
func block(kind byte, name string, data string) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(data)))
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	copy(h[148:], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	padding := make([]byte, (512-len(data)%512)%512)
	return slices.Concat(h, []byte(data), padding)
}

// records makes the data of a PAX header.
func records(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		length := len(pairs[i]) + len(pairs[i+1]) + 3
		for length != len(fmt.Sprint(length))+len(pairs[i])+len(pairs[i+1])+3 {
			length++
		}
		fmt.Fprintf(&b, "%d %s=%s\n", length, pairs[i], pairs[i+1])
	}
	return b.String()
}

// sparse makes a tar whose one file has a hole of so many bytes before a word.
func sparse(t testing.TB, hole int64) []byte {
	t.Helper()
	layout := fmt.Sprintf("1\n%d\n4\n", hole)
	data := layout + strings.Repeat("\x00", 512-len(layout)) + "word"
	header := records("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "m/holes", "GNU.sparse.realsize", fmt.Sprint(hole+4))
	content := append(block('x', "m/header", header), block('0', "m/GNUSparseFile.0/holes", data)...)
	return gzipped(t, append(content, make([]byte, 1024)...))
}

func TestTarEntries(t *testing.T) {
	t.Parallel()
	file := func(name, content string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Uname: content, Mode: 0o6777}
	}
	link := func(kind byte, name, target string) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: target}
	}
	const noLink, noFile, dangling, odd = "a link that leaves the archive", "a hard link to what is no file of the archive",
		"a link that leads nowhere or leaves the archive", "neither a file, a directory nor a link"
	for name, c := range map[string]struct {
		content []byte
		want    map[string]string
		skipped []string
	}{
		"a hard link is a second name": {
			headed(t, file("m/a", "one"), link(tar.TypeLink, "m/d/b", "m/a"), link(tar.TypeLink, "m/c", "./a")),
			map[string]string{"a": "one", "d": "directory", "d/b": "one", "c": "one"},
			nil,
		},
		"names that were linked do not share what comes later": {
			headed(t, file("m/a", "one"), link(tar.TypeLink, "m/b", "m/a"), file("m/a", "two")),
			map[string]string{"a": "two", "b": "one"},
			nil,
		},
		"a hard link is to a file of the archive": {
			headed(t, link(tar.TypeLink, "m/early", "m/a"), file("m/a", ""), link(tar.TypeLink, "m/out", "m/../../etc/passwd"),
				link(tar.TypeLink, "m/abs", "/etc/passwd"), link(tar.TypeLink, "m/a", "m/a"), link(tar.TypeLink, "m/dir", "m/."),
				link(tar.TypeSymlink, "m/d/e/s", "../../a"), link(tar.TypeLink, "m/s", "m/d/e/s")),
			map[string]string{"a": "", "d": "directory", "d/e": "directory", "d/e/s": "link to ../../a"},
			[]string{noFile, noFile, noFile, noFile, noFile, noFile},
		},
		"MAR-012 a chain of links": {
			headed(t, link(tar.TypeSymlink, "m/1", "2"), link(tar.TypeSymlink, "m/2", "3"), link(tar.TypeSymlink, "m/3", "../x"), file("m/f", "")),
			map[string]string{"f": ""},
			[]string{noLink, dangling, dangling},
		},
		"MAR-012 links in a circle": {
			headed(t, link(tar.TypeSymlink, "m/1", "2"), link(tar.TypeSymlink, "m/2", "1"), file("m/f", "")),
			map[string]string{"f": ""},
			[]string{dangling, dangling},
		},
		"MAR-012 a link that is inside by its text and outside by its way": {
			headed(t, link(tar.TypeSymlink, "m/a", "."), link(tar.TypeSymlink, "m/a/b/c/out", "../../../f"), file("m/f", "")),
			map[string]string{"a": "link to .", "b": "directory", "b/c": "directory", "f": ""},
			[]string{dangling},
		},
		"MAR-012 nothing is written through a link that leaves": {
			headed(t, link(tar.TypeSymlink, "m/up", "../.."), file("m/up/x", "1"), link(tar.TypeSymlink, "m/root", "/"), file("m/root/x", "2")),
			map[string]string{"up": "directory", "up/x": "1", "root": "directory", "root/x": "2"},
			[]string{noLink, noLink},
		},
		"MAR-012 a link takes the place of a file": {
			headed(t, file("m/a", "one"), file("m/b", "two"), link(tar.TypeSymlink, "m/b", "a")),
			map[string]string{"a": "one", "b": "link to a"},
			nil,
		},
		"MAR-012 devices, pipes and what nobody knows": {
			headed(t, tar.Header{Typeflag: tar.TypeChar, Name: "m/zero", Devmajor: 1, Devminor: 5}, tar.Header{Typeflag: tar.TypeBlock, Name: "m/disk"},
				tar.Header{Typeflag: tar.TypeFifo, Name: "m/pipe"}, tar.Header{Typeflag: 'Z', Name: "m/what"}, file("m/f", "")),
			map[string]string{"f": ""},
			[]string{odd, odd, odd, odd},
		},
		"MAR-002 old and strange names": {
			headed(t, file("/m/absolute", ""), file("m//double", ""), file("m/./dot", ""), file("m/a/../up", ""), file(`m/..\..\back`, ""), file("m/ü\n\x1b", ""), file("bare", "")),
			map[string]string{"m": "directory", "m/absolute": "", "double": "", "dot": "", "up": "", `..\..\back`: "", "ü\n\x1b": "", "bare": ""},
			nil,
		},
		"a sparse file has its holes": {sparse(t, 5000), map[string]string{"holes": strings.Repeat("\x00", 5000) + "word"}, nil},
		"gzip files in a row": {
			func() []byte {
				whole := bytes.Join([][]byte{block('0', "m/a", "one"), block('0', "m/b", "two"), make([]byte, 1024)}, nil)
				return append(gzipped(t, whole[:700]), gzipped(t, whole[700:])...)
			}(),
			map[string]string{"a": "one", "b": "two"},
			nil,
		},
		"what follows and is no gzip":   {append(headed(t, file("m/a", "one")), "\n"...), map[string]string{"a": "one"}, nil},
		"zeros that pad an archive":     {append(headed(t, file("m/a", "one")), make([]byte, 9999)...), map[string]string{"a": "one"}, nil},
		"a tar without its end":         {gzipped(t, block('0', "m/a", "one")), map[string]string{"a": "one"}, nil},
		"a header for all that follows": {gzipped(t, bytes.Join([][]byte{block('g', "m/x", records("comment", "x")), block('0', "m/a", "one")}, nil)), map[string]string{"a": "one"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put(t, "x.tgz", c.content)
			u := f.opened(t, archive.Request{URL: "x.tgz", Name: "x"})
			assert.Equal(t, c.want, tree(t, u.Archive.Dir))
			skipped := []string{}
			for _, line := range f.log.lines(t, "warn") {
				skipped = append(skipped, strings.TrimPrefix(line, "Skipped an entry of the archive: "))
			}
			assert.ElementsMatch(t, c.skipped, skipped)
			assertPlain(t, u.Archive.Dir)
		})
	}
}

// assertPlain checks that below dir there are plain files, directories and
// links only, without any mode that an archive chose.
func assertPlain(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		kind, most := info.Mode().Type(), os.FileMode(0o644)
		if kind == os.ModeSymlink {
			return nil
		}
		if d.IsDir() {
			most = 0o755
		}
		assert.Zero(t, info.Mode()&^(os.ModeDir|most), "%s %v", path, info.Mode())
		return nil
	})
	require.NoError(t, err)
}

func TestRefusedTars(t *testing.T) {
	t.Parallel()
	whole := headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "m/a", Uname: strings.Repeat("model ", 9999)})
	badSum := bytes.Clone(whole)
	badSum[len(badSum)-8] ^= 0xff
	for name, c := range map[string]struct {
		content []byte
		details string
	}{
		"MAR-007 MGT-020 a wrong sum at the end":  {badSum, ""},
		"MAR-007 MGT-020 cut before the sum":      {whole[:len(whole)-8], ""},
		"MAR-007 MGT-020 a header that is none":   {gzipped(t, append(block('0', "m/a", ""), bytes.Repeat([]byte("x"), 512)...)), ""},
		"MAR-007 MGT-020 less than it says":       {gzipped(t, block('0', "m/a", strings.Repeat("x", 2000))[:1000]), ""},
		"a hole that would fill any disk":         {sparse(t, 1<<50), "archive unpacks to more than 200 times its size (archive_max_ratio)"},
		"a hole before the begin of the file":     {sparse(t, -1), ""},
		"a header that would fill the memory":     {gzipped(t, block('x', "m/h", records("path", strings.Repeat("x", 2<<20)))), ""},
		"a name longer than any path":             {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "m/" + strings.Repeat("directory/", 500) + "f"}), ""},
		"a name longer than any name":             {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "m/" + strings.Repeat("x", 300)}), ""},
		"directories without an end":              {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("d/", 300) + "f"}), ""},
		"a file below a file":                     {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "m/a"}, tar.Header{Typeflag: tar.TypeReg, Name: "m/a/b"}), ""},
		"a file in the place of the whole":        {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "m/."}), ""},
		"a link in the place of the whole":        {headed(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "m/.", Linkname: "x"}), ""},
		"MAR-011 a link whose name leaves":        {headed(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "m/../evil", Linkname: "x"}), ""},
		"MAR-011 a directory whose name leaves":   {headed(t, tar.Header{Typeflag: tar.TypeDir, Name: "m/../../evil/"}), ""},
		"MAR-011 a device whose name leaves":      {headed(t, tar.Header{Typeflag: tar.TypeChar, Name: "m/../../evil"}), ""},
		"MAR-011 a PAX name that leaves":          {gzipped(t, append(block('x', "m/h", records("path", "m/../../evil")), block('0', "m/a", "")...)), ""},
		"MAR-011 a hard link whose name leaves":   {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "m/a"}, tar.Header{Typeflag: tar.TypeLink, Name: "m/../evil", Linkname: "m/a"}), ""},
		"MAR-011 a long GNU name that leaves":     {gzipped(t, append(block('L', "././@LongLink", "m/../../evil\x00"), block('0', "m/a", "")...)), ""},
		"MAR-011 dots behind a first component .": {headed(t, tar.Header{Typeflag: tar.TypeReg, Name: "./../evil"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertHostile(t, "x.tgz", c.content, c.details)
		})
	}
}

func TestSkippedEntriesDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	headers := []tar.Header{{Typeflag: tar.TypeReg, Name: "m/f"}}
	for i := range 1000 {
		headers = append(headers, tar.Header{Typeflag: tar.TypeFifo, Name: fmt.Sprintf("m/%d", i)})
	}
	f := newFixture(t, nil)
	f.put(t, "x.tgz", headed(t, headers...))
	f.opened(t, archive.Request{URL: "x.tgz", Name: "x"})
	lines := f.log.lines(t, "warn")
	require.Len(t, lines, 21)
	assert.Equal(t, "Skipped 980 more entries of the archive", lines[20])
}
