package workertest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// torchrun is the name under which a test binary is torchrun.
const torchrun = "torchrun"

// sockets is what the names of worker sockets have before their number.
const sockets = ".ts.sock."

// Parallel makes the workers of a configuration ones of several ranks, and gives
// them a torchrun.
func Parallel(t testing.TB, c *worker.Config, kind string, ranks int) {
	t.Helper()
	c.Settings.Devices.Parallel, c.Settings.Devices.Level = kind, ranks
	c.Launch.Python = Python(t)
	c.Launch.LogDir = t.TempDir()
}

// Python returns the path of an interpreter of fake workers that has a torchrun
// beside it.
func Python(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	binary, err := filepath.Abs(os.Args[0])
	require.NoError(t, err)
	for _, name := range []string{"python", torchrun} {
		require.NoError(t, os.Symlink(binary, filepath.Join(dir, name)))
	}
	return filepath.Join(dir, "python")
}

// runRanks is torchrun: it starts the ranks, each in a session of its own, and
// ends them all when one of them fails. It does not start them again.
func runRanks(args []string) int {
	script := slices.IndexFunc(args, func(a string) bool { return strings.HasSuffix(a, ".py") })
	at := slices.Index(args, "--nproc-per-node")
	if script < 0 || at < 0 {
		return 2
	}
	n, err := strconv.Atoi(args[at+1])
	if err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	python := filepath.Join(filepath.Dir(os.Args[0]), "python")
	results := make(chan error, n) // one per rank
	for rank := range n {
		cmd := exec.CommandContext(ctx, python, args[script:]...) //nolint:gosec // itself
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), fmt.Sprintf("LOCAL_RANK=%d", rank), fmt.Sprintf("RANK=%d", rank),
			fmt.Sprintf("WORLD_SIZE=%d", n), fmt.Sprintf("LOCAL_WORLD_SIZE=%d", n))
		go func() { results <- cmd.Run() }()
	}
	status := 0
	for range n {
		if err := <-results; err != nil {
			status = 1
			fail()
		}
	}
	return status
}

func localRank() int {
	rank, _ := strconv.Atoi(os.Getenv("LOCAL_RANK")) // without torchrun there is none
	return rank
}

func plus(number string, n int) string {
	base, _ := strconv.Atoi(number) // a test's own number
	return strconv.Itoa(base + n)
}

// NewMeeting lets the ranks of a model's workers meet, as often as their scripts
// say. It must be there before they come.
func NewMeeting(t testing.TB, a model.Archive, ranks int) {
	t.Helper()
	for rank := 1; rank < ranks; rank++ {
		require.NoError(t, unix.Mkfifo(filepath.Join(a.Dir, meetingPoint(rank)), 0o600))
	}
}

// meetingPoint is a named pipe: it opens for the first rank when the other one is
// there, and the other way round.
func meetingPoint(rank int) string { return "fake-worker.meeting." + strconv.Itoa(rank) }

// meet waits for the other ranks.
func meet(rank int) {
	if rank > 0 {
		if point, err := os.OpenFile(meetingPoint(rank), os.O_WRONLY, 0); err == nil {
			_ = point.Close() // the first rank has seen it open
		}
		return
	}
	for other := 1; ; other++ {
		point, err := os.Open(meetingPoint(other))
		if err != nil {
			return // that was the last one
		}
		_, _ = io.Copy(io.Discard, point) // ends when the other one has gone on
		_ = point.Close()
	}
}
