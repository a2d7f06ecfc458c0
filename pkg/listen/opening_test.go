package listen

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// speaker is a connection whose client says what is read from it.
type speaker struct {
	net.Conn
	io.Reader
}

func (s speaker) Read(b []byte) (int, error) { return s.Reader.Read(b) }

// heard is what net/http would read of text, through a buffer of a size.
func heard(t testing.TB, text io.Reader, size int) string {
	t.Helper()
	c := &translated{Conn: speaker{Reader: text}}
	var all bytes.Buffer
	_, err := io.CopyBuffer(&all, struct{ io.Reader }{c}, make([]byte, size))
	require.NoError(t, err)
	return all.String()
}

func TestOpening(t *testing.T) {
	t.Parallel()
	const with = "GET /ping HTTP/1.1\r\nHost:\r\nConnection: close\r\n"
	for name, c := range map[string]struct{ said, heard string }{
		"INF-018 no header at all":          {"GET /ping HTTP/1.1\r\n\r\n", with + "\r\n"},
		"INF-018 others only":               {"GET /ping HTTP/1.1\r\nX: y\r\nNo-Host: h\r\n\r\n", with + "X: y\r\nNo-Host: h\r\n\r\n"},
		"INF-018 with a body":               {"GET /ping HTTP/1.1\r\nContent-Length: 7\r\n\r\nHost: h", with + "Content-Length: 7\r\n\r\nHost: h"},
		"INF-018 lines that end with LF":    {"GET /ping HTTP/1.1\n\n", "GET /ping HTTP/1.1\n" + noHost + "\n"},
		"INF-018 blank lines before it":     {"\r\n\r\n\nGET /ping HTTP/1.1\r\n\r\n", with + "\r\n"},
		"blank lines alone are skipped":     {"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		"a host in any case":                {"GET / HTTP/1.1\r\nX: y\r\nhOST:h\r\n\r\n", "GET / HTTP/1.1\r\nX: y\r\nhOST:h\r\n\r\n"},
		"HTTP/1.0 needs none":               {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
		"the first request only":            {"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
		"HTTP/2":                            {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		"TLS":                               {"\x16\x03\x01\n\n\n", "\x16\x03\x01\n\n\n"},
		"what ends early":                   {"GET / HTTP/1.1\r\nX: y\r\n", "GET / HTTP/1.1\r\nX: y\r\n"},
		"nothing":                           {"", ""},
		"a head for which there is no room": {"GET / HTTP/1.1\r\nX: " + strings.Repeat("y", 5000) + "\r\n\r\n", "GET / HTTP/1.1\r\nX: " + strings.Repeat("y", 5000) + "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.heard, heard(t, strings.NewReader(c.said), 4096))
			assert.Equal(t, c.heard, heard(t, iotest.OneByteReader(strings.NewReader(c.said)), 4096))
			assert.Equal(t, c.heard, heard(t, iotest.DataErrReader(strings.NewReader(c.said)), 4096))
		})
	}
	t.Run("a buffer that the host does not go into", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, with+"\r\n", heard(t, strings.NewReader("GET /ping HTTP/1.1\r\n\r\n"), 25))
	})
	t.Run("what goes wrong later is heard later", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("broken")
		c := &translated{Conn: speaker{Reader: io.MultiReader(strings.NewReader("GET "), iotest.ErrReader(broken))}}
		b := make([]byte, 100)
		n, err := c.Read(b)
		require.NoError(t, err)
		assert.Equal(t, "GET ", string(b[:n]))
		_, err = c.Read(b)
		assert.ErrorIs(t, err, broken)
	})
	t.Run("it does not wait for more than it must know", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"GET / HTTP/1.1\r\nHost: h\r\n", "nonsense\r\n", "GET / HTTP/1.1\r\n\r\n"} {
			c := &translated{Conn: speaker{Reader: io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("asked for more")))}}
			b := make([]byte, 100)
			_, err := c.Read(b)
			require.NoError(t, err)
			assert.True(t, c.begun)
			_, known := judge([]byte(text))
			assert.True(t, known, text)
		}
	})
}

// FuzzOpening: what net/http reads is what was said, but for blank lines at the
// start, and a host where there was none.
func FuzzOpening(f *testing.F) {
	f.Add([]byte("\r\nGET / HTTP/1.1\r\nX: y\r\n\r\nbody"), 4096)
	f.Add([]byte("POST / HTTP/1.1\nhost: x\n\n"), 30)
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, said []byte, size int) {
		if size < 1 || size > 1<<16 {
			t.Skip("no size of a buffer")
		}
		said = bytes.TrimLeft(said, "\r\n")
		got := heard(t, bytes.NewReader(said), size)
		if got == string(said) {
			return
		}
		line := bytes.IndexByte(said, '\n') + 1
		require.Equal(t, string(said[:line])+noHost+string(said[line:]), got)
		require.True(t, strings.HasSuffix(strings.TrimRight(string(said[:line]), "\r\n"), " HTTP/1.1"))
	})
}

// TestServed asks net/http itself.
func TestServed(t *testing.T) {
	t.Parallel()
	t.Run("INF-018 a request without a host is served, as the last one of its connection", func(t *testing.T) {
		t.Parallel()
		l, err := Open(t.Context(), "tcp", "127.0.0.1:0", nil)
		require.NoError(t, err)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			w.Header().Set("Content-Length", "5")
			_, err = io.WriteString(w, "got "+string(body)+r.Host)
			assert.NoError(t, err)
		})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		defer func() {
			require.NoError(t, s.Close())
			assert.ErrorIs(t, <-served, http.ErrServerClosed)
		}()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		defer func() { assert.NoError(t, c.Close()) }()
		_, err = io.WriteString(c, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
		require.NoError(t, err)
		all, err := io.ReadAll(c)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(all), "HTTP/1.1 200 OK\r\n"), "%s", all)
		assert.Contains(t, string(all), "\r\nConnection: close\r\n")
		assert.True(t, strings.HasSuffix(string(all), "\r\n\r\ngot x"), "%s", all)
	})
}
