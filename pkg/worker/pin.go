package worker

import (
	"context"
	"slices"
	"strconv"
)

// CPULauncher starts workers by PyTorch's launcher for CPUs, which binds them to
// cores (WRK §9.5).
type CPULauncher struct {
	Args []string // of cpu_launcher_args
	// Check reports why the launcher cannot be used with an interpreter, in the
	// directory and the environment of a worker. It may block until ctx ends.
	Check func(ctx context.Context, python, dir string, env []string) error
}

// Share is a worker's part of the CPU cores: the one with this index, from 0, of so
// many. Without others it has all of them.
type Share struct{ Index, Of int }

const noPinning = "torch.backends.xeon.run_cpu is not available. Proceeding without worker core pinning. " +
	"For better performance, please make sure torch.backends.xeon.run_cpu is available."

// pin returns the words that have an interpreter run the worker on its share of the
// CPU cores; nil: on any.
func (w *Worker) pin(ctx context.Context, python string) []string {
	c := w.cfg.Launch.CPULauncher
	if c == nil {
		return nil
	}
	a := w.cfg.Archive
	if err := c.Check(ctx, python, a.Dir, w.cfg.Launch.Environment(a)); err != nil {
		if ctx.Err() == nil {
			w.cycle.Warn().Err(err).Msg(noPinning)
		}
		return nil
	}
	words := slices.Concat([]string{"-m", "torch.backends.xeon.run_cpu"}, c.Args)
	if s := w.cfg.Share; s.Of > 1 {
		words = append(words, "--ninstances", strconv.Itoa(s.Of), "--rank", strconv.Itoa(s.Index))
	}
	return words
}
