package e2etest

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

// Patient lets the test wait longer for a server whose workers import torch.
func Patient() Option {
	return func(s *Site) { s.patience = 2 * time.Minute }
}

// Published has the site run TorchServe 0.12 as published instead of our program;
// dir is the virtual environment it is installed in. Its command line, files and
// addresses are those of ours.
func Published(dir string) Option {
	bin := filepath.Join(dir, "bin")
	return func(s *Site) {
		s.program = filepath.Join(bin, "torchserve")
		s.published = true
		Patient()(s)
		Env("PATH=" + bin + string(filepath.ListSeparator) + searchPath())(s)
	}
}

// frontend returns the process that serves: the command of 0.12 only waits for a
// child of its own. That child's children look like it until they become workers.
func (s *Site) frontend(command int) int {
	if !s.published {
		return command
	}
	all := s.Processes()
	isJava := func(p Process) bool { return filepath.Base(p.Args[0]) == "java" }
	at := slices.IndexFunc(all, func(p Process) bool {
		above := procgrouptest.Parent(p.PID)
		return isJava(p) && !slices.ContainsFunc(all, func(other Process) bool { return other.PID == above && isJava(other) })
	})
	require.GreaterOrEqual(s.t, at, 0, "no Java process among %v", all)
	return all[at].PID
}

// Backend returns the folder of this repository that holds the package ts, for
// servers that are to run its worker.
func Backend(t testing.TB) string {
	t.Helper()
	return filepath.Join(repository(t), "pkg", "backend")
}
