package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// inputsHandler says of each element that it gets what it is, and among how many.
const inputsHandler = `
def handle(data, context):
    return data and [repr(each) + " of " + str(len(data)) for each in data]
`

// enveloped starts a server with an envelope, which serves the handler above as
// enveloped; what the archive says of envelopes does not matter.
func enveloped(t *testing.T, envelope string) lab {
	t.Helper()
	a := e2etest.Archive{
		Name: "enveloped", Handler: inputsHandler,
		Files: map[string]string{manifestFile: manifest(`{"modelName": "enveloped", "modelVersion": "2.1", "handler": "handler.py", "envelope": "none"}`)},
	}
	s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Args("--enable-model-api"), e2etest.Properties("service_envelope="+envelope), e2etest.Shelve(a))
	register(t, s, "initial_workers=1&url="+a.Location())
	return lab{Server: s}
}

// jsonCall sends JSON to a model of the route predictions or explanations.
func jsonCall(route, model, body string) e2etest.Call {
	return e2etest.Call{
		Method: http.MethodPost, To: e2etest.Inference, Path: "/" + route + "/" + model, Body: body,
		Header: map[string]string{"Content-Type": "application/json"},
	}
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	t.Run("MAR-123 json", func(t *testing.T) {
		t.Parallel()
		l := enveloped(t, "json")
		for body, want := range map[string]string{
			`{"instances": [1, [2]]}`:          `{"predictions": ["1 of 2", "[2] of 2"]}`,
			`{"instances": [{"b64": "aGk="}]}`: `{"predictions": ["b'hi' of 1"]}`,
		} {
			assert.Equal(t, want, l.Do(jsonCall("predictions", "enveloped", body)).Body)
		}
		register(t, l.Server, "initial_workers=1&model_name=batched&batch_size=2&max_batch_delay=20000&url=enveloped.mar")
		first := l.begin(t, jsonCall("predictions", "batched", `{"instances": ["a"]}`))
		second := l.begin(t, jsonCall("predictions", "batched", `{"instances": ["b", "c"]}`))
		assert.Equal(t, `{"predictions": ["'a' of 3"]}`, first.answer().Body, "of all instances of the batch, this request's own")
		assert.Equal(t, `{"predictions": ["'b' of 3", "'c' of 3"]}`, second.answer().Body)
	})
	t.Run("MAR-124 body", func(t *testing.T) {
		t.Parallel()
		l := enveloped(t, "body")
		assert.Equal(t, "{'a': [1]} of 1", l.Do(jsonCall("predictions", "enveloped", `{"a": [1]}`)).Body)
	})
	for envelope, calls := range map[string][]struct{ route, body, want string }{
		"kserve": {
			{"predictions", `{"instances": [[1, 2], "b"]}`, `{"predictions": ["[1, 2] of 2", "'b' of 2"]}`},
			{"explanations", `{"instances": [3]}`, `{"explanations": ["3 of 1"]}`},
		},
		"kservev2": {{
			"predictions",
			`{"id": "mine", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "INT64", "data": [1, 2, 3, 4]},
				{"name": "y", "shape": [1], "datatype": "BYTES", "data": ["text"]}]}`,
			`{"id": "mine", "model_name": "enveloped", "model_version": "2.1", "outputs": [
				{"name": "x", "datatype": "BYTES", "shape": [1], "data": ["{'name': 'x', 'shape': [2, 2], 'datatype': 'INT64', 'data': [[1, 2], [3, 4]]} of 2"]},
				{"name": "y", "datatype": "BYTES", "shape": [1], "data": ["{'name': 'y', 'shape': [1], 'datatype': 'BYTES', 'data': 'text'} of 2"]}]}`,
		}},
	} {
		t.Run("MAR-124 "+envelope, func(t *testing.T) {
			t.Parallel()
			l := enveloped(t, envelope)
			for _, c := range calls {
				reply := l.Do(jsonCall(c.route, "enveloped", c.body))
				require.Equal(t, http.StatusOK, reply.Status, "%s", reply.Body)
				assert.JSONEq(t, c.want, reply.Body)
			}
		})
	}
}
