package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const suffix = ".log"

// file is a log file that is rolled by size and by day. It is used by one
// goroutine.
type file struct {
	path    string
	maxSize int64 // bytes
	now     func() time.Time
	rolled  chan<- struct{} // gets a token after each roll

	file *os.File
	size int64
	day  time.Time // of the content; its date counts
}

// openFile opens path for appending and makes its directory.
func openFile(path string, maxSize int64, now func() time.Time, rolled chan<- struct{}) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as 0.12: agents of other users read logs
		return nil, err
	}
	f := &file{path: path, maxSize: maxSize, now: now, rolled: rolled}
	opened, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	about, err := opened.Stat()
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	f.file, f.size, f.day = opened, about.Size(), about.ModTime().In(now().Location())
	return f, nil
}

func openAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // as 0.12: agents of other users read logs
}

// Write appends p, after rolling the file if it is time. Whole batches are
// written, so that a file may exceed the size by one of them. A failing roll is
// reported, and p written to the old file.
func (f *file) Write(p []byte) (int, error) {
	failure := f.rollIfDue()
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, errors.Join(err, failure)
}

// Close closes the file.
func (f *file) Close() error { return f.file.Close() }

func (f *file) rollIfDue() error {
	content, today := f.day, f.now()
	f.day = today
	switch {
	case f.size == 0:
		return nil
	case !sameDay(content, today):
		if err := f.roll(content); err != nil {
			f.day = content // it is still due
			return err
		}
		return nil
	case f.size > f.maxSize:
		return f.roll(today)
	default:
		return nil
	}
}

func sameDay(a, b time.Time) bool { return a.YearDay() == b.YearDay() && a.Year() == b.Year() }

// roll moves the file aside under the name of day and begins a new one. On an
// error the old one stays in use.
func (f *file) roll(day time.Time) error {
	aside, err := freeName(strings.TrimSuffix(f.path, suffix) + "." + day.Format("02-Jan"))
	if err != nil {
		return fmt.Errorf("roll: %w", err)
	}
	if err := os.Rename(f.path, aside); err != nil {
		return fmt.Errorf("roll: %w", err)
	}
	next, err := openAppend(f.path)
	if err != nil {
		return fmt.Errorf("roll: %w", errors.Join(err, os.Rename(aside, f.path)))
	}
	err = f.file.Close()
	f.file, f.size = next, 0
	signal(f.rolled)
	return err
}

// freeName returns stem.log, or stem.1.log and so on, such that neither it nor
// its compressed form exists: no archive is ever overwritten.
func freeName(stem string) (string, error) {
	for n := 0; ; n++ {
		name := stem + suffix
		if n > 0 {
			name = fmt.Sprintf("%s.%d%s", stem, n, suffix)
		}
		free := true
		for _, path := range []string{name, name + compressed} {
			_, err := os.Lstat(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			free = free && err != nil
		}
		if free {
			return name, nil
		}
	}
}
