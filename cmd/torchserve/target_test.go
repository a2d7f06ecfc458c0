package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/client"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ inference, management, wantInference, wantManagement, wantMetrics string }{
		"an inference address":     {"http://h:9000", "", "http://h:9000", "http://h:8081", "http://h:8082"},
		"without a port":           {"http://h/", "", "http://h:80", "http://h:8081", "http://h:8082"},
		"over TLS":                 {"https://[::1]:9000", "", "https://[::1]:9000", "https://[::1]:8444", "https://[::1]:8445"},
		"a management address":     {"", "http://h:9001", "http://h:8080", "http://h:9001", "http://h:8082"},
		"both":                     {"http://h:1", "https://i:2", "http://h:1", "https://i:2", "http://h:8082"},
		"a socket stands for both": {"unix:/s", "", "unix:/s", "unix:/s", "unix:/s"},
		"each its socket":          {"unix:/s", "unix:/m", "unix:/s", "unix:/m", "unix:/s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := named(c.inference, c.management, "")
			require.NoError(t, err)
			assert.Equal(t, c.wantInference, got.inference.String())
			assert.Equal(t, c.wantManagement, got.management.String())
			assert.Equal(t, c.wantMetrics, got.metrics.String())
			assert.False(t, got.here())
		})
	}
}

// pretend starts a process that looks like a server with a configuration.
func pretend(t *testing.T, properties string, args ...string) (pid int, dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.properties"), []byte(properties), 0o600))
	cmd := exec.Command(own(t), append([]string{"--start", "--foreground", "--model-store", "."}, args...)...)
	cmd.Env = append(os.Environ(), "TS_TOKEN_KEY_FILE=keys/of_env.json")
	cmd.Dir = dir
	return begin(t, cmd), dir
}

func TestLocal(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("what another process was started with cannot be seen here")
	}
	const addresses = "inference_address=http://127.0.0.1:1\nmanagement_address=unix:/tmp/m.sock\n"
	for name, c := range map[string]struct {
		properties string
		args       []string
		keyFile    string
	}{
		"the key file of the working directory":         {addresses, nil, "key_file.json"},
		"another one, by the environment of the server": {addresses + "enable_envvars_config=true\n", nil, "keys/of_env.json"},
		"none, by an option of the server":              {addresses, []string{"--dt"}, ""},
		"keys from outside":                             {addresses + "token_keys_file=config.properties\n", nil, "config.properties"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pid, dir := pretend(t, c.properties, c.args...)
			got, err := local(pid)
			require.NoError(t, err)
			assert.Equal(t, "http://127.0.0.1:1", got.inference.String())
			assert.Equal(t, "unix:/tmp/m.sock", got.management.String())
			if c.keyFile != "" {
				c.keyFile = filepath.Join(dir, c.keyFile)
			}
			assert.Equal(t, c.keyFile, got.keyFile)
			assert.Equal(t, dir, got.cfg.Models.Store)
		})
	}
	for name, c := range map[string]struct {
		properties, want string
		args             []string
	}{
		"a port of the system's choice":   {"inference_address=http://127.0.0.1:0\n", "has a port that the system chose (inference_address=http://127.0.0.1:0)", nil},
		"a configuration that has broken": {"inference_address=x\n", "Invalid binding address: x", nil},
		"an option of a later release":    {"", "unrecognized arguments: --new", []string{"--new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pid, _ := pretend(t, c.properties, c.args...)
			got := place{pid: fmt.Sprint(pid)}.call(t, "models")
			assert.Equal(t, exitFailed, got.code)
			assert.Contains(t, got.stderr, c.want)
			assert.Contains(t, got.stderr, "\nName its addresses and keys: --address, --management-address, --key-file\n")
		})
	}
	t.Run("TorchServe 0.12", func(t *testing.T) {
		t.Parallel()
		java := sleep(t, "cat", "-", "org.pytorch.serve.ModelServer")
		got := place{pid: fmt.Sprint(java)}.call(t, "models")
		assert.Contains(t, got.stderr, "is TorchServe 0.12, whose configuration is not read")
	})
	t.Run("a command that talks to a server is none", func(t *testing.T) {
		t.Parallel()
		got := place{pid: fmt.Sprint(sleep(t, own(t), "logs", "-f"))}.call(t, "models")
		assert.Contains(t, got.stderr, "no server is running here")
	})
}

// TestForeignKeys: the server of another user gets no keys but that user's.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	s := target{pid: os.Getpid(), keyFile: put(t, t.TempDir(), "key_file.json", `{"management":{"key":"k"}}`), foreign: true}
	got, err := s.key(client.Management)
	require.NoError(t, err)
	assert.Equal(t, "k", got)

	if os.Geteuid() != 0 {
		t.Skip("only root reads files of others")
	}
	require.NoError(t, os.Chown(s.keyFile, 12345, -1))
	_, err = s.key(client.Management)
	require.ErrorContains(t, err, "key_file.json: it does not belong to the user of the server")
	s.foreign = false // it was named by whoever calls
	_, err = s.key(client.Management)
	require.NoError(t, err)
}
