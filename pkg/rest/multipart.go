package rest

import (
	"bytes"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// maxFields bounds the fields of one body: each costs more than its bytes.
const maxFields = 10_000

// multipart reads a multipart/form-data body (INF §6.3). The values are slices
// of body. A body that holds no part yields none, without an error.
//
// Not mime/multipart: that copies every part and decodes quoted-printable ones,
// while here bytes must stay exact, and the whole body is in memory anyway.
func multipart(body []byte, boundary string) ([]job.Parameter, error) {
	var fields []job.Parameter
	for _, part := range split(body, boundary) {
		header, content := headerOf(part)
		more, err := partFields(header, content, "")
		if err != nil {
			return nil, err
		}
		if fields = append(fields, more...); len(fields) > maxFields {
			return nil, tooManyFields()
		}
	}
	return fields, nil
}

// partFields returns the field of a part, or, where it is a multipart/mixed
// itself, one for each part in it under the outer name. One level only: outer
// names the part around this one, empty: none.
func partFields(header partHeader, content []byte, outer string) ([]job.Parameter, error) {
	name, file, err := header.names(outer)
	if err != nil {
		return nil, err
	}
	mime, rest, _ := strings.Cut(header.contentType, ";")
	mime = strings.TrimSpace(mime)
	if boundary, nested := attribute(rest, "boundary"); nested && outer == "" && strings.EqualFold(mime, "multipart/mixed") {
		var fields []job.Parameter
		for _, part := range split(content, boundary) {
			inner, value := headerOf(part)
			more, err := partFields(inner, value, name)
			if err != nil {
				return nil, err
			}
			fields = append(fields, more...)
		}
		return fields, nil
	}
	if !file {
		return []job.Parameter{{Name: name, Value: content}}, nil
	}
	switch e := strings.ToLower(header.encoding); e {
	case "", "7bit", "8bit", "binary":
	default:
		return nil, fault.New(fault.BadRequest, "TransferEncoding Unknown: "+header.encoding)
	}
	return []job.Parameter{{Name: name, ContentType: mime, Value: content}}, nil
}

// split returns the parts between the delimiter lines, with their headers. What
// stands before the first delimiter is skipped; a part without one after it is
// dropped.
func split(body []byte, boundary string) [][]byte {
	delimiter := []byte("--" + boundary)
	var parts [][]byte
	from, at := -1, 0
	for len(parts) <= maxFields {
		i := bytes.Index(body[at:], delimiter)
		if i < 0 {
			return parts
		}
		start := at + i
		at = start + len(delimiter)
		if start > 0 && body[start-1] != '\n' {
			continue
		}
		next, last, ok := endOfDelimiter(body[at:])
		if !ok {
			continue
		}
		if from >= 0 {
			parts = append(parts, withoutLineEnd(body[from:max(from, start)]))
		}
		if last {
			return parts
		}
		at += next
		from = at
	}
	return parts
}

// endOfDelimiter looks at what follows the boundary in its line: two dashes
// after the last part, else blanks at most. next is where the line is over.
func endOfDelimiter(rest []byte) (next int, last, ok bool) {
	if bytes.HasPrefix(rest, []byte("--")) {
		return 0, true, true
	}
	end := bytes.IndexByte(rest, '\n')
	if end < 0 || len(bytes.TrimRight(rest[:end], " \t\r")) > 0 {
		return 0, false, false
	}
	return end + 1, false, true
}

// withoutLineEnd takes off the line end that belongs to the next delimiter.
func withoutLineEnd(part []byte) []byte {
	part = bytes.TrimSuffix(part, []byte{'\n'})
	return bytes.TrimSuffix(part, []byte{'\r'})
}

// partHeader holds what counts of the headers of a part.
type partHeader struct{ disposition, contentType, encoding string }

// headerOf cuts the headers off a part.
func headerOf(part []byte) (partHeader, []byte) {
	h := partHeader{contentType: "application/octet-stream"}
	for {
		var text []byte
		text, part, _ = bytes.Cut(part, []byte{'\n'})
		text = bytes.TrimSuffix(text, []byte{'\r'})
		if len(text) == 0 {
			return h, part
		}
		text, part = unfold(text, part)
		name, value, _ := strings.Cut(string(text), ":")
		switch value = strings.TrimSpace(value); strings.ToLower(strings.TrimSpace(name)) {
		case "content-disposition":
			h.disposition = value
		case "content-type":
			h.contentType = value
		case "content-transfer-encoding":
			h.encoding = value
		}
	}
}

// unfold joins the lines that go on where text ended: those that start with a
// blank.
func unfold(text, rest []byte) (whole, after []byte) {
	copied := false
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		if !copied {
			text, copied = bytes.Clone(text), true
		}
		var folded []byte
		folded, rest, _ = bytes.Cut(rest, []byte{'\n'})
		text = append(text, bytes.TrimSuffix(folded, []byte{'\r'})...)
	}
	return text, rest
}

// names returns the name of the field and whether it is a file. A part within a
// part has the name of the outer one.
func (h partHeader) names(outer string) (name string, file bool, err error) {
	_, attributes, _ := strings.Cut(h.disposition, ";")
	name, found := attribute(attributes, "name")
	_, plain := attribute(attributes, "filename")
	_, extended := attribute(attributes, "filename*")
	if outer != "" {
		return outer, true, nil
	}
	if !found || name == "" {
		return "", false, emptyName()
	}
	return name, plain || extended, nil
}

func tooManyFields() error { return fault.New(fault.BadRequest, "The body has too many fields") }
