package backend

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// tryLimit bounds the time that PyTorch's launcher has to start a program: it
// imports PyTorch.
const tryLimit = 2 * time.Minute

// CPULauncher finds out whether PyTorch's launcher for CPUs can be used. It must
// not be copied; it is safe for concurrent use.
type CPULauncher struct {
	Args []string // that it will be given

	mu     sync.Mutex // Protects fields below
	usable map[trial]bool
}

// trial is an interpreter with where and in what it runs: all of that decides what
// it can import.
type trial [sha256.Size]byte

func newTrial(python, dir string, env []string) trial {
	return sha256.Sum256([]byte(strings.Join(append([]string{python, dir}, env...), "\x00")))
}

// Check reports why an interpreter has no launcher that takes the arguments, in the
// directory and the environment of a worker. It has the launcher start a program,
// and blocks until that has ended or ctx has, unless it knows already that this
// works. What does not is tried anew every time.
func (c *CPULauncher) Check(ctx context.Context, python, dir string, env []string) error {
	this := newTrial(python, dir, env)
	if c.knows(this) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	args := slices.Concat([]string{"-m", "torch.backends.xeon.run_cpu"}, c.Args, []string{"--no_python", "hostname"})
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = time.Second // what it started may hold the pipe
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("start hostname with torch.backends.xeon.run_cpu of %s: %w: %s", python, err, lastLine(out))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.usable == nil {
		c.usable = map[trial]bool{}
	}
	c.usable[this] = true
	return nil
}

func (c *CPULauncher) knows(this trial) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.usable[this]
}

// lastLine is where Python says what went wrong.
func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
