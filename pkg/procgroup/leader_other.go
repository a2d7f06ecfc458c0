//go:build unix && !linux

package procgroup

import "syscall"

// Leader makes a process the leader of a group of its own. Without a parent-death
// signal it outlives this process, unless it notices by itself.
func Leader() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
