package listen

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// plainListener hands out connections on which messages are judged, and malformed
// ones answered, as by 0.12.
type plainListener struct{ net.Listener }

// Accept waits for a client.
func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	return &translated{Conn: c}, nil
}

// translated replaces the answers that net/http writes to messages it cannot
// read, before any handler, by that of 0.12 (INF §2.2), and lets pass what 0.12
// did. Reads come from one goroutine at a time, as do writes.
type translated struct {
	net.Conn
	begun bool   // the first bytes have been read
	left  []byte // of them, not handed on yet
}

// Write writes b, or the answer that stands for it; net/http closes the
// connection then, which must not take the answer from who still sends.
func (t *translated) Write(b []byte) (int, error) {
	if !refused(b) {
		return t.Conn.Write(b) //nolint:wrapcheck // net/http looks at it
	}
	farewell(t.Conn, malformed())
	return len(b), nil
}

// farewellTime is for an answer, and for what its client still sends.
const farewellTime = time.Second

// farewell writes the last answer of a connection and reads on until the client
// closes it or its time is over: closing a connection with unread bytes would
// throw away what the client has not read yet.
func farewell(c net.Conn, answer []byte) {
	_ = c.SetDeadline(time.Now().Add(farewellTime)) // a client that is gone needs no answer
	_, _ = c.Write(answer)
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c) // ends with the connection, or its time
	}
}

// CloseWrite lets net/http end a connection without losing the answer.
func (t *translated) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite() //nolint:wrapcheck // net/http ignores it
	}
	return nil
}

// What net/http writes, in one piece: its status line, these headers, and the
// status again or the text below. No handler's answer looks so: its headers are
// more.
const (
	statusStart   = "HTTP/1.1 "
	refusedHeader = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	refusedCoding = "Unsupported transfer encoding"
	maxRefused    = 512 // bytes; the longest of them has less
)

// refused reports whether b is the whole of an answer of net/http's own.
func refused(b []byte) bool {
	if len(b) > maxRefused || len(b) < len(statusStart)+1 || b[len(statusStart)] < '4' {
		return false
	}
	head, body, found := bytes.Cut(b, []byte(refusedHeader))
	status, ok := bytes.CutPrefix(head, []byte(statusStart))
	return found && ok && bytes.IndexByte(status, '\r') < 0 && (bytes.Equal(status, body) || string(body) == refusedCoding)
}

func malformed() []byte {
	return answer("400 Bad Request", "x-request-id: "+uuid.NewString()+"\r\n",
		"{\n  \"code\": 400,\n  \"type\": \"BadRequestException\",\n  \"message\": \"Invalid HTTP message.\"\n}\n")
}

// answer returns the whole of an answer to what is no request: JSON, with the
// headers of every answer (INF §8.1). header is one more line or none.
func answer(status, header, body string) []byte {
	return []byte("HTTP/1.1 " + status + "\r\ncontent-type: application/json\r\n" + header +
		"Pragma: no-cache\r\nCache-Control: no-cache; no-store, must-revalidate, private\r\n" +
		"Expires: Thu, 01 Jan 1970 00:00:00 UTC\r\ncontent-length: " + strconv.Itoa(len(body)) +
		"\r\nconnection: close\r\n\r\n" + body)
}
