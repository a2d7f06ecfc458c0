package worker

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
)

var launch = Launch{
	Home: "/home/ts", Python: "/usr/bin/python3", MetricsConfig: "/etc/metrics.yaml", SocketDir: "/run/ts",
	Environ: []string{"PATH=/bin", "MY_SECRET_KEY=x", "PYTHONPATH=/inherited", "TS_IPEX_ENABLE=inherited"},
	Extra:   []string{"TS_DECODE_INPUT_REQUEST=true", "TS_IPEX_ENABLE=false"},
}

// archive is a model in a new directory.
func archive(t *testing.T) model.Archive {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return model.Archive{Dir: dir, Name: "m", Version: "1.0", Handler: "h.py:handle", Runtime: model.Python}
}

// linked replaces the directory of a model by a link to it.
func linked(t *testing.T, a model.Archive) model.Archive {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(a.Dir, link))
	a.Dir = link
	return a
}

func unpinned(string) []string { return nil }

func TestCommand(t *testing.T) {
	command := func(t *testing.T, l Launch, a model.Archive, s model.Settings) string {
		t.Helper()
		args, err := l.command(9000, a, s, unpinned)
		require.NoError(t, err)
		return strings.Join(args, " ")
	}
	a := archive(t)
	tcp := launch
	tcp.TCP = true
	const script = " /home/ts/ts/model_service_worker.py"
	const rest = " --sock-type unix --sock-name /run/ts/.ts.sock.9000 --metrics-config /etc/metrics.yaml"
	t.Run("WRK-045 unix", func(t *testing.T) {
		assert.Equal(t, "/usr/bin/python3"+script+rest, command(t, launch, a, model.Settings{}))
	})
	t.Run("WRK-045 tcp", func(t *testing.T) {
		assert.Equal(t, "/usr/bin/python3"+script+" --sock-type tcp --port 9000 --metrics-config /etc/metrics.yaml", command(t, tcp, a, model.Settings{}))
	})
	t.Run("WRK-045 async is last", func(t *testing.T) {
		assert.Equal(t, "/usr/bin/python3"+script+rest+" --async", command(t, launch, a, model.Settings{Async: true}))
	})
	t.Run("WRK-052 runtime python3, venv or not", func(t *testing.T) {
		a := archive(t)
		a.Runtime = model.Python3
		assert.Equal(t, "python3"+script+rest, command(t, launch, a, model.Settings{UseVenv: true}))
	})
	t.Run("WRK-052 a venv of the model, where there is one", func(t *testing.T) {
		a := archive(t)
		assert.Equal(t, "/usr/bin/python3"+script+rest, command(t, launch, a, model.Settings{UseVenv: true}))
		touch(t, a.Dir+"/venv/bin/python")
		assert.Equal(t, a.Dir+"/venv/bin/python"+script+rest, command(t, launch, a, model.Settings{UseVenv: true}))
		assert.Equal(t, "/usr/bin/python3"+script+rest, command(t, launch, a, model.Settings{}))
	})
	t.Run("WRK-052 a venv beside the link", func(t *testing.T) {
		a := linked(t, archive(t))
		python := filepath.Dir(a.Dir) + "/venv/bin/python"
		touch(t, python)
		assert.Equal(t, python+script+rest, command(t, launch, a, model.Settings{UseVenv: true}))
	})
	t.Run("only what somebody has configured is asked for its version", func(t *testing.T) {
		l, a := launch, archive(t)
		l.Resolve = func(python string) (string, error) { return "/real" + python, nil }
		assert.Equal(t, "/real/usr/bin/python3"+script+rest, command(t, l, a, model.Settings{UseVenv: true}))
		touch(t, a.Dir+"/venv/bin/python")
		assert.Equal(t, a.Dir+"/venv/bin/python"+script+rest, command(t, l, a, model.Settings{UseVenv: true}))
	})
	t.Run("no interpreter", func(t *testing.T) {
		l := launch
		l.Python = ""
		_, err := l.command(9000, a, model.Settings{}, unpinned)
		assert.ErrorContains(t, err, "--python")
	})
}

func TestCommandOfRanks(t *testing.T) {
	a := archive(t)
	python := filepath.Join(t.TempDir(), "python")
	touch(t, filepath.Join(filepath.Dir(python), "torchrun"))
	l := launch
	l.Python, l.LogDir = python, "/var/logs"
	command := func(t *testing.T, l Launch, d model.Devices) string {
		t.Helper()
		args, err := l.command(29500, a, model.Settings{Devices: d}, unpinned)
		require.NoError(t, err)
		return strings.Join(args, " ")
	}
	torchrun := filepath.Join(filepath.Dir(python), "torchrun")
	const rest = " /home/ts/ts/model_service_worker.py --sock-type unix --sock-name /run/ts/.ts.sock.29500 --metrics-config /etc/metrics.yaml"
	t.Run("WRK-046 without a torchrun mapping", func(t *testing.T) {
		for _, kind := range []string{"pp", "tp", "pptp"} {
			assert.Equal(t, torchrun+" --nnodes 1 --nproc-per-node 4 --log-dir /var/logs/torchelastic_ts --rdzv-backend c10d"+
				" --rdzv-endpoint localhost:0 --rdzv-id m_29500 --max-restarts 1"+rest, command(t, l, model.Devices{Parallel: kind, Level: 4}))
		}
	})
	t.Run("WRK-046 every key of the mapping", func(t *testing.T) {
		assert.Equal(t, torchrun+" --nnodes 2 --nproc-per-node 4 --log-dir /var/logs/torchelastic_ts --rdzv-backend etcd"+
			" --rdzv-endpoint h:1 --rdzv-id m_29500 --rdzv-conf a=b --monitor-interval 3 --node-rank 0 --max-restarts 1"+rest,
			command(t, l, model.Devices{Parallel: "tp", Level: 4, Torchrun: model.Torchrun{
				Given: true, Nodes: 2, ProcsPerNode: 4, RdzvBackend: "etcd", RdzvEndpoint: "h:1", RdzvConf: "a=b", MonitorInterval: 3,
			}}))
	})
	t.Run("a store of its own only where nobody else looks for it", func(t *testing.T) {
		for want, torchrun := range map[string]model.Torchrun{
			" --rdzv-backend c10d --rdzv-endpoint localhost:0 --": {Nodes: 1, RdzvBackend: "c10d", NodeRank: -1},
			" --rdzv-backend c10d --rdzv-id":                      {Nodes: 2, RdzvBackend: "c10d", NodeRank: -1},
			" --rdzv-backend static --rdzv-id":                    {Nodes: 1, RdzvBackend: "static", NodeRank: -1},
		} {
			assert.Contains(t, command(t, l, model.Devices{Parallel: "tp", Level: 4, Torchrun: torchrun}), want)
		}
	})
	t.Run("SCH-067 SCH-068 custom, and a level without a type, start no torchrun", func(t *testing.T) {
		for _, d := range []model.Devices{{Parallel: "custom", Level: 2}, {Parallel: "tp"}} {
			assert.Equal(t, python+rest, command(t, l, d))
		}
	})
	t.Run("WRK-046 the environment", func(t *testing.T) {
		assert.Equal(t, []string{"LOGLEVEL=INFO", "OMP_NUM_THREADS=1"}, torchrunEnv(model.Torchrun{}))
		assert.Equal(t, []string{"LOGLEVEL=INFO", "OMP_NUM_THREADS=8"}, torchrunEnv(model.Torchrun{OMPThreads: 8}))
	})
}

//nolint:paralleltest // it changes the environment
func TestFindTorchrun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	_, err := findTorchrun("/opt/python/bin/python", false)
	require.ErrorContains(t, err, "no torchrun, which comes with PyTorch, beside /opt/python/bin/python or on the PATH: install torch")
	touch(t, filepath.Join(dir, "torchrun"))
	for _, python := range []string{"/opt/python/bin/python", "python3"} {
		found, err := findTorchrun(python, false)
		require.NoError(t, err)
		assert.Equal(t, []string{filepath.Join(dir, "torchrun")}, found)
	}
	inherited, err := findTorchrun("/m/venv/bin/python", true)
	require.NoError(t, err)
	assert.Equal(t, []string{"/m/venv/bin/python", "-m", "torch.distributed.run"}, inherited, "that of the PATH would not see the model's packages")
	other := t.TempDir()
	touch(t, filepath.Join(other, "torchrun"))
	for _, venv := range []bool{false, true} {
		found, err := findTorchrun(filepath.Join(other, "python"), venv)
		require.NoError(t, err)
		assert.Equal(t, []string{filepath.Join(other, "torchrun")}, found)
	}
}

func TestCommandOfCPPWorkers(t *testing.T) {
	a := archive(t)
	a.Runtime = model.LSP
	l := launch
	l.Home = t.TempDir()
	_, err := l.command(9000, a, model.Settings{}, unpinned)
	require.EqualError(t, err, "model_worker_socket not found")
	binary := l.Home + "/ts/cpp/bin/model_worker_socket"
	touch(t, binary)
	t.Run("unix, with a log configuration", func(t *testing.T) {
		l := l
		l.CPPLogConfig = "/etc/cpp.yaml"
		args, err := l.command(9000, a, model.Settings{}, unpinned)
		require.NoError(t, err)
		assert.Equal(t, []string{
			binary, "--sock_type", "unix", "--sock_name", "/run/ts/.ts.sock.9000", "--runtime_type", "LSP",
			"--model_dir", a.Dir, "--logger_config_path", "/etc/cpp.yaml", "--metrics_config_path", "/etc/metrics.yaml",
		}, args)
	})
	t.Run("library path", func(t *testing.T) {
		l := l
		lib := l.Home + "/ts/cpp/lib"
		assert.Contains(t, l.Environment(a), "LD_LIBRARY_PATH="+lib)
		l.Environ = []string{"LD_LIBRARY_PATH=/usr/lib"}
		assert.Contains(t, l.Environment(a), "LD_LIBRARY_PATH="+lib+":/usr/lib")
	})
}

func touch(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, nil, 0o755))
}

func TestEnviron(t *testing.T) {
	a := archive(t)
	t.Run("configuration wins over what is inherited, the worker's own over both", func(t *testing.T) {
		assert.Equal(t, []string{
			"PATH=/bin", "MY_SECRET_KEY=x", "TS_IPEX_ENABLE=inherited",
			"TS_DECODE_INPUT_REQUEST=true", "TS_IPEX_ENABLE=false",
			"PYTHONPATH=h.py:/inherited:" + a.Dir + ":/home/ts", "TS_METRIC_MARK=\x1e", "CUDA_VISIBLE_DEVICES=1",
		}, launch.Environment(a, "CUDA_VISIBLE_DEVICES=1"))
	})
	t.Run("hides inherited names only", func(t *testing.T) {
		l := launch
		l.Hidden = regexp.MustCompile(`^(?:.*SECRET.*|PYTHONPATH|TS_.*)$`).MatchString
		assert.Equal(t, []string{
			"PATH=/bin", "TS_DECODE_INPUT_REQUEST=true", "TS_IPEX_ENABLE=false", "PYTHONPATH=h.py:" + a.Dir + ":/home/ts", "TS_METRIC_MARK=\x1e",
		}, l.Environment(a))
	})
	t.Run("YAML files are handed over as JSON, if a variable may be that long", func(t *testing.T) {
		l, a := launch, archive(t)
		l.MetricsJSON, a.ConfigJSON = `{"dimensions":[]}`, `{"batchSize":4}`
		env := l.Environment(a)
		assert.Contains(t, env, `TS_METRICS_CONFIG_JSON={"dimensions":[]}`)
		assert.Contains(t, env, `TS_MODEL_CONFIG_JSON={"batchSize":4}`)
		l.MetricsJSON, a.ConfigJSON = strings.Repeat("x", maxVariable+1), strings.Repeat("x", maxVariable+1)
		assert.NotContains(t, strings.Join(l.Environment(a), " "), "_CONFIG_JSON=")
	})
	t.Run("WRK-049 PYTHONPATH", func(t *testing.T) {
		link := linked(t, a)
		for name, c := range map[string]struct {
			a         model.Archive
			home      string
			inherited string
			want      string
		}{
			"handler file":         {a, "/home/ts", "", "h.py:" + a.Dir + ":/home/ts"},
			"handler in a folder":  {withHandler(a, "sub/dir/h.py:f"), "/home/ts", "", "sub/dir:" + a.Dir + ":/home/ts"},
			"built-in handler":     {withHandler(a, "image_classifier"), "/home/ts", "/i", "/i:" + a.Dir + ":/home/ts"},
			"a link":               {withHandler(link, ""), "/home/ts", "", a.Dir + ":" + filepath.Dir(link.Dir) + ":/home/ts"},
			"home is installed":    {withHandler(a, ""), "/usr/lib/python3/site-packages", "", a.Dir + ":"},
			"home is Debian's own": {withHandler(a, ""), "/usr/lib/python3/dist-packages", "", a.Dir + ":"},
		} {
			assert.Equal(t, c.want, Launch{Home: c.home}.pythonPath(c.a, c.inherited), name)
		}
	})
}

func withHandler(a model.Archive, handler string) model.Archive {
	a.Handler = handler
	return a
}

func TestCmdline(t *testing.T) {
	assert.Equal(t, "[python, a b, c]", cmdline([]string{"python", "a b", "c"}))
}
