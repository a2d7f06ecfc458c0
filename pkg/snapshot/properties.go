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

// encode returns the text of a snapshot as 0.12 writes it, except that
// characters beyond ASCII are escaped: 0.12 reads what it writes as ISO-8859-1
// (D-CLI-13).
func encode(at time.Time, properties []Property) string {
	var b strings.Builder
	b.WriteString("#Saving snapshot\n#" + at.Format("Mon Jan 02 15:04:05 MST 2006") + "\n")
	for _, p := range properties {
		escape(&b, p.Key, true)
		b.WriteByte('=')
		escape(&b, p.Value, false)
		b.WriteByte('\n')
	}
	return b.String()
}

// escape writes a key or value with the escapes of Java properties. Of a value
// only the first blank needs one.
func escape(b *strings.Builder, text string, key bool) {
	for i, r := range text {
		switch r {
		case ' ':
			if key || i == 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(' ')
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\f':
			b.WriteString(`\f`)
		case '\\', '=', ':', '#', '!':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			escapeRune(b, r)
		}
	}
}

// escapeRune writes a character as it is, if it is printable ASCII, else as its
// UTF-16 units.
func escapeRune(b *strings.Builder, r rune) {
	if ' ' <= r && r < utf8.RuneSelf-1 {
		b.WriteRune(r)
		return
	}
	for _, unit := range utf16.Encode([]rune{r}) {
		_, _ = fmt.Fprintf(b, `\u%04X`, unit) // a builder takes everything
	}
}
