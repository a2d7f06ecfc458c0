package listen_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/listen"
)

func TestMain(m *testing.M) {
	// net/http lets a connection that it closes linger for half a second.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// socketPath is not below t.TempDir, whose path may be too long for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "x.sock")
}

// open listens for the length of the test.
func open(t *testing.T, network, address string, s *listen.Secure) net.Listener {
	t.Helper()
	l, err := listen.Open(t.Context(), network, address, s)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // the test may have done it
	return l
}

// reach connects to l and lets it accept.
func reach(t *testing.T, l net.Listener) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	accepted, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, accepted.Close())
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("TCP, the port of choice", func(t *testing.T) {
		t.Parallel()
		l := open(t, "tcp", "127.0.0.1:0", nil)
		assert.NotEqual(t, "127.0.0.1:0", l.Addr().String())
		reach(t, l)
	})
	t.Run("CFG-022 IPv6", func(t *testing.T) {
		t.Parallel()
		if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
			t.Skip("this machine has no IPv6")
		} else {
			require.NoError(t, l.Close())
		}
		reach(t, open(t, "tcp", "[::1]:0", nil))
	})
	t.Run("CFG-025 a port in use", func(t *testing.T) {
		t.Parallel()
		l := open(t, "tcp", "127.0.0.1:0", nil)
		_, err := listen.Open(t.Context(), "tcp", l.Addr().String(), nil)
		require.ErrorContains(t, err, "address already in use")
		assert.ErrorContains(t, err, l.Addr().String())
	})
}

func TestUnix(t *testing.T) {
	t.Parallel()
	t.Run("CFG-023 everybody may connect, and the socket goes with the listener", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		l := open(t, "unix", path, nil)
		reach(t, l)
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o666), info.Mode().Perm())
		require.NoError(t, l.Close())
		assert.NoFileExists(t, path)
	})
	t.Run("CFG-023 the socket of a server that is gone is replaced", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		require.NoError(t, err)
		old.SetUnlinkOnClose(false)
		require.NoError(t, old.Close())
		require.FileExists(t, path)
		reach(t, open(t, "unix", path, nil))
	})
	t.Run("the socket of a living server stays", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		l := open(t, "unix", path, nil)
		_, err := listen.Open(t.Context(), "unix", path, nil)
		require.EqualError(t, err, "another server listens at "+path)
		accepted, err := l.Accept() // the look that the other one took
		require.NoError(t, err)
		require.NoError(t, accepted.Close())
		reach(t, l)
	})
	t.Run("a socket of another kind stays", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		_, err = listen.Open(t.Context(), "unix", path, nil)
		require.ErrorContains(t, err, "look who listens at "+path)
		assert.FileExists(t, path)
	})
	for name, make := range map[string]func(path string) error{
		"a file":      func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("/dev/null", path) },
	} {
		t.Run(name+" is not touched", func(t *testing.T) {
			t.Parallel()
			path := socketPath(t)
			require.NoError(t, make(path))
			_, err := listen.Open(t.Context(), "unix", path, nil)
			require.EqualError(t, err, path+" exists and is no socket: remove it or choose another path")
			_, err = os.Lstat(path)
			require.NoError(t, err)
		})
	}
	t.Run("a directory that is not there", func(t *testing.T) {
		t.Parallel()
		_, err := listen.Open(t.Context(), "unix", filepath.Join(t.TempDir(), "none", "x.sock"), nil)
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}
