package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/api"
)

const version = "0.12.0"

// documents are all there are.
func documents() map[string][]byte {
	return map[string][]byte{
		"inference":  api.Inference(version),
		"management": api.Management(version),
		"metrics":    api.Metrics(version),
		"combined":   api.Combined(version),
		"model":      api.Model(version, "echo"),
		"prediction": api.Prediction("echo"),
	}
}

// TestBytes compares with what TorchServe 0.12 sends.
func TestBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		document string
		size     int
		sum      string
	}{
		"INF-137 the inference listener's": {
			"inference", 23406, "a5d6b9ff9740686f2d23946db2f910aebc0826c77194343798d3635871de7e69",
		},
		"MET-053 the metrics listener's": {
			"metrics", 2552, "b430d5470884e5f822ef8d3d611ffd81e288f19337121bca83175fe08f15250e",
		},
		"INF-138 the one of a model's prediction routes": {
			"prediction", 3637, "0a37df7a8dffbcc2cb1a255e7d1bb4a9e67e88e16246373ed620bf8daf7a3d95",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := documents()[c.document]
			assert.Len(t, document, c.size)
			sum := sha256.Sum256(document)
			assert.Equal(t, c.sum, hex.EncodeToString(sum[:]))
		})
	}
}

// TestValid reads the documents as tools do. What 0.12 does wrong itself is
// mended first, so that nothing else can be wrong.
func TestValid(t *testing.T) {
	t.Parallel()
	for name, document := range documents() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := openapi3.NewLoader().LoadFromData(document)
			require.NoError(t, err)
			for path, item := range d.Paths.Map() {
				if op := item.Post; op != nil && (op.OperationID == "predictions" || op.OperationID == "echo") {
					op.OperationID += path // it is on three paths
				}
				if name == "prediction" && item.Post.OperationID != "echo/prediction/echo" {
					item.Parameters = openapi3.Parameters{{Value: openapi3.NewPathParameter("model_name").
						WithSchema(openapi3.NewStringSchema())}}
				}
			}
			// Defaults are texts, whatever their type (MGT §11.1).
			assert.NoError(t, d.Validate(t.Context(), openapi3.DisableSchemaDefaultsValidation()))
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	const name = "a\"<&>\\\u00fc\u2028"
	for what, document := range map[string][]byte{
		"RESTful API for: ": api.Prediction(name), "RESTful Management API for: ": api.Model(version, name),
	} {
		assert.Contains(t, string(document), `"title": "`+what+`a\"<&>\\ü\u2028"`)
		d, err := openapi3.NewLoader().LoadFromData(document)
		require.NoError(t, err)
		assert.Equal(t, what+name, d.Info.Title)
	}
}
