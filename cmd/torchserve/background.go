package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// reportVariable names, in the environment of a server that was started in the
// background, the descriptor on which it reports to the command that waits.
const reportVariable = "TORCHSERVE_REPORT_FD"

const accepted = "accepted"

// background starts this program anew as the server, in a session of its own,
// and returns once the server has accepted its configuration and holds its
// addresses, or has said why it does not (D-CLI-3). Models are not waited for.
// The server keeps standard output and error of the caller, as with 0.12.
func (l *launcher) background() int {
	program, err := os.Executable()
	if err != nil {
		return l.fail(fmt.Errorf("own program: %w", err))
	}
	report, reporting, err := os.Pipe()
	if err != nil {
		return l.fail(fmt.Errorf("pipe to the server: %w", err))
	}
	cmd := exec.Command(program, append(os.Args[1:], "--foreground")...) //nolint:noctx,gosec // it outlives this process; this program with its own arguments
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{reporting} // descriptor 3
	cmd.Env = append(os.Environ(), reportVariable+"=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return l.fail(fmt.Errorf("start the server: %w", err))
	}
	_ = reporting.Close() // the server has its own
	said, _ := io.ReadAll(report)
	if strings.TrimSpace(string(said)) == accepted {
		return exitOK
	}
	_ = cmd.Wait() // its exit status says no more than that
	if len(said) == 0 {
		said = []byte("it ended before it had read its configuration")
	}
	return l.fail(fmt.Errorf("the server was not started: %s", strings.TrimSpace(string(said))))
}

// reporter tells a waiting command how the start of this server went. The zero
// value is for a server that nobody waits for.
type reporter struct{ pipe *os.File }

// newReporter takes the descriptor over from the environment, where workers
// must not find it.
func newReporter() reporter {
	text, found := os.LookupEnv(reportVariable)
	_ = os.Unsetenv(reportVariable) // cannot fail: the name is a good one
	fd, err := strconv.Atoi(text)
	if !found || err != nil {
		return reporter{}
	}
	syscall.CloseOnExec(fd)
	return reporter{os.NewFile(uintptr(fd), "report")}
}

// accept reports that the start goes on without the command that waits.
func (r reporter) accept() { r.say(accepted) }

// refuse reports why the server does not start; false: nobody waits to hear it.
func (r reporter) refuse(err error) bool { return r.say(err.Error()) }

// say reports the one thing that there is to say; false: it was not heard.
func (r reporter) say(text string) bool {
	if r.pipe == nil {
		return false
	}
	_, err := r.pipe.WriteString(text) // whoever waited may be gone, or know enough already
	_ = r.pipe.Close()
	return err == nil
}
