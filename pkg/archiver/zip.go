package archiver

import (
	"archive/zip"
	"compress/flate"
	"context"
	"hash/crc32"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// zipSink writes a zip file without entries for directories.
type zipSink struct {
	z     *zip.Writer
	store bool // nothing is compressed
}

func newZipSink(w io.Writer, store bool) *zipSink {
	s := &zipSink{z: zip.NewWriter(w), store: store}
	if store { // see add
		s.z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
			return flate.NewWriter(w, flate.NoCompression)
		})
	}
	return s
}

// add writes a file. 0.12 reads archives from front to end, in Java, which
// needs the size of a stored entry in front of it. Beyond 4 GiB there is no
// room for it in the headers that the library writes: such a file becomes a
// deflated entry that is not compressed.
func (s *zipSink) add(ctx context.Context, e entry) error {
	h := header(e)
	if s.store && e.size < math.MaxUint32 {
		return s.addStored(ctx, h, e)
	}
	w, err := s.z.CreateHeader(h)
	if err != nil {
		return err
	}
	return e.copyTo(ctx, w)
}

// addStored writes a file as it is. Its checksum comes first, so that it is
// read twice.
func (s *zipSink) addStored(ctx context.Context, h *zip.FileHeader, e entry) error {
	sum := crc32.NewIEEE()
	if err := e.copyTo(ctx, sum); err != nil {
		return err
	}
	h.Method, h.CRC32 = zip.Store, sum.Sum32()
	h.CompressedSize64, h.UncompressedSize64 = uint64(e.size), uint64(e.size) //nolint:gosec // sizes are not negative
	w, err := s.z.CreateRaw(h)
	if err != nil {
		return err
	}
	sum.Reset()
	if err := e.copyTo(ctx, io.MultiWriter(w, sum)); err != nil {
		return err
	}
	if h.CRC32 != sum.Sum32() {
		return e.changed()
	}
	return nil
}

func (s *zipSink) close() error { return s.z.Close() }

// Of headers: what a reader must support, and that a name is UTF-8.
const (
	version20 = 20
	flagUTF8  = 0x800
)

// header returns what the library cannot know of an entry, or leaves out of one
// that is stored.
func header(e entry) *zip.FileHeader {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, CreatorVersion: version20, ReaderVersion: version20}
	if strings.ContainsFunc(e.name, func(r rune) bool { return r >= utf8.RuneSelf }) && utf8.ValidString(e.name) {
		h.Flags = flagUTF8
	}
	h.SetMode(e.mode())
	h.SetModTime(wallTime(e.modified)) //nolint:staticcheck // the other way adds an extra field, and does nothing for stored entries
	h.Modified = time.Time{}
	return h
}

// wallTime returns what a clock shows at t, in the only time zone that zip files
// know. They begin in 1980.
func wallTime(t time.Time) time.Time {
	wall := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); wall.Before(first) {
		return first
	}
	return wall
}
