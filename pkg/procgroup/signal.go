package procgroup

import "syscall"

// Signal sends a signal to all processes of the group that a process leads, or has
// led; a group that has ended is no error.
func Signal(leader int, s syscall.Signal) { _ = syscall.Kill(-leader, s) }
