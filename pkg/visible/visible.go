package visible

import "unicode/utf8"

// Control reports whether r is a control character.
func Control(r rune) bool {
	return r < ' ' || 0x7F <= r && r <= 0x9F || r == '\u2028' || r == '\u2029'
}

// String returns s with its control characters as Append shows them.
func String(s string) string { return string(Append(nil, s)) }

// Append appends s, its control characters as \xNN, the separators as \uNNNN.
func Append[T string | []byte](dst []byte, s T) []byte { return AppendWith(dst, s, AppendRune) }

// AppendWith appends s, its control characters as escape appends them. A byte
// that is no UTF-8 counts as a character of Latin-1, for which a terminal may
// take it.
func AppendWith[T string | []byte](dst []byte, s T, escape func(dst []byte, r rune) []byte) []byte {
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
		if Control(r) {
			dst = escape(append(dst, s[copied:i]...), r)
			copied = i + width
		}
		i += width
	}
	return append(dst, s[copied:]...)
}

const hex = "0123456789abcdef"

// AppendRune appends a control character as Append shows it.
func AppendRune(dst []byte, r rune) []byte {
	if r > 0xFF {
		return AppendJSON(dst, r)
	}
	return append(dst, '\\', 'x', hex[r>>4], hex[r&0xF])
}

// AppendJSON appends a control character as JSON escapes it, by \uNNNN.
func AppendJSON(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hex[r>>12], hex[r>>8&0xF], hex[r>>4&0xF], hex[r&0xF])
}
