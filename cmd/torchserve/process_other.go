//go:build unix && !linux

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// processArgs returns the argument list of a process as ps shows it; alive is
// false when there is none.
func processArgs(pid int) (args []string, alive bool) {
	out, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output() //nolint:noctx // ends by itself
	fields := strings.Fields(string(out))
	return fields, err == nil && len(fields) > 0
}

// processEnviron returns our own environment: that of another process cannot be
// seen here.
func processEnviron(int) []string { return os.Environ() }

// processDir returns our own working directory, for the same reason.
func processDir(int) (string, error) { return os.Getwd() }

// processOwner returns the user id of a process, -1 if it is not known.
func processOwner(pid int) int {
	out, err := exec.Command("ps", "-o", "uid=", "-p", strconv.Itoa(pid)).Output() //nolint:noctx // ends by itself
	if err != nil {
		return -1
	}
	uid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return -1
	}
	return uid
}
