package e2etest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a command of the program that was started.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *Output
	ended          chan struct{} // closed when it has ended
	killed         bool          // as a server, by the test
}

func (s *Site) spawn(words []string) *process {
	s.t.Helper()
	p := &process{cmd: s.Command(words...), ended: make(chan struct{})}
	outRead, outWrite, err := os.Pipe()
	require.NoError(s.t, err)
	errRead, errWrite, err := os.Pipe()
	require.NoError(s.t, err)
	p.cmd.Stdout, p.cmd.Stderr = outWrite, errWrite
	p.stdout, p.stderr = newOutput(outRead), newOutput(errRead)
	err = p.cmd.Start()
	_, _ = outWrite.Close(), errWrite.Close() // the process has its own
	require.NoError(s.t, err)
	go p.stdout.fill()
	go p.stderr.fill()
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // its state says how it ended
	}()
	return p
}

// finished waits for the end of the process and of its output, and reports whether
// it came in time. Children that it left would hold the output open.
func (p *process) finished() bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	for _, ended := range []<-chan struct{}{p.ended, p.stdout.ended, p.stderr.ended} {
		select {
		case <-ended:
		case <-late.C:
			return false
		}
	}
	return true
}

// code returns the exit code of a process that has ended; -1: by a signal.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// said returns what the process printed, for the message of a failure.
func (p *process) said() string {
	return fmt.Sprintf("--- stdout\n%s\n--- stderr\n%s", tail(p.stdout.String()), tail(p.stderr.String()))
}

// tail returns the last lines of a text.
func tail(text string) string {
	const most = 80
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// Process is a process that belongs to a site.
type Process struct {
	PID     int
	Args    []string
	Environ []string
}

func (p Process) String() string { return fmt.Sprintf("%d %s", p.PID, strings.Join(p.Args, " ")) }

// Processes returns the processes that are alive and belong to the site: those
// with its TMPDIR, and those that work in one of its folders.
func (s *Site) Processes() []Process {
	var all []Process
	entries, _ := os.ReadDir("/proc") // elsewhere than on Linux nothing can be seen
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p := look(pid); s.owns(p) {
			all = append(all, p)
		}
	}
	return all
}

func (s *Site) owns(p Process) bool {
	if len(p.Args) == 0 { // gone, a zombie, or of the kernel
		return false
	}
	if slices.Contains(p.Environ, "TMPDIR="+s.Temp) {
		return true
	}
	dir, err := os.Readlink(proc(p.PID, "cwd"))
	return err == nil && strings.HasPrefix(dir, filepath.Dir(s.Dir)+"/")
}

// Workers returns the processes of the site beside the server.
func (s *Server) Workers() []Process {
	return slices.DeleteFunc(s.Processes(), func(p Process) bool { return p.PID == s.PID })
}

func look(pid int) Process {
	return Process{PID: pid, Args: words(proc(pid, "cmdline")), Environ: words(proc(pid, "environ"))}
}

// proc returns the path of a file about a process.
func proc(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// words reads a file of words that end with a zero byte.
func words(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil || len(content) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(content), "\x00"), "\x00")
}

// Alive reports whether a process runs; one that waits for its parent only does
// not.
func Alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	_, err := os.Stat("/proc/self")
	return err != nil || len(look(pid).Args) > 0
}

// killAll ends what is left of the site.
func (s *Site) killAll() {
	for _, p := range s.Processes() {
		_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may have ended by itself
	}
}
