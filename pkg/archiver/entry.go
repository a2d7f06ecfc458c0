package archiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// entry is a file for an archive.
type entry struct {
	name     string // slash-separated
	source   string // its path; empty: content is all of it
	content  []byte
	size     int64 // bytes
	runs     bool  // it is executable
	modified time.Time
	info     os.FileInfo // of the source
}

// mode returns the permissions that the archive gives the file.
func (e entry) mode() os.FileMode {
	if e.runs {
		return 0o755
	}
	return 0o644
}

// readError is a failure of a source, as opposed to one of the archive.
type readError struct{ err error }

func (r *readError) Error() string { return r.err.Error() }
func (r *readError) Unwrap() error { return r.err }

// copyTo writes the content of the file to w. It must still have the size that
// it had when it was found.
func (e entry) copyTo(ctx context.Context, w io.Writer) error {
	src, err := e.open()
	if err != nil {
		return &readError{err}
	}
	n, err := io.CopyBuffer(onlyWriter{w}, source{ctx, src}, make([]byte, 256<<10))
	if err := errors.Join(err, src.Close()); err != nil {
		return err
	}
	if n != e.size {
		return e.changed()
	}
	return nil
}

func (e entry) changed() error {
	return &readError{fmt.Errorf("%s has changed while it was read", e.source)}
}

func (e entry) open() (io.ReadCloser, error) {
	if e.source == "" {
		return io.NopCloser(bytes.NewReader(e.content)), nil
	}
	return os.Open(e.source)
}

// source is a file that is read until somebody interrupts.
type source struct {
	ctx context.Context //nolint:containedctx // of one call of copyTo
	r   io.Reader
}

func (s source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err //nolint:wrapcheck // io.EOF as it is
}

// onlyWriter hides that a writer can do more: its errors and those of the
// source must stay apart.
type onlyWriter struct{ io.Writer }
