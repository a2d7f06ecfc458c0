package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
)

// zipEntry is an entry of a zip file that no writer would write: what is not
// set is as it should be.
type zipEntry struct {
	name, data string
	flags      uint16
	method     uint16
	extra      []byte
	size       uint32 // that the directory claims, packed and unpacked
	at         *uint32
	mode       os.FileMode
}

// zipOf makes a zip file of stored entries by hand.
func zipOf(entries ...zipEntry) []byte {
	var b, directory []byte
	put := binary.LittleEndian
	for _, e := range entries {
		at, size := uint32(len(b)), uint32(len(e.data))
		common := put.AppendUint16(nil, 20)
		common = put.AppendUint16(common, e.flags)
		common = put.AppendUint16(common, e.method)
		common = put.AppendUint32(common, 0)
		common = put.AppendUint32(common, crc32.ChecksumIEEE([]byte(e.data)))
		if e.size != 0 {
			size = e.size
		}
		common = put.AppendUint32(put.AppendUint32(common, size), size)
		common = put.AppendUint16(common, uint16(len(e.name)))
		common = put.AppendUint16(common, uint16(len(e.extra)))
		b = append(append(append(append(append(b, "PK\x03\x04"...), common...), e.name...), e.extra...), e.data...)
		if e.at != nil {
			at = *e.at
		}
		var h zip.FileHeader
		h.SetMode(e.mode)
		directory = append(append(append(directory, "PK\x01\x02"...), 20, 3), common...)
		directory = append(directory, 0, 0, 0, 0, 0, 0)
		directory = put.AppendUint32(put.AppendUint32(directory, h.ExternalAttrs), at)
		directory = append(append(directory, e.name...), e.extra...)
	}
	end := append([]byte("PK\x05\x06"), 0, 0, 0, 0)
	end = put.AppendUint16(put.AppendUint16(end, uint16(len(entries))), uint16(len(entries)))
	end = put.AppendUint32(put.AppendUint32(end, uint32(len(directory))), uint32(len(b)))
	return append(append(append(b, directory...), end...), 0, 0)
}

// zip64 is the extra field that holds sizes of 64 bits.
func zip64(size uint64) []byte {
	put := binary.LittleEndian
	return put.AppendUint64(put.AppendUint64([]byte{1, 0, 16, 0}, size), size)
}

const inZIP64 = 0xffffffff // a size that is in the extra field

func TestZipEntries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content []byte
		want    map[string]string
	}{
		"plain entries":                        {zipOf(zipEntry{name: "a", data: "one"}, zipEntry{name: "d/"}, zipEntry{name: "d/b", data: "two"}), map[string]string{"a": "one", "d": "directory", "d/b": "two"}},
		"one name, several entries":            {zipOf(zipEntry{name: "a", data: "one, the longer one"}, zipEntry{name: "./a", data: "two"}, zipEntry{name: "/a", data: "three"}), map[string]string{"a": "three"}},
		"sizes of 64 bits":                     {zipOf(zipEntry{name: "a", data: "one", size: inZIP64, extra: zip64(3)}), map[string]string{"a": "one"}},
		"MAR-010 absolute and strange names":   {zipOf(zipEntry{name: "//a//b", data: "1"}, zipEntry{name: "c/../d"}, zipEntry{name: "C:/e"}), map[string]string{"a": "directory", "a/b": "1", "d": "", "C:": "directory", "C:/e": ""}},
		"MAR-008 backslashes separate nothing": {zipOf(zipEntry{name: `..\..\evil`}, zipEntry{name: `a\b`}), map[string]string{`..\..\evil`: "", `a\b`: ""}},
		"names that are no ASCII, or no text":  {zipOf(zipEntry{name: "\u00fc"}, zipEntry{name: "u\u0308"}, zipEntry{name: "模型/☃"}, zipEntry{name: "\xfc\n"}), map[string]string{"\u00fc": "", "u\u0308": "", "模型": "directory", "模型/☃": "", "\xfc\n": ""}},
		"modes of an archive":                  {zipOf(zipEntry{name: "a", mode: os.ModeSetuid | 0o777}, zipEntry{name: "d/", mode: os.ModeDir | os.ModeSticky | 0o777}, zipEntry{name: "n", mode: os.ModeDevice}), map[string]string{"a": "", "d": "directory", "n": ""}},
		"MAR-012 a link of a zip":              {zipOf(zipEntry{name: "l", data: "/etc/passwd", mode: os.ModeSymlink | 0o777}), map[string]string{"l": "/etc/passwd"}},
		"the directory itself":                 {zipOf(zipEntry{name: "./"}, zipEntry{name: "/"}, zipEntry{name: "a"}), map[string]string{"a": ""}},
		"a comment behind the end":             {append(zipOf(zipEntry{name: "a"})[:len(zipOf(zipEntry{name: "a"}))-2], "\x03\x00PK\x05"...), map[string]string{"a": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put(t, "x.mar", c.content)
			u := f.opened(t, archive.Request{URL: "x.mar", Name: "x"})
			assert.Equal(t, c.want, tree(t, u.Archive.Dir))
			assertPlain(t, u.Archive.Dir)
		})
	}
}

func TestRefusedZips(t *testing.T) {
	t.Parallel()
	const ratio = "archive unpacks to more than 200 times its size (archive_max_ratio)"
	var deflated bytes.Buffer
	w := zip.NewWriter(&deflated)
	f, err := w.Create("0")
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for name, c := range map[string]struct {
		content []byte
		details string
	}{
		"more than the file has":              {zipOf(zipEntry{name: "a", data: "one", size: 1 << 30}), ""},
		"more than any file has":              {zipOf(zipEntry{name: "a", data: "one", size: inZIP64, extra: zip64(1 << 62)}), ""},
		"less than the entry has":             {zipOf(zipEntry{name: "a", data: "one", size: 1}), ""},
		"an entry behind the end":             {zipOf(zipEntry{name: "a", data: "one", at: new(uint32(1 << 30))}), ""},
		"an entry in the middle of another":   {zipOf(zipEntry{name: "a", data: "one", at: new(uint32(3))}), ""},
		"an encrypted entry":                  {zipOf(zipEntry{name: "a", data: "one", flags: 1}), ""},
		"a method that nobody knows":          {zipOf(zipEntry{name: "a", data: "one", method: 99}), ""},
		"entries that share their bytes":      {overlapping(deflated.Bytes(), 300), ratio},
		"a file below a file":                 {zipOf(zipEntry{name: "a"}, zipEntry{name: "a/b"}), ""},
		"a file in the place of a directory":  {zipOf(zipEntry{name: "a/b"}, zipEntry{name: "a"}), ""},
		"a file in the place of the whole":    {zipOf(zipEntry{name: "."}), ""},
		"a file without a name":               {zipOf(zipEntry{name: ""}), ""},
		"a name with a zero":                  {zipOf(zipEntry{name: "a\x00.py"}), ""},
		"a name longer than any name":         {zipOf(zipEntry{name: strings.Repeat("x", 300)}), ""},
		"a name longer than any path":         {zipOf(zipEntry{name: strings.Repeat("directory/", 500) + "a"}), ""},
		"directories without an end":          {zipOf(zipEntry{name: strings.Repeat("d/", 300)}), ""},
		"MAR-008 an entry that leaves":        {zipOf(zipEntry{name: "a"}, zipEntry{name: "b/../../evil"}), ""},
		"MAR-008 an absolute one that leaves": {zipOf(zipEntry{name: "/../evil"}), ""},
		"MAR-008 a directory that leaves":     {zipOf(zipEntry{name: "../evil/"}), ""},
		"MAR-008 nothing but dots":            {zipOf(zipEntry{name: ".."}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertHostile(t, "x.mar", c.content, c.details)
		})
	}
}

func TestNamesCannotForgeLines(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.put(t, "x.mar", zipOf(zipEntry{name: "../a\n2026 [INFO ] \x1b[2Jb"}))
	_, err := f.Open(t.Context(), archive.Request{URL: "x.mar", Name: "x"})
	require.ErrorContains(t, err, "Detected Zip Slip vulnerability: ../a")
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\x1b")
}

// overlapping returns a zip file whose only entry, named 0, is in its directory
// n times.
func overlapping(whole []byte, n int) []byte {
	start, end := bytes.Index(whole, []byte("PK\x01\x02")), bytes.Index(whole, []byte("PK\x05\x06"))
	tail := bytes.Clone(whole[end:])
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(n*(end-start)))
	return append(append(bytes.Clone(whole[:start]), bytes.Repeat(whole[start:end], n)...), tail...)
}
