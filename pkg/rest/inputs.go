package rest

import (
	"bytes"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// bodyName is the parameter that a body without fields arrives in.
const bodyName = "body"

// bodyParameters returns the inputs that a body holds (INF §6.1). Their values
// are slices of body wherever nothing had to be decoded. A form that yields no
// field is handed on raw (INF-D12): curl -d sends any text as a form; an empty
// one has no parameters, as in 0.12.
func bodyParameters(contentType string, body []byte) ([]job.Parameter, error) {
	mime, rest, _ := strings.Cut(contentType, ";")
	mime = strings.TrimSpace(mime)
	var fields []job.Parameter
	var err error
	decoded := true
	switch {
	case strings.EqualFold(mime, "multipart/form-data"):
		boundary, found := attribute(rest, "boundary")
		if found && boundary == "" {
			return nil, fault.New(fault.BadRequest, "Needs a boundary value")
		}
		if decoded = found; found {
			fields, err = multipart(body, boundary)
			inCharset(fields, rest)
		}
	case strings.EqualFold(mime, "application/x-www-form-urlencoded"):
		fields, err = form(body)
	default:
		decoded = false
	}
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 && (!decoded || len(body) > 0) {
		fields = []job.Parameter{{Name: bodyName, ContentType: mime, Value: body}}
	}
	return fields, nil
}

// inCharset reads the names of fields in the charset that the content type
// names. Those that are neither UTF-8 nor ISO-8859-1 are not known.
func inCharset(fields []job.Parameter, attributes string) {
	switch charset, _ := attribute(attributes, "charset"); strings.ToLower(charset) {
	case "iso-8859-1", "latin1":
		for i := range fields {
			fields[i].Name = latin1(fields[i].Name)
		}
	}
}

// form reads a URL-encoded body (INF §6.4).
func form(body []byte) ([]job.Parameter, error) {
	if !bytes.ContainsAny(body, "=&") {
		return nil, nil
	}
	fields := make([]job.Parameter, 0, min(bytes.Count(body, []byte{'&'})+1, maxFields))
	for more := true; more && len(body) > 0; {
		var field []byte
		field, body, more = bytes.Cut(body, []byte{'&'})
		name, value, found := bytes.Cut(field, []byte{'='})
		if !found {
			value = []byte{}
		}
		value, ended, err := line(value)
		if err != nil {
			return nil, err
		}
		p, err := formField(name, value)
		if err != nil {
			return nil, err
		}
		if fields = append(fields, p); len(fields) > maxFields {
			return nil, tooManyFields()
		}
		more = more && !ended
	}
	return fields, nil
}

// line cuts a value at its line end, which ends the form.
func line(value []byte) (rest []byte, ended bool, err error) {
	at := bytes.IndexAny(value, "\r\n")
	if at < 0 {
		return value, false, nil
	}
	if value[at] == '\r' && (at+1 == len(value) || value[at+1] != '\n') {
		return nil, false, fault.New(fault.BadRequest, "Bad end of line")
	}
	return value[:at], true, nil
}

func formField(name, value []byte) (job.Parameter, error) {
	plain, ok := formDecode(name)
	if !ok {
		return job.Parameter{}, fault.New(fault.BadRequest, "Bad string: '"+string(name)+"'")
	}
	p := job.Parameter{Name: strings.TrimSpace(string(plain))}
	if p.Name == "" {
		return job.Parameter{}, emptyName()
	}
	if p.Value, ok = formDecode(value); !ok {
		return job.Parameter{}, fault.New(fault.BadRequest, "Invalid hex byte in string: '"+string(value)+"'")
	}
	return p, nil
}

// formDecode returns text itself where there is nothing to decode.
func formDecode(text []byte) ([]byte, bool) {
	if !bytes.ContainsAny(text, "%+") {
		return text, true
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			plain = append(plain, ' ')
		case c != '%':
			plain = append(plain, c)
		case i+2 >= len(text):
			return nil, false
		default:
			value, ok := hexByte(text[i+1], text[i+2])
			if !ok {
				return nil, false
			}
			plain = append(plain, value)
			i += 2
		}
	}
	return plain, true
}

func emptyName() error { return fault.New(fault.BadRequest, "A form field has no name") }

// attribute returns a parameter of a header value such as Content-Type:
// ; name=value, the value quoted or not, any letter case of the name. Unlike
// package mime it takes the unquoted boundaries that clients really send.
func attribute(header, name string) (value string, found bool) {
	for header != "" {
		var field string
		field, header = cutAttribute(header)
		key, text, _ := strings.Cut(field, "=")
		if !strings.EqualFold(strings.TrimSpace(key), name) {
			continue
		}
		return unquote(strings.TrimSpace(text)), true
	}
	return "", false
}

// cutAttribute cuts at the first semicolon outside quotes.
func cutAttribute(header string) (field, rest string) {
	quoted := false
	for i := 0; i < len(header); i++ {
		switch c := header[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ';' && !quoted:
			return header[:i], header[i+1:]
		}
	}
	return header, ""
}

// unquote takes the quotes off a value. A backslash escapes quotes and itself
// only: some browsers send file names with plain ones.
func unquote(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text[1 : len(text)-1])
}
