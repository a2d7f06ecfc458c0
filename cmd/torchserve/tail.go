package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// tail shows the end of a log file and what is added to it. Whoever keeps a line
// keeps the lines below it that do not begin with a time: they belong to it.
type tail struct {
	path  string
	lines int // to begin with
	keep  func(line string) bool

	file   *os.File      // nil: there is none yet
	reader *bufio.Reader // of file
	half   string        // the beginning of a line that is still written
	kept   bool          // the last line that began with a time
}

// stamped tells the beginning of an entry, in all layouts.
var stamped = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT|\{)`)

// begin writes the last lines of the file.
func (t *tail) begin(to io.Writer) error {
	if err := t.open(); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	t.kept = t.keep("") // a file may begin amid an entry
	var last []string
	err := t.read(func(line string) error {
		if t.lines > 0 {
			last = append(last[max(0, len(last)-t.lines+1):], line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(to, strings.Join(last, ""))
	return err //nolint:wrapcheck // the terminal has gone
}

func (t *tail) open() error {
	f, err := os.Open(t.path)
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	t.file, t.reader = f, bufio.NewReader(f)
	return nil
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // only read
		t.file = nil
	}
}

// read passes on the lines that are there and wanted.
func (t *tail) read(line func(string) error) error {
	for {
		text, err := t.reader.ReadString('\n')
		if err != nil {
			t.half += text
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("log: %w", err)
		}
		text, t.half = t.half+text, ""
		if stamped.MatchString(text) {
			t.kept = t.keep(text)
		}
		if !t.kept {
			continue
		}
		if err := line(text); err != nil {
			return err
		}
	}
}

// follow writes lines as they come until ctx ends, over the file's being rolled,
// cut or made anew.
func (t *tail) follow(ctx context.Context, to io.Writer) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the log: %w", err)
	}
	defer watcher.Close() //nolint:errcheck // nothing is lost
	if err := watcher.Add(filepath.Dir(t.path)); err != nil {
		return fmt.Errorf("watch the log: %w", err)
	}
	for {
		if err := t.catchUp(to); err != nil {
			return err
		}
		select {
		case <-watcher.Events:
		case err := <-watcher.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) { // lost events do not matter, we look
				return fmt.Errorf("watch the log: %w", err)
			}
		case <-ctx.Done(): // how following ends
			return nil
		}
	}
}

// catchUp writes what is new, of a rolled file and of the one in its place.
func (t *tail) catchUp(to io.Writer) error {
	write := func(line string) error {
		_, err := io.WriteString(to, line)
		return err
	}
	for {
		current, err := t.current()
		if err != nil {
			return err
		}
		if t.file != nil {
			if err := t.rewind(); err != nil {
				return err
			}
			if err := t.read(write); err != nil {
				return err
			}
			if current == nil || t.is(current) { // rolled and not yet made anew, or still the same
				return nil
			}
			t.close()
			t.half = ""
		}
		switch err := t.open(); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("log: %w", err)
		}
	}
}

// current looks at the file that has the path now; nil: none has.
func (t *tail) current() (fs.FileInfo, error) {
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("log: %w", err)
	default:
		return info, nil
	}
}

func (t *tail) is(other fs.FileInfo) bool {
	own, err := t.file.Stat()
	return err == nil && os.SameFile(own, other)
}

// rewind begins anew with a file that was cut below what we have read.
func (t *tail) rewind() error {
	info, err := t.file.Stat()
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	at, err := t.file.Seek(0, io.SeekCurrent)
	if err != nil || info.Size() >= at {
		return err //nolint:wrapcheck // names the file
	}
	t.half = ""
	_, err = t.file.Seek(0, io.SeekStart)
	t.reader.Reset(t.file)
	return err //nolint:wrapcheck // names the file
}
