package snapshot

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one line of a snapshot.
type Property struct{ Key, Value string }

// encode returns the beginning of a snapshot as 0.12 writes it, except that
// characters beyond ASCII are escaped: 0.12 reads what it writes as ISO-8859-1
// (D-CLI-13).
func encode(at time.Time, properties []Property) string {
	var b strings.Builder
	b.WriteString("#Saving snapshot\n#" + at.Format("Mon Jan 02 15:04:05 MST 2006") + "\n")
	for _, p := range properties {
		b.WriteString(escape(p.Key, true) + "=" + escape(p.Value, false) + "\n")
	}
	return b.String()
}

// escape returns a key or value with the escapes of Java properties. Of a value
// only the first blank needs one.
func escape(text string, key bool) string {
	var b strings.Builder
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	from := 0 // of what is to be written as it is
	for i, r := range text {
		switch {
		case r == '\\', r == '=', r == ':', r == '#', r == '!', r == ' ' && (key || i == 0):
			b.WriteString(text[from:i])
			b.WriteByte('\\')
			from = i
		case r < ' ' || r >= utf8.RuneSelf-1:
			b.WriteString(text[from:i])
			escapeRune(&b, r)
			from = i + utf8.RuneLen(r)
		}
	}
	b.WriteString(text[from:])
	return b.String()
}

// escapeRune writes a character that is not printable ASCII: by its letter, if it
// has one, else as its UTF-16 units.
func escapeRune(b *strings.Builder, r rune) {
	if i := strings.IndexRune("\t\n\r\f", r); i >= 0 {
		b.WriteByte('\\')
		b.WriteByte("tnrf"[i])
		return
	}
	for _, unit := range utf16.Encode([]rune{r}) {
		_, _ = fmt.Fprintf(b, `\u%04X`, unit) // a builder takes everything
	}
}
