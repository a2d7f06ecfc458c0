package listen

import "bytes"

// noHost goes into a request that names no host: net/http then serves it, as
// 0.12 did (INF-018). Only at the start of a connection is it certain where a
// request begins; so that one is the last of its connection, and the client's
// next one begins another.
const noHost = "Host:\r\nConnection: close\r\n"

// Read reads from the client.
func (t *translated) Read(b []byte) (int, error) {
	if !t.begun {
		t.begun = true
		return t.begin(b)
	}
	if len(t.left) > 0 {
		n := copy(b, t.left)
		t.left = t.left[n:]
		return n, nil
	}
	return t.Conn.Read(b) //nolint:wrapcheck // net/http looks at it
}

// begin reads the head of the first request, as far as there is room for it,
// without the blank lines before it (INF §2.1), and completes it where it names
// no host.
func (t *translated) begin(b []byte) (n int, err error) {
	line, known := 0, false
	for !known && n < len(b) && err == nil {
		var more int
		more, err = t.Conn.Read(b[n:])
		n += more
		n = copy(b, bytes.TrimLeft(b[:n], "\r\n"))
		line, known = judge(b[:n])
	}
	if line > 0 {
		t.left = append([]byte(noHost), b[line:n]...)
		added := copy(b[line:], t.left)
		n, t.left = line+added, t.left[added:]
	}
	if n > 0 {
		return n, nil // the next call sees the error again
	}
	return 0, err //nolint:wrapcheck // net/http looks at it
}

// judge looks at the first bytes of a client. It returns the length of their
// request line if they are the whole head of a request that needs a host and
// has none, else 0, and whether more bytes could change that.
func judge(text []byte) (line int, known bool) {
	first, rest, found := bytes.Cut(text, []byte{'\n'})
	if !found {
		return 0, false
	}
	if !bytes.HasSuffix(withoutCR(first), []byte(" HTTP/1.1")) {
		return 0, true
	}
	for {
		var header []byte
		header, rest, found = bytes.Cut(rest, []byte{'\n'})
		name, _, _ := bytes.Cut(header, []byte{':'})
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			return 0, true
		case !found:
			return 0, false
		case len(withoutCR(header)) == 0:
			return len(first) + 1, true
		}
	}
}

func withoutCR(line []byte) []byte { return bytes.TrimSuffix(line, []byte{'\r'}) }
