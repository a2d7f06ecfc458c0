package worker

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/wire"
)

// connected returns a connection and its other end.
func connected(t testing.TB) (*conn, net.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	c, err := dial(t.Context(), "unix", path, 1000)
	require.NoError(t, err)
	peer, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		c.close()
		_ = peer.Close()
		_ = l.Close()
	})
	return c, peer
}

func TestIdle(t *testing.T) {
	t.Run("silence, also after a deadline", func(t *testing.T) {
		c, _ := connected(t)
		require.NoError(t, c.idle())
		require.NoError(t, c.extend(-1))
		require.NoError(t, c.idle())
	})
	t.Run("the peer has left", func(t *testing.T) {
		c, peer := connected(t)
		require.NoError(t, peer.Close())
		assert.ErrorIs(t, c.idle(), io.EOF)
	})
	t.Run("the peer has spoken, and it is not lost", func(t *testing.T) {
		c, peer := connected(t)
		_, err := peer.Write(wire.Response{Code: 200, Message: "x"}.Append(nil))
		require.NoError(t, err)
		require.ErrorIs(t, c.idle(), wire.ErrProtocol)
		r, err := c.receive()
		require.NoError(t, err)
		assert.Equal(t, "x", r.Message)
	})
	t.Run("takes no memory", func(t *testing.T) {
		c, _ := connected(t)
		assert.Zero(t, testing.AllocsPerRun(100, func() { assert.NoError(t, c.idle()) }))
	})
}

func BenchmarkIdle(b *testing.B) {
	c, _ := connected(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.idle(); err != nil {
			b.Fatal(err)
		}
	}
}
