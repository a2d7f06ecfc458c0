package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// archiveMode lets the user of the server read what another user has copied.
const archiveMode fs.FileMode = 0o644

// shelve makes an archive one that the server finds, and returns the location to
// register. A file of this machine is copied into the model store of a server
// here, unless it lies there; undo takes the copy away. What is no file here, a
// name of the store or a URL, stays as it is.
func (s *session) shelve(ctx context.Context, archive string, force bool) (location string, undo func(), err error) {
	nothing := func() {}
	if strings.Contains(archive, "://") {
		return archive, nothing, nil
	}
	info, found := look(archive)
	isPath := strings.ContainsRune(archive, filepath.Separator)
	switch {
	case isPath && !found && s.here():
		return "", nothing, fmt.Errorf("there is no file %s", archive)
	case isPath && found && !s.here():
		return "", nothing, hint(fmt.Errorf("%s is on this machine, the server elsewhere", archive),
			"Give the archive a URL that the server can fetch, or put it into the server's model store and name it.")
	case !found || !s.here():
		return archive, nothing, nil
	}
	path, err := filepath.Abs(archive)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", nothing, fmt.Errorf("archive: %w", err)
	}
	switch {
	case filepath.Dir(path) == s.cfg.Models.Store:
		return filepath.Base(path), nothing, nil
	case info.IsDir(): // served in place, if the server may
		return path, nothing, nil
	case !info.Mode().IsRegular():
		return "", nothing, fmt.Errorf("%s is no regular file", archive)
	}
	name := filepath.Base(archive)
	made, err := s.copyToStore(ctx, path, filepath.Join(s.cfg.Models.Store, name), force)
	if err != nil {
		return "", nothing, err
	}
	if made == "" {
		return name, nothing, nil
	}
	return name, func() {
		if os.Remove(made) == nil {
			s.note("Removed %s again.", made)
		}
	}, nil
}

func look(path string) (info fs.FileInfo, found bool) {
	info, err := os.Stat(path)
	return info, err == nil
}

// copyToStore copies a file to a path of the model store and returns that path if
// there was nothing before.
func (s *session) copyToStore(ctx context.Context, from, to string, force bool) (made string, err error) {
	existing, err := os.Stat(to)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing:
	case err != nil:
		return "", fmt.Errorf("model store: %w", err)
	case !existing.Mode().IsRegular():
		return "", fmt.Errorf("model store: %s is there and no regular file", to)
	default:
		same, err := sameContent(from, to)
		if err != nil {
			return "", fmt.Errorf("compare with the model store: %w", err)
		}
		if same {
			s.note("The model store has %s already.", filepath.Base(to))
			return "", nil
		}
		if !force {
			return "", hint(fmt.Errorf("the model store has another file of that name: %s", to), "--force replaces it. Models that are registered from it go on as they are.")
		}
	}
	n, err := s.copyFile(ctx, from, to)
	if err != nil {
		return "", hint(fmt.Errorf("copy the archive into the model store: %w", err), "The store is %s; you need to be able to write there.", filepath.Dir(to))
	}
	s.note("Copied %s to %s (%s).", from, to, size(n))
	if missing {
		return to, nil
	}
	return "", nil
}

// copyFile copies a file under a temporary name, which a server does not take for
// an archive, and renames it when it is complete.
func (s *session) copyFile(ctx context.Context, from, to string) (n int64, err error) {
	source, err := os.Open(from)
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller words it
	}
	defer source.Close() //nolint:errcheck // only read
	info, err := source.Stat()
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller words it
	}
	target, err := os.CreateTemp(filepath.Dir(to), ".torchserve-copy-*")
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller words it
	}
	n, err = io.Copy(io.MultiWriter(target, s.progress(info.Size())), interruptible{ctx, source})
	if err == nil {
		err = errors.Join(target.Chmod(archiveMode), target.Sync())
	}
	err = errors.Join(err, target.Close())
	if err == nil {
		err = os.Rename(target.Name(), to)
	}
	if err != nil {
		return n, errors.Join(err, os.Remove(target.Name()))
	}
	return n, nil
}

// progress returns what shows the progress of a copy to a person at a terminal.
func (s *session) progress(bytes int64) io.Writer {
	if !isTerminal(s.stderr) {
		return io.Discard
	}
	return progressbar.NewOptions64(bytes, progressbar.OptionSetWriter(s.stderr), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("Copying"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // for the time of one copy
	r   io.Reader
}

func (i interruptible) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err //nolint:wrapcheck // Ctrl-C
	}
	return i.r.Read(b) //nolint:wrapcheck // a reader like any other
}

func sameContent(a, b string) (bool, error) {
	first, err := digest(a)
	if err != nil {
		return false, err
	}
	second, err := digest(b)
	return first == second, err
}

func digest(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err //nolint:wrapcheck // names the file
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err //nolint:wrapcheck // names the file
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
