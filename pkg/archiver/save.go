package archiver

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// sink takes the files of an archive, one after the other.
type sink interface {
	add(ctx context.Context, e entry) error
	close() error // completes the archive
}

// save writes the archive beside its target, then renames it, and returns its
// size.
func (o *order) save(ctx context.Context, entries []entry) (size int64, err error) {
	target := o.target()
	made, dirs := besides(target), missing(o.dir())
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
			removeEmpty(dirs)
		}
	}()
	if err := os.MkdirAll(o.dir(), 0o777); err != nil { //nolint:gosec // the user's umask decides, as with any file of theirs
		return 0, err
	}
	if o.format == NoArchive {
		return o.saveFolder(ctx, made, entries)
	}
	f, err := os.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666) //nolint:gosec // as above
	if err != nil {
		return 0, err
	}
	err = fill(ctx, o.sink(f), entries)
	if err == nil {
		size, err = f.Seek(0, 2)
	}
	if err == nil {
		err = f.Sync() // some file systems say only now that they are full
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	if !o.Force {
		if err := o.checkTarget(); err != nil { // somebody else has made it meanwhile
			return 0, err
		}
	}
	return size, os.Rename(made, target)
}

// missing returns a directory and those above it that are not there, the deepest
// first.
func missing(dir string) []string {
	var dirs []string
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dirs
		}
		dirs = append(dirs, dir)
	}
}

// removeEmpty removes the directories that nobody has put anything into.
func removeEmpty(dirs []string) {
	for _, dir := range dirs {
		_ = os.Remove(dir) // fails if something is in it
	}
}

// sink returns the one for the format of the archive.
func (o *order) sink(f *os.File) sink {
	if o.format == Tgz {
		return newTarSink(f, o.name)
	}
	return newZipSink(f, o.format == ZipStore)
}

// fill puts the files into a sink and closes it.
func fill(ctx context.Context, s sink, entries []entry) error {
	for _, e := range entries {
		if err := s.add(ctx, e); err != nil {
			return err // the archive is given up; a sink holds nothing that must be closed
		}
	}
	return s.close()
}

// saveFolder makes a directory and puts it in the place of another one.
func (o *order) saveFolder(ctx context.Context, made string, entries []entry) (size int64, err error) {
	if err := os.Mkdir(made, 0o777); err != nil { //nolint:gosec // as above
		return 0, err
	}
	for _, e := range entries {
		size += e.size
	}
	if err := fill(ctx, folderSink{made}, entries); err != nil {
		return 0, err
	}
	return size, replace(made, o.target(), o.Force)
}

// replace renames a directory, if forced over another one: that one is moved
// aside first, and back if the new one cannot take its place.
func replace(made, target string, force bool) error {
	err := os.Rename(made, target)
	if err == nil || !force {
		return err
	}
	aside := besides(target)
	if err := os.Rename(target, aside); err != nil {
		return err
	}
	if err := os.Rename(made, target); err != nil {
		return errors.Join(err, os.Rename(aside, target))
	}
	return os.RemoveAll(aside)
}

// besides returns a new hidden name beside a path, which servers that load all
// of a directory pass over.
func besides(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:10])
}
