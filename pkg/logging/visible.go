package logging

import "unicode/utf8"

// control reports whether r moves the cursor, steers a terminal or ends a line,
// for people or for programs that read the log.
func control(r rune) bool {
	return r < ' ' || 0x7F <= r && r <= 0x9F || r == '\u2028' || r == '\u2029'
}

// appendVisible appends s with control characters as \xNN, and the two Unicode
// separators as \uNNNN.
func appendVisible[T string | []byte](dst []byte, s T) []byte {
	return appendEscaped(dst, s, appendHex)
}

// visible returns s as appendVisible writes it.
func visible(s string) string { return string(appendVisible(nil, s)) }

// appendEscaped appends s, its control characters as escape writes them. A byte
// that is no UTF-8 counts as a character of Latin-1, for which a terminal may
// take it.
func appendEscaped[T string | []byte](dst []byte, s T, escape func(dst []byte, r rune) []byte) []byte {
	copied := 0
	for i := 0; i < len(s); {
		if ' ' <= s[i] && s[i] < 0x7F {
			i++
			continue
		}
		r, width := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && width == 1 {
			r = rune(s[i])
		}
		if control(r) {
			dst = escape(append(dst, s[copied:i]...), r)
			copied = i + width
		}
		i += width
	}
	return append(dst, s[copied:]...)
}

const hex = "0123456789abcdef"

func appendHex(dst []byte, r rune) []byte {
	if r > 0xFF {
		return appendUnicode(dst, r)
	}
	return append(dst, '\\', 'x', hex[r>>4], hex[r&0xF])
}

// appendUnicode appends r, which is below U+10000, as JSON writes it.
func appendUnicode(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hex[r>>12], hex[r>>8&0xF], hex[r>>4&0xF], hex[r&0xF])
}

// kept says which control characters a text may bring along. A tab is always
// welcome.
type kept uint8

const (
	keptLines  kept = 1 << iota // line feeds
	keptOthers                  // all but line feeds
)

// kept returns what the JSON string value, a message, may bring along besides k.
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
	if allowed || !control(r) {
		return utf8.AppendRune(dst, r)
	}
	return appendHex(dst, r)
}

// appendRaw appends a part of a JSON string that has no escapes, and therefore no
// control characters of ASCII.
func (k kept) appendRaw(dst, text []byte) []byte {
	if k&keptOthers != 0 {
		return append(dst, text...)
	}
	return appendVisible(dst, text)
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
