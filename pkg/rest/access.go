package rest

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// AccessLine is one line of the access log.
type AccessLine struct {
	Remote   string // host:port as net/http knows it; "@" or empty for unix sockets
	Method   string
	Target   string // as received, secrets redacted
	Protocol string
	Status   int
	Duration time.Duration // from the complete request to the head of its answer
}

// AppendTo appends the message of l as 0.12 writes it to b:
// /127.0.0.1:53514 "GET /ping HTTP/1.1" 200 4.
func (l AccessLine) AppendTo(b []byte) []byte {
	b = appendRemote(b, l.Remote)
	b = append(b, ` "`...)
	b = appendVisible(b, l.Method)
	b = append(b, ' ')
	b = appendVisible(b, l.Target)
	b = append(b, ' ')
	b = appendVisible(b, l.Protocol)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(l.Status), 10)
	b = append(b, ' ')
	return strconv.AppendInt(b, l.Duration.Milliseconds(), 10)
}

// String returns the message of l.
func (l AccessLine) String() string { return string(l.AppendTo(nil)) }

// appendRemote appends an address in Java's form: a leading slash, IPv6 in
// brackets and not compressed, 127.0.0.1 where there is no address.
func appendRemote(b []byte, remote string) []byte {
	if remote == "" || remote == "@" || remote[0] == '/' {
		return append(b, "127.0.0.1"...)
	}
	b = append(b, '/')
	if remote[0] != '[' {
		return append(b, remote...)
	}
	host, port, err := net.SplitHostPort(remote)
	ip := net.ParseIP(strings.SplitN(host, "%", 2)[0])
	if err != nil || ip == nil {
		return append(b, remote...)
	}
	b = append(b, '[')
	for i := 0; i < net.IPv6len; i += 2 {
		if i > 0 {
			b = append(b, ':')
		}
		b = strconv.AppendUint(b, uint64(ip[i])<<8|uint64(ip[i+1]), 16)
	}
	b = append(b, "]:"...)
	return append(b, port...)
}

// appendVisible appends text with control characters as \xNN, so that nobody
// can forge a line.
func appendVisible(b []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range []byte(text) {
		if c >= ' ' && c != 0x7F {
			b = append(b, c)
			continue
		}
		b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return b
}
