package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// zip unpacks a zip file by its directory. Modes are ignored, so a link becomes
// a file that holds its target, as in 0.12.
func (x *extractor) zip(src io.ReaderAt) error {
	metered := &meteredReader{src: src, left: x.directoryLimit()}
	r, err := zip.NewReader(metered, x.size)
	switch {
	case errors.Is(err, errDirectory):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errNotArchive, err)
	case len(r.File) == 0:
		return fmt.Errorf("%w: no entries", errNotArchive)
	}
	metered.left = -1
	for _, f := range r.File {
		if err := x.zipEntry(f); err != nil {
			return fmt.Errorf("entry %q: %w", shortened(f.Name), err)
		}
	}
	return nil
}

// encrypted is the flag of an encrypted zip entry.
const encrypted = 1

func (x *extractor) zipEntry(f *zip.File) error {
	name, err := entryPath(f.Name)
	if err != nil {
		return err
	}
	if err := x.count(); err != nil {
		return err
	}
	if strings.HasSuffix(f.Name, "/") {
		return x.directory(name)
	}
	if f.Flags&encrypted != 0 {
		return errors.New("is encrypted")
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read
	return x.file(name, r)
}

var errDirectory error = &limitError{"directory of the zip file is too large", keyEntries}

// directoryLimit is how much of a zip file its directory may take: reading it
// takes memory before the entries can be counted.
func (x *extractor) directoryLimit() int64 {
	const perEntry, base = 1 << 10, 1 << 20
	if x.limits.Entries == 0 {
		return -1
	}
	return min(x.limits.Entries, 1<<40)*perEntry + base
}

// meteredReader fails when more than left bytes were read; a negative left is
// no limit.
type meteredReader struct {
	src  io.ReaderAt
	left int64
}

func (m *meteredReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.src.ReadAt(p, off)
	if m.left < 0 {
		return n, err
	}
	if m.left -= int64(n); m.left < 0 {
		m.left = 0
		return 0, errDirectory
	}
	return n, err
}
