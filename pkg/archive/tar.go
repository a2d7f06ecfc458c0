package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// gzip unpacks a tar file behind gzip. Modes and owners are ignored.
func (x *extractor) gzip(src io.Reader) error {
	unzipped, err := newMembers(src)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotArchive, err)
	}
	seen := false
	for r := tar.NewReader(unzipped); ; seen = true {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && !seen:
			return fmt.Errorf("%w: no entries", errNotArchive)
		case errors.Is(err, io.EOF):
			// The sum of the content comes after the last entry.
			return errors.Join(x.copy(io.Discard, unzipped), x.checkLinks())
		case err != nil && !seen:
			return fmt.Errorf("%w: %w", errNotArchive, err)
		case err != nil:
			return err
		}
		if err := x.tarEntry(h, r); err != nil {
			return fmt.Errorf("entry %q: %w", shortened(h.Name), err)
		}
	}
}

// members reads the gzip files that follow each other in a file. What comes
// after them and is none does not matter: archives may be padded.
type members struct {
	src   *bufio.Reader
	file  *gzip.Reader
	ended bool
}

func newMembers(src io.Reader) (*members, error) {
	m := &members{src: bufio.NewReader(src)}
	var err error
	if m.file, err = gzip.NewReader(m.src); err != nil {
		return nil, err
	}
	m.file.Multistream(false)
	return m, nil
}

// Read reads what is packed.
func (m *members) Read(p []byte) (int, error) {
	if m.ended {
		return 0, io.EOF
	}
	n, err := m.file.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if m.file.Reset(m.src) != nil {
		m.ended = true
		return n, io.EOF
	}
	m.file.Multistream(false)
	return n, nil
}

// tarEntry writes one entry, without the first component of its name.
func (x *extractor) tarEntry(h *tar.Header, r io.Reader) error {
	name, err := strippedPath(h.Name)
	if err != nil {
		return err
	}
	if err := x.count(); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return x.directory(name)
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return x.file(name, r)
	case tar.TypeSymlink:
		return x.symlink(name, h.Linkname)
	case tar.TypeLink:
		return x.hardLink(name, h.Linkname)
	case tar.TypeXGlobalHeader:
		return nil
	default:
		x.skip(name, "neither a file, a directory nor a link")
		return nil
	}
}

// symlink makes a link that does not leave the directory by its text. Links on
// the way to it may change what the text means: checkLinks looks again when
// everything is in place.
func (x *extractor) symlink(name, target string) error {
	if path.IsAbs(target) || !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(name), target))) {
		x.skip(name, "a link that leaves the archive")
		return nil
	}
	if err := x.place(name); err != nil {
		return err
	}
	x.links = append(x.links, name)
	return x.root.Symlink(target, name)
}

// hardLink makes a second name for a file that was unpacked before. Files are
// replaced, never written to, so that the names do not share later entries.
func (x *extractor) hardLink(name, target string) error {
	target, ok := x.linked(target)
	if !ok || target == name {
		x.skip(name, "a hard link to what is no file of the archive")
		return nil
	}
	if err := x.place(name); err != nil {
		return err
	}
	return x.root.Link(target, name)
}

// linked returns the file that a hard link is to.
func (x *extractor) linked(target string) (string, bool) {
	name, err := strippedPath(target)
	if err != nil {
		return "", false
	}
	info, err := x.root.Lstat(name)
	return name, err == nil && info.Mode().IsRegular()
}

// checkLinks removes links that lead nowhere or outside.
func (x *extractor) checkLinks() error {
	for _, name := range x.links {
		info, err := x.root.Lstat(name)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			continue // replaced by a later entry
		}
		if _, err := x.root.Stat(name); err == nil {
			continue
		}
		x.skip(name, "a link that leads nowhere or leaves the archive")
		if err := x.root.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// strippedPath is entryPath without the first component of the name.
func strippedPath(name string) (string, error) {
	rest := name
	if _, after, ok := strings.Cut(name, "/"); ok {
		rest = after
	}
	clean, err := entryPath(rest)
	if _, ok := errors.AsType[*slipError](err); ok {
		return "", &slipError{name}
	}
	return clean, err
}
