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
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(raw) == 0 { // empty: a zombie
		return nil, false
	}
	return strings.Split(string(bytes.TrimRight(raw, "\x00")), "\x00"), true
}

// processOwner returns the user id of a process, -1 if it is not known.
func processOwner(pid int) int {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return -1
	}
	return fileOwner(info)
}
