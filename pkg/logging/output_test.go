package logging_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

const (
	eventually = 10 * time.Second
	tick       = time.Millisecond
)

// gate is a console that takes nothing until it is opened.
type gate struct {
	sink
	open chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.sink.Write(p)
}

func TestBlockedConsole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		console := &gate{open: make(chan struct{})}
		b := newBench(t, func(cfg *logging.Config) { cfg.Console = console })
		go func() { _ = b.Run(t.Context()) }()
		log := b.Logger(logging.ModelServer, "t")
		log.Info().Msg("taken")
		synctest.Wait() // the console is blocked now, with an empty buffer
		const size, lines = 1000, 20_000
		text := strings.Repeat("x", size)
		for range lines {
			log.Info().Msg(text)
			time.Sleep(time.Microsecond) //nolint:forbidigo // virtual
		}
		log.Error().Msg(strings.Repeat("e", 2*size) + " an error still fits")
		time.Sleep(time.Second) //nolint:forbidigo // virtual
		assert.Equal(t, 1+lines+1, strings.Count(b.read(t, "ts_log.log"), "\n"), "the file gets everything")

		close(console.open)
		synctest.Wait()
		got := console.String()
		assert.Contains(t, got, "an error still fits\n")
		m := regexp.MustCompile(`\[WARN \] log org\.pytorch\.serve\.Logging - (\d+) lines were lost here: they came faster than the console takes them\n$`).FindStringSubmatch(got)
		require.NotNil(t, m)
		lost, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		assert.Equal(t, lines, strings.Count(got, text)+lost)
		assert.Greater(t, strings.Count(got, text), 7000, "8 MiB wait")
		log.Info().Msg("works again")
		b.end(t)
		assert.Regexp(t, `lines were lost.*\n.*works again\n$`, console.String())
	})
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		console := &gate{open: make(chan struct{})}
		logs, err := logging.Open(logging.Config{Dir: t.TempDir(), MetricsDir: t.TempDir(), Console: console})
		require.NoError(t, err)
		logs.Announce("x")
		began := time.Now()
		require.ErrorContains(t, logs.Close(), "no end within 3s: the console")
		assert.Equal(t, 3*time.Second, time.Since(began))
		close(console.open)
	})
}

func TestWritesAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		go func() { _ = b.Run(t.Context()) }()
		access := b.Access("http")
		line := logging.AccessLine{Method: "GET", URI: "/ping", Protocol: "HTTP/1.1", Status: 200}
		access.Log(line)
		synctest.Wait()
		assert.Equal(t, 1, b.console.Writes(), "the first line does not wait")
		for range 100 {
			time.Sleep(100 * time.Microsecond) //nolint:forbidigo // virtual
			access.Log(line)
		}
		synctest.Wait()
		assert.Equal(t, 1, b.console.Writes())
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // virtual
		synctest.Wait()
		assert.Equal(t, 2, b.console.Writes())
		assert.Equal(t, 101, strings.Count(b.console.String(), "\n"))

		log := b.Logger(logging.ModelServer, "t")
		log.Info().Msg("waits")
		log.Error().Msg("does not wait, nor do the lines before it")
		synctest.Wait()
		assert.Contains(t, b.console.String(), "nor do the lines before it\n")
		b.end(t)
	})
}

// broken is a console that is gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestFailingWrites(t *testing.T) {
	t.Parallel()
	t.Run("a full disk is told once", func(t *testing.T) {
		t.Parallel()
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("no /dev/full here")
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "ts_log.log")
		require.NoError(t, os.Symlink("/dev/full", path))
		b := newBench(t, func(cfg *logging.Config) { cfg.Dir = dir })
		go func() { _ = b.Run(t.Context()) }()
		log := b.Logger(logging.ModelServer, "t")
		for _, text := range []string{"one", "two", "three"} {
			log.Error().Msg(text)
			assert.Eventually(t, func() bool { return strings.Contains(b.console.String(), text) }, eventually, tick)
		}
		b.end(t)
		assert.Equal(t, 1, strings.Count(b.stderr.String(), "\n"), b.stderr.String())
		assert.Contains(t, b.stderr.String(), path+" cannot be written, lines are lost: ")
		assert.Contains(t, b.stderr.String(), "no space left on device")
	})
	t.Run("files outlive the console", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(cfg *logging.Config) { cfg.Console = broken{} })
		log := b.Logger(logging.ModelServer, "t")
		log.Info().Msg("hello")
		b.end(t)
		assert.Contains(t, b.read(t, "ts_log.log"), "hello\n")
		assert.Equal(t, "torchserve: the console cannot be written, lines are lost: broken pipe\n", b.stderr.String())
	})
}
