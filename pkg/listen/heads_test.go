package listen

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pieces is a connection on which text arrives in pieces of some size.
type pieces struct {
	net.Conn
	text string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.text)
	p.text = p.text[n:]
	return n, nil
}

// mended returns what becomes of text that arrives in pieces.
func mended(t testing.TB, text string, size int) string {
	t.Helper()
	out, err := io.ReadAll(&heads{Conn: &pieces{text: text, size: size}})
	require.NoError(t, err)
	return string(out)
}

func TestHeads(t *testing.T) {
	t.Parallel()
	const ping, hosted = "GET /ping HTTP/1.1\r\n", "GET /ping HTTP/1.1\r\nHost: x\r\n"
	for name, c := range map[string]struct{ text, want string }{
		"a Host stays":          {hosted + "\r\n", hosted + "\r\n"},
		"in any case":           {ping + "hOST: x\r\n\r\n", ping + "hOST: x\r\n\r\n"},
		"no Host":               {ping + "\r\n", ping + "Host:\r\n\r\n"},
		"no Host, line feeds":   {"GET / HTTP/1.1\nA: b\n\n", "GET / HTTP/1.1\nA: b\nHost:\r\n\n"},
		"HTTP/1.0 needs none":   {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
		"blank lines first":     {"\r\n\n\r\n" + hosted + "\r\n", hosted + "\r\n"},
		"blank lines between":   {hosted + "\r\n\r\n\r\n" + hosted + "\r\n", hosted + "\r\n" + hosted + "\r\n"},
		"each request":          {ping + "\r\n" + ping + "\r\n", ping + "Host:\r\n\r\n" + ping + "Host:\r\n\r\n"},
		"a body stays":          {ping + "Content-Length: 8\r\n\r\n\r\nGET\r\n\n" + ping + "\r\n", ping + "Content-Length: 8\r\nHost:\r\n\r\n\r\nGET\r\n\n" + ping + "Host:\r\n\r\n"},
		"chunks stay":           {ping + "Transfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\n\r\n", ping + "Transfer-Encoding: chunked\r\nHost:\r\n\r\n1\r\n\n\r\n0\r\n\r\n"},
		"two lengths":           {hosted + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n\r\n\r\n", hosted + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n\r\n\r\n"},
		"a length that is none": {hosted + "Content-Length: x\r\n\r\n\r\n\r\n", hosted + "Content-Length: x\r\n\r\n\r\n\r\n"},
		"an upgrade":            {hosted + "Upgrade: y\r\n\r\n\r\n\r\n", hosted + "Upgrade: y\r\n\r\n\r\n\r\n"},
		"HTTP/2":                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		"a line without end":    {strings.Repeat("x", maxLine+5) + "\r\n\r\n", strings.Repeat("x", maxLine+5) + "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 7, 4096, 1 << 20} {
				assert.Equal(t, c.want, mended(t, c.text, size), "in pieces of %d", size)
			}
		})
	}
}

// FuzzHeads: how a text is cut does not matter, requests that the standard
// library can read stay as they are, and nothing but a Host comes in.
func FuzzHeads(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", uint8(3))
	f.Add("\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", uint8(1))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		whole := mended(t, text, len(text)+1)
		require.Equal(t, whole, mended(t, text, int(size)+1))
		require.LessOrEqual(t, strings.Count(whole, "\n")-strings.Count(whole, "Host:\r\n"), strings.Count(text, "\n"))
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || r.Host == "" || r.ProtoMajor != 1 {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || len(r.TransferEncoding) > 0 {
			return
		}
		again, err := http.ReadRequest(bufio.NewReader(strings.NewReader(whole)))
		require.NoError(t, err)
		got, err := io.ReadAll(again.Body)
		require.NoError(t, err)
		require.Equal(t, body, got)
		require.Equal(t, r.Header, again.Header)
	})
}
