package snapshot

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSON returns the state as 0.12 writes it: two blanks of indent, and no
// character that could mean something in HTML.
func (s State) JSON() (string, error) {
	asItIs := func(text string) string { return text }
	return s.write(texts{}, asItIs)
}

// texts are versions as they stand in a snapshot, in the form that a function
// gives to them. Few change from one snapshot to the next, and with a thousand
// models it is the making of their texts that a client would wait for.
type texts map[Version]text

// text is the line that opens a name, and a version below it.
type text struct{ name, version string }

// of returns the text of a version.
func (t texts) of(v Version, form func(string) string) (text, error) {
	if known, ok := t[v]; ok {
		return known, nil
	}
	made, err := v.text(form)
	if err == nil {
		t[v] = made
	}
	return made, err
}

// write returns the state as JSON in a form, and adds to the texts that are known.
func (s State) write(known texts, form func(string) string) (string, error) {
	frame, err := indented(document{
		Name: s.Name, Count: len(s.Versions), Created: s.Created.UnixMilli(), Models: map[string]map[string]details{},
	}, "")
	if err != nil || len(s.Versions) == 0 {
		return form(frame), err
	}
	var b strings.Builder
	b.WriteString(form(strings.TrimSuffix(frame, "}\n}")))
	next, more, end := form("\n    },"), form(","), form("\n    }\n  }\n}")
	for i, v := range s.Versions {
		t, err := known.of(v, form)
		if err != nil {
			return "", err
		}
		switch {
		case i == 0:
			b.Grow(len(s.Versions) * (len(next) + len(t.name) + len(t.version))) // about so much
			b.WriteString(t.name)
		case v.Name == s.Versions[i-1].Name:
			b.WriteString(more)
		default:
			b.WriteString(next)
			b.WriteString(t.name)
		}
		b.WriteString(t.version)
	}
	b.WriteString(end)
	return b.String(), nil
}

func (v Version) text(form func(string) string) (text, error) {
	name, err := indented(map[string]struct{}{string(v.Name): {}}, "  ")
	if err != nil {
		return text{}, err
	}
	version, err := indented(map[string]details{string(v.Version): v.details()}, "    ")
	return text{
		name:    form(strings.TrimSuffix(name[len("{"):], "}\n  }")),
		version: form(strings.TrimSuffix(version[len("{"):], "\n    }")),
	}, err
}

// indented returns a part of a snapshot as JSON.
func indented(part any, prefix string) (string, error) {
	text, err := json.MarshalIndent(part, prefix, "  ")
	if err != nil {
		return "", err
	}
	// Beyond what Go escapes; both stand inside of texts only.
	text = bytes.ReplaceAll(text, []byte("="), []byte(`\u003d`))
	return string(bytes.ReplaceAll(text, []byte("'"), []byte(`\u0027`))), nil
}
