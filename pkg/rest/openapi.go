package rest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// errorSchema is what every failure looks like, as an OpenAPI content.
const errorSchema = `{"application/json":{"schema":{"type":"object","required":["code","type","message"],` +
	`"properties":{"code":{"type":"integer","description":"Error code."},` +
	`"type":{"type":"string","description":"Error type."},` +
	`"message":{"type":"string","description":"Error message."}}}}}`

// describeRoute answers OPTIONS on the routes of a model (INF §17.4).
func (e *edge) describeRoute(w http.ResponseWriter, ref model.Ref) error {
	if err := e.deps.Predictor.Resolve(ref); err != nil {
		return err
	}
	document, err := modelDocument(string(ref.Name))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, document)
}

// modelDocument returns the document of one model. It names a path that does
// not exist, and two with their braces, as 0.12 does.
func modelDocument(name string) (json.RawMessage, error) {
	texts := make([]string, 0, 4)
	for _, text := range []string{
		"RESTful API for: " + name, "/prediction/" + name, "A predict entry point for model: " + name + ".", name,
	} {
		quoted, err := encode(text)
		if err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimSpace(string(quoted)))
	}
	title, path, description, id := texts[0], texts[1], texts[2], texts[3]
	operation := `{"post":{"description":` + description + `,"operationId":` + id + `,"parameters":[],"responses":{` +
		`"200":{"description":"OK"},"500":{"description":"Internal Server Error","content":` + errorSchema + `}}}}`
	return json.RawMessage(`{"openapi":"3.0.1","info":{"title":` + title + `,"version":"1.0.0"},"paths":{` +
		path + ":" + operation + `,"/v1/models/{model_name}:predict":` + operation +
		`,"/v2/models/{model_name}/infer":` + operation + `}}`), nil
}
