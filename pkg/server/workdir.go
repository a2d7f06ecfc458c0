package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// workDir is the private part of the temporary directory: what this user's
// servers share, and what belongs to this server alone (D-CLI-6).
//
//	<temp>/.torchserve-<uid>/python/<hash>/ts   the Python package
//	<temp>/.torchserve-<uid>/<pid>-<random>/    worker sockets, and a lock held for life
//	<temp>/.torchserve-<uid>/lock               held by the server that starts
//
// Process ids alone would not do: containers that share <temp> all have the
// same one.
type workDir struct {
	shared string
	own    string
	lock   *os.File
}

const lockName = "lock"

// openWorkDir makes the directories and removes those of servers that have
// ended without doing so themselves.
func openWorkDir(temp string) (*workDir, error) {
	w := &workDir{shared: filepath.Join(temp, ".torchserve-"+strconv.Itoa(os.Geteuid()))}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("work directory below %s (set TEMP to another one): %w", temp, err)
	}
	return w, nil
}

func (w *workDir) open() error {
	if err := privateDir(w.shared); err != nil {
		return err
	}
	// One after the other: a directory whose lock is not taken yet looks dead.
	turn, err := locked(filepath.Join(w.shared, lockName), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { _ = turn.Close() }() // nothing was written
	removeDead(w.shared)
	if w.own, err = os.MkdirTemp(w.shared, strconv.Itoa(os.Getpid())+"-"); err != nil {
		return err //nolint:wrapcheck // openWorkDir words it
	}
	if w.lock, err = locked(filepath.Join(w.own, lockName), syscall.LOCK_EX); err != nil {
		return errors.Join(err, os.RemoveAll(w.own))
	}
	return nil
}

// locked opens a file, which is made if it is missing, and locks it.
func locked(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err //nolint:wrapcheck // openWorkDir words it
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// privateDir makes a directory for this user alone; one that is there already
// must be just that, since the temporary directory is everybody's.
func privateDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err //nolint:wrapcheck // openWorkDir words it
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err //nolint:wrapcheck // openWorkDir words it
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || ok && int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of this user alone: remove it", path)
	}
	return nil
}

// removeDead removes the directories whose server holds its lock no more. What
// cannot be removed is left for another start.
func removeDead(shared string) {
	locks, _ := fs.Glob(os.DirFS(shared), "*/"+lockName) // the pattern is a good one
	for _, name := range locks {
		path := filepath.Join(shared, name)
		lock, err := locked(path, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(filepath.Dir(path))
		_ = lock.Close()
	}
}

// python is where the Python package is unpacked.
func (w *workDir) python() string { return filepath.Join(w.shared, "python") }

// close removes what belongs to this server.
func (w *workDir) close() error {
	return errors.Join(os.RemoveAll(w.own), w.lock.Close())
}
