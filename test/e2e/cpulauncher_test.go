package e2e

import (
	_ "embed"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/run_cpu.py
var runCPU string

// withCPULauncher starts a server on a machine with something like PyTorch's
// launcher for CPUs.
func withCPULauncher(t *testing.T, args string) lab {
	t.Helper()
	packages := t.TempDir()
	module := filepath.Join(packages, "torch", "backends", "xeon", "run_cpu.py")
	require.NoError(t, os.MkdirAll(filepath.Dir(module), 0o755))
	require.NoError(t, os.WriteFile(module, []byte(runCPU), 0o644))
	l := newLab(t, e2etest.Env("PYTHONPATH="+packages, "NOT_FOR_WORKERS=1"),
		e2etest.Properties("blacklist_env_vars=NOT_FOR_.*", "cpu_launcher_enable=true", "cpu_launcher_args="+args))
	l.AwaitReady()
	return l
}

// pinned returns a worker of the lab and, if there is one, what has launched it.
func (l lab) pinned(t *testing.T, w describedWorker) (worker, launcher e2etest.Process) {
	t.Helper()
	for _, p := range l.Workers() {
		switch {
		case !slices.ContainsFunc(p.Args, func(word string) bool { return strings.HasSuffix(word, ".ts.sock."+w.ID) }):
		case slices.Contains(p.Args, "torch.backends.xeon.run_cpu"):
			launcher = p
		default:
			worker = p
		}
	}
	return worker, launcher
}

func TestCPULauncher(t *testing.T) {
	t.Parallel()
	t.Run("WRK-047 SCH-036 WRK-059 CFG-043 workers share the cores", func(t *testing.T) {
		t.Parallel()
		l := withCPULauncher(t, "--node_id 0")
		const words = "-m torch.backends.xeon.run_cpu --node_id 0 "
		workers := func(n int) []describedWorker {
			t.Helper()
			assert.Equal(t, http.StatusOK, l.Manage(http.MethodPut, "/models/lab?synchronous=true&min_worker="+strconv.Itoa(n)).Status)
			all := l.describe(t, "lab").Workers
			require.Len(t, all, n)
			assert.Equal(t, "x", l.ask("echo", "x").Body)
			return all
		}
		for _, w := range l.describe(t, "lab").Workers {
			_, launcher := l.pinned(t, w)
			assert.Contains(t, strings.Join(launcher.Args, " "), words+"/", "no part for the only worker")
		}
		before := workers(2)
		assert.Equal(t, []string{"9001", "9002"}, []string{before[0].ID, before[1].ID}, "all are replaced")
		for i, w := range before {
			worker, launcher := l.pinned(t, w)
			assert.Equal(t, w.PID, worker.PID)
			assert.Contains(t, strings.Join(launcher.Args, " "), words+"--ninstances 2 --rank "+strconv.Itoa(i)+" /")
		}
		for _, which := range []string{"the worker", "the launcher"} {
			worker, launcher := l.pinned(t, before[1])
			require.NotZero(t, worker.PID)
			require.NotZero(t, launcher.PID)
			victim, other := worker.PID, launcher.PID
			if which == "the launcher" {
				victim, other = other, victim
			}
			require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
			l.Await(which+" takes the other along", func() bool { return !e2etest.Alive(other) })
			l.Await("both are back", func() bool {
				w := l.describe(t, "lab").Workers[1]
				return w.Status == "READY" && w.PID != worker.PID
			})
			_, launcher = l.pinned(t, before[1])
			assert.Contains(t, strings.Join(launcher.Args, " "), words+"--ninstances 2 --rank 1 /", which)
		}
		last := workers(1)
		for _, w := range before {
			worker, launcher := l.pinned(t, w)
			assert.Empty(t, append(worker.Args, launcher.Args...), "worker %s", w.ID)
		}
		assert.Equal(t, http.StatusOK, l.Manage(http.MethodDelete, "/models/lab/1.0").Status)
		worker, launcher := l.pinned(t, last[0])
		assert.Empty(t, append(worker.Args, launcher.Args...))
	})
	t.Run("a handler that cannot be loaded says why", func(t *testing.T) {
		t.Parallel()
		l := withCPULauncher(t, "")
		a := e2etest.Archive{Name: "bad", Handler: "raise KeyError('why')"}
		reply := l.Manage(http.MethodPost, "/models?initial_workers=1&url="+a.Write(t, l.Store))
		assert.Equal(t, http.StatusInternalServerError, reply.Status)
		assert.Contains(t, reply.Body, "KeyError: 'why'")
		assert.NotContains(t, reply.Body, "instance 0 failed")
	})
	t.Run("WRK-047 one that does not work is not used", func(t *testing.T) {
		t.Parallel()
		l := withCPULauncher(t, "--unknown")
		_, launcher := l.pinned(t, l.describe(t, "lab").Workers[0])
		assert.Empty(t, launcher.Args)
		l.AwaitLog("ts_log.log", "torch.backends.xeon.run_cpu is not available. Proceeding without worker core pinning.")
		l.AwaitLog("ts_log.log", "exit status 2: run_cpu.py: error: unrecognized arguments: --unknown")
	})
}
