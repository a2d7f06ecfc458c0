package logging

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// member is one key and value of a JSON object, as written: the key without its
// quotes, both with their escapes.
type member struct{ key, value []byte }

// nextMember takes the first member off p, the rest of a JSON object. zerolog
// writes objects without white space, on one line; whatever does not look like
// that ends the walk.
func nextMember(p []byte) (m member, rest []byte, ok bool) {
	if len(p) == 0 || (p[0] != '{' && p[0] != ',') {
		return member{}, nil, false
	}
	p = p[1:]
	end := stringEnd(p)
	if end < 0 || end == len(p) || p[end] != ':' {
		return member{}, nil, false
	}
	m.key, p = p[1:end-1], p[end+1:]
	end = valueEnd(p)
	m.value = p[:end]
	return m, p[end:], end > 0
}

// stringEnd returns the position after the JSON string that p begins with, or
// -1.
func stringEnd(p []byte) int {
	if len(p) == 0 || p[0] != '"' {
		return -1
	}
	for i := 1; i < len(p); i++ {
		switch p[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// valueEnd returns the position after the JSON value that p begins with.
func valueEnd(p []byte) int {
	depth := 0
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '"':
			end := stringEnd(p[i:])
			if end < 0 {
				return len(p)
			}
			i += end - 1
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return i
			}
			if p[i] != ',' {
				depth--
			}
		}
	}
	return len(p)
}

// appendBody appends the text of an event that zerolog wrote as p: its message
// with the control characters that it may keep, its fields as " key=value", a
// line feed, and its error on lines of its own.
func appendBody(dst, p []byte, k kept) []byte {
	var failure []byte
	fields := false
	for m, rest, ok := nextMember(p); ok; m, rest, ok = nextMember(rest) {
		switch string(m.key) {
		case zerolog.MessageFieldName:
			dst = appendText(dst, m.value, k.of(m.value))
		case zerolog.ErrorFieldName:
			failure = m.value
		case zerolog.LevelFieldName, zerolog.TimestampFieldName:
		default:
			fields = true
		}
	}
	if fields {
		dst = appendFields(dst, p)
	}
	dst = append(dst, '\n')
	if failure != nil {
		dst = append(appendText(dst, appendRedacted(nil, failure), keptLines), '\n')
	}
	return dst
}

func appendFields(dst, p []byte) []byte {
	for m, rest, ok := nextMember(p); ok; m, rest, ok = nextMember(rest) {
		switch string(m.key) {
		case zerolog.MessageFieldName, zerolog.ErrorFieldName, zerolog.LevelFieldName, zerolog.TimestampFieldName:
			continue
		}
		dst = append(dst, ' ')
		dst = visible.Append(dst, m.key)
		dst = append(dst, '=')
		if plain(m.value) {
			dst = appendText(dst, m.value, 0)
		} else {
			dst = visible.Append(dst, m.value)
		}
	}
	return dst
}

// plain reports whether a value reads well without its quotes.
func plain(value []byte) bool {
	return len(value) > 2 && value[0] == '"' && !bytes.ContainsAny(value, ` \=`)
}

// appendText appends a JSON string without quotes and escapes, with the control
// characters that it may keep, and any other value as it is.
func appendText(dst, value []byte, k kept) []byte {
	if len(value) < 2 || value[0] != '"' {
		return append(dst, value...)
	}
	value = value[1 : len(value)-1]
	for {
		i := bytes.IndexByte(value, '\\')
		if i < 0 || i+1 == len(value) {
			return k.appendRaw(dst, value)
		}
		dst = k.appendRaw(dst, value[:i])
		r, width := escaped(value[i:])
		value = value[i+width:]
		dst = k.appendRune(dst, r, value)
	}
}

// escaped returns the character of the escape sequence that p begins with, and
// the sequence's width in bytes. p has at least two bytes.
func escaped(p []byte) (r rune, width int) {
	switch p[1] {
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'u':
		r = codeUnit(p)
		if !utf16.IsSurrogate(r) {
			return r, min(6, len(p))
		}
		if pair := utf16.DecodeRune(r, codeUnit(p[6:])); pair != utf8.RuneError {
			return pair, 12
		}
		return utf8.RuneError, 6
	default: // a quote, a backslash, a slash
		r, width = utf8.DecodeRune(p[1:])
		return r, width + 1
	}
}

// codeUnit returns the value of the \uXXXX that p begins with, or U+FFFD.
func codeUnit(p []byte) rune {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(p[2:6]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
