package rest

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep values may nest in a JSON body.
const maxDepth = 100

// reader reads JSON the lenient way of 0.12: strings in single quotes or in
// none, comments, = or => for a colon and ; for a comma.
type reader struct {
	text string
	at   int
}

var (
	errEnd      = errors.New("unexpected end")
	errSyntax   = errors.New("not JSON")
	errObject   = errors.New("not an object")
	errTrailing = errors.New("text after the object")
	errDepth    = errors.New("nested too deeply")
)

// byteOrderMark and scriptGuard may stand before the object.
const (
	byteOrderMark = "\ufeff"
	scriptGuard   = ")]}'\n"
)

// readObject returns the members of the object that is the whole of text. The
// values are string, json.Number, bool, nil, or something that has members.
func readObject(text []byte) (map[string]any, error) {
	r := &reader{text: strings.TrimPrefix(strings.TrimPrefix(string(text), byteOrderMark), scriptGuard)}
	value, err := r.value(0)
	if err != nil {
		return nil, err
	}
	members, ok := value.(map[string]any)
	if !ok {
		return nil, errObject
	}
	r.skip()
	if r.at < len(r.text) {
		return nil, errTrailing
	}
	return members, nil
}

// skip passes blanks and comments.
func (r *reader) skip() {
	for r.at < len(r.text) {
		rest := r.text[r.at:min(r.at+2, len(r.text))]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			r.at++
		case rest[0] == '#', rest == "//":
			r.pass("\n")
		case rest == "/*":
			r.at += len(rest)
			r.pass("*/")
		default:
			return
		}
	}
}

// pass goes on behind the next end, or to the end of the text.
func (r *reader) pass(end string) {
	if i := strings.Index(r.text[r.at:], end); i >= 0 {
		r.at += i + len(end)
		return
	}
	r.at = len(r.text)
}

// peek returns the next byte that counts; 0: the text is over.
func (r *reader) peek() byte {
	r.skip()
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch r.peek() {
	case 0:
		return nil, errEnd
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	case '"', '\'':
		return r.quoted()
	default:
		return r.literal()
	}
}

func (r *reader) object(depth int) (any, error) {
	r.at++
	members := map[string]any{}
	for r.peek() != '}' {
		key, err := r.key()
		if err != nil {
			return nil, err
		}
		if err := r.colon(); err != nil {
			return nil, err
		}
		if members[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
		if err := r.separator('}'); err != nil {
			return nil, err
		}
	}
	r.at++
	return members, nil
}

func (r *reader) key() (string, error) {
	if c := r.peek(); c == '"' || c == '\'' {
		return r.quoted()
	}
	word := r.word()
	if word == "" {
		return "", errSyntax
	}
	return word, nil
}

func (r *reader) array(depth int) (any, error) {
	r.at++
	for r.peek() != ']' {
		if _, err := r.value(depth + 1); err != nil {
			return nil, err
		}
		if err := r.separator(']'); err != nil {
			return nil, err
		}
	}
	r.at++
	return []any{}, nil // no key of ours holds one
}

// colon passes what stands between key and value.
func (r *reader) colon() error {
	switch r.peek() {
	case ':':
		r.at++
	case '=':
		r.at++
		if strings.HasPrefix(r.text[r.at:], ">") {
			r.at++
		}
	default:
		return errSyntax
	}
	return nil
}

// separator passes a comma, or stops before the end of an object or array.
func (r *reader) separator(end byte) error {
	switch c := r.peek(); c {
	case ',', ';':
		r.at++
		return nil
	case end:
		return nil
	default:
		return errSyntax
	}
}

// word returns the text up to the next character that has a meaning.
func (r *reader) word() string {
	start := r.at
	for r.at < len(r.text) && strings.IndexByte("{}[]:,;=/\\#\"' \t\r\n\f", r.text[r.at]) < 0 {
		r.at++
	}
	return r.text[start:r.at]
}

// literal reads a number, true, false, null, or a string without quotes.
func (r *reader) literal() (any, error) {
	word := r.word()
	switch strings.ToLower(word) {
	case "":
		return nil, errSyntax
	case "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	var n json.Number
	if json.Unmarshal([]byte(word), &n) == nil {
		return n, nil
	}
	return word, nil
}

func (r *reader) quoted() (string, error) {
	quote := r.text[r.at]
	r.at++
	var b strings.Builder
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch c {
		case quote:
			return strings.ToValidUTF8(b.String(), string(utf8.RuneError)), nil
		case '\\':
			if err := r.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errEnd
}

func (r *reader) escape(b *strings.Builder) error {
	if r.at >= len(r.text) {
		return errEnd
	}
	c := r.text[r.at]
	r.at++
	if i := strings.IndexByte("btnfr", c); i >= 0 {
		b.WriteByte("\b\t\n\f\r"[i])
		return nil
	}
	switch c {
	case '"', '\'', '\\', '/', '\n':
		b.WriteByte(c)
		return nil
	case 'u':
	default:
		return errSyntax
	}
	unit, err := r.unit()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(unit) && strings.HasPrefix(r.text[r.at:], `\u`) {
		r.at += 2
		low, err := r.unit()
		if err != nil {
			return err
		}
		unit = utf16.DecodeRune(unit, low)
	}
	b.WriteRune(unit)
	return nil
}

// unit reads the four digits of a \u escape.
func (r *reader) unit() (rune, error) {
	if r.at+4 > len(r.text) {
		return 0, errEnd
	}
	high, okHigh := hexByte(r.text[r.at], r.text[r.at+1])
	low, okLow := hexByte(r.text[r.at+2], r.text[r.at+3])
	if !okHigh || !okLow {
		return 0, errSyntax
	}
	r.at += 4
	return rune(high)<<8 | rune(low), nil
}
