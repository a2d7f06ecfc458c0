package logging

import (
	"bytes"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

const redacted = "REDACTED"

// appendTarget appends a request target without the secrets that clients put
// into its query: signatures of pre-signed URLs, whether these stand there raw
// or percent-encoded, and user:password in url= (D-MGT-1). Everything else
// stays as it came, control characters excepted.
func appendTarget(dst []byte, target string) []byte {
	question := strings.IndexByte(target, '?')
	if question < 0 {
		return visible.Append(dst, target)
	}
	copied := 0
	for i := question + 1; i < len(target); {
		name := nameAt(target, i)
		from, to := name.end, name.end
		switch {
		case name.secret:
			to = endOfValue(target, from, name.depth)
		case name.url:
			from, to = userInfo(target, from, name.depth)
		}
		if from < to {
			dst = visible.Append(dst, target[copied:from])
			dst = append(dst, redacted...)
			copied = to
		}
		i = to
	}
	return visible.Append(dst, target[copied:])
}

// withoutSecrets returns the event p, as zerolog wrote it, with a message that
// has no secrets of URLs in it: models to load at start may be named by such.
func withoutSecrets(p []byte) []byte {
	if !bytes.Contains(p, []byte("://")) {
		return p
	}
	clean, separator := make([]byte, 0, len(p)), byte('{')
	for m, rest, ok := nextMember(p); ok; m, rest, ok = nextMember(rest) {
		clean = append(clean, separator, '"')
		clean = append(clean, m.key...)
		clean = append(clean, '"', ':')
		if string(m.key) == zerolog.MessageFieldName {
			clean = appendRedacted(clean, m.value)
		} else {
			clean = append(clean, m.value...)
		}
		separator = ','
	}
	return append(clean, '}', '\n')
}

// appendRedacted appends a text for people, a JSON string, without the secrets of
// the URLs in it, as appendTarget does. A URL ends at the next blank or escape.
func appendRedacted(dst, value []byte) []byte {
	if len(value) < 2 || value[0] != '"' || !bytes.Contains(value, []byte("://")) {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for word := range bytes.SplitAfterSeq(value[1:len(value)-1], []byte{' '}) {
		for part := range bytes.SplitAfterSeq(word, []byte{'\\'}) {
			end := len(bytes.TrimRight(part, ` \`))
			dst = append(appendURL(dst, part[:end]), part[end:]...)
		}
	}
	return append(dst, '"')
}

// appendURL appends a word that may hold a URL, or several behind commas.
func appendURL(dst, word []byte) []byte {
	from := bytes.Index(word, []byte("://"))
	if last := bytes.LastIndex(word, []byte("://")); last > from {
		if comma := bytes.LastIndexByte(word[:last], ','); comma > from {
			return appendURL(append(appendURL(dst, word[:comma]), ','), word[comma+1:])
		}
	}
	for from > 0 && schemeByte(word[from-1]) {
		from--
	}
	if from < 0 {
		return append(dst, word...)
	}
	const parameter = "?url="
	dst = append(dst, word[:from]...)
	at := len(dst)
	dst = appendTarget(dst, parameter+string(word[from:]))
	return slices.Delete(dst, at, at+len(parameter))
}

// parameter is what nameAt found: a name of interest with its '=', or nothing.
type parameter struct {
	end    int // position after it
	depth  int // of its '='
	secret bool
	url    bool
}

// nameAt reads from i to the next '=', which ends a name, or to the next
// separator, which ends what was none.
func nameAt(s string, i int) parameter {
	var name [len("x-amz-security-token") + 1]byte // a longer one is not of interest
	n := 0
	for i < len(s) {
		b, depth := unit(s, i)
		i += depth
		switch b {
		case '=':
			p := parameter{end: i, depth: depth}
			switch string(name[:n]) {
			case "x-amz-signature", "x-amz-credential", "x-amz-security-token", "sig", "signature",
				"x-goog-signature", "x-goog-credential", "token", "access_token", "authorization":
				p.secret = true
			case "url":
				p.url = true
			}
			return p
		case '&', '?', ';', '#':
			return parameter{end: i}
		}
		if n < len(name) {
			name[n] = lower(b)
			n++
		}
	}
	return parameter{end: i}
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// endOfValue returns where the value that begins at i ends. A separator that is
// encoded more deeply than the value's '=' belongs to the value.
func endOfValue(s string, i, depth int) int {
	for i < len(s) {
		b, d := unit(s, i)
		if d <= depth && (b == '&' || b == '#') {
			break
		}
		i += d
	}
	return i
}

// userInfo returns the bounds of the user and password in the URL that is the
// value at i; without them, an empty range.
func userInfo(s string, i, depth int) (from, to int) {
	start := i
	slash := 0 // depth of the slashes before the host
	for _, want := range []byte("://") {
		b, d := unit(s, i)
		for want == ':' && schemeByte(b) {
			i += d
			b, d = unit(s, i)
		}
		if b != want {
			return start, start
		}
		i += d
		slash = d
	}
	from, to = i, i
	for i < len(s) {
		b, d := unit(s, i)
		switch {
		case b == '@':
			to = i
		case d <= slash && (b == '/' || b == '?' || b == '#'), d <= depth && b == '&':
			return from, to
		}
		i += d
	}
	return from, to
}

func schemeByte(b byte) bool {
	b = lower(b)
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '+' || b == '-' || b == '.'
}

// unit returns the character at s[i], decoded as often as it was
// percent-encoded, and its width in bytes: the deeper the encoding, the wider.
// After the end it is NUL.
func unit(s string, i int) (b byte, width int) {
	if i >= len(s) {
		return 0, 0
	}
	b, width = s[i], 1
	for b == '%' && i+width+1 < len(s) {
		high, low := hexValue(s[i+width]), hexValue(s[i+width+1])
		if high < 0 || low < 0 {
			break
		}
		b = byte(high<<4 | low) //nolint:gosec // two hexadecimal digits
		width += 2
	}
	return b, width
}

// hexValue returns the value of a hexadecimal digit, or -1.
func hexValue(b byte) int { return strings.IndexByte("0123456789abcdef", lower(b)) }
