package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// TestFailures repairs one thing after the other on a command line that is wrong
// in every respect; what is complained about first is what CLI §2 checks first.
//
//nolint:tparallel // one scenario, step by step
func TestFailures(t *testing.T) {
	t.Parallel()
	s := e2etest.NewSite(t, e2etest.Env("TEMP=nowhere"))
	line := map[string]string{
		"--log-config": "no.xml", "--ts-config": "no.properties", "--workflow-store": "no-workflows", "--cpp-log-config": "no.cpp",
	}
	words := func() []string {
		all := []string{"--start", "--foreground"}
		for option, value := range line {
			all = append(all, option, value)
		}
		return all
	}
	steps := []struct {
		name, want string
		repair     func()
	}{
		{
			"CLI-006 step 4", "--log-config file not found: " + s.Path("no.xml"),
			func() { s.Write("log.xml", "<Configuration/>"); line["--log-config"] = "log.xml" },
		},
		{
			"CLI-006 CLI-020 MAR-068 step 5", "Invalid temp directory: nowhere, please check TEMP environment variable.",
			func() { e2etest.Env("TEMP=" + s.Temp)(s) },
		},
		{
			"CLI-006 step 6", "--ts-config file not found: no.properties",
			func() { e2etest.Env("TS_CONFIG_FILE=./none.properties")(s) },
		},
		{
			"CLI-006 step 6 of the environment", "--ts-config file not found: ./none.properties",
			func() { s.Write("none.properties", "vmargs=-Xmx2g -Dx=y\nmodel_store=no-models\n") },
		},
		{
			"CLI-006 step 7 goes on", "Warning: TorchServe is using non-default JVM parameters: -Xmx2g -Dx=y\n--model-store directory not found: no-models",
			func() { s.Write("none.properties", "model_store=no-models\n") },
		},
		{
			"CLI-006 step 8 of the file", "--model-store directory not found: no-models",
			func() { line["--model-store"] = "no-store" },
		},
		{
			"CLI-006 step 8", "--model-store directory not found: no-store",
			func() { delete(line, "--model-store"); s.Write("none.properties", "") },
		},
		{
			"CLI-006 step 9", "Missing mandatory parameter --model-store",
			func() { line["--model-store"] = "model_store" },
		},
		{
			"CLI-006 step 10", "--workflow-store directory not found: no-workflows",
			func() { line["--workflow-store"] = "model_store" },
		},
		{
			"CLI-006 step 11", "--cpp-log-config file not found: " + s.Path("no.cpp"),
			func() {},
		},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			got := s.In(t).Run(words()...)
			assert.Equal(t, 1, got.Code)
			assert.True(t, strings.HasPrefix(got.Stdout, step.want+"\n"), "%s", got.Stdout)
			assert.False(t, s.Exists("key_file.json"), "nothing was made")
			assert.False(t, s.Exists("logs"), "nothing was made")
		})
		step.repair()
	}
}

// TestBadStart checks that a server that cannot start says why, in both forms of
// the command.
func TestBadStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	tests := map[string]struct{ property, want string }{
		"the configuration": {"inference_address=nonsense", "Invalid configuration: "},
		"a port":            {"metrics_address=http://" + taken.Addr().String(), "address already in use"},
	}
	for name, tt := range tests {
		for form, words := range map[string][]string{"CLI-018 foreground": {"--foreground"}, "CLI-019 background": nil} {
			t.Run(form+" fails by "+name, func(t *testing.T) {
				t.Parallel()
				s := e2etest.NewSite(t, e2etest.Properties(tt.property))
				got := s.Run(append([]string{"--start", "--ncs", "--model-store", s.Store}, words...)...)
				assert.Equal(t, 1, got.Code)
				assert.Contains(t, got.Stdout+got.Stderr, tt.want)
				assert.Contains(t, got.Stderr, "torchserve: error: ")
				assert.False(t, s.Exists(s.PIDFile()))
				assert.False(t, s.Exists("key_file.json"))
				assert.Empty(t, s.Processes())
			})
		}
	}
}

//nolint:tparallel // one scenario, step by step
func TestBackground(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Background(), e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))

	t.Run("CLI-008 the pid file names the server, without a newline", func(t *testing.T) {
		assert.Equal(t, strconv.Itoa(s.PID), s.In(t).Read(s.PIDFile()))
		assert.Equal(t, os.FileMode(0o600), s.In(t).Mode(s.PIDFile()))
		args := s.Processes()
		require.NotEmpty(t, args)
		assert.Contains(t, args[0].Args, "--model-store")
	})
	t.Run("CLI-007 the server writes to the inherited output", func(t *testing.T) {
		assert.Equal(t, "there", s.In(t).Predict("echo", "there").Body)
		s.In(t).AwaitOutput(`"POST /predictions/echo HTTP/1.1" 200`)
	})
	t.Run("CLI-009 a second start is refused", func(t *testing.T) {
		for _, words := range [][]string{{"--start"}, {"--foreground", "--log-config", "none"}, {}} {
			assert.Equal(t, e2etest.Result{
				Code: 1, Stdout: "TorchServe is already running, please use torchserve --stop to stop TorchServe.\n",
			}, s.In(t).Run(words...))
		}
		assert.Equal(t, "still", s.In(t).Predict("echo", "still").Body)
	})
	t.Run("CLI-006 the version is told while a server runs", func(t *testing.T) {
		assert.Equal(t, e2etest.Result{Stdout: "TorchServe Version is 0.12.0\n"}, s.In(t).Run("--version"))
	})
	t.Run("CLI-030 the server has a session of its own", func(t *testing.T) {
		stat := strings.Fields(s.In(t).Read(fmt.Sprintf("/proc/%d/stat", s.PID)))
		require.Greater(t, len(stat), 5)
		assert.Equal(t, strconv.Itoa(s.PID), stat[5])
	})
}

func TestSlowModel(t *testing.T) {
	t.Parallel()
	t.Run("CLI-007 models are not waited for", func(t *testing.T) {
		t.Parallel()
		slow := e2etest.Archive{Name: "slow", Handler: "import time\ntime.sleep(60)\n"}
		s := e2etest.Start(t, e2etest.Background(), e2etest.Serve(slow))
		assert.Equal(t, http.StatusServiceUnavailable, s.Get(e2etest.Inference, "/readyz", "").Status)
	})
}

// TestSecondServer starts two servers side by side that share all but the place of
// their pid files, worker numbers included.
//
//nolint:tparallel // one scenario, step by step
func TestSecondServer(t *testing.T) {
	t.Parallel()
	echo := e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo})
	first := e2etest.Start(t, echo)
	second := e2etest.Start(t, echo, e2etest.Env("TEMP="+first.Temp))
	t.Run("CLI-016 another TMPDIR allows it", func(t *testing.T) {
		assert.NotEqual(t, first.PID, second.PID)
		assert.Equal(t, "1", first.In(t).Predict("echo", "1").Body)
		assert.Equal(t, "2", second.In(t).Predict("echo", "2").Body)
	})
	t.Run("CLI-049 neither disturbs the other", func(t *testing.T) {
		assert.Zero(t, second.In(t).Stop())
		assert.Equal(t, "3", first.In(t).Predict("echo", "3").Body)
		assert.Len(t, first.Workers(), 1)
	})
}

func TestTemp(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	where := `
import os
def handle(data, context):
    return None if data is None else [context.system_properties["model_dir"]]
`
	t.Run("CLI-020 MAR-068 holds the models and is shown", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Env("TEMP="+temp), e2etest.Serve(e2etest.Archive{Name: "where", Handler: where}))
		s.AwaitOutput("Temp directory: " + temp + "\n")
		dir := s.Predict("where", "").Body
		assert.Equal(t, filepath.Join(temp, "models"), filepath.Dir(dir))
		assert.Regexp(t, "^[0-9a-f]{32}$", filepath.Base(dir))
	})
	t.Run("CLI-021 vmargs name another one", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t)
		s.Write("vm.properties", s.Read("config.properties")+"vmargs=-Xmx9g -Djava.io.tmpdir="+temp+" -XX:+UseG1GC\n")
		got := s.Start("--foreground", "--ncs", "--model-store", s.Store, "--ts-config", "vm.properties")
		assert.True(t, strings.HasPrefix(got.Stdout.String(),
			"Warning: TorchServe is using non-default JVM parameters: -Xmx9g -Djava.io.tmpdir="+temp+" -XX:+UseG1GC\n"))
		got.AwaitOutput("Temp directory: " + temp + "\n")
		assert.NotContains(t, got.Logs("ts_log.log"), "-XX", "memory options are nothing to talk about")
	})
}

// TestLogConfig gives log4j2 files on the command line and in vmargs; the server
// says which one it would take.
func TestLogConfig(t *testing.T) {
	t.Parallel()
	log := func(t *testing.T, words ...string) string {
		t.Helper()
		site := e2etest.NewSite(t)
		site.Write("flag.xml", "<Configuration/>")
		site.Write("vmargs.xml", "<Configuration/>")
		site.Write("vm.properties", site.Read("config.properties")+"vmargs=-Dlog4j.configurationFile="+site.Path("vmargs.xml")+"\n")
		s := site.Start(append([]string{"--foreground", "--ncs", "--model-store", site.Store, "--ts-config", "vm.properties"}, words...)...)
		s.Stop()
		return s.Logs("ts_log.log")
	}
	t.Run("CLI-021 vmargs name a log configuration", func(t *testing.T) {
		t.Parallel()
		assert.Regexp(t, `WARN .* The log configuration /\S+/vmargs\.xml is not read`, log(t))
	})
	t.Run("CLI-022 the option wins", func(t *testing.T) {
		t.Parallel()
		out := log(t, "--log-config", "flag.xml")
		assert.Contains(t, out, "/flag.xml is not read")
		assert.NotContains(t, out, "vmargs.xml is not read")
	})
}

func TestDebug(t *testing.T) {
	t.Parallel()
	t.Run("CLI-021 TS_DEBUG of vmargs starts no worker process", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t, e2etest.Shelve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
		s.Write("vm.properties", s.Read("config.properties")+"vmargs=-DTS_DEBUG=true\n")
		got := s.Start("--foreground", "--ncs", "--model-store", s.Store, "--ts-config", "vm.properties", "--models", "echo.mar")
		got.AwaitOutput("Connecting to: ")
		assert.Empty(t, got.Workers(), "an external one is expected")
	})
}

// TestInterpreter has interpreters in all places where one is looked for (CLI §8).
//
//nolint:tparallel // one scenario, step by step
func TestInterpreter(t *testing.T) {
	t.Parallel()
	s := e2etest.NewSite(t)
	interpreter, err := exec.LookPath("python3")
	require.NoError(t, err)
	link := func(path string) string {
		path = s.Path(path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.Symlink(interpreter, path))
		return path
	}
	option, key := link("option/mypython"), link("key/python3")
	onPath := link("path/python")
	beside := link("program/python3")
	banner := func(t *testing.T, properties string, words ...string) string {
		t.Helper()
		s := s.In(t)
		s.Configure()
		s.Write("python.properties", s.Read("config.properties")+properties)
		server := s.Start(append([]string{
			"--foreground", "--ncs", "--model-store", s.Store, "--ts-config", "python.properties",
		}, words...)...)
		server.Stop()
		_, after, _ := strings.Cut(server.Stdout.String(), "Python executable: ")
		line, _, _ := strings.Cut(after, "\n")
		return line
	}
	e2etest.Env("PATH=" + filepath.Dir(onPath))(s)
	t.Run("CLI-023 at last what PATH finds", func(t *testing.T) {
		assert.Equal(t, onPath, banner(t, ""))
	})
	s.MoveProgram(s.Path("program/torchserve"))
	t.Run("CLI-023 before that what lies beside the program", func(t *testing.T) {
		assert.Equal(t, beside, banner(t, ""))
	})
	t.Run("CLI-023 before that the key", func(t *testing.T) {
		assert.Equal(t, key, banner(t, "python="+key+"\n"))
	})
	t.Run("CLI-023 the option is the first", func(t *testing.T) {
		assert.Equal(t, option, banner(t, "python="+key+"\n", "--python", "option/mypython"))
	})
	t.Run("CLI-023 an option that names nothing ends the start", func(t *testing.T) {
		got := s.In(t).Run("--foreground", "--ncs", "--model-store", s.Store, "--python", "nothing")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stdout, "Invalid configuration: Python executable not found: nothing")
	})
}

func TestUnlistenedOutput(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]e2etest.Option{"foreground": nil, "background": {e2etest.Background()}} {
		t.Run("CLI-031 a closed output does not end the server, "+name, func(t *testing.T) {
			t.Parallel()
			s := e2etest.Start(t, append(options, e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))...)
			s.Stdout.Close()
			s.Stderr.Close()
			for i := range 20 {
				assert.Equal(t, http.StatusNotFound, s.Get(e2etest.Inference, "/"+strconv.Itoa(i), s.Key(e2etest.Inference)).Status)
			}
			assert.Equal(t, "there", s.Predict("echo", "there").Body)
			s.AwaitLog("access_log.log", "GET /19 ")
			assert.Zero(t, s.Stop())
			assert.Contains(t, s.Logs("ts_log.log"), "Torchserve stopped.")
		})
	}
}
