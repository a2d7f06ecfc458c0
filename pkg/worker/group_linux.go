package worker

import "syscall"

// groupLeader puts a worker into a process group of its own and ties its life
// to ours.
func groupLeader() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
