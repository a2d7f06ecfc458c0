//go:build unix && !linux

package main

import (
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
