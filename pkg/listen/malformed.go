package listen

import (
	"bytes"
	"fmt"
	"net"

	"github.com/google/uuid"
)

// plainListener hands out connections on which messages are taken that 0.12
// takes, and malformed ones are answered in its words.
type plainListener struct{ net.Listener }

// Accept waits for a client.
func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	return translated{&heads{Conn: c}}, nil
}

// translated replaces the answers that net/http writes to messages it cannot
// read, before any handler, by that of 0.12 (INF §2.2).
type translated struct{ *heads }

// Write writes b, or the answer that stands for it.
func (t translated) Write(b []byte) (int, error) {
	if !refused(b) {
		return t.Conn.Write(b) //nolint:wrapcheck // net/http looks at it
	}
	if _, err := t.Conn.Write(malformed()); err != nil {
		return 0, err //nolint:wrapcheck // net/http looks at it
	}
	return len(b), nil
}

// CloseWrite lets net/http end a connection without losing the answer.
func (t translated) CloseWrite() error {
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

// uncached are the headers that stand on every answer of 0.12.
const uncached = "Pragma: no-cache\r\nCache-Control: no-cache; no-store, must-revalidate, private\r\n" +
	"Expires: Thu, 01 Jan 1970 00:00:00 UTC\r\n"

func malformed() []byte {
	const body = "{\n  \"code\": 400,\n  \"type\": \"BadRequestException\",\n  \"message\": \"Invalid HTTP message.\"\n}\n"
	return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-request-id: %s\r\n"+
		uncached+"content-length: %d\r\nconnection: close\r\n\r\n%s", uuid.NewString(), len(body), body)
}
