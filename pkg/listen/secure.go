package listen

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"time"
)

// secureListener hands out TLS connections over sniffed ones.
type secureListener struct {
	net.Listener
	secure Secure
}

// Accept waits for a client.
func (l *secureListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	return tls.Server(&sniffed{Conn: c, plain: l.secure.Plain}, l.secure.Config), nil
}

// sniffed looks at the first byte that a client sends. One that begins with
// something else than a TLS handshake speaks plain HTTP: it is told so, and the
// handshake sees the end of the connection. Reads come from one goroutine.
type sniffed struct {
	net.Conn
	plain func(remote net.Addr) // told about a client without TLS; may be nil
	known bool
}

// recordTypeHandshake is the first byte of TLS.
const recordTypeHandshake = 0x16

// Read reads from the client.
func (s *sniffed) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if s.known || n == 0 {
		return n, err //nolint:wrapcheck // crypto/tls looks at it
	}
	s.known = true
	if b[0] == recordTypeHandshake {
		return n, err //nolint:wrapcheck // crypto/tls looks at it
	}
	if s.plain != nil {
		s.plain(s.RemoteAddr())
	}
	s.refuse(b[:n])
	return 0, io.EOF
}

const (
	refusalLimit = 16 << 10    // bytes of a plain request that are read before it is answered
	refusalTime  = time.Second // for that reading, the answer, and what the client still sends
)

// refuse answers a plain request once its head has arrived and reads on until
// the client has the answer: closing a connection with unread bytes would throw
// it away.
func (s *sniffed) refuse(head []byte) {
	_ = s.SetDeadline(time.Now().Add(refusalTime)) // a client that is gone needs no answer
	seen := bytes.Clone(head)
	more := make([]byte, 1<<10)
	for !bytes.Contains(seen, []byte("\r\n\r\n")) && len(seen) < refusalLimit {
		n, err := s.Conn.Read(more)
		if err != nil {
			break
		}
		seen = append(seen, more[:n]...)
	}
	_, _ = s.Write(httpsOnly())
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, s.Conn) // ends with the connection, or its time
	}
}

// httpsOnly is the whole answer to a client that speaks plain HTTP (CFG-030).
func httpsOnly() []byte {
	const body = "{\n  \"status\": \"This TorchServe instance only accepts HTTPS requests\"\n}\n"
	return []byte("HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n" + uncached + "content-length: " +
		strconv.Itoa(len(body)) + "\r\nconnection: close\r\n\r\n" + body)
}
