package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/magiconair/properties"
)

// errMalformed is 0.12's text for a \u without four hexadecimal digits.
var errMalformed = errors.New(`Malformed \uxxxx encoding.`) //nolint:revive,staticcheck // 0.12's text

// property is a key and its value as a properties file holds them.
type property struct{ key, value string }

// parseProperties reads properties text as Java does (section 3), except that
// text which is valid UTF-8 is taken for that (D-CFG-4). Keys come in the
// order of their first appearance, values are those of their last.
func parseProperties(data []byte) ([]property, error) {
	lines, err := logicalLines(decode(data))
	if err != nil {
		return nil, err
	}
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := loader.LoadBytes([]byte(strings.Join(lines, "\n")))
	if err != nil {
		return nil, err
	}
	all := make([]property, 0, p.Len())
	for _, k := range p.Keys() {
		v, _ := p.Get(k) // listed, so it is there
		all = append(all, property{k, v})
	}
	return all, nil
}

func decode(data []byte) string {
	if utf8.Valid(data) {
		return strings.TrimPrefix(string(data), "\ufeff")
	}
	runes := make([]rune, len(data))
	for i, b := range data { // ISO-8859-1 is the first 256 code points
		runes[i] = rune(b)
	}
	return string(runes)
}

// logicalLines joins continued lines and drops comments and blank lines, and
// with them all that the properties library reads otherwise than Java:
// continuation after CRLF and inside keys, a backslash at the end of the file,
// lines that begin with a separator, surrogate pairs.
func logicalLines(text string) ([]string, error) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	physical := strings.Split(text, "\n")
	var lines []string
	for len(physical) > 0 {
		var line string
		line, physical = strings.TrimLeft(physical[0], blanks), physical[1:]
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continued(line) {
			line = line[:len(line)-1]
			if len(physical) > 0 {
				line += strings.TrimLeft(physical[0], blanks)
				physical = physical[1:]
			}
		}
		line = strings.TrimLeft(line, blanks)
		if line == "" || line[0] == '=' || line[0] == ':' {
			continue // a value without a key: nobody can ask for it
		}
		if line[0] == '#' || line[0] == '!' { // after a continuation this is a key
			line = `\` + line
		}
		line, err := escapes(line)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

const blanks = " \t\f"

// continued reports whether line ends in an odd number of backslashes.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// escapes checks the \u escapes of a line and replaces surrogate pairs by
// their character.
func escapes(line string) (string, error) {
	if !strings.Contains(line, `\u`) {
		return line, nil
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' || i+1 == len(line) || line[i+1] != 'u' {
			b.WriteByte(line[i])
			if line[i] == '\\' && i+1 < len(line) {
				i++
				b.WriteByte(line[i])
			}
			continue
		}
		unit, ok := codeUnit(line[i:])
		if !ok {
			return "", errMalformed
		}
		end := i + 6
		if low, ok := codeUnit(line[end:]); ok && utf16.DecodeRune(unit, low) != utf8.RuneError {
			b.WriteRune(utf16.DecodeRune(unit, low))
			end += 6
		} else {
			b.WriteString(line[i:end])
		}
		i = end - 1
	}
	return b.String(), nil
}

// codeUnit reads \uXXXX at the beginning of s.
func codeUnit(s string) (rune, bool) {
	if len(s) < 6 || s[:2] != `\u` || s[2] == '+' || s[2] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}

// reference is the form $$NAME$$ of a variable in a value (section 4).
var reference = regexp.MustCompile(`\$\$([^$]{2,})\$\$`)

// substitute replaces the variables in value. A variable that is not set is
// left as it is and returned.
func substitute(value string, env map[string]string) (result string, missing []string) {
	result = reference.ReplaceAllStringFunc(value, func(ref string) string {
		name := strings.Trim(ref, "$")
		v, ok := env[name]
		if !ok {
			missing = append(missing, name)
			return ref
		}
		return v
	})
	return result, missing
}
