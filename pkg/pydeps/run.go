package pydeps

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/torchserve-go/torchserve/pkg/procgroup"
)

// program is a run of Python.
type program struct {
	args []string
	dir  string // its working directory
	env  []string
}

// endGrace is the time that a program has to clean up after it was interrupted: pip
// has directories of its own elsewhere. It also bounds the reading of output after
// it has ended, because a process that it left behind may hold the pipe.
const endGrace = 5 * time.Second

// tagVariable is the variable by which the processes below a program are known: a
// build may start some that leave its group.
const tagVariable = "TORCHSERVE_SETUP_OF"

// startError is why a program could not be started.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// run runs the program to its end, to that of ctx, or to that of this process, with
// all that it has started.
func (p program) run(ctx context.Context, o *output) error {
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	tag := tagVariable + "=" + rand.Text()
	cmd.Dir, cmd.Env, cmd.SysProcAttr = p.dir, slices.Concat(p.env, []string{tag}), procgroup.Leader()
	cmd.Stdout, cmd.Stderr = o, o
	cmd.Cancel = func() error {
		procgroup.Signal(cmd.Process.Pid, syscall.SIGINT)
		return nil
	}
	cmd.WaitDelay = endGrace
	if err := cmd.Start(); err != nil {
		return &startError{err}
	}
	dismiss := procgroup.Watchdog(cmd.Process.Pid, tag, p.env)
	err := cmd.Wait()
	dismiss()
	procgroup.Signal(cmd.Process.Pid, syscall.SIGKILL)
	procgroup.KillTagged(tag)
	o.end()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %w", p.args[0], err)
	}
	return nil
}

// What is kept of an output: lines, and bytes of each.
const (
	tailLines = 40
	lineWidth = 1000
)

// output takes what a program prints. One goroutine writes it.
type output struct {
	line func(text string) // is told each line when it is complete

	lines []string // the last ones
	rest  []byte   // of a line that is not complete
}

// Write takes the next piece; it never fails.
func (o *output) Write(p []byte) (int, error) {
	o.rest = append(o.rest, p...)
	for {
		end := bytes.IndexAny(o.rest, "\r\n")
		switch {
		case end >= 0 && end <= lineWidth:
			o.say(string(o.rest[:end]))
			o.rest = o.rest[end+1:]
		case len(o.rest) > lineWidth:
			o.say(string(o.rest[:lineWidth]))
			o.rest = o.rest[lineWidth:]
		default:
			o.rest = bytes.Clone(o.rest) // lets go of what was said
			return len(p), nil
		}
	}
}

// end says the last line if it is not complete.
func (o *output) end() {
	o.say(string(o.rest))
	o.rest = nil
}

// say notes a line, without the passwords of URLs; an empty one is none.
func (o *output) say(text string) {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if text == "" {
		return
	}
	text = userInfo.ReplaceAllString(text, "://****@")
	if len(o.lines) == tailLines {
		o.lines = append(o.lines[:0], o.lines[1:]...)
	}
	o.lines = append(o.lines, text)
	o.line(text)
}

var userInfo = regexp.MustCompile(`://[^/@\s]+@`)

// tail returns the last lines.
func (o *output) tail() string { return strings.Join(o.lines, "\n") }
