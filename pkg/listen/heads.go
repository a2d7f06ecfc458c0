package listen

import (
	"bytes"
	"net"
	"slices"
	"strconv"
)

// heads mends what 0.12 takes and net/http refuses: it leaves out blank lines
// before a request, and gives an HTTP/1.1 request without Host an empty one
// (compat(0.12): INF-018). Health checks that people wrote by hand look so.
//
// It hands on whole lines of a head as they come, and bodies of a declared
// length without looking at them. On a connection where it cannot be sure where
// the next request begins, it hands on everything from there on as it is. Reads
// come from one goroutine at a time.
type heads struct {
	net.Conn
	ready []byte // to be handed out next
	line  []byte // the beginning of a line of a head
	body  int64  // bytes still to come of the body
	asIs  bool
	head  head
}

// head is what has been seen of the current one.
type head struct {
	begun  bool
	needs  bool // a Host: it is not of HTTP/1.0
	host   bool
	length int64 // -1: none
	unsure bool  // how long the body is
}

// maxLine is the length in bytes of a line that is held back until it ends.
const maxLine = 64 << 10

// Read reads from the client.
func (h *heads) Read(b []byte) (int, error) {
	for len(h.ready) == 0 {
		if h.asIs || h.body > 0 {
			return h.through(b)
		}
		n, err := h.Conn.Read(b)
		h.line = append(h.line, b[:n]...)
		h.lines()
		if err != nil && len(h.ready) == 0 {
			return 0, err //nolint:wrapcheck // net/http looks at it
		}
	}
	n := copy(b, h.ready)
	if h.ready = h.ready[n:]; len(h.ready) == 0 {
		h.ready = nil // an idle connection keeps no buffer
	}
	return n, nil
}

// through reads what needs no look.
func (h *heads) through(b []byte) (int, error) {
	if !h.asIs && int64(len(b)) > h.body {
		b = b[:h.body]
	}
	n, err := h.Conn.Read(b)
	if !h.asIs {
		h.body -= int64(n)
	}
	return n, err //nolint:wrapcheck // net/http looks at it
}

// lines makes ready what is complete of h.line.
func (h *heads) lines() {
	for len(h.line) > 0 {
		end := bytes.IndexByte(h.line, '\n') + 1
		switch {
		case h.asIs:
			end = len(h.line)
			h.ready = append(h.ready, h.line...)
		case h.body > 0:
			end = int(min(h.body, int64(len(h.line))))
			h.ready = append(h.ready, h.line[:end]...)
			h.body -= int64(end)
		case end > maxLine || end == 0 && len(h.line) > maxLine:
			end, h.asIs = 0, true
		case end == 0:
			return
		default:
			h.ready = slices.Grow(h.ready, len(h.line)+len(noHost))
			h.mend(h.line[:end])
		}
		h.line = h.line[end:]
	}
	h.line = nil
}

// noHost is the Host of a request that has none.
const noHost = "Host:\r\n"

// mend makes a line of a head ready.
func (h *heads) mend(line []byte) {
	text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
	switch {
	case !h.head.begun && len(text) == 0:
		return
	case !h.head.begun:
		h.head = head{begun: true, needs: !bytes.HasSuffix(text, []byte("HTTP/1.0")), length: -1}
		h.asIs = bytes.HasPrefix(text, []byte("PRI ")) // HTTP/2
	case len(text) == 0:
		if h.head.needs && !h.head.host {
			h.ready = append(h.ready, noHost...)
		}
		h.asIs, h.body, h.head = h.head.unsure, max(h.head.length, 0), head{}
	default:
		h.field(text)
	}
	h.ready = append(h.ready, line...)
}

// field takes from a header what it says about Host and body.
func (h *heads) field(text []byte) {
	name, value, _ := bytes.Cut(text, []byte{':'})
	switch {
	case bytes.EqualFold(name, []byte("Host")):
		h.head.host = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
		h.head.unsure = h.head.unsure || err != nil || h.head.length >= 0
		h.head.length = int64(n)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")), bytes.EqualFold(name, []byte("Upgrade")):
		h.head.unsure = true
	}
}
