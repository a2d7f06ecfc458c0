package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pidFile is the file by which one call of torchserve finds the server that
// another one started (CLI §6).
type pidFile struct{ path string }

// newPidFile returns the pid file of this environment: it lies in the first
// usable directory of Python's list of temporary directories.
func newPidFile(environ func(string) string) pidFile {
	dirs := []string{environ("TMPDIR"), environ("TEMP"), environ("TMP"), "/tmp", "/var/tmp", "/usr/tmp", "."}
	for _, dir := range dirs {
		if dir != "" && writable(dir) {
			return pidFile{filepath.Join(dir, ".model_server.pid")}
		}
	}
	return pidFile{".model_server.pid"}
}

func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".torchserve")
	if err != nil {
		return false
	}
	_ = f.Close()           // nothing was written
	_ = os.Remove(f.Name()) // ours, and new
	return true
}

// read returns the process that the file names. exists is false if there is no
// file to look at: none, a link, one that names a live process that is no
// server, or one of another user, unless it names a server of that same user,
// which root may stop. A pid of 0 with exists means an orphan, whose server has
// ended or whose content is no number (D-CLI-1).
func (f pidFile) read() (pid int, exists bool) {
	info, err := os.Lstat(f.path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	pid, exists = f.server()
	if owner := fileOwner(info); owner != os.Geteuid() && (pid == 0 || owner != processOwner(pid)) {
		return 0, false
	}
	return pid, exists
}

// server is read for a file whoever owns it.
func (f pidFile) server() (pid int, exists bool) {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 {
		return 0, true
	}
	args, alive := processArgs(pid)
	switch {
	case !alive, pid == os.Getpid(): // in a container that was started again we are number 1 as our predecessor was
		return 0, true
	case isServer(pid, args):
		return pid, true
	default:
		return 0, false
	}
}

// fileOwner returns the user id of a file's owner, -1 if it is not known.
func fileOwner(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}

// isServer reports whether a live process is a TorchServe server: this program
// in server mode, or the Java one of 0.12.
func isServer(pid int, args []string) bool {
	for i, arg := range args {
		switch {
		case arg == "org.pytorch.serve.ModelServer":
			return true
		case i > 0 && (arg == "--stop" || arg == "--version" || arg == "-v"), i == 1 && isSubcommand(arg):
			return false
		}
	}
	return sameProgram(pid, args)
}

// sameProgram reports whether a process runs a program of our name; after an
// update the file itself may be another one.
func sameProgram(pid int, args []string) bool {
	own, err := os.Executable()
	if err != nil {
		return false
	}
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil { // no /proc here, or not ours to look at
		if len(args) == 0 {
			return false
		}
		program = args[0]
	}
	return filepath.Base(strings.TrimSuffix(program, " (deleted)")) == filepath.Base(own)
}

// write replaces the file with one that names pid, readable by its owner only
// and never through a link.
func (f pidFile) write(pid int) error {
	if err := f.remove(); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("write pid file (set TMPDIR to a directory of your own): %w", err)
	}
	_, err = file.WriteString(strconv.Itoa(pid))
	return errors.Join(err, file.Close())
}

// remove deletes the file, if there is one.
func (f pidFile) remove() error {
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pid file (set TMPDIR to a directory of your own): %w", err)
	}
	return nil
}

// removeOwn deletes the file if it names this process: another server may have
// taken its place.
func (f pidFile) removeOwn() {
	if content, err := os.ReadFile(f.path); err == nil && string(content) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(f.path) // an orphan is recognised as such by the next call
	}
}
