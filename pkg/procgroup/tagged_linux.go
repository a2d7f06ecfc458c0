package procgroup

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// sweeps bounds how often KillTagged looks.
const sweeps = 10

// KillTagged kills every process of this user whose environment had this setting,
// NAME=value, when it started, whatever group it is in. It looks again until it finds
// no new one: they may be starting others.
func KillTagged(setting string) {
	killed := map[int]bool{}
	for range sweeps {
		before := len(killed)
		entries, _ := os.ReadDir("/proc") // without it nobody can be found
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err == nil && !killed[pid] && killIfTagged(pid, setting) {
				killed[pid] = true
			}
		}
		if len(killed) == before {
			return
		}
	}
}

// killIfTagged reports whether the process had the setting. It holds on to the
// process before it looks, so that none is killed that got the number after it.
func killIfTagged(pid int, setting string) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }() // cannot fail
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(kv []byte) bool { return string(kv) == setting }) {
		return false
	}
	_ = p.Signal(syscall.SIGKILL) // it may have ended by itself
	return true
}
