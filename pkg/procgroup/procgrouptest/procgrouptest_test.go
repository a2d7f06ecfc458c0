package procgrouptest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a ) Z program")
	procgrouptest.Program(t, path, "#!/bin/sh\nread -r line\n")
	cmd := exec.CommandContext(t.Context(), path)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	pid := cmd.Process.Pid
	assert.False(t, procgrouptest.Ended(pid))
	assert.Equal(t, os.Getpid(), procgrouptest.Parent(pid))
	require.NoError(t, in.Close())
	assert.Eventually(t, func() bool { return procgrouptest.Ended(pid) }, time.Minute, time.Millisecond, "nobody has waited for it")
	assert.Error(t, cmd.Wait(), "its input ended")
	assert.True(t, procgrouptest.Ended(pid))
	assert.Zero(t, procgrouptest.Parent(pid))
}
