package logging

import (
	"unicode/utf8"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// kept says which control characters a text may bring along. A tab is always
// welcome.
type kept uint8

const (
	keptLines  kept = 1 << iota // line feeds
	keptOthers                  // all but line feeds
)

// of returns what the JSON string value, a message, may bring along besides k.
// One that begins with a line feed is a block, such as the configuration, whose
// lines are meant.
func (k kept) of(value []byte) kept {
	const begin = `"\n`
	if len(value) > len(begin) && string(value[:len(begin)]) == begin {
		return k | keptLines
	}
	return k
}

// appendRune appends r, which stands before rest, a part of a JSON string. A line
// that would look like another event does not get one of its own.
func (k kept) appendRune(dst []byte, r rune, rest []byte) []byte {
	allowed := k&keptOthers != 0
	switch r {
	case '\t':
		allowed = true
	case '\n':
		allowed = k&keptLines != 0 && !beginsEvent(rest)
	}
	if allowed || !visible.Control(r) {
		return utf8.AppendRune(dst, r)
	}
	return visible.AppendRune(dst, r)
}

// appendRaw appends a part of a JSON string that has no escapes, and therefore no
// control characters of ASCII.
func (k kept) appendRaw(dst, text []byte) []byte {
	if k&keptOthers != 0 {
		return append(dst, text...)
	}
	return visible.Append(dst, text)
}

// beginsEvent reports whether p begins with a date as the layouts write it.
func beginsEvent(p []byte) bool {
	if len(p) < len(stampFormat) {
		return false
	}
	for i, want := range []byte(stampFormat) {
		if digit(p[i]) != digit(want) || !digit(want) && p[i] != want {
			return false
		}
	}
	return true
}

func digit(b byte) bool { return '0' <= b && b <= '9' }
