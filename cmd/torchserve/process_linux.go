package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// processArgs returns the argument list of a process; alive is false when there
// is none, when it has ended and waits for its parent only, or when it may not
// be looked at.
func processArgs(pid int) (args []string, alive bool) {
	args = processWords(pid, "cmdline")
	return args, len(args) > 0 // empty: a zombie
}

// processEnviron returns the environment that a process was started with.
func processEnviron(pid int) []string { return processWords(pid, "environ") }

// processWords returns the words of a file about a process, each of which ends
// with a zero byte.
func processWords(pid int, name string) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil || len(raw) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(raw, "\x00")), "\x00")
}

// processDir returns the working directory of a process.
func processDir(pid int) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)) //nolint:wrapcheck // names it
}

// processOwner returns the user id of a process, -1 if it is not known.
func processOwner(pid int) int {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return -1
	}
	return fileOwner(info)
}
