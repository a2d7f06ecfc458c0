package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// The types of schemas.
const (
	kindText    = "string"
	kindInteger = "integer"
	kindFlag    = "boolean"
	kindObject  = "object"
	kindArray   = "array"
)

const contentJSON = "application/json"

// members is a JSON object whose members stand in the order of the slice.
type members[V any] []member[V]

type member[V any] struct {
	name  string
	value V
}

// MarshalJSON writes the object.
func (m members[V]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := encoder(&b)
	open := byte('{')
	for _, each := range m {
		b.WriteByte(open)
		open = ','
		if err := e.Encode(each.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(each.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// document is an OpenAPI document. The fields of this type and of those below
// stand in 0.12's order of keys.
type document struct {
	OpenAPI string        `json:"openapi"`
	Info    info          `json:"info"`
	Paths   members[path] `json:"paths"`
}

type info struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

type path struct {
	Get     *operation `json:"get,omitempty"`
	Put     *operation `json:"put,omitempty"`
	Post    *operation `json:"post,omitempty"`
	Delete  *operation `json:"delete,omitempty"`
	Options *operation `json:"options,omitempty"`
}

type operation struct {
	Description string            `json:"description"`
	ID          string            `json:"operationId"`
	Parameters  []parameter       `json:"parameters"` // never nil
	RequestBody *requestBody      `json:"requestBody,omitempty"`
	Responses   members[response] `json:"responses"` // by status
	Deprecated  bool              `json:"deprecated,omitempty"`
}

type parameter struct {
	In          string `json:"in"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Schema      schema `json:"schema"`
}

type requestBody struct {
	Description string  `json:"description"`
	Content     content `json:"content"`
	Required    bool    `json:"required"`
}

type response struct {
	Description string  `json:"description"`
	Content     content `json:"content,omitempty"`
}

// content is what a body may be, by media type.
type content = members[media]

type media struct {
	Schema schema `json:"schema"`
}

type schema struct {
	Type        string          `json:"type"`
	Format      string          `json:"format,omitempty"`
	Required    []string        `json:"required,omitempty"`
	Properties  members[schema] `json:"properties,omitempty"`
	Items       *schema         `json:"items,omitempty"`
	Description string          `json:"description,omitempty"`
	Enum        []string        `json:"enum,omitempty"`
	Default     string          `json:"default,omitempty"` // of any type, as text
}

// text returns the document as 0.12 prints it.
func (d document) text() []byte {
	d.OpenAPI = "3.0.1"
	var b bytes.Buffer
	e := encoder(&b)
	e.SetIndent("", "  ")
	_ = e.Encode(d) // texts, booleans and lists of them have an encoding, and a buffer takes it
	return b.Bytes()
}

func encoder(b *bytes.Buffer) *json.Encoder {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e
}

func at(name string, p path) members[path] { return members[path]{{name, p}} }

// query returns a parameter that may be left out; preset is its default, empty
// for none.
func query(name, kind, preset, description string) parameter {
	return parameter{In: "query", Name: name, Description: description, Schema: schema{Type: kind, Default: preset}}
}

// inPath returns a parameter that is a segment of the path.
func inPath(name, description string) parameter {
	return parameter{In: "path", Name: name, Description: description, Required: true, Schema: schema{Type: kindText}}
}

// property is a member of an object that a schema describes.
type property struct {
	name     string
	schema   schema
	optional bool
}

func prop(name, kind, description string) property {
	return property{name: name, schema: schema{Type: kind, Description: description}}
}

// object returns the schema of an object.
func object(properties ...property) schema {
	s := schema{Type: kindObject}
	for _, p := range properties {
		if !p.optional {
			s.Required = append(s.Required, p.name)
		}
		s.Properties = append(s.Properties, member[schema]{p.name, p.schema})
	}
	return s
}

func listOf(items schema) schema { return schema{Type: kindArray, Items: &items} }

func contentOf(mediaType string, s schema) content { return content{{mediaType, media{s}}} }

// on returns the response with a status. Every operation has one for 500.
func on(status, description string, c content) member[response] {
	return member[response]{status, response{description, c}}
}

// answers returns all responses of an operation, the one for 500 included.
func answers(all ...member[response]) members[response] {
	all = append(all, on("500", "Internal Server Error", failure()))
	slices.SortFunc(all, func(a, b member[response]) int { return strings.Compare(a.name, b.name) })
	return all
}

// failure is the body of every failure.
func failure() content {
	return contentOf(contentJSON, object(
		prop("code", kindInteger, "Error code."),
		prop("type", kindText, "Error type."),
		prop("message", kindText, "Error message."),
	))
}

// success is the body of most successes.
func success() content {
	return contentOf(contentJSON, object(prop("status", kindText, "What was done, or is under way.")))
}
