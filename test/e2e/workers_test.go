package e2e

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

func TestWorkerProcess(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Env("MY_SECRET_KEY=x", "SECRET_TWO=x", "PLAIN=x", "PYTHONPATH=/somewhere"),
		e2etest.Properties("blacklist_env_vars=.*SECRET_K.*|PLAIN_NOT", "limit_max_image_pixels=false", "ipex_enable=true"))
	w := l.world(t, "lab")
	home := filepath.Dir(filepath.Dir(w.Argv[0]))
	t.Run("WRK-045 MET-012 the command line", func(t *testing.T) {
		t.Parallel()
		id := l.describe(t, "lab").Workers[0].ID
		require.Len(t, w.Argv, 7)
		assert.Equal(t, []string{"--sock-type", "unix", "--sock-name"}, w.Argv[1:4])
		assert.Equal(t, ".ts.sock."+id, filepath.Base(w.Argv[4]))
		assert.Equal(t, []string{"--metrics-config", filepath.Join(home, "ts", "configs", "metrics.yaml")}, w.Argv[5:])
		assert.Equal(t, filepath.Join(home, "ts", "model_service_worker.py"), w.Argv[0])
	})
	t.Run("WRK-048 MAR-122 the working directory", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, w.Properties.ModelDir, w.CWD)
	})
	t.Run("WRK-049 MAR-122 where modules are looked for", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, strings.Join([]string{"/somewhere", w.Properties.ModelDir, home}, ":"), w.Environ["PYTHONPATH"])
		assert.Contains(t, w.Path, w.Properties.ModelDir)
		assert.NotContains(t, w.Path, filepath.Join(home, "ts"))
	})
	t.Run("WRK-050 CFG-043 variables that are kept from workers", func(t *testing.T) {
		t.Parallel()
		assert.NotContains(t, w.Environ, "MY_SECRET_KEY")
		assert.Contains(t, w.Environ, "SECRET_TWO", "the whole name must match")
		assert.Contains(t, w.Environ, "PLAIN")
	})
	t.Run("WRK-051 variables that are always there", func(t *testing.T) {
		t.Parallel()
		assert.Subset(t, w.Environ, map[string]string{"TS_DECODE_INPUT_REQUEST": "true", "TS_IPEX_ENABLE": "true", "TS_IPEX_GPU_ENABLE": "false"})
	})
	t.Run("WRK-005 WRK-059 what describe and the handler know", func(t *testing.T) {
		t.Parallel()
		assert.Nil(t, w.Properties.GPU)
		assert.False(t, w.Properties.Limit)
		assert.Equal(t, 1, w.Properties.BatchSize)
		assert.Equal(t, w.PID, l.describe(t, "lab").Workers[0].PID)
	})
	t.Run("WRK-068 CLI-049 two servers share no socket", func(t *testing.T) {
		t.Parallel()
		other := newLab(t, e2etest.Env("TEMP="+l.Temp))
		assert.NotEqual(t, w.Argv[4], other.world(t, "lab").Argv[4])
		assert.Equal(t, "x", l.In(t).ask("echo", "x").Body)
	})
	t.Run("use_native_io=false speaks TCP", func(t *testing.T) {
		t.Parallel()
		port := freePort(t)
		l := newLab(t, e2etest.Properties("use_native_io=false", fmt.Sprintf("initial_worker_port=%d", port)))
		tcp := l.world(t, "lab")
		require.Greater(t, len(tcp.Argv), 5)
		assert.Equal(t, []string{"--sock-type", "tcp", "--port", fmt.Sprint(port)}, tcp.Argv[1:5], "WRK-045")
		assert.Equal(t, fmt.Sprint(port), l.describe(t, "lab").Workers[0].ID, "SCH-035")
		assert.Equal(t, "x", l.ask("echo", "x").Body)
	})
}

// freePort returns a port that nobody listens at.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, listener.Close()) }()
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return address.Port
}

// TestBatching asks the handler for the place of each request in its batch.
func TestBatching(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	begin := func(t *testing.T, model string, n int) []*pending {
		t.Helper()
		all := make([]*pending, n)
		for i := range all {
			all[i] = l.beginAsk(t, model, "batch", fmt.Sprint(i+1))
		}
		return all
	}
	t.Run("SCH-007 a full batch does not wait", func(t *testing.T) {
		t.Parallel()
		l.model(t, "full", "batch_size=4&max_batch_delay=20000")
		var got []string
		for _, p := range begin(t, "full", 4) {
			got = append(got, p.answer().Body[:len("1 of 4")])
		}
		assert.ElementsMatch(t, []string{"1 of 4", "2 of 4", "3 of 4", "4 of 4"}, got)
	})
	t.Run("SCH-006 SCH-008 a batch that does not get full leaves when its time is over", func(t *testing.T) {
		t.Parallel()
		const delay = 300 * time.Millisecond
		l.model(t, "part", fmt.Sprintf("batch_size=4&max_batch_delay=%d", delay.Milliseconds()))
		asked := time.Now()
		assert.Equal(t, "1 of 1: alone", l.In(t).askOf("part", "batch", "alone").Body)
		assert.GreaterOrEqual(t, time.Since(asked), delay)
		for _, p := range begin(t, "part", 3) {
			assert.Contains(t, p.answer().Body, " of 3: ")
		}
	})
	t.Run("SCH-005 batches of one do not wait", func(t *testing.T) {
		t.Parallel()
		l.model(t, "single", "max_batch_delay=20000")
		for range 3 {
			assert.Equal(t, "1 of 1: x", l.In(t).askOf("single", "batch", "x").Body)
		}
	})
	t.Run("SCH-009 SCH-010 without delay a batch takes what waits, in its order", func(t *testing.T) {
		t.Parallel()
		l.model(t, "order", "batch_size=3&max_batch_delay=0")
		release := l.hold(t, "order", "order")
		var waiting []*pending
		for i := range 5 {
			waiting = append(waiting, l.beginAsk(t, "order", "batch", fmt.Sprint(i+1)))
			l.awaitQueued(t, "order", i+1)
		}
		release()
		for i, want := range []string{"1 of 3: 1", "2 of 3: 2", "3 of 3: 3", "1 of 2: 4", "2 of 2: 5"} {
			assert.Equal(t, want, waiting[i].answer().Body)
		}
	})
	t.Run("SCH-037 SCH-038 what was collected when the worker ended is for the next one", func(t *testing.T) {
		t.Parallel()
		l.model(t, "returned", "batch_size=2&max_batch_delay=20000")
		first := l.beginAsk(t, "returned", "batch", "1")
		l.kill(t, "returned")
		l.In(t).Await("another worker", func() bool { return l.describe(t, "returned").Workers[0].Status == "UNLOADING" })
		second := l.beginAsk(t, "returned", "batch", "2")
		got := []string{first.answer().Body, second.answer().Body}
		assert.ElementsMatch(t, []string{"1 of 2", "2 of 2"}, []string{got[0][:6], got[1][:6]})
	})
	t.Run("eager batching waits for nobody", func(t *testing.T) {
		t.Parallel()
		l.archive(t, "eager", "batchSize: 4\nmaxBatchDelay: 20000\neagerBatching: true\n")
		assert.Equal(t, "1 of 1: x", l.In(t).askOf("eager", "batch", "x").Body)
	})
}

// TestOutput has handlers write to their standard streams.
func TestOutput(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("metrics_mode=log", "model_metrics_auto_detect=true"))
	log := func(t *testing.T, file, text string) []string {
		t.Helper()
		l.In(t).AwaitLog(file, text)
		return lines(l.In(t).Logs(file), text)
	}
	t.Run("LOG-020 LOG-021 LOG-027 WRK-056 print, stderr and logging", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "said", l.In(t).ask("say", "the word").Body)
		worker := "W-" + l.describe(t, "lab").Workers[0].ID + "-lab_1.0-"
		const stamp = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} `
		for text, level := range map[string]string{"print the word": `INFO `, "info the word": "INFO ", "error the word": "WARN "} {
			stream := map[string]string{"INFO ": "stdout", "WARN ": "stderr"}[level]
			for _, file := range []string{"model_log.log", "ts_log.log"} {
				found := log(t, file, text)
				require.Len(t, found, 1, "LOG-011")
				assert.Regexp(t, stamp+`\[`+level+`\] `+worker+stream+` MODEL_LOG - `+text+"$", found[0])
			}
		}
		assert.NotContains(t, l.In(t).Logs("model_log.log"), "debug the word")
		l.In(t).AwaitOutput("MODEL_LOG - print the word") // LOG-010
	})
	t.Run("LOG-024 line ends and bytes that are no text", func(t *testing.T) {
		t.Parallel()
		l.In(t).ask("scream", "one\rtwo\r\nthree\xff\x00\x01\nfour\u2028five\n")
		for _, text := range []string{" - one\n", " - two\n", " - three\uFFFD\x00\x01\n", " - four\n", " - five\n"} {
			l.In(t).AwaitLog("model_log.log", "MODEL_LOG"+text)
		}
		random := make([]byte, 1<<16)
		for i := range random {
			random[i] = byte(i*i>>3 + i)
		}
		l.In(t).ask("scream", string(random))
		assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
	})
	t.Run("LOG-025 a line without end", func(t *testing.T) {
		t.Parallel()
		l.model(t, "long", "")
		l.In(t).askOf("long", "scream", "first of the long ones "+strings.Repeat("x", 3<<20)+"\nlast of the long ones\n")
		found := log(t, "model_log.log", "last of the long ones")
		assert.Len(t, found, 1)
		cut := lines(l.In(t).Logs("model_log.log"), "first of the long ones")
		require.Len(t, cut, 1)
		assert.True(t, strings.HasSuffix(cut[0], " …[truncated]"))
		assert.Less(t, len(cut[0]), 1<<20+200)
	})
	t.Run("LOG-022 WRK-057 WRK-058 MET-039 MET-040 metric lines", func(t *testing.T) {
		t.Parallel()
		l.model(t, "measured", "") // in the log of another one, a mark may follow a line without end
		const sample = "%s.Count:7|#Level:Model|#type:COUNTER|#hostname:h,1\n"
		l.In(t).askOf("measured", "scream", fmt.Sprintf("[METRICS]"+sample+"INFO > [METRICS]"+sample, "Plain", "Marked")+
			" [METRICS]shifted nonsense\n[METRICS]nonsense\n")
		l.In(t).askOf("measured", "scream/2", fmt.Sprintf("[METRICS]"+sample, "Wrong"))
		log(t, "ts_log.log", `Failed to parse metrics line: "[METRICS]nonsense".`)
		for _, name := range []string{"Plain", "Marked", "Wrong"} {
			log(t, "model_metrics.log", " - "+name+".Count:7.0|#Level:Model|#hostname:h")
		}
		log(t, "model_log.log", "-measured_1.0-stdout MODEL_LOG -  [METRICS]shifted nonsense")
		for _, line := range lines(l.In(t).Logs("model_log.log"), "-measured_1.0-") {
			assert.NotContains(t, line, " - [METRICS]")
			assert.NotContains(t, line, "INFO > ")
		}
	})
	t.Run("metrics outlive their worker, and follow text without a line end", func(t *testing.T) {
		t.Parallel()
		a := e2etest.Archive{Name: "abrupt", Handler: `import os

def handle(data, context):
    if data:
        print("half a line of the abrupt one", end="", flush=True)
        context.metrics.add_counter("BeforeTheEnd", 1)
        os._exit(1)
`}
		register(t, l.Server, "initial_workers=1&url="+a.Write(t, l.Store))
		assertFailure(t, l.In(t).askOf("abrupt", "", ""), 500, "InternalServerException", "Worker died.")
		assert.Len(t, log(t, "model_metrics.log", " - BeforeTheEnd.Count:1.0|"), 1)
		log(t, "model_log.log", "MODEL_LOG - half a line of the abrupt one\n")
	})
	t.Run("LOG-023 WRK-059 the process id", func(t *testing.T) {
		t.Parallel()
		l.model(t, "pid", "")
		log(t, "model_log.log", fmt.Sprintf("-pid_1.0-stdout MODEL_LOG - [PID]%d", l.describe(t, "pid").Workers[0].PID))
	})
	t.Run("LOG-026 the end of the streams", func(t *testing.T) {
		t.Parallel()
		l.model(t, "ending", "")
		worker := "W-" + l.describe(t, "ending").Workers[0].ID + "-ending_1.0-"
		require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/ending").Status)
		for _, stream := range []string{"stdout", "stderr"} {
			l.In(t).AwaitLog("ts_log.log", "org.pytorch.serve.wlm.WorkerLifeCycle - Stopped Scanner - "+worker+stream+"\n")
		}
	})
	t.Run("forked children neither answer nor stay", func(t *testing.T) {
		t.Parallel()
		l.model(t, "forking", "")
		assert.Equal(t, "parent", l.In(t).askOf("forking", "fork", "").Body)
		assert.Equal(t, "alive", l.In(t).askOf("forking", "echo", "alive").Body)
		pid := l.describe(t, "forking").Workers[0].PID
		sleeping := func() (all []e2etest.Process) {
			for _, p := range l.Workers() {
				if p.Args[0] == "sleep" {
					all = append(all, p)
				}
			}
			return all
		}
		l.In(t).Await("the child that stays", func() bool { return len(sleeping()) == 1 })
		require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/forking").Status)
		l.In(t).Await("nobody is left", func() bool { return len(sleeping()) == 0 && !e2etest.Alive(pid) })
	})
}

// TestOrphans ends a server without giving it a chance to stop its workers.
func TestOrphans(t *testing.T) {
	t.Parallel()
	t.Run("WRK-063 CLI-029 workers do not outlive a killed server, and the next one starts", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.model(t, "busy", "")
		busy := l.beginAsk(t, "busy", "hold/busy", "")
		l.awaitHeld(t, "busy")
		require.Len(t, l.Workers(), 2)
		l.Kill()
		<-busy.done
		require.Error(t, busy.err)
		l.open(t, "busy")
		l.Await("no worker", func() bool { return len(l.Processes()) == 0 })
		again := l.Start()
		assert.Equal(t, "x", again.Predict("lab", "x").Body)
		unpacked, err := filepath.Glob(filepath.Join(l.Temp, "models", "[0-9a-f]*"))
		require.NoError(t, err)
		assert.Len(t, unpacked, 1, "what the killed one had unpacked is gone")
	})
}

// TestConfigWithoutYAML has a handler read the model's configuration where PyYAML
// cannot be imported: the server hands its own reading over (decisions.md, "YAML
// in the worker").
func TestConfigWithoutYAML(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Serve(e2etest.Archive{
		Name: "configured",
		Handler: "import sys\nsys.modules['yaml'] = None\nclass Handler:\n    def initialize(self, context):\n" +
			"        self.config = context.model_yaml_config\n    def handle(self, data, context):\n        return [self.config] * len(data)\n",
		Config: "handler: {on: yes, depth: 0x10}\n",
	}))
	s.AwaitReady()
	assert.JSONEq(t, `{"handler": {"true": true, "depth": 16}}`, s.Predict("configured", "").Body)
}
