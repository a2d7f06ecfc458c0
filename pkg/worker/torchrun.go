package worker

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// torchrun returns the words that start the ranks of a worker, in the place of the
// interpreter (WRK §9.4).
func (l Launch) torchrun(python string, port int, a model.Archive, s model.Settings) ([]string, error) {
	program, err := findTorchrun(python, s.UseVenv)
	if err != nil {
		return nil, err
	}
	t := s.Devices.Torchrun
	args := slices.Concat(program, []string{
		"--nnodes", strconv.Itoa(max(t.Nodes, 1)), "--nproc-per-node", strconv.Itoa(s.Devices.Level),
		"--log-dir", filepath.Join(l.LogDir, "torchelastic_ts"),
		"--rdzv-backend", cmp.Or(t.RdzvBackend, rdzvBackend),
	})
	option := func(name, value string) {
		if value != "" {
			args = append(args, name, value)
		}
	}
	option("--rdzv-endpoint", rdzvEndpoint(t))
	option("--rdzv-id", string(a.Name)+"_"+strconv.Itoa(port))
	option("--rdzv-conf", t.RdzvConf)
	if t.MonitorInterval > 0 {
		option("--monitor-interval", strconv.Itoa(t.MonitorInterval))
	}
	if t.Given && t.NodeRank >= 0 {
		option("--node-rank", strconv.Itoa(t.NodeRank))
	}
	option("--max-restarts", "1")
	return args, nil
}

// rdzvBackend is where the ranks meet unless a model says otherwise: at a store
// that torchrun runs itself.
const rdzvBackend = "c10d"

// rdzvEndpoint returns where the store is. 0.12 named none, so that all workers of
// a machine shared the store of the first one, and died with it: each gets its
// own, unless there are other nodes to find it.
func rdzvEndpoint(t model.Torchrun) string {
	if t.RdzvEndpoint == "" && t.Nodes <= 1 && cmp.Or(t.RdzvBackend, rdzvBackend) == rdzvBackend {
		return "localhost:0"
	}
	return t.RdzvEndpoint
}

// findTorchrun returns the torchrun of an interpreter's environment, else that of
// the PATH (WRK-D20). A model's environment may have inherited PyTorch, which came
// without its programs; only its own interpreter finds all that it has.
func findTorchrun(python string, venv bool) ([]string, error) {
	const name = "torchrun"
	if filepath.IsAbs(python) {
		beside := filepath.Join(filepath.Dir(python), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return []string{beside}, nil
		}
	}
	if venv {
		return []string{python, "-m", "torch.distributed.run"}, nil
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("no torchrun, which comes with PyTorch, beside %s or on the PATH: "+
			"install torch for this Python, or name another one with --python or the key python", python)
	}
	if found, err = filepath.Abs(found); err != nil {
		return nil, err
	}
	return []string{found}, nil
}

// torchrunEnv returns the variables of the ranks (WRK §9.4).
func torchrunEnv(t model.Torchrun) []string {
	return []string{"LOGLEVEL=INFO", "OMP_NUM_THREADS=" + strconv.Itoa(max(t.OMPThreads, 1))}
}
