package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

const (
	// stamp begins every line of a log file.
	stamp = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} `
	// full is the layout of the console, ts_log.log and model_log.log.
	full = stamp + `\[(INFO |WARN |ERROR|DEBUG|TRACE|FATAL)\] \S+ \S+ - `
	// short is that of the other files.
	short = stamp + `- `
)

// logFiles are the five files with the layouts of their lines.
func logFiles() map[string]string {
	return map[string]string{
		"ts_log.log": full, "model_log.log": full, "access_log.log": short, "ts_metrics.log": short, "model_metrics.log": short,
	}
}

// TestLogFiles looks at what a run with some requests has written.
//
//nolint:tparallel // one scenario, step by step
func TestLogFiles(t *testing.T) {
	t.Parallel()
	site := e2etest.NewSite(t, e2etest.NoTokens(), e2etest.Serve(labArchive("")))
	l := lab{Server: site.Start()}
	t.Run("LOG-001 the files are there from the start", func(t *testing.T) {
		for file := range logFiles() {
			assert.FileExists(t, l.Path("logs/"+file))
		}
	})
	l.ask("say", "something")
	l.Get(e2etest.Inference, "/none?q=a%20b&x=<y>", "")
	l.Get(e2etest.Management, "/models/lab", "")
	l.Get(e2etest.Metrics, "/metrics", "")
	require.Zero(t, l.Stop())
	output := l.Stdout.String()
	t.Run("LOG-004 LOG-005 the layouts", func(t *testing.T) {
		for file, layout := range logFiles() {
			text := l.In(t).Logs(file)
			require.NotEmpty(t, text, file)
			line := regexp.MustCompile(layout)
			banner := false
			for each := range strings.Lines(text) {
				switch {
				case line.MatchString(each):
					banner = strings.HasSuffix(each, " org.pytorch.serve.ModelServer - \n")
				case !banner:
					assert.Fail(t, "not the layout", "%s: %s", file, each)
				}
			}
		}
	})
	t.Run("LOG-013 LOG-014 the access log", func(t *testing.T) {
		access := l.In(t).Logs("access_log.log")
		for _, want := range []string{
			`"POST ` + path("lab", "say") + ` HTTP/1\.1" 200 \d+`, `"GET /none\?q=a%20b&x=<y> HTTP/1\.1" 404 \d+`,
			`"GET /models/lab HTTP/1\.1" 200 \d+`, `"GET /metrics HTTP/1\.1" 200 \d+`,
		} {
			assert.Regexp(t, `(?m)`+short+`/127\.0\.0\.1:\d+ `+want+"$", access)
		}
		assert.Equal(t, 4, strings.Count(access, "\n"))
	})
	t.Run("LOG-010 LOG-011 the console and ts_log.log have everything once", func(t *testing.T) {
		for _, where := range []string{output, l.In(t).Logs("ts_log.log")} {
			for _, text := range []string{
				"ACCESS_LOG - /127.0.0.1:", "MODEL_LOG - print something", "TS_METRICS - Requests2XX.Count:1", "MODEL_METRICS - PredictionTime.ms:",
				"org.pytorch.serve.wlm.ModelManager - Model lab loaded.", "org.pytorch.serve.ModelServer - Loading initial models: lab.mar",
				"ModelServer - Inference API bind to: http://127.0.0.1:", "ModelServer - Initialize Inference server with: ",
				"ModelServer - Unregistering model lab version 1.0", "ModelManager - Model lab unregistered.", "ModelServer - Inference model server stopped.",
			} {
				assert.Contains(t, where, text)
			}
			assert.Len(t, lines(where, "MODEL_LOG - print something"), 1)
			assert.Len(t, lines(where, "Model lab loaded."), 1)
			assert.Len(t, lines(where, "/none?q="), 1)
		}
	})
	t.Run("CFG-001 the banner", func(t *testing.T) {
		_, banner, found := strings.Cut(output, " [INFO ] main org.pytorch.serve.ModelServer - \nTorchserve version: 0.12.0\nTS Home: ")
		require.True(t, found)
		banner, _, found = strings.Cut(banner, "\nModel API enabled: false\n")
		require.True(t, found)
		assert.Contains(t, banner, "\nInitial Models: lab.mar\nLog dir: "+l.Path("logs")+"\nMetrics dir: "+l.Path("logs")+"\n")
	})
	t.Run("LOG-043 the last line", func(t *testing.T) {
		for _, where := range []string{output, l.In(t).Logs("ts_log.log")} {
			all := strings.Split(strings.TrimSpace(where), "\n")
			assert.True(t, strings.HasSuffix(all[len(all)-1], " [INFO ] main org.pytorch.serve.ModelServer - Torchserve stopped."), "%s", all[len(all)-1])
		}
	})
	t.Run("LOG-006 the next run goes on in the same files", func(t *testing.T) {
		before := l.In(t).Logs("ts_log.log")
		next := site.In(t).Start()
		next.Stop()
		after := next.Logs("ts_log.log")
		assert.True(t, strings.HasPrefix(after, before))
		assert.Greater(t, len(after), len(before))
	})
}

func TestDebugLog(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("log_level=DEBUG"))
	l.ask("echo", "x")
	worker := "W-" + l.describe(t, "lab").Workers[0].ID + "-lab_1.0"
	t.Run("LOG-028 SCH-079 states and more", func(t *testing.T) {
		t.Parallel()
		for _, line := range []string{
			`\[DEBUG\] ` + worker + ` org\.pytorch\.serve\.wlm\.WorkerThread - ` + worker + ` State change null -> WORKER_STARTED`,
			`\[DEBUG\] ` + worker + ` org\.pytorch\.serve\.wlm\.WorkerThread - ` + worker + ` State change WORKER_STARTED -> WORKER_MODEL_LOADED`,
			`\[DEBUG\] ` + worker + ` org\.pytorch\.serve\.wlm\.WorkerLifeCycle - Worker cmdline: \[.*model_service_worker\.py, --sock-type, unix, `,
			`\[DEBUG\] ` + worker + ` org\.pytorch\.serve\.wlm\.WorkerThread - Flushing req\.cmd PREDICT repeats 1 to backend at: \d+`,
			`\[DEBUG\] ` + worker + ` org\.pytorch\.serve\.wlm\.WorkerThread - Backend response time: \d+`,
			`\[DEBUG\] ` + worker + ` org\.pytorch\.serve\.wlm\.BatchAggregator - Sending response for jobId [0-9a-f-]{36}`,
			`\[DEBUG\] main org\.pytorch\.serve\.wlm\.ModelVersionedRefs - Adding new version 1\.0 for model lab`,
		} {
			pattern := regexp.MustCompile(line)
			l.In(t).Await(line, func() bool { return pattern.MatchString(l.Logs("ts_log.log")) })
		}
	})
	t.Run("LOG-028 SCH-079 the end of a worker, and the next one", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Properties("log_level=DEBUG"))
		assert.Equal(t, http.StatusInternalServerError, l.ask("exit/1", "").Status)
		assert.Equal(t, "again", l.ask("echo", "again").Body)
		id := l.describe(t, "lab").Workers[0].ID
		for _, line := range []string{
			"W-" + id + "-lab_1.0 State change WORKER_MODEL_LOADED -> WORKER_STOPPED", "W-" + id + "-lab_1.0 State change WORKER_STOPPED -> WORKER_STARTED",
			"Auto recovery start timestamp: ", "Retry worker: " + id + " in 1 seconds.", "Auto recovery succeeded, reset recoveryStartTS",
		} {
			l.AwaitLog("ts_log.log", line)
		}
	})
	t.Run("hot lines are quiet by default", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.ask("echo", "x")
		l.Stop()
		assert.NotContains(t, l.Logs("ts_log.log"), "[DEBUG]")
	})
}

// TestSecrets has tokens and signatures in requests, and a name that would be a line
// of the log and clear the screen.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const forged = "2024-06-10T06:13:20,123 [INFO ] main org.pytorch.serve.ModelServer - forged"
	s := e2etest.Start(t, e2etest.Properties("log_level=ALL"), e2etest.Args("--enable-model-api"), e2etest.Serve(labArchive("")))
	tokens := []string{s.Key(e2etest.Inference), s.Key(e2etest.Management), s.Key(e2etest.API), "not-the-key", "header-secret"}
	s.Predict("lab", "x")
	s.Do(e2etest.Call{To: e2etest.Inference, Path: "/ping", Key: "not-the-key", Header: map[string]string{"Cookie": "header-secret"}})
	s.Get(e2etest.Management, "/token?type=inference", s.Key(e2etest.API))
	s.Manage(http.MethodPost, "/models?url=http://someone:user-secret@127.0.0.1:1/x.mar%3FX-Amz-Signature=signature-secret")
	name := url.QueryEscape("m\r\n" + forged + "\x1b[2J\u009b2J\u2028" + forged + "\n[METRICS]Forged.Count:1|#Level:Host|#hostname:h,1")
	registered := s.Manage(http.MethodPost, "/models?url=lab.mar&initial_workers=1&synchronous=true&model_name="+name)
	assert.Equal(t, http.StatusOK, registered.Status, registered.Body)
	s.Manage(http.MethodPost, "/models?url=none.mar&model_name="+name)
	s.Stop()
	output := s.Stdout.String() + s.Stderr.String()
	for file := range logFiles() {
		output += s.Logs(file)
	}
	t.Run("LOG-019 no header is in a log", func(t *testing.T) {
		t.Parallel()
		for _, secret := range tokens {
			assert.False(t, strings.Contains(output, secret), secret)
		}
	})
	t.Run("LOG-004 LOG-010 a name forges no line and steers no terminal", func(t *testing.T) {
		t.Parallel()
		assert.NotEmpty(t, lines(output, `\x0d\x0a`+forged+`\x1b[2J\x9b2J\u2028`+forged))
		for each := range strings.Lines(output) {
			assert.False(t, strings.HasPrefix(each, forged), each)
		}
		assert.False(t, strings.ContainsAny(output, "\r\x1b\u009b\u2028"))
		assert.Empty(t, lines(s.Logs("model_metrics.log"), "Forged"))
	})
	t.Run("D-MGT-1 nor what is secret in a URL", func(t *testing.T) {
		t.Parallel()
		for _, secret := range []string{"user-secret", "signature-secret"} {
			assert.Empty(t, lines(output, secret))
		}
	})
}

func TestLogTrouble(t *testing.T) {
	t.Parallel()
	t.Run("LOG-003 a location that cannot be written", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		l := newLab(t, e2etest.Env("LOG_LOCATION="+file, "METRICS_LOCATION="))
		assert.Equal(t, "x", l.ask("echo", "x").Body)
		l.AwaitOutput(`"POST ` + path("lab", "echo") + ` HTTP/1.1" 200`)
		assert.Len(t, lines(l.Stderr.String(), file), 3, "one line for each file: %s", l.Stderr)
		assert.FileExists(t, l.Path("logs/ts_metrics.log"), "an empty one counts as none")
	})
	t.Run("LOG-029 a configuration that is not there", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t)
		got := s.Run("--start", "--foreground", "--model-store", s.Store, "--log-config", "none.xml")
		assert.Equal(t, 1, got.Code)
		assert.Equal(t, "--log-config file not found: "+s.Path("none.xml")+"\n", got.Stdout)
	})
	for value, answers := range map[string]int{"true": 200, "perhaps": 20} {
		t.Run("LOG-042 async_logging="+value, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, e2etest.Properties("async_logging="+value))
			for i := range answers {
				require.Equal(t, "x", l.ask(fmt.Sprintf("echo/%d", i), "x").Body)
			}
			require.Zero(t, l.Stop())
			assert.Len(t, lines(l.Logs("access_log.log"), "/1.0/echo/", " 200 "), answers)
			assert.Len(t, lines(l.Stdout.String(), "ACCESS_LOG", "/1.0/echo/"), answers)
		})
	}
	t.Run("log_format=json", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Properties("log_format=json"))
		l.Stop()
		assert.Len(t, lines(l.Stdout.String(), `"message":"Torchserve stopped."`), 1)
		assert.Regexp(t, full, l.Logs("ts_log.log"), "files stay as they are")
	})
}
