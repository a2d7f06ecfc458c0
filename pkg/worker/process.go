package worker

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/procgroup"
)

// program is what a process is started from.
type program struct {
	args     []string
	dir      string // its working directory
	env      []string
	held     string // path, without the rank, of what it holds back of its output
	ranks    int    // processes that torchrun starts, if that is what args do, else 0
	indirect bool   // the worker is what args start, or each of its ranks is
}

// process is one incarnation of a worker's process: its group and its output.
type process struct {
	program
	cmd    *exec.Cmd
	out    *output
	tag    string        // variable of the worker, or its ranks, and of what they start; empty: none
	marked chan struct{} // one token per started marker
	exited chan struct{} // closed when the process has ended
	done   chan struct{} // closed when its output was read, too
}

// tagVariable is the variable by which the processes below a launcher are known: it
// makes sessions of them, so that they are in nobody's group, and when it is killed
// they are nobody's children.
const tagVariable = "TORCHSERVE_RANK_OF"

// drainTime bounds the reading of output after the process has ended: a
// grandchild may hold the pipe open.
const drainTime = 2 * time.Second

// spawn starts a program in a process group of its own.
func spawn(o program, streams streamLog) (*process, error) {
	//nolint:noctx // the command is the operator's; its end is the stop ladder's business
	cmd := exec.Command(o.args[0], o.args[1:]...)
	cmd.Dir = o.dir
	cmd.Env = o.env
	cmd.SysProcAttr = procgroup.Leader()
	p := &process{
		program: o,
		cmd:     cmd,
		marked:  make(chan struct{}, max(o.ranks, 1)), // the readers must not wait for the starter
		exited:  make(chan struct{}),
		done:    make(chan struct{}),
	}
	if o.indirect {
		p.tag = tagVariable + "=" + rand.Text()
		cmd.Env = append(cmd.Env, p.tag)
	}
	p.out = &output{ready: p.mark, metric: streams.metric, ranks: o.ranks, indirect: o.indirect}
	stdout, stderr, err := p.pipes()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		closeAll(stdout, stderr, cmd.Stdout, cmd.Stderr)
		return nil, fmt.Errorf("start %s: %w", o.args[0], err)
	}
	closeAll(cmd.Stdout, cmd.Stderr) // the child has its own now
	go p.reap(stdout, stderr, streams)
	return p, nil
}

// streamLog is what becomes of the lines of a process.
type streamLog struct {
	stdout, stderr zerolog.Logger
	ended          func(stream string) // the stream has ended
	metric         func(line string)
}

// pipes gives the process two pipes of its own; unlike those of exec.Cmd they
// do not delay the reaping while a grandchild holds them.
func (p *process) pipes() (stdout, stderr *os.File, err error) {
	stdout, p.cmd.Stdout, err = pipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, p.cmd.Stderr, err = pipe()
	if err != nil {
		closeAll(stdout, p.cmd.Stdout)
		return nil, nil, err
	}
	return stdout, stderr, nil
}

func pipe() (r *os.File, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, fmt.Errorf("pipe for worker output: %w", err)
	}
	return r, w, nil
}

func closeAll(files ...any) {
	for _, f := range files {
		if c, ok := f.(*os.File); ok && c != nil {
			_ = c.Close() // nothing was written that could be lost
		}
	}
}

// reap waits for the process, then for its output, and closes exited and done.
func (p *process) reap(stdout, stderr *os.File, streams streamLog) {
	var readers sync.WaitGroup
	read := func(f *os.File, name string, log zerolog.Logger, level zerolog.Level) {
		p.out.read(f, log, level)
		_ = f.Close() // read end
		streams.ended(name)
	}
	readers.Go(func() { read(stdout, "stdout", streams.stdout, zerolog.InfoLevel) })
	readers.Go(func() { read(stderr, "stderr", streams.stderr, zerolog.WarnLevel) })
	_ = p.cmd.Wait() // the status is in ProcessState
	// What it left behind in its group goes with it, before the number of the
	// group can belong to somebody else. What a launcher starts has its own groups.
	procgroup.Signal(p.cmd.Process.Pid, syscall.SIGKILL)
	if p.tag != "" {
		procgroup.KillTagged(p.tag)
	}
	close(p.exited)
	deadline := time.Now().Add(drainTime)
	_ = stdout.SetReadDeadline(deadline) // fails only when it was closed already
	_ = stderr.SetReadDeadline(deadline)
	readers.Wait()
	p.readHeld(streams)
	close(p.done)
}

func (p *process) mark() {
	select {
	case p.marked <- struct{}{}:
	default: // a line that fakes the marker
	}
}

// How a start fails, in 0.12's words.
const (
	errNoProcess    = "Failed start worker process"
	errStreamClosed = "Backend stream closed."
	errBootTimeout  = "Backend worker startup time out."
	errConnect      = "Failed to connect to worker."
	errConnectLate  = "Worker failed to initialize within 2 mins"
	errNoAnswer     = "Backend worker did not respond in given time"
)

// waitReady blocks until every rank has said that it listens, the process has
// ended (WRK-D27), or the time is over. The error is a fault of kind Worker, or
// the cause of ctx.
func (p *process) waitReady(ctx context.Context, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for range max(p.ranks, 1) {
		select {
		case <-p.marked:
		case <-p.exited:
			<-p.done // its last words
			if len(p.marked) > 0 {
				continue
			}
			return fault.New(fault.Worker, errStreamClosed)
		case <-timer.C:
			return &fault.Error{Kind: fault.Worker, Message: errBootTimeout, Details: tooSlow("The worker process did not listen", limit)}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// pid returns the process id: the one that the worker below a launcher, or a rank,
// printed, else the one that was spawned.
func (p *process) pid() int {
	if pid := p.out.processID(); pid != 0 && p.indirect {
		return pid
	}
	return p.cmd.Process.Pid
}

// killedStatus is the exit status of a process killed with SIGKILL, as a shell
// shows it; 0.12 takes it for the work of the out-of-memory killer (WRK §13).
const killedStatus = 137

// killed reports whether the process has already ended as if killed from
// outside.
func (p *process) killed() bool {
	if !p.ended() {
		return false
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && (status.ExitStatus() == killedStatus || status.Signaled() && status.Signal() == syscall.SIGKILL)
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// closeGrace is the time that a process has after its connection was closed, the
// first rung of the stop ladder.
const closeGrace = 2 * time.Second

// stop climbs the ladder; the connection was closed before. It returns when the
// process has ended and its output was read, or limit is over. grace is the time
// between SIGTERM and SIGKILL.
func (p *process) stop(ctx context.Context, grace, limit time.Duration) error {
	if !p.waitExit(ctx, closeGrace) {
		p.signal(syscall.SIGTERM)
		p.waitExit(ctx, grace)
	}
	return p.kill(limit)
}

// kill ends the group at once, if it has not ended, and waits for the process.
func (p *process) kill(limit time.Duration) error {
	p.signal(syscall.SIGKILL)
	if !p.endedWithin(limit) {
		return fmt.Errorf("worker process %d did not end within %v", p.cmd.Process.Pid, limit)
	}
	<-p.done
	return nil
}

// signal sends s to the group of a process that has not ended.
func (p *process) signal(s syscall.Signal) {
	if !p.ended() {
		procgroup.Signal(p.cmd.Process.Pid, s)
	}
}

// waitExit reports whether the process ended within limit; ctx cuts it short.
func (p *process) waitExit(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	case <-ctx.Done():
	}
	return p.ended()
}

// endedWithin is waitExit for moments that no caller may cut short.
func (p *process) endedWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
	return p.ended()
}

// removeSocket deletes the socket that the worker made, if it is one.
func removeSocket(path string) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		_ = os.Remove(path) // the worker may have been faster
	}
}
