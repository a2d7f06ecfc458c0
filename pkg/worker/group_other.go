//go:build unix && !linux

package worker

import "syscall"

// groupLeader puts a worker into a process group of its own. Without a
// parent-death signal the worker ends when its connection ends.
func groupLeader() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
