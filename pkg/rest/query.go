package rest

import (
	"strconv"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// maxQuery is the number of query parameters that are looked at; 0.12 drops the
// rest silently.
const maxQuery = 1024

// pair is one parameter of a query.
type pair struct{ name, value string }

// query holds the parameters of a request target in their order.
type query []pair

// parseQuery reads the query of a request target as 0.12 does: separators & and
// ;, + for a blank, empty parameters skipped, =x a name without value, nothing
// after a # (INF §6.2).
func parseQuery(target string) (query, error) {
	text, _, _ := strings.Cut(target, "#")
	path, text, _ := strings.Cut(text, "?")
	if text == "" {
		return nil, nil
	}
	offset := len(path) + len("?")
	var q query
	for at := 0; at <= len(text) && len(q) < maxQuery; {
		end := strings.IndexAny(text[at:], "&;")
		if end < 0 {
			end = len(text) - at
		}
		field := text[at : at+end]
		named := strings.TrimLeft(field, "=")
		if named != "" {
			p, err := parsePair(named, target, offset+at+len(field)-len(named))
			if err != nil {
				return nil, err
			}
			q = append(q, p)
		}
		at += end + 1
	}
	return q, nil
}

func parsePair(field, target string, offset int) (pair, error) {
	name, value, _ := strings.Cut(field, "=")
	at := offset + len(field) - len(value)
	var p pair
	var err error
	if p.name, err = unescape(name, target, offset); err != nil {
		return p, err
	}
	p.value, err = unescape(value, target, at)
	return p, err
}

// unescape decodes text, which stands at offset in target.
func unescape(text, target string, offset int) (string, error) {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text, nil
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c != '%':
			b.WriteByte(c)
		case i+2 >= len(text):
			return "", fault.New(fault.BadRequest,
				"unterminated escape sequence at index "+strconv.Itoa(offset+i)+" of: "+target)
		default:
			value, ok := hexByte(text[i+1], text[i+2])
			if !ok {
				return "", fault.New(fault.BadRequest,
					"invalid hex byte '"+text[i+1:i+3]+"' at index "+strconv.Itoa(offset+i+1)+" of '"+target+"'")
			}
			b.WriteByte(value)
			i += 2
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD"), nil
}

func hexByte(high, low byte) (byte, bool) {
	h, okHigh := hexDigit(high)
	l, okLow := hexDigit(low)
	return h<<4 | l, okHigh && okLow
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}

// get returns the first value of a parameter.
func (q query) get(name string) (string, bool) {
	for _, p := range q {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}
