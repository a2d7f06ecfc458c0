package gson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest.
const maxDepth = 255

// byteOrderMark and scriptGuard may stand before the document.
const (
	byteOrderMark = "\ufeff"
	scriptGuard   = ")]}'\n"
)

// Parse reads the document that is the whole of text; nothing but white space
// may follow it. Values are those of encoding/json with UseNumber: nil, bool,
// json.Number, string, []any and map[string]any. A word without quotes that is
// no number, truth value or null is a string; the last of equal names counts.
// Bytes that are no UTF-8 become the replacement character. The text of an
// error is short and shows nothing of the document.
func Parse(text []byte) (any, error) {
	document := strings.TrimPrefix(strings.ToValidUTF8(string(text), "\ufffd"), byteOrderMark)
	p := &parser{text: strings.TrimPrefix(document, scriptGuard)}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("%w at byte %d", err, p.at)
	}
	if rest := strings.TrimLeft(p.text[p.at:], " \t\r\n"); rest != "" {
		return nil, fmt.Errorf("text after the document at byte %d", p.at)
	}
	return v, nil
}

var errEnd = errors.New("unexpected end")

type parser struct {
	text string
	at   int
}

// peek skips white space and comments and returns the next byte, or 0 at the
// end.
func (p *parser) peek() (byte, error) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			p.at++
		case c == '#' || strings.HasPrefix(p.text[p.at:], "//"):
			p.skipLine()
		case strings.HasPrefix(p.text[p.at:], "/*"):
			end := strings.Index(p.text[p.at+2:], "*/")
			if end < 0 {
				return 0, errors.New("comment without an end")
			}
			p.at += 2 + end + 2
		default:
			return c, nil
		}
	}
	return 0, nil
}

func (p *parser) skipLine() {
	end := strings.IndexAny(p.text[p.at:], "\r\n")
	if end < 0 {
		end = len(p.text) - p.at
	}
	p.at += end
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	c, err := p.peek()
	if err != nil {
		return nil, err
	}
	switch c {
	case 0:
		return nil, errEnd
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"', '\'':
		return p.quoted(c)
	default:
		return p.literal()
	}
}

// literal reads a number, a truth value, null, or a text without quotes.
func (p *parser) literal() (any, error) {
	word := p.word()
	switch strings.ToLower(word) {
	case "":
		return nil, errors.New("a value is missing")
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

func (p *parser) object(depth int) (any, error) {
	members := make(map[string]any)
	p.at++
	c, err := p.peek()
	if err != nil {
		return nil, err
	}
	if c == '}' {
		p.at++
		return members, nil
	}
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if members[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		c, err := p.peek()
		switch {
		case err != nil:
			return nil, err
		case c == '}':
			p.at++
			return members, nil
		case c != ',' && c != ';':
			return nil, errors.New("an object without an end")
		}
		p.at++
	}
}

// name reads the name of a member and the sign after it.
func (p *parser) name() (string, error) {
	c, err := p.peek()
	if err != nil {
		return "", err
	}
	var name string
	if c == '"' || c == '\'' {
		if name, err = p.quoted(c); err != nil {
			return "", err
		}
	} else if name = p.word(); name == "" {
		return "", errors.New("a name is missing")
	}
	c, err = p.peek()
	switch {
	case err != nil:
		return "", err
	case c == ':':
		p.at++
	case c == '=':
		p.at++
		if strings.HasPrefix(p.text[p.at:], ">") {
			p.at++
		}
	default:
		return "", errors.New("a name without a value")
	}
	return name, nil
}

// array reads an array; a missing element is null.
func (p *parser) array(depth int) (any, error) {
	list := []any{}
	p.at++
	c, err := p.peek()
	if err != nil {
		return nil, err
	}
	if c == ']' {
		p.at++
		return list, nil
	}
	for {
		v, err := p.element(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		c, err := p.peek()
		switch {
		case err != nil:
			return nil, err
		case c == ']':
			p.at++
			return list, nil
		case c != ',' && c != ';':
			return nil, errors.New("an array without an end")
		}
		p.at++
	}
}

func (p *parser) element(depth int) (any, error) {
	c, err := p.peek()
	if err != nil || c == ']' || c == ',' || c == ';' {
		return nil, err
	}
	return p.value(depth + 1)
}

// word reads an unquoted text.
func (p *parser) word() string {
	rest := p.text[p.at:]
	end := strings.IndexAny(rest, "/\\;#={}[]:, \t\f\r\n")
	if end < 0 {
		end = len(rest)
	}
	p.at += end
	return rest[:end]
}

// quoted reads a text that ends with the given quote.
func (p *parser) quoted(quote byte) (string, error) {
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch c {
		case quote:
			return b.String(), nil
		case '\\':
			r, err := p.escaped()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return "", errEnd
}

// escaped reads what follows a backslash. Half of a surrogate pair becomes the
// replacement character.
func (p *parser) escaped() (rune, error) {
	if p.at == len(p.text) {
		return 0, errEnd
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '"', '\'', '\\', '/', '\n':
		return rune(c), nil
	case 'u':
		return p.unicode()
	default:
		return 0, fmt.Errorf("unknown escape %q", c)
	}
}

func (p *parser) unicode() (rune, error) {
	first, err := p.hex()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	before := p.at
	if strings.HasPrefix(p.text[p.at:], `\u`) {
		p.at += 2
		second, err := p.hex()
		if err != nil {
			return 0, err
		}
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, nil
		}
		p.at = before
	}
	return utf8.RuneError, nil
}

func (p *parser) hex() (rune, error) {
	if len(p.text)-p.at < 4 {
		return 0, errEnd
	}
	v, err := strconv.ParseUint(p.text[p.at:p.at+4], 16, 16)
	if err != nil {
		return 0, errors.New("not a character number")
	}
	p.at += 4
	return rune(v), nil
}
