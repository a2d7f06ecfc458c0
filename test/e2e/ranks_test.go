package e2e

import (
	_ "embed"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/ranks.py
var ranksHandler string

//go:embed testdata/torchrun.py
var torchrun string

// ranks is an archive whose model has several ranks.
func ranks(name, config string) e2etest.Archive {
	return e2etest.Archive{Name: name, Handler: ranksHandler, Config: config}
}

// withRanks starts a server on a machine with something like torchrun, where
// ranks meet by files.
func withRanks(t *testing.T, options ...e2etest.Option) lab {
	t.Helper()
	return newLab(t, append(options, e2etest.Tool("torchrun", torchrun), e2etest.Env("RANKS="+t.TempDir()))...)
}

// ranks registers a model with workers of several ranks.
func (l lab) ranks(t *testing.T, name, config string) {
	t.Helper()
	register(t, l.Server, "initial_workers=1&url="+ranks(name, config).Write(t, l.Store))
}

// processes returns the processes whose command line names a worker's socket:
// launchers and ranks.
func (l lab) processes(id string) (launchers, ranks []e2etest.Process) {
	for _, p := range l.Workers() {
		at := slices.IndexFunc(p.Args, func(word string) bool { return strings.HasSuffix(word, ".ts.sock."+id) })
		switch {
		case at < 0:
		case slices.Contains(p.Args, "--nproc-per-node"):
			launchers = append(launchers, p)
		default:
			ranks = append(ranks, p)
		}
	}
	return launchers, ranks
}

// sockets returns the numbers of the worker sockets from 29500.
func (l lab) sockets(t *testing.T) (numbers []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(l.Temp, func(path string, _ fs.DirEntry, err error) error {
		if _, number, ok := strings.Cut(path, "/.ts.sock."); ok && strings.HasPrefix(number, "29") {
			numbers = append(numbers, number)
		}
		return err
	}))
	return numbers
}

// sums asks a model of two ranks for sums.
func (l lab) sums(t *testing.T, model string, n int) {
	t.Helper()
	all := make([]*pending, n)
	for i := range all {
		all[i] = l.beginAsk(t, model, "", fmt.Sprint(i))
	}
	for i, p := range all {
		assert.Equal(t, fmt.Sprint(3*i), p.answer().Body)
	}
}

func TestRanks(t *testing.T) {
	t.Parallel()
	t.Run("SCH-065 WRK-043 WRK-044 WRK-046 WRK-054 WRK-064 tensor parallelism, two workers", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t)
		l.ranks(t, "tp", "parallelType: TP\ntorchrun:\n  nproc-per-node: 2\n  OMP_NUMBER_THREADS: 3\nminWorkers: 2\nmaxWorkers: 2\nbatchSize: 4\nmaxBatchDelay: 20\n")
		d := l.describe(t, "tp")
		assert.Equal(t, "tp", d.ParallelType)
		assert.Equal(t, 2, d.ParallelLevel)
		require.Len(t, d.Workers, 2)
		assert.Equal(t, []string{"29500", "29502"}, []string{d.Workers[0].ID, d.Workers[1].ID}, "initial_distribution_port, and the level per worker")
		assert.False(t, d.Workers[0].GPU)
		l.sums(t, "tp", 20)
		for _, number := range []string{"29500", "29501", "29502", "29503"} {
			l.AwaitLog("model_log.log", "/.ts.sock."+number+"\n")
		}

		launchers, all := l.processes("29502")
		require.Len(t, launchers, 1)
		require.Len(t, all, 2)
		at := slices.Index(launchers[0].Args, "--nnodes")
		require.Positive(t, at)
		assert.Equal(t, []string{
			"--nnodes", "1", "--nproc-per-node", "2", "--log-dir", l.Path("logs/torchelastic_ts"), "--rdzv-backend", "c10d",
			"--rdzv-endpoint", "localhost:0", "--rdzv-id", "tp_29502", "--max-restarts", "1",
		}, launchers[0].Args[at:at+14])
		assert.Subset(t, launchers[0].Environ, []string{"OMP_NUM_THREADS=3", "LOGLEVEL=INFO"})
		for _, p := range all {
			assert.Contains(t, p.Environ, "OMP_NUM_THREADS=3")
		}
		l.AwaitLog("model_log.log", "skip sending response at rank 1")
		assert.NotContains(t, l.Logs("model_log.log"), "skip sending response at rank 0")
		assert.Equal(t, http.StatusOK, l.Manage(http.MethodDelete, "/models/tp/1.0").Status)
		launchers, all = l.processes("29502")
		assert.Empty(t, launchers)
		assert.Empty(t, all)
		assert.Empty(t, l.sockets(t))
	})
	t.Run("SCH-065 a pipeline", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t, e2etest.Properties("initial_distribution_port=29900"))
		l.ranks(t, "pp", "parallelType: pp\nparallelLevel: 2\n")
		assert.Equal(t, "29900", l.describe(t, "pp").Workers[0].ID)
		assert.Equal(t, "7 at rank 0", l.askOf("pp", "", "7").Body)
		assert.Equal(t, "8 at rank 0", l.askOf("pp", "", "8").Body)
		reply := l.Manage(http.MethodGet, "/models/pp?customized=true")
		assert.Contains(t, reply.Body, "\"customizedMetadata\": {\n      \"rank\": 0\n    }")
		l.Await("the load in the log of both", func() bool {
			return len(lines(l.Logs("model_log.log"), "model_name: pp, batchSize: 1")) == 2
		})
		assert.NotContains(t, l.Logs("model_log.log"), "skip sending response")
	})
	t.Run("SCH-065 describe is the first rank's alone", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t)
		l.ranks(t, "tp", "parallelType: tp\nparallelLevel: 2\n")
		for range 2 {
			reply := l.Manage(http.MethodGet, "/models/tp?customized=true")
			assert.Contains(t, reply.Body, "\"customizedMetadata\": {\n      \"rank\": 0\n    }")
			l.sums(t, "tp", 3)
		}
	})
	t.Run("SCH-065 WRK-064 a rank, or torchrun, is killed", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t)
		l.ranks(t, "tp", "parallelType: tp\nparallelLevel: 2\n")
		for _, which := range []string{"a rank", "torchrun"} {
			launchers, before := l.processes("29500")
			require.Len(t, before, 2)
			require.Len(t, launchers, 1)
			victim := before[1]
			if which == "torchrun" {
				victim = launchers[0]
			}
			require.NoError(t, syscall.Kill(victim.PID, syscall.SIGKILL))
			for _, p := range before {
				l.Await(which+" takes the others along", func() bool { return !e2etest.Alive(p.PID) })
			}
			l.AwaitReady()
			l.sums(t, "tp", 3)
			assert.Equal(t, []string{"29500"}, []string{l.describe(t, "tp").Workers[0].ID})
		}
	})
	t.Run("SCH-066 one rank cannot load", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t)
		for _, rank := range []int{0, 1} {
			a := ranks("failing", fmt.Sprintf("parallelType: tp\nparallelLevel: 2\nfailing: %d\n", rank))
			reply := l.Manage(http.MethodPost, "/models?initial_workers=1&url="+a.Write(t, l.Store))
			assert.Equal(t, http.StatusInternalServerError, reply.Status)
			assert.Contains(t, reply.Body, "Failed to start workers for model failing version: 1.0")
			assert.Contains(t, reply.Body, fmt.Sprintf("ValueError: rank %d cannot load", rank))
			assert.Equal(t, http.StatusNotFound, l.Manage(http.MethodGet, "/models/failing").Status)
			assert.Empty(t, l.sockets(t))
		}
	})
	t.Run("asynchronous ranks are refused", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t)
		a := ranks("async", "parallelType: tp\nparallelLevel: 2\nasyncCommunication: true\n")
		assertFailure(t, l.Manage(http.MethodPost, "/models?url="+a.Write(t, l.Store)), 400, "InvalidModelException",
			"asyncCommunication cannot be combined with parallelType pp, tp or pptp, only with custom.")
	})
	t.Run("SCH-068 a parallelLevel without a parallelType", func(t *testing.T) {
		t.Parallel()
		l := withRanks(t)
		l.archive(t, "plain", "parallelLevel: 2\n")
		d := l.describe(t, "plain")
		assert.Empty(t, d.ParallelType)
		assert.Zero(t, d.ParallelLevel)
		launchers, all := l.processes(d.Workers[0].ID)
		assert.Empty(t, launchers)
		assert.Len(t, all, 1)
		assert.Empty(t, l.sockets(t), "it has an ordinary number")
	})
}

// withTorch returns the folder of the programs of a Python environment with torch,
// which `make test` sets up below the one that TORCHSERVE_ORIGINAL names.
func withTorch(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(os.Getenv("TORCHSERVE_ORIGINAL"), "lib", "python3*", "site-packages", "base.pth")) // the pattern is good
	if os.Getenv("TORCHSERVE_ORIGINAL") == "" || len(found) == 0 {
		t.Skip("no Python environment with torch: `make test` sets it up and names it in TORCHSERVE_ORIGINAL")
	}
	packages, err := os.ReadFile(found[0])
	require.NoError(t, err)
	return filepath.Join(strings.TrimSpace(string(packages)), "..", "..", "..", "bin")
}

// TestTorchrun has two ranks under the real torchrun compute with torch.distributed.
func TestTorchrun(t *testing.T) {
	t.Parallel()
	t.Run("SCH-065 WRK-046 WRK-064 on the CPU", func(t *testing.T) {
		t.Parallel()
		bin := withTorch(t)
		l := newLab(t, e2etest.Args("--python", filepath.Join(bin, "python")))
		const config = "parallelType: tp\nparallelLevel: 2\ntorch: true\n"
		reply := l.Manage(http.MethodPost, "/models?synchronous=false&initial_workers=1&url="+ranks("tp", config).Write(t, l.Store))
		require.Equal(t, http.StatusAccepted, reply.Status, "%s", reply.Body)
		loaded := func() bool { return l.describe(t, "tp").Workers[0].Status == "READY" }
		const importing = 5 * time.Minute // torch, on a machine that has other things to do
		require.Eventually(t, loaded, importing, 50*time.Millisecond)
		l.sums(t, "tp", 10)
		launchers, before := l.processes("29500")
		require.Len(t, launchers, 1)
		assert.Contains(t, launchers[0].Args, filepath.Join(bin, "torchrun"))
		require.Len(t, before, 2)

		require.NoError(t, syscall.Kill(before[1].PID, syscall.SIGKILL))
		l.Await("the worker is stopped", func() bool {
			return !loaded() && !e2etest.Alive(before[0].PID) && !e2etest.Alive(launchers[0].PID)
		})
		require.Eventually(t, loaded, importing, 50*time.Millisecond)
		l.sums(t, "tp", 3)
		assert.Equal(t, http.StatusOK, l.Manage(http.MethodDelete, "/models/tp/1.0").Status)
		launchers, all := l.processes("29500")
		assert.Empty(t, append(launchers, all...))
		assert.Empty(t, l.sockets(t))
	})
}
