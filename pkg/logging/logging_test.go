package logging_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

var files = []string{"access_log.log", "model_log.log", "model_metrics.log", "ts_log.log", "ts_metrics.log"}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := make([]string, 0, len(entries))
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

func TestLocations(t *testing.T) {
	t.Run("LOG-001 without settings the five files are in ./logs", func(t *testing.T) {
		t.Chdir(t.TempDir())
		logs, err := logging.Open(logging.Config{})
		require.NoError(t, err)
		assert.Equal(t, files, names(t, "logs"), "before a line is written")
		require.NoError(t, logs.Close())
	})
	t.Run("the metric files have a directory of their own", func(t *testing.T) {
		root := t.TempDir()
		dir, metrics := filepath.Join(root, "a", "b"), filepath.Join(root, "m")
		logs, err := logging.Open(logging.Config{Dir: dir, MetricsDir: metrics})
		require.NoError(t, err)
		require.NoError(t, logs.Close())
		assert.Equal(t, []string{"access_log.log", "model_log.log", "ts_log.log"}, names(t, dir))
		assert.Equal(t, []string{"model_metrics.log", "ts_metrics.log"}, names(t, metrics))
	})
	t.Run("LOG-003 an unusable location leaves the console", func(t *testing.T) {
		blocked := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(blocked, nil, 0o600))
		b := newBench(t, func(cfg *logging.Config) { cfg.Dir, cfg.MetricsDir = blocked, blocked })
		log := b.Logger(logging.ModelServer, logging.MainThread)
		log.Info().Msg("still here")
		b.Access("http").Log(logging.AccessLine{Method: "GET", URI: "/ping", Protocol: "HTTP/1.1", Status: 200})
		b.end(t)
		assert.Contains(t, b.console.String(), "still here\n")
		assert.Contains(t, b.console.String(), `"GET /ping HTTP/1.1" 200 0`)
		for _, name := range files {
			assert.Equal(t, 1, strings.Count(b.stderr.String(), filepath.Join(blocked, name)+" cannot be written"), name)
		}
		assert.Contains(t, b.stderr.String(), "set LOG_LOCATION to")
		assert.Contains(t, b.stderr.String(), "set METRICS_LOCATION to")
	})
	t.Run("LOG-003 an empty location is the default one", func(t *testing.T) {
		t.Chdir(t.TempDir())
		b := newBench(t, func(cfg *logging.Config) { cfg.Dir, cfg.MetricsDir = "", "" })
		log := b.Logger(logging.ModelServer, logging.MainThread)
		log.Info().Msg("hello")
		b.end(t)
		assert.Contains(t, b.console.String(), "hello\n")
		assert.Empty(t, b.stderr.String())
		assert.Equal(t, files, names(t, "logs"))
	})
	t.Run("LOG-006 existing files are appended to", func(t *testing.T) {
		b := newBench(t, nil)
		before := b.clock.Now()
		for _, name := range files {
			path := filepath.Join(b.dir, name)
			require.NoError(t, os.WriteFile(path, []byte("old\n"), 0o600))
			require.NoError(t, os.Chtimes(path, before, before))
		}
		again, err := logging.Open(logging.Config{Dir: b.dir, MetricsDir: b.dir, Now: b.clock.Now})
		require.NoError(t, err)
		for _, name := range []string{logging.AccessName, logging.ModelName, logging.MetricsName, logging.ModelMetricsName} {
			log := again.Logger(name, "x")
			log.Info().Msg("new")
		}
		require.NoError(t, again.Close())
		for _, name := range files {
			assert.Regexp(t, `^old\n(?s:.*) - new\n$`, b.read(t, name), name)
		}
	})
}

func TestLayouts(t *testing.T) {
	t.Parallel()
	t.Run("LOG-004 full layout", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(cfg *logging.Config) { cfg.Level = "ALL" })
		log := b.Logger(logging.ModelServer, logging.MainThread)
		texts := map[zerolog.Level]string{
			zerolog.TraceLevel: "[TRACE]", zerolog.DebugLevel: "[DEBUG]", zerolog.InfoLevel: "[INFO ]",
			zerolog.WarnLevel: "[WARN ]", zerolog.ErrorLevel: "[ERROR]", zerolog.FatalLevel: "[FATAL]",
			zerolog.NoLevel: "[INFO ]",
		}
		for level, text := range texts {
			log.WithLevel(level).Msg("level of " + text)
		}
		b.end(t)
		for _, text := range texts {
			want := stamp + " " + text + " main org.pytorch.serve.ModelServer - level of " + text + "\n"
			assert.Contains(t, b.read(t, "ts_log.log"), want)
			assert.Contains(t, b.console.String(), want)
		}
	})
	t.Run("LOG-005 short layout", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		for name, file := range map[string]string{
			logging.AccessName: "access_log.log", logging.MetricsName: "ts_metrics.log", logging.ModelMetricsName: "model_metrics.log",
		} {
			log := b.Logger(name, "t")
			log.Info().Msg("for " + file)
		}
		b.end(t)
		for _, file := range []string{"access_log.log", "ts_metrics.log", "model_metrics.log"} {
			assert.Equal(t, stamp+" - for "+file+"\n", b.read(t, file))
		}
	})
	t.Run("worker output keeps the full layout", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		log := b.Logger(logging.ModelName, "W-9000-resnet18_1.0-stdout")
		log.Info().Msg("Torch worker started.")
		b.end(t)
		assert.Equal(t, stamp+" [INFO ] W-9000-resnet18_1.0-stdout MODEL_LOG - Torch worker started.\n", b.read(t, "model_log.log"))
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	const forged = stamp + " [INFO ] main org.pytorch.serve.ModelServer - all is well"
	cause := fmt.Errorf("load model: %w", errors.New("no \"such\" file"))
	for name, c := range map[string]struct {
		log  func(log zerolog.Logger)
		want string
	}{
		"verbatim":             {func(l zerolog.Logger) { l.Info().Msg(`"a\b" <é> ${env:HOME}`) }, `"a\b" <é> ${env:HOME}` + "\n"},
		"several lines":        {func(l zerolog.Logger) { l.Info().Msg("a\r\n\tb\n") }, `a\x0d\x0a` + "\t" + `b\x0a` + "\n"},
		"a block of lines":     {func(l zerolog.Logger) { l.Info().Msg("\na\n\tb\n") }, "\na\n\tb\n\n"},
		"an event in a block":  {func(l zerolog.Logger) { l.Info().Msg("\n" + forged) }, `\x0a` + forged + "\n"},
		"control characters":   {func(l zerolog.Logger) { l.Info().Msg("\x00\x1b[1m\x7f\b\f\u009b\u2028") }, `\x00\x1b[1m\x7f\x08\x0c\x9b\u2028` + "\n"},
		"in an error":          {func(l zerolog.Logger) { l.Info().Err(errors.New("a\x1b\r\n\tb\u0085")).Msg("no") }, "no\na" + `\x1b\x0d` + "\n\tb" + `\x85` + "\n"},
		"an event in an error": {func(l zerolog.Logger) { l.Info().Err(errors.New("a\n" + forged)).Msg("no") }, "no\na" + `\x0a` + forged + "\n"},
		"in a field":           {func(l zerolog.Logger) { l.Info().Str("a", "b\u009bc").Str("d", "\n\u009b").Msg("x") }, `x a=b\x9bc d="\n\x9b"` + "\n"},
		"bad UTF-8":            {func(l zerolog.Logger) { l.Info().Msg("a\xffb") }, "a\uFFFDb\n"},
		"empty":                {func(l zerolog.Logger) { l.Info().Send() }, "\n"},
		"error":                {func(l zerolog.Logger) { l.Info().Err(cause).Msg("no") }, "no\nload model: no \"such\" file\n"},
		"fields":               {func(l zerolog.Logger) { l.Info().Str("model", "m").Int("n", 3).Msg("x") }, "x model=m n=3\n"},
		"fields to be quoted":  {func(l zerolog.Logger) { l.Info().Str("a", "b c").Str("d", "").Str("e", "f\ng").Msg("x") }, `x a="b c" d="" e="f\ng"` + "\n"},
		"nested fields":        {func(l zerolog.Logger) { l.Info().Ints("n", []int{1, 2}).Any("o", map[string]any{"k": "}"}).Msg("x") }, `x n=[1,2] o={"k":"}"}` + "\n"},
		"fields of the logger": {func(l zerolog.Logger) { l = l.With().Str("model", "m").Logger(); l.Info().Msg("x") }, "x model=m\n"},
		"a date is not shown":  {func(l zerolog.Logger) { l.Info().Timestamp().Msg("x") }, "x\n"},
		"error and fields":     {func(l zerolog.Logger) { l.Info().Err(cause).Bool("b", true).Msg("no") }, "no b=true\nload model: no \"such\" file\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			c.log(b.Logger("a.b", "t"))
			b.end(t)
			assert.Equal(t, stamp+" [INFO ] t a.b - "+c.want, b.console.String())
		})
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	all := []string{
		logging.AccessName, logging.ModelName, logging.MetricsName, logging.ModelMetricsName, logging.TelemetryName,
		logging.ModelServer, "com.example.plugin",
	}
	for _, name := range all {
		log := b.Logger(name, "t")
		log.Info().Msg("event of " + name)
	}
	b.end(t)
	t.Run("LOG-010 the console carries everything", func(t *testing.T) {
		t.Parallel()
		for _, name := range all {
			assert.Equal(t, 1, strings.Count(b.console.String(), stamp+" [INFO ] t "+name+" - event of "+name+"\n"), name)
		}
	})
	t.Run("LOG-011 ts_log.log has each event once", func(t *testing.T) {
		t.Parallel()
		for _, name := range all {
			assert.Equal(t, 1, strings.Count(b.read(t, "ts_log.log"), stamp+" [INFO ] t "+name+" - event of "+name+"\n"), name)
		}
	})
	t.Run("other files have their own logger only", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"access_log.log", "model_log.log", "ts_metrics.log", "model_metrics.log"} {
			assert.Equal(t, 1, strings.Count(b.read(t, name), "\n"), name)
		}
	})
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		level  string
		single map[string]string
		logger string
		want   zerolog.Level
	}{
		"INFO is the default":             {logger: logging.ModelServer, want: zerolog.InfoLevel},
		"worker output is not filtered":   {logger: logging.ModelName, level: "error", want: zerolog.TraceLevel},
		"metrics are not filtered":        {logger: logging.MetricsName, want: zerolog.TraceLevel},
		"the access log has its own":      {logger: logging.AccessName, level: "debug", want: zerolog.InfoLevel},
		"the level is that of the server": {logger: logging.WorkerThread, level: "DEBUG", want: zerolog.DebugLevel},
		"off":                             {logger: logging.MetricsName, single: map[string]string{"TS_METRICS": "OFF"}, want: zerolog.Disabled},
		"a name covers those below it": {
			logger: logging.WorkerThread, want: zerolog.WarnLevel,
			single: map[string]string{"org.pytorch.serve": "error", "org.pytorch.serve.wlm": "warn", "org.pytorch.serve.w": "off"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(cfg *logging.Config) { cfg.Level, cfg.Levels = c.level, c.single })
			assert.Equal(t, c.want, b.Logger(c.logger, "t").GetLevel())
		})
	}
	t.Run("a silenced access log is silent", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(cfg *logging.Config) { cfg.Levels = map[string]string{"ACCESS_LOG": "warn"} })
		b.Access("http").Log(logging.AccessLine{Status: 200})
		b.end(t)
		assert.Empty(t, b.console.String())
	})
	t.Run("an unknown level is refused", func(t *testing.T) {
		t.Parallel()
		_, err := logging.Open(logging.Config{Dir: t.TempDir(), Level: "loud"})
		require.ErrorContains(t, err, `log_level: unknown level "loud"`)
		_, err = logging.Open(logging.Config{Dir: t.TempDir(), Levels: map[string]string{"a.b": ""}})
		require.ErrorContains(t, err, `log level of a.b: unknown level ""`)
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(cfg *logging.Config) { cfg.JSON = true })
	log := b.Logger(logging.ModelServer, `ma"in`)
	log.Warn().Err(errors.New("a\nb\u009b")).Str("model", "m\"1").Ints("n", []int{1}).Msg("two\nlines é\u009b\x7f\u2028")
	b.Access("http").Log(logging.AccessLine{Method: "GET", URI: "/ping", Protocol: "HTTP/1.1", Status: 200})
	b.Announce("Model server started.")
	b.end(t)

	lines := strings.Split(b.console.String(), "\n")
	require.Len(t, lines, 4)
	var event, access map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &event))
	assert.Equal(t, map[string]any{
		"@timestamp": objectStamp, "log.level": "WARN", "process.thread.name": `ma"in`, "log.logger": logging.ModelServer,
		"message": "two\nlines é\u009b\x7f\u2028", "error.message": "a\nb\u009b", "model": "m\"1", "n": []any{1.0},
	}, event)
	assert.NotContains(t, lines[0], "\u009b", "not as such")
	assert.NotContains(t, lines[0], "\u2028", "not as such")
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &access))
	assert.Equal(t, map[string]any{
		"@timestamp": objectStamp, "log.level": "INFO", "process.thread.name": "http", "log.logger": "ACCESS_LOG",
		"message": `127.0.0.1 "GET /ping HTTP/1.1" 200 0`,
	}, access)
	assert.Equal(t, "Model server started.", lines[2])
	assert.Contains(t, b.read(t, "ts_log.log"), stamp+" [WARN ] ma\"in org", "files keep their layout")
}

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("writes until its context ends", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		log := b.Logger(logging.ModelServer, logging.MainThread)
		log.Info().Msg("first")
		assert.Eventually(t, func() bool { return b.has("ts_log.log", "first\n") }, eventually, tick)
		log.Info().Msg("last")
		cancel()
		require.NoError(t, <-ended)
		assert.Contains(t, b.read(t, "ts_log.log"), "last\n")
		log.Info().Msg("too late")
		b.Announce("too late")
		b.end(t)
		assert.NotContains(t, b.console.String(), "too late")
	})
	t.Run("no line is lost or doubled on a normal stop", func(t *testing.T) {
		t.Parallel()
		const writers, lines = 8, 2000
		b := newBench(t, nil)
		ended := make(chan error)
		go func() { ended <- b.Run(t.Context()) }()
		var group sync.WaitGroup
		for w := range writers {
			log := b.Logger(logging.ModelName, fmt.Sprint("W-", w))
			group.Go(func() {
				for i := range lines {
					log.Info().Msgf("line %d.", i)
				}
			})
		}
		group.Wait()
		b.end(t)
		require.NoError(t, <-ended)
		for _, text := range []string{b.console.String(), b.read(t, "ts_log.log"), b.read(t, "model_log.log")} {
			assert.Equal(t, writers*lines, strings.Count(text, "\n"))
			for w := range writers {
				assert.Equal(t, 1, strings.Count(text, fmt.Sprintf(" W-%d MODEL_LOG - line 77.\n", w)))
				first, last := strings.Index(text, fmt.Sprintf("W-%d MODEL_LOG - line 0.", w)), strings.Index(text, fmt.Sprintf("W-%d MODEL_LOG - line 1999.", w))
				assert.True(t, first >= 0 && first < last, "in order")
			}
		}
	})
	t.Run("a bare line is in order with the events", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		log := b.Logger("a", "t")
		log.Info().Msg("before")
		b.Announce("Model server started.")
		log.Info().Msg("after")
		b.end(t)
		assert.Equal(t, stamp+" [INFO ] t a - before\nModel server started.\n"+stamp+" [INFO ] t a - after\n", b.console.String())
		assert.NotContains(t, b.read(t, "ts_log.log"), "Model server started.")
	})
}

// TestWorkerOutput has a client name a model so that it would write a line of its
// own, and a handler print in colours.
func TestWorkerOutput(t *testing.T) {
	t.Parallel()
	const model, shown = "m\n" + stamp + " [INFO ] main a - b\x1b[2J", `m\x0a` + stamp + ` [INFO ] main a - b\x1b[2J`
	for name, change := range map[string]func(cfg *logging.Config){
		"LOG-020 with its file":  nil,
		"LOG-003 without a file": func(cfg *logging.Config) { cfg.Dir = "/dev/null/nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, change)
			log := b.Logger(logging.ModelName, "W-9000-"+model+"_1.0-stdout")
			log.Info().Msg("\x1b[32mgreen\x1b[0m 10%\u200b")
			b.Access("W-9000-" + model).Log(logging.AccessLine{Remote: "", Method: "GET", URI: "/\u009b\x9b", Protocol: "HTTP/1.1", Status: 200})
			b.Lines(logging.MetricsName, "W-9000-"+model).Log([]byte("a.Count:1.0\n"))
			b.end(t)
			assert.Equal(t, stamp+" [INFO ] W-9000-"+shown+"_1.0-stdout MODEL_LOG - \x1b[32mgreen\x1b[0m 10%\u200b\n"+
				stamp+" [INFO ] W-9000-"+shown+` ACCESS_LOG - 127.0.0.1 "GET /\x9b\x9b HTTP/1.1" 200 0`+"\n"+
				stamp+" [INFO ] W-9000-"+shown+" TS_METRICS - a.Count:1.0\n", b.console.String())
		})
	}
}
