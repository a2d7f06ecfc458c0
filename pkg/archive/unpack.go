package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

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
	src, size, err := openFile(file)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // nothing was written
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	x := &extractor{
		stop: ctx.Err, root: root, log: s.log, limits: s.cfg.Limits, size: size, directories: map[string]bool{".": true},
	}
	defer x.tellSkipped()

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

	entries     int64
	written     int64
	directories map[string]bool // that are there
	links       []string
	skipped     int
	buffer      [64 << 10]byte
}

// Modes of what is unpacked: those of the archive are ignored. The directory
// above has mode 0700.
const (
	dirMode  = 0o755
	fileMode = 0o644
)

// Keys of the limits.
const (
	keyEntries = "archive_max_entries"
	keyBytes   = "archive_max_bytes"
	keyRatio   = "archive_max_ratio"
)

// count counts an entry, or a directory that one needs.
func (x *extractor) count() error {
	x.entries++
	if x.limits.Entries > 0 && x.entries > x.limits.Entries {
		return &limitError{fmt.Sprintf("archive has more than %d files and directories", x.limits.Entries), keyEntries}
	}
	return x.stop()
}

// directory makes a directory, and those above it.
func (x *extractor) directory(name string) error {
	if err := x.parents(name); err != nil {
		return err
	}
	return x.mkdir(name)
}

// parents makes the directories above name; each new one counts as an entry.
func (x *extractor) parents(name string) error {
	dir := path.Dir(name)
	if x.directories[dir] {
		return nil
	}
	if err := x.count(); err != nil {
		return err
	}
	return x.directory(dir)
}

func (x *extractor) mkdir(name string) error {
	if x.directories[name] {
		return nil
	}
	x.directories[name] = true
	return x.root.MkdirAll(name, dirMode)
}

// place makes the directories above name, and room for it: a later entry
// replaces an earlier one.
func (x *extractor) place(name string) error {
	if name == "." {
		return errors.New("has no name")
	}
	if err := x.parents(name); err != nil {
		return err
	}
	return ignoreMissing(x.root.Remove(name))
}

// file writes a file.
func (x *extractor) file(name string, r io.Reader) (err error) {
	if err := x.place(name); err != nil {
		return err
	}
	f, err := x.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return x.copy(f, r)
}

// copy copies unpacked bytes as far as the limits allow.
func (x *extractor) copy(w io.Writer, r io.Reader) error {
	for {
		if err := x.stop(); err != nil {
			return err
		}
		n, err := r.Read(x.buffer[:])
		if err := x.spend(n); err != nil {
			return err
		}
		if _, err := w.Write(x.buffer[:n]); err != nil {
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

// ratioFloor is the unpacked size below which the ratio does not matter: a
// small archive of zeros harms nobody.
const ratioFloor = 16 << 20

// spend counts unpacked bytes.
func (x *extractor) spend(n int) error {
	x.written += int64(n)
	if x.limits.Bytes > 0 && x.written > x.limits.Bytes {
		return &limitError{fmt.Sprintf("archive unpacks to more than %d bytes", x.limits.Bytes), keyBytes}
	}
	if x.limits.Ratio > 0 && x.written > ratioFloor && x.written/x.limits.Ratio > x.size {
		return &limitError{fmt.Sprintf("archive unpacks to more than %d times its size", x.limits.Ratio), keyRatio}
	}
	return nil
}

// maxSkipLines is how many entries that were left out the log names.
const maxSkipLines = 20

func (x *extractor) skip(name, why string) {
	x.skipped++
	if x.skipped <= maxSkipLines {
		x.log.Warn().Str("entry", shortened(name)).Msg("Skipped an entry of the archive: " + why)
	}
}

func (x *extractor) tellSkipped() {
	if more := x.skipped - maxSkipLines; more > 0 {
		x.log.Warn().Msgf("Skipped %d more entries of the archive", more)
	}
}

// slipError is the refusal of an entry whose name leaves the directory.
type slipError struct{ name string }

// Error returns the text of 0.12's log.
func (e *slipError) Error() string { return "Detected Zip Slip vulnerability: " + shortened(e.name) }

// Bounds of an entry's name: longer paths cannot be opened, and deeper ones
// cost time.
const (
	maxName  = 4095 // bytes
	maxDepth = 255  // directories
)

// entryPath returns the path of an entry below the destination. Absolute names
// are taken as relative ones.
func entryPath(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("has a name of more than %d bytes", maxName)
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if strings.Count(clean, "/") > maxDepth {
		return "", fmt.Errorf("lies more than %d directories deep", maxDepth)
	}
	if strings.ContainsRune(name, 0) || !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", &slipError{name}
	}
	return clean, nil
}

// shortened returns a name for the log, where a line break or an escape of the
// terminal would pass for something else.
func shortened(name string) string {
	const most = 256
	if len(name) > most {
		name = name[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, name)
}
