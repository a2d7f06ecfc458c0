package archiver

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"time"
)

// tarSink writes a tar file, compressed by gzip, with all files in one
// directory, of which there is no entry.
type tarSink struct {
	gz     *gzip.Writer
	tar    *tar.Writer
	prefix string
}

func newTarSink(w io.Writer, directory string) *tarSink {
	gz := gzip.NewWriter(w)
	return &tarSink{gz: gz, tar: tar.NewWriter(gz), prefix: directory + "/"}
}

func (s *tarSink) add(ctx context.Context, e entry) error {
	err := s.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     s.prefix + e.name,
		Size:     e.size,
		Mode:     int64(e.mode()),
		ModTime:  e.modified.Truncate(time.Second),
		Uname:    "root",
		Gname:    "root",
	})
	if err != nil {
		return err
	}
	return e.copyTo(ctx, s.tar)
}

func (s *tarSink) close() error { return errors.Join(s.tar.Close(), s.gz.Close()) }
