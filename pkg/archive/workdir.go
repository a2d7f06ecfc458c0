package archive

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// Names in the work directory.
const (
	instancePrefix = ".torchserve-"
	lockName       = "lock"
	stageSuffix    = ".download"
)

// idForm is the name of a model directory.
var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

var errClosed = errors.New("the work directory was given up")

// workdir is <temp>/models as one instance of the server uses it.
type workdir struct {
	root string

	mu     sync.Mutex // guards the fields below
	own    string     // directory of this instance; empty: not claimed yet
	lock   *os.File   // in own
	closed bool
}

func newID() string {
	id := uuid.New()
	return hex.EncodeToString(id[:])
}

// claim makes the directory of this instance, once, and removes what others
// have left behind. It returns the directory.
func (w *workdir) claim() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	if w.own != "" {
		return w.own, nil
	}
	if err := os.MkdirAll(w.root, 0o700); err != nil {
		return "", err
	}
	// The lock is taken before the directory has a name that others look at.
	staged, err := os.MkdirTemp(w.root, ".starting-")
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(filepath.Join(staged, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(staged))
	}
	own := filepath.Join(w.root, instancePrefix+newID())
	if err := errors.Join(lock(file), os.Rename(staged, own)); err != nil {
		return "", errors.Join(err, file.Close(), os.RemoveAll(staged))
	}
	w.own, w.lock = own, file
	w.removeStale()
	return own, nil
}

// removeStale removes the directories of instances whose lock is free.
func (w *workdir) removeStale() {
	others, err := filepath.Glob(filepath.Join(globEscape(w.root), instancePrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range others {
		if dir == w.own {
			continue
		}
		file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lock(file) == nil {
			_ = w.clear(dir) // the next start tries again
		}
		_ = file.Close() // nothing was written
	}
}

// globEscape returns a pattern that matches path only.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// clear removes the model directories that an instance has recorded, then its
// own; the lock goes last, so that an interrupted attempt can be repeated.
func (w *workdir) clear(instance string) error {
	entries, err := os.ReadDir(instance)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		if idForm.MatchString(e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(w.root, e.Name())))
		}
		errs = append(errs, os.RemoveAll(filepath.Join(instance, e.Name())))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(instance)
}

// stage makes an empty directory for a model to be, recorded under a new id.
func (w *workdir) stage() (id, dir string, err error) {
	own, err := w.claim()
	if err != nil {
		return "", "", err
	}
	id = newID()
	dir = filepath.Join(own, id+stageSuffix)
	// A cleaner of the temporary directory may have taken ours.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	record, err := os.OpenFile(filepath.Join(own, id), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return id, "", err
	}
	return id, dir, record.Close()
}

// publish gives a staged directory its final name.
func (w *workdir) publish(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	if err := os.Rename(filepath.Join(w.own, id+stageSuffix), filepath.Join(w.root, id)); err != nil {
		return fmt.Errorf("put model directory in place: %w", err)
	}
	return nil
}

// remove removes a model directory, staged or published, and its record. The
// empty id is none.
func (w *workdir) remove(id string) error {
	if id == "" {
		return nil
	}
	w.mu.Lock()
	own := w.own
	w.mu.Unlock()
	err := errors.Join(
		os.RemoveAll(filepath.Join(w.root, id)),
		os.RemoveAll(filepath.Join(own, id+stageSuffix)),
	)
	if err != nil {
		return err // the record stays for the next start
	}
	return os.RemoveAll(filepath.Join(own, id))
}

// close removes everything of this instance.
func (w *workdir) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.own == "" {
		w.closed = true
		return nil
	}
	w.closed = true
	return errors.Join(ignoreMissing(w.clear(w.own)), w.lock.Close())
}
