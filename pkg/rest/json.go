package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

const contentJSON = "application/json"

// statusBody is what most successes say.
type statusBody struct {
	Status string `json:"status"`
}

// encode returns v as 0.12 prints it: two blanks of indent, no HTML escapes,
// one newline at the end. Slices in v must not be nil.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fault.Wrap(fault.Internal, "", err)
	}
	return b.Bytes(), nil
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	writeBody(w, status, body)
	return nil
}

// writeBody answers with JSON text.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set(headerContentType, contentJSON)
	h.Set(headerContentLength, strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // G705: JSON is sent as JSON. A client that has gone needs no answer
}

// writeStatus answers {"status": text}.
func writeStatus(w http.ResponseWriter, status int, text string) error {
	return writeJSON(w, status, statusBody{text})
}
