package procgroup_test

import (
	"bufio"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup"
)

func TestSignal(t *testing.T) {
	t.Parallel()
	t.Run("WRK-D28 reaches what the leader has started", func(t *testing.T) {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 600 & echo $!; wait")
		cmd.SysProcAttr = procgroup.Leader()
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		pipe := bufio.NewReader(out)
		line, err := pipe.ReadString('\n')
		require.NoError(t, err)
		child, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(child, 0))

		procgroup.Signal(cmd.Process.Pid, syscall.SIGKILL)
		_, err = pipe.ReadString('\n')
		assert.Error(t, err, "both have let the pipe go")
		assert.Error(t, cmd.Wait())
	})
	t.Run("a group that has ended is no error", func(t *testing.T) {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), "true")
		cmd.SysProcAttr = procgroup.Leader()
		require.NoError(t, cmd.Run())
		procgroup.Signal(cmd.Process.Pid, syscall.SIGTERM)
	})
}
