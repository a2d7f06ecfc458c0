package procgroup

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// afterwards is what a watchdog does with a leader and a setting when its input ends,
// as it does with the process that it watches, however that came: it ends
// the group, then what has left it.
const afterwards = `read -r line
kill -KILL "-$1"
for e in $(grep -slF "$2" /proc/[0-9]*/environ); do
	p=${e#/proc/}
	kill -KILL "${p%/environ}"
done`

// Watchdog sees to it that what a leader starts does not outlive this process when it
// is killed, as Leader does for the leader alone: a process waits for that, and then
// kills the group, and on Linux whatever has the setting, NAME=value, in its
// environment. It runs in env, which must not have the setting. The caller calls
// dismiss once when the leader has ended. Without a shell there is no watchdog, and
// dismiss does nothing.
func Watchdog(leader int, setting string, env []string) (dismiss func()) {
	input, alive, err := os.Pipe()
	if err != nil {
		return func() {}
	}
	//nolint:noctx // it ends when it is dismissed, or this process ends
	cmd := exec.Command("/bin/sh", "-c", afterwards, "watchdog", strconv.Itoa(leader), setting)
	cmd.Dir, cmd.Env, cmd.Stdin = "/", env, input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal to our group is not for it
	err = cmd.Start()
	_ = input.Close() // the watchdog has its own
	if err != nil {
		_ = alive.Close() // nobody reads
		return func() {}
	}
	return func() {
		_ = cmd.Process.Kill() // it waits, and does nothing else
		_ = cmd.Wait()         // killed
		_ = alive.Close()      // nobody reads any more
	}
}
