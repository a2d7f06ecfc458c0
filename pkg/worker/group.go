package worker

import "syscall"

// signalGroup sends a signal to the process group of pid; a group that has
// ended is no error.
func signalGroup(pid int, s syscall.Signal) { _ = syscall.Kill(-pid, s) }
