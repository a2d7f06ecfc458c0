package archiver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// folderSink writes files into a directory.
type folderSink struct{ dir string }

func (s folderSink) add(ctx context.Context, e entry) error {
	path := filepath.Join(s.dir, filepath.FromSlash(e.name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil { //nolint:gosec // the user's umask decides
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666|e.mode()&0o111) // as above
	if err != nil {
		return err
	}
	if err := errors.Join(e.copyTo(ctx, f), f.Close()); err != nil {
		return err
	}
	return os.Chtimes(path, e.modified, e.modified)
}

func (folderSink) close() error { return nil }
