package procgroup

import "syscall"

// Leader makes a process the leader of a group of its own and ties its life to
// ours: it is killed when this process ends.
func Leader() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
