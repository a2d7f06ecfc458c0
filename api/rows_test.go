package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/api"
)

// The schemas of MGT §11.1, in the notation of signature.
const (
	schemaE = `{code integer, type string, message string}`
	schemaS = `{status string}`
	schemaD = `{openapi string, info object, paths object}`
	schemaL = `{nextPageToken? string, models [{modelName string, modelUrl string}]}`
	schemaM = `{modelName string, modelVersion string, modelUrl string, minWorkers integer, maxWorkers integer, ` +
		`batchSize? integer, maxBatchDelay? integer, status string, ` +
		`workers [{id string, startTime string, gpu? boolean, status string(READY|LOADING|UNLOADING)}], ` +
		`metrics {rejectedRequests integer, waitingQueueSize integer, requests integer}, ` +
		`jobQueueStatus {remainingCapacity integer, pendingRequests integer}}`
	schemaP = `text/plain; version=0.0.4; charset=utf-8 {# HELP string, # TYPE string, metric string}`
)

// The rows of MGT §11.1: path, method, operation id, parameters, responses.
// A parameter is required if it has a !.
const (
	rowsRoot = `/ options apiDescription: () 200 A openapi 3.0.1 descriptor=D; 500 Internal Server Error=E
`
	rowsModels = `/models get listModels: (query limit integer=100, query next_page_token string) 200 OK=L; 500 Internal Server Error=E
/models post registerModel: (query url! string, query model_name string, query handler string, query runtime string(PYTHON|PYTHON3|LSP), query batch_size integer=1, query max_batch_delay integer=100, query response_timeout integer=2, query startup_timeout integer=120, query initial_workers integer=0, query synchronous boolean=false, query s3_sse_kms boolean=false) 200 Model registered=S; 202 Accepted=S; 210 Partial Success=S; 400 Bad request=E; 404 Model not found=E; 409 Model already registered=E; 500 Internal Server Error=E
`
	rowsModel = `/models/{model_name} get describeModel: (path model_name! string) 200 OK=M; 404 Model not found or Model version not found=E; 500 Internal Server Error=E
/models/{model_name} put setAutoScale: (path model_name! string, query min_worker integer=1, query max_worker integer=1, query number_gpu integer=0, query synchronous boolean=false, query timeout integer=-1) 200 Model workers updated=S; 202 Accepted=S; 210 Partial Success=S; 400 Bad request=E; 404 Model not found or Model version not found=E; 500 Internal Server Error=E
/models/{model_name} delete unregisterModel: (path model_name! string, query synchronous boolean=false, query timeout integer=-1) 200 Model unregistered=S; 202 Accepted=S; 404 Model not found or Model version not found=E; 408 Request Timeout Error=E; 500 Internal Server Error=E
/models/{model_name}/{model_version} get version_describeModel: (path model_name! string, path model_version! string) 200 OK=M; 404 Model not found or Model version not found=E; 500 Internal Server Error=E
/models/{model_name}/{model_version} put version_setAutoScale: (path model_name! string, path model_version! string, query min_worker integer=1, query max_worker integer=1, query number_gpu integer=0, query synchronous boolean=false, query timeout integer=-1) 200 Model workers updated=S; 202 Accepted=S; 210 Partial Success=S; 400 Bad request=E; 404 Model not found or Model version not found=E; 500 Internal Server Error=E
/models/{model_name}/{model_version} delete version_unregisterModel: (path model_name! string, path model_version! string, query synchronous boolean=false, query timeout integer=-1) 200 Model unregistered=S; 202 Accepted=S; 404 Model not found or Model version not found=E; 408 Request Timeout Error=E; 500 Internal Server Error=E
/models/{model_name}/{model_version}/set-default put setDefault: (path model_name! string, path model_version! string) 200 Default version successfully updated for model=S; 404 Model not found or Model version not found=E; 500 Internal Server Error=E
`
	rowsDeprecated = `/api-description get api-description deprecated: () 200 A openapi 3.0.1 descriptor=D; 500 Internal Server Error=E
`
	rowsMetrics = `/metrics get metrics: (query name[] string) 200 TorchServe application metrics=P; 500 Internal Server Error=E
`
)

func TestRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ document, want string }{
		"MGT-063 the management listener's": {"management", rowsRoot + rowsModels + rowsModel + rowsDeprecated + rowsMetrics},
		"MGT-064 the one of a model":        {"model", rowsModel},
		"MET-053 the metrics listener's":    {"metrics", rowsMetrics},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, rows(parse(t, documents()[c.document])))
		})
	}
	t.Run("the combined listener's has those of both, each once", func(t *testing.T) {
		t.Parallel()
		inference := rows(parse(t, api.Inference(version)))
		want := strings.TrimSuffix(inference, rowsMetrics) + rowsModels + rowsModel + rowsMetrics
		assert.Equal(t, want, rows(parse(t, api.Combined(version))))
	})
}

func TestInfo(t *testing.T) {
	t.Parallel()
	t.Run("MGT-064 of a model there is no description", func(t *testing.T) {
		t.Parallel()
		d := parse(t, api.Model("1.2.3", "noop"))
		assert.Equal(t, []string{"title", "version"}, d.at["info"].keys)
		assert.Equal(t, "RESTful Management API for: noop", d.at["info"].at["title"].text)
		assert.Equal(t, "1.2.3", d.at["info"].at["version"].text)
	})
	for name, document := range map[string][]byte{
		"inference": api.Inference("1.2.3"), "management": api.Management("1.2.3"),
		"metrics": api.Metrics("1.2.3"), "combined": api.Combined("1.2.3"),
	} {
		t.Run("of the listener "+name, func(t *testing.T) {
			t.Parallel()
			d := parse(t, document)
			assert.Equal(t, "3.0.1", d.at["openapi"].text)
			assert.Equal(t, "TorchServe APIs", d.at["info"].at["title"].text)
			assert.Equal(t, "1.2.3", d.at["info"].at["version"].text)
		})
	}
}

// TestKeys holds the order of keys (MGT §11.1).
func TestKeys(t *testing.T) {
	t.Parallel()
	for name, document := range documents() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := parse(t, document)
			assert.Equal(t, []string{"openapi", "info", "paths"}, d.keys)
			ordered(t, d.at["info"], "title", "description", "version")
			for _, item := range d.at["paths"].at {
				ordered(t, item, "get", "put", "post", "delete", "options")
				for _, op := range item.at {
					orderedOperation(t, op)
				}
			}
		})
	}
}

func orderedOperation(t *testing.T, op node) {
	t.Helper()
	ordered(t, op, "description", "operationId", "parameters", "requestBody", "responses", "deprecated")
	assert.NotEmpty(t, op.at["description"].text)
	assert.Contains(t, op.keys, "parameters")
	for _, p := range op.at["parameters"].list {
		ordered(t, p, "in", "name", "description", "required", "schema")
		assert.Len(t, p.keys, 5)
		orderedSchema(t, p.at["schema"])
	}
	for _, m := range op.at["requestBody"].at["content"].at {
		ordered(t, op.at["requestBody"], "description", "content", "required")
		orderedSchema(t, m.at["schema"])
	}
	for _, r := range op.at["responses"].at {
		ordered(t, r, "description", "content")
		for _, m := range r.at["content"].at {
			orderedSchema(t, m.at["schema"])
		}
	}
}

func orderedSchema(t *testing.T, s node) {
	t.Helper()
	ordered(t, s, "type", "format", "required", "properties", "items", "description", "enum", "default")
	for _, p := range s.at["properties"].at {
		orderedSchema(t, p)
	}
	if items, ok := s.at["items"]; ok {
		orderedSchema(t, items)
	}
}

// ordered asserts that the keys of n are some of those, in their order.
func ordered(t *testing.T, n node, keys ...string) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !slices.Contains(n.keys, key) })
	assert.Equal(t, want, n.keys)
}

// rows prints the operations of a document as the table of the reference does.
func rows(d node) string {
	letters := strings.NewReplacer("="+schemaE, "=E", "="+schemaS, "=S", "="+schemaD, "=D", "="+schemaL, "=L", "="+schemaM, "=M", "="+schemaP, "=P")
	var b strings.Builder
	for _, path := range d.at["paths"].keys {
		item := d.at["paths"].at[path]
		for _, method := range item.keys {
			op := item.at[method]
			parameters := make([]string, 0, len(op.at["parameters"].list))
			for _, p := range op.at["parameters"].list {
				mark := map[string]string{"true": "!", "false": ""}[p.at["required"].text]
				parameters = append(parameters, p.at["in"].text+" "+p.at["name"].text+mark+" "+signature(p.at["schema"]))
			}
			responses := make([]string, 0, len(op.at["responses"].keys))
			for _, status := range op.at["responses"].keys {
				r := op.at["responses"].at[status]
				body := strings.TrimPrefix(contentOf(r.at["content"]), "application/json ")
				responses = append(responses, letters.Replace(status+" "+r.at["description"].text+"="+body))
			}
			id := op.at["operationId"].text
			if op.at["deprecated"].text == "true" {
				id += " deprecated"
			}
			fmt.Fprintf(&b, "%s %s %s: (%s) %s\n", path, method, id, strings.Join(parameters, ", "), strings.Join(responses, "; "))
		}
	}
	return b.String()
}

func contentOf(c node) string {
	all := make([]string, 0, len(c.keys))
	for _, mediaType := range c.keys {
		all = append(all, mediaType+" "+signature(c.at[mediaType].at["schema"]))
	}
	return strings.Join(all, " or ")
}

// signature prints a schema: {name string, optional? integer, list [boolean]}.
func signature(s node) string {
	kind := s.at["type"].text
	switch {
	case kind == "array":
		return "[" + signature(s.at["items"]) + "]"
	case len(s.at["properties"].keys) > 0:
		var required []string
		for _, name := range s.at["required"].list {
			required = append(required, name.text)
		}
		all := make([]string, 0, len(s.at["properties"].keys))
		for _, name := range s.at["properties"].keys {
			mark := "?"
			if slices.Contains(required, name) {
				mark = ""
			}
			all = append(all, name+mark+" "+signature(s.at["properties"].at[name]))
		}
		return "{" + strings.Join(all, ", ") + "}"
	}
	if values := s.at["enum"].list; len(values) > 0 {
		all := make([]string, 0, len(values))
		for _, value := range values {
			all = append(all, value.text)
		}
		kind += "(" + strings.Join(all, "|") + ")"
	}
	if preset := s.at["default"].text; preset != "" {
		kind += "=" + preset
	}
	return kind
}

// node is a JSON value that keeps the order of its keys.
type node struct {
	keys []string
	at   map[string]node
	list []node
	text string // of a value without members
}

func parse(t *testing.T, document []byte) node {
	t.Helper()
	assert.True(t, bytes.HasSuffix(document, []byte("\n}\n")))
	d := json.NewDecoder(bytes.NewReader(document))
	n, err := read(d)
	require.NoError(t, err)
	return n
}

func read(d *json.Decoder) (node, error) {
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	n := node{at: map[string]node{}, text: fmt.Sprint(token)}
	if open, ok := token.(json.Delim); !ok || open == '}' || open == ']' {
		return n, nil
	}
	n.text = ""
	for d.More() {
		key := ""
		if token == json.Delim('{') {
			name, err := d.Token()
			if err != nil {
				return node{}, err
			}
			key = fmt.Sprint(name)
			n.keys = append(n.keys, key)
		}
		value, err := read(d)
		if err != nil {
			return node{}, err
		}
		n.list = append(n.list, value)
		n.at[key] = value
	}
	_, err = d.Token() // the end
	return n, err
}
