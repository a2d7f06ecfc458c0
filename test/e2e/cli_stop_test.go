package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

const notRunning = "TorchServe is not currently running.\n"

func TestStop(t *testing.T) {
	t.Parallel()
	model := e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo})
	forms := map[string][]e2etest.Option{"foreground": {model}, "background": {model, e2etest.Background()}}
	for form, options := range forms {
		t.Run("CLI-013 CLI-015 a server in the "+form, func(t *testing.T) {
			t.Parallel()
			s := e2etest.Start(t, options...)
			require.True(t, s.Exists("key_file.json"))
			assert.Equal(t, e2etest.Result{Stdout: "TorchServe has stopped.\n"}, s.Run("--stop"))
			assert.False(t, s.Exists("key_file.json"))
			assert.False(t, s.Exists(s.PIDFile()))
			assert.Zero(t, s.Wait())
			assert.Empty(t, s.Processes())
			assert.Equal(t, e2etest.Result{Stdout: notRunning}, s.Run("--stop"))
		})
		t.Run("CLI-014 waiting for the end of one in the "+form, func(t *testing.T) {
			t.Parallel()
			s := e2etest.Start(t, options...)
			assert.Equal(t, e2etest.Result{}, s.Run("--stop", "--foreground"))
			assert.Empty(t, s.Processes(), "it has ended already")
			assert.False(t, s.Exists("key_file.json"))
			assert.False(t, s.Exists(s.PIDFile()))
			assert.Equal(t, e2etest.Result{Stdout: notRunning}, s.Run("--stop", "--foreground"))
		})
	}
	t.Run("CLI-015 no server", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t)
		assert.Equal(t, e2etest.Result{Stdout: notRunning}, s.Run("--stop", "--model-store", "ignored"))
	})
}

func TestStopOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody = 65534
	s := e2etest.Start(t)
	open := filepath.Dir(s.Dir)
	require.NoError(t, os.Chmod(open, 0o755))
	require.NoError(t, os.Chown(s.Temp, nobody, nobody))
	require.NoError(t, os.Chown(s.PIDFile(), nobody, nobody))
	s.MoveProgram(filepath.Join(open, "torchserve")) // where nobody may look

	cmd := s.Command("--stop")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Equal(t, "TorchServe is running as another user and cannot be stopped.\n", string(out))
	assert.True(t, s.Exists(s.PIDFile()))
	assert.True(t, e2etest.Alive(s.PID))
}

func TestPIDFile(t *testing.T) {
	t.Parallel()
	const orphan = "Removing orphan pid file.\n"
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	orphans := map[string]string{
		"CLI-010 of a dead process": strconv.Itoa(dead.Process.Pid),
		"CLI-012 with garbage":      "garbage\n",
		"CLI-012 without content":   "",
	}
	for name, content := range orphans {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := e2etest.NewSite(t)
			for command, want := range map[string]string{
				"--version": orphan + "TorchServe Version is 0.12.0\n", "--stop": orphan + notRunning,
			} {
				s.Write(s.PIDFile(), content)
				assert.Equal(t, e2etest.Result{Stdout: want}, s.Run(command))
				assert.False(t, s.Exists(s.PIDFile()))
			}
			s.Write(s.PIDFile(), content)
			server := s.Start()
			assert.Contains(t, server.Stdout.String(), orphan)
			assert.Equal(t, strconv.Itoa(server.PID), s.Read(s.PIDFile()))
		})
	}
	t.Run("CLI-010 of a killed server", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t)
		s.Kill()
		require.True(t, s.Exists(s.PIDFile()))
		again := s.Start()
		assert.Contains(t, again.Stdout.String(), orphan)
		assert.Equal(t, 200, again.Get(e2etest.Inference, "/ping", again.Key(e2etest.Inference)).Status)
	})
	t.Run("CLI-011 of another program", func(t *testing.T) {
		t.Parallel()
		foreign := exec.Command("cat")
		_, err := foreign.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, foreign.Start())
		t.Cleanup(func() { _, _ = foreign.Process.Kill(), foreign.Wait() })
		pid := strconv.Itoa(foreign.Process.Pid)

		s := e2etest.NewSite(t)
		s.Write(s.PIDFile(), pid)
		assert.Equal(t, e2etest.Result{Stdout: notRunning}, s.Run("--stop"))
		assert.Equal(t, pid, s.Read(s.PIDFile()), "neither removed")
		server := s.Start()
		assert.Equal(t, strconv.Itoa(server.PID), s.Read(s.PIDFile()), "nor an obstacle")
		assert.NotContains(t, server.Stdout.String(), orphan)
		assert.True(t, e2etest.Alive(foreign.Process.Pid), "nor signaled")
	})
}
