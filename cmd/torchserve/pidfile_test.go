package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

// sleeper makes this test binary a process that does nothing, when it is run anew.
const sleeper = "TORCHSERVE_TEST_SLEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(sleeper) != "" {
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed, or its parent has gone
		return
	}
	os.Exit(m.Run())
}

// sleep starts a live process with arguments and returns its pid.
func sleep(t *testing.T, program string, args ...string) int {
	t.Helper()
	return begin(t, exec.Command(program, args...))
}

// begin starts a command that does nothing until the test ends, and returns its
// pid once its arguments can be seen, which is a moment after its start.
func begin(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	cmd.Env = append(cmd.Environ(), sleeper+"=1")
	_, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		_, alive := processArgs(cmd.Process.Pid)
		return alive
	}, time.Minute, time.Millisecond)
	return cmd.Process.Pid
}

// deadPID returns the number of a process that has ended.
func deadPID(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	return cmd.Process.Pid
}

func own(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

func TestPIDFileRead(t *testing.T) {
	t.Parallel()
	server := sleep(t, own(t), "--start", "--foreground")
	java := sleep(t, "cat", "-", "org.pytorch.serve.ModelServer")
	command := sleep(t, own(t), "--stop", "--foreground")
	foreign := sleep(t, "cat")
	tests := []struct {
		name    string
		content string
		pid     int
		exists  bool
	}{
		{"a server", strconv.Itoa(server), server, true},
		{"only the first line counts", strconv.Itoa(server) + "\nmore", server, true},
		{"the Java server of 0.12", strconv.Itoa(java), java, true},
		{"CLI-011 another program is not ours to judge", strconv.Itoa(foreign), 0, false},
		{"a call of this program that serves nothing", strconv.Itoa(command), 0, false},
		{"CLI-010 an ended process leaves an orphan", strconv.Itoa(deadPID(t)), 0, true},
		{"CLI-012 garbage is an orphan", "garbage", 0, true},
		{"CLI-012 an empty file too", "", 0, true},
		{"CLI-012 and numbers that no process has", "-1", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := pidFile{filepath.Join(t.TempDir(), ".model_server.pid")}
			require.NoError(t, os.WriteFile(f.path, []byte(tt.content), 0o600))
			pid, exists := f.read()
			assert.Equal(t, tt.pid, pid)
			assert.Equal(t, tt.exists, exists)
		})
	}
	t.Run("no file", func(t *testing.T) {
		t.Parallel()
		_, exists := pidFile{filepath.Join(t.TempDir(), "none")}.read()
		assert.False(t, exists)
	})
	t.Run("D-CLI-10 of another user only what names a server of that user", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("only root can give files away")
		}
		const nobody = 65534
		dir := t.TempDir()
		theirs := filepath.Join(dir, filepath.Base(own(t)))
		program, err := os.ReadFile(own(t))
		require.NoError(t, err)
		procgrouptest.Program(t, theirs, program)
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
		cmd := exec.Command(theirs, "--foreground")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		pid := begin(t, cmd)
		f := pidFile{filepath.Join(dir, ".model_server.pid")}
		for pid, want := range map[int]bool{pid: true, server: false, deadPID(t): false} {
			require.NoError(t, os.WriteFile(f.path, []byte(strconv.Itoa(pid)), 0o600))
			require.NoError(t, os.Chown(f.path, nobody, nobody))
			_, exists := f.read()
			assert.Equal(t, want, exists)
		}
	})
	t.Run("a link is not followed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
		require.NoError(t, os.WriteFile(target, []byte(strconv.Itoa(server)), 0o600))
		require.NoError(t, os.Symlink(target, link))
		_, exists := pidFile{link}.read()
		assert.False(t, exists)
	})
}

func TestPIDFileWrite(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, path, elsewhere string){
		"anew":         func(*testing.T, string, string) {},
		"over another": func(t *testing.T, path, _ string) { require.NoError(t, os.WriteFile(path, []byte("123456"), 0o666)) },
		"over a link, not through it": func(t *testing.T, path, elsewhere string) {
			require.NoError(t, os.WriteFile(elsewhere, []byte("untouched"), 0o666))
			require.NoError(t, os.Symlink(elsewhere, path))
		},
	} {
		t.Run("CLI-008 "+name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			f, elsewhere := pidFile{filepath.Join(dir, ".model_server.pid")}, filepath.Join(dir, "elsewhere")
			prepare(t, f.path, elsewhere)
			require.NoError(t, f.write(4711))
			content, err := os.ReadFile(f.path)
			require.NoError(t, err)
			assert.Equal(t, "4711", string(content))
			info, err := os.Lstat(f.path)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode())
			if content, err := os.ReadFile(elsewhere); err == nil {
				assert.Equal(t, "untouched", string(content))
			}
		})
	}
}

func TestPIDFileRemoveOwn(t *testing.T) {
	t.Parallel()
	f := pidFile{filepath.Join(t.TempDir(), ".model_server.pid")}
	require.NoError(t, f.write(os.Getpid()+1))
	f.removeOwn()
	assert.FileExists(t, f.path, "another server's")
	require.NoError(t, f.write(os.Getpid()))
	f.removeOwn()
	assert.NoFileExists(t, f.path)
}

func TestPIDFilePlace(t *testing.T) {
	t.Parallel()
	a, b, missing := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "missing")
	tests := map[string]struct {
		env  map[string]string
		want string
	}{
		"TMPDIR is the first":              {map[string]string{"TMPDIR": a, "TEMP": b}, a},
		"then TEMP":                        {map[string]string{"TEMP": a, "TMP": b}, a},
		"then TMP":                         {map[string]string{"TMP": b}, b},
		"then /tmp":                        {nil, "/tmp"},
		"what is not there is passed over": {map[string]string{"TMPDIR": missing, "TEMP": b}, b},
	}
	for name, tt := range tests {
		t.Run("CLI-016 "+name, func(t *testing.T) {
			t.Parallel()
			got := newPidFile(func(name string) string { return tt.env[name] })
			assert.Equal(t, filepath.Join(tt.want, ".model_server.pid"), got.path)
		})
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	assert.True(t, ended(deadPID(t), time.Minute))
	assert.False(t, ended(sleep(t, "cat"), 30*time.Millisecond), "the time is up before the process")
}
