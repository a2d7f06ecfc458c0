package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// errNotArchive says that a file is no archive at all, or an empty one.
var errNotArchive = errors.New("not an archive")

// unpack fills u's directory from p.
func (s *Store) unpack(ctx context.Context, p place, location string, u *Unpacked) error {
	id, stage, err := s.work.stage()
	u.id = id
	if err != nil {
		return saveError(location, err)
	}
	if p.isDir {
		u.link = p.name()
		err = link(p.path, filepath.Join(stage, u.link))
	} else {
		err = s.extract(ctx, p.path, stage)
	}
	if err == nil {
		err = s.work.publish(id)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotArchive) && strings.HasSuffix(p.path, ".mar"):
		return fault.Wrap(fault.InvalidModel, "Failed to read model archive: "+p.name(), err)
	default:
		return saveError(location, err)
	}
}

// link makes a link to a directory, or to the one directory that it consists
// of (MAR-014).
func link(dir, at string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) == 1 && isDir(filepath.Join(dir, entries[0].Name())) {
		dir = filepath.Join(dir, entries[0].Name())
	}
	return os.Symlink(dir, at)
}

// extract unpacks the file into dir. The content decides what it is.
func (s *Store) extract(ctx context.Context, file, dir string) (err error) {
	src, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // nothing was written
	info, err := src.Stat()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	x := &extractor{stop: ctx.Err, root: root, log: s.log, limits: s.cfg.Limits, size: info.Size()}

	head := make([]byte, 4)
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch head = head[:n]; {
	case bytes.Equal(head, []byte("PK\x03\x04")), bytes.Equal(head, []byte("PK\x05\x06")):
		return x.zip(src)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return x.gzip(src)
	default:
		return errNotArchive
	}
}

// extractor writes the entries of one archive into a directory that they
// cannot leave.
type extractor struct {
	stop   func() error // returns why to stop, or nil
	root   *os.Root
	log    zerolog.Logger
	limits Limits
	size   int64 // bytes of the archive

	entries int64
	written int64
	links   []string
	buffer  [64 << 10]byte
}

func (x *extractor) zip(src io.ReaderAt) error {
	metered := &meteredReader{src: src, left: x.directoryLimit()}
	r, err := zip.NewReader(metered, x.size)
	switch {
	case errors.Is(err, errTooMuch):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errNotArchive, err)
	case len(r.File) == 0:
		return fmt.Errorf("%w: no entries", errNotArchive)
	}
	metered.left = -1
	for _, f := range r.File {
		if err := x.zipEntry(f); err != nil {
			return fmt.Errorf("entry %q: %w", f.Name, err)
		}
	}
	return nil
}

// encrypted is the flag of an encrypted zip entry.
const encrypted = 1

// zipEntry writes one entry. Modes are ignored, so a link becomes a file that
// holds its target, as in 0.12.
func (x *extractor) zipEntry(f *zip.File) error {
	name, err := entryPath(f.Name)
	if err != nil {
		return err
	}
	if err := x.next(); err != nil {
		return err
	}
	if strings.HasSuffix(f.Name, "/") {
		return x.root.MkdirAll(name, dirMode)
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

func (x *extractor) gzip(src io.Reader) error {
	unzipped, err := gzip.NewReader(src)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotArchive, err)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && x.entries == 0:
			return fmt.Errorf("%w: no entries", errNotArchive)
		case errors.Is(err, io.EOF):
			return x.checkLinks()
		case err != nil && x.entries == 0:
			return fmt.Errorf("%w: %w", errNotArchive, err)
		case err != nil:
			return err
		}
		if err := x.tarEntry(h, r); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

// tarEntry writes one entry, without the first component of its name.
func (x *extractor) tarEntry(h *tar.Header, r io.Reader) error {
	name, err := strippedPath(h.Name)
	if err != nil {
		return err
	}
	if err := x.next(); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return x.root.MkdirAll(name, dirMode)
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return x.file(name, r)
	case tar.TypeSymlink:
		return x.symlink(name, h.Linkname)
	case tar.TypeXGlobalHeader:
		return nil
	default:
		x.skip(name, "neither a file, a directory nor a symbolic link")
		return nil
	}
}

// Modes of what is unpacked: those of the archive are ignored. The directory
// above has mode 0700.
const (
	dirMode  = 0o755
	fileMode = 0o644
)

// next counts an entry.
func (x *extractor) next() error {
	x.entries++
	if x.limits.Entries > 0 && x.entries > x.limits.Entries {
		return fmt.Errorf("archive has more than %d entries (archive_max_entries)", x.limits.Entries)
	}
	return x.stop()
}

// file writes a file; a later entry replaces an earlier one.
func (x *extractor) file(name string, r io.Reader) (err error) {
	if name == "." {
		return errors.New("is a file without a name")
	}
	if err := x.parents(name); err != nil {
		return err
	}
	f, err := x.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		if err := x.stop(); err != nil {
			return err
		}
		n, err := r.Read(x.buffer[:])
		if err := x.spend(n); err != nil {
			return err
		}
		if _, err := f.Write(x.buffer[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parents makes the directories above name, and room for it.
func (x *extractor) parents(name string) error {
	if err := x.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return err
	}
	return ignoreMissing(x.root.Remove(name))
}

// ratioFloor is the unpacked size below which the ratio does not matter: a
// small archive of zeros harms nobody.
const ratioFloor = 16 << 20

// spend counts unpacked bytes.
func (x *extractor) spend(n int) error {
	x.written += int64(n)
	if x.limits.Bytes > 0 && x.written > x.limits.Bytes {
		return fmt.Errorf("archive unpacks to more than %d bytes (archive_max_bytes)", x.limits.Bytes)
	}
	if x.limits.Ratio > 0 && x.written > ratioFloor && x.written/x.limits.Ratio > x.size {
		return fmt.Errorf("archive unpacks to more than %d times its size (archive_max_ratio)", x.limits.Ratio)
	}
	return nil
}

// symlink makes a link that does not leave the directory by its text. Links on
// the way to it may change what the text means: checkLinks looks again when
// everything is in place.
func (x *extractor) symlink(name, target string) error {
	if path.IsAbs(target) || !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(name), target))) {
		x.skip(name, "a link that leaves the archive")
		return nil
	}
	if err := x.parents(name); err != nil {
		return err
	}
	x.links = append(x.links, name)
	return x.root.Symlink(target, name)
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

func (x *extractor) skip(name, why string) {
	x.log.Warn().Str("entry", name).Msg("Skipped an entry of the archive: " + why)
}

// entryPath returns the path of an entry below the destination. Absolute names
// are taken as relative ones.
func entryPath(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if strings.ContainsRune(name, 0) || !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", errors.New("Detected Zip Slip vulnerability: " + name)
	}
	return clean, nil
}

// strippedPath is entryPath without the first component of the name.
func strippedPath(name string) (string, error) {
	rest := name
	if _, after, ok := strings.Cut(name, "/"); ok {
		rest = after
	}
	clean, err := entryPath(rest)
	if err != nil {
		return "", errors.New("Detected Zip Slip vulnerability: " + name)
	}
	return clean, nil
}

var errTooMuch = errors.New("directory of the zip file is too large (archive_max_entries)")

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
		return 0, errTooMuch
	}
	return n, err
}
