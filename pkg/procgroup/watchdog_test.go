package procgroup_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup"
	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

// TestMain makes this program a server, too, that starts a watched group.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "watched" {
		serve(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

const tag = "TORCHSERVE_WATCHDOG_TEST"

// serve starts a leader with a child in its group and, where there is setsid, one
// in a session of its own. The leader prints their numbers. Then it waits, or ends
// the group in the way of a caller of Watchdog.
func serve(end string) {
	setting := fmt.Sprint(tag, "=", os.Getpid())
	leader := exec.Command("sh", "-c", "sleep 600 & echo $!; setsid sleep 600 & echo $!; echo $$; wait")
	leader.Stdout, leader.SysProcAttr = os.Stdout, procgroup.Leader()
	leader.Env = append(os.Environ(), setting)
	if err := leader.Start(); err != nil {
		return
	}
	dismiss := procgroup.Watchdog(leader.Process.Pid, setting, os.Environ())
	_, _ = fmt.Fprintln(os.Stdout, "watched")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	if end == "orderly" {
		dismiss()
		procgroup.Signal(leader.Process.Pid, syscall.SIGKILL)
		_ = leader.Wait()
		procgroup.KillTagged(setting)
		_, _ = fmt.Fprintln(os.Stdout, "dismissed")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	}
}

// server is such a program at work.
type server struct {
	*exec.Cmd

	said  *bufio.Reader
	tell  func()
	group []int // the child, the one in its own session, the leader
}

func start(t *testing.T, end string) *server {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	s := &server{Cmd: exec.CommandContext(t.Context(), program, "watched", end)}
	out, err := s.StdoutPipe()
	require.NoError(t, err)
	in, err := s.StdinPipe()
	require.NoError(t, err)
	s.tell = func() { _, _ = in.Write([]byte("\n")) }
	require.NoError(t, s.Start())
	s.said = bufio.NewReader(out)
	for watched := false; !watched || len(s.group) < 3; {
		line, err := s.said.ReadString('\n')
		require.NoError(t, err)
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			s.group = append(s.group, pid)
			continue
		}
		watched = true
	}
	return s
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("no setsid here")
	}
	t.Run("WRK-D28 a server that is killed leaves nothing of the group, in whatever session", func(t *testing.T) {
		t.Parallel()
		s := start(t, "killed")
		for _, pid := range s.group {
			require.NoError(t, syscall.Kill(pid, 0))
		}
		require.NoError(t, s.Process.Kill())
		for _, pid := range s.group {
			assert.Eventually(t, func() bool { return procgrouptest.Ended(pid) }, time.Minute, time.Millisecond, pid)
		}
		assert.Error(t, s.Wait())
	})
	t.Run("one that ends the group itself dismisses the watchdog", func(t *testing.T) {
		t.Parallel()
		s := start(t, "orderly")
		s.tell()
		line, err := s.said.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "dismissed\n", line)
		for _, pid := range s.group {
			assert.Eventually(t, func() bool { return procgrouptest.Ended(pid) }, time.Minute, time.Millisecond, pid)
		}
		s.tell()
		assert.NoError(t, s.Wait())
	})
}
