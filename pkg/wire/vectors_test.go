package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// hexBytes are bytes as the vectors write them.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// pair is a header as the vectors write it.
type pair [2]string

type vector struct {
	Name  string          `json:"name"`
	Kind  string          `json:"kind"`
	Hex   hexBytes        `json:"hex"`
	Value json.RawMessage `json:"value"`
}

func (v vector) id() string { return strings.Fields(v.Name)[0] }

// decode unmarshals the value of v.
func decode[T any](t *testing.T, v vector) (value T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(v.Value, &value))
	return value
}

type loadValue struct {
	ModelName           string `json:"model_name"`
	ModelPath           string `json:"model_path"`
	BatchSize           int    `json:"batch_size"`
	Handler             string `json:"handler"`
	GPU                 int    `json:"gpu"`
	Envelope            string `json:"envelope"`
	LimitMaxImagePixels bool   `json:"limit_max_image_pixels"`
}

type inferValue struct {
	Requests []struct {
		ID         string `json:"id"`
		Headers    []pair `json:"headers"`
		Parameters []struct {
			Name        string   `json:"name"`
			ContentType string   `json:"content_type"`
			Value       hexBytes `json:"value_hex"`
		} `json:"parameters"`
	} `json:"requests"`
}

type responseValue struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Items   []struct {
		RequestID   string   `json:"request_id"`
		ContentType string   `json:"content_type"`
		Status      int      `json:"status"`
		Phrase      string   `json:"phrase"`
		Headers     []pair   `json:"headers"`
		Body        hexBytes `json:"body_hex"`
	} `json:"items"`
}

func vectors(t *testing.T, kind string) []vector {
	t.Helper()
	paths, err := filepath.Glob("../../test/vectors/*.json")
	require.NoError(t, err)
	var found []vector
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var v vector
		require.NoError(t, json.Unmarshal(text, &v), path)
		if v.Kind == kind {
			found = append(found, v)
		}
	}
	require.NotEmpty(t, found)
	return found
}

// carries says which IDs of the reference a vector proves.
var carries = map[string]string{
	"W1": "WRK-001 WRK-002 ", "W2": "WRK-003 ", "W3": "WRK-016 ",
}

func headers(pairs []pair) []job.Header {
	hs := make([]job.Header, 0, len(pairs))
	for _, p := range pairs {
		hs = append(hs, job.Header{Name: p[0], Value: p[1]})
	}
	return hs
}

func TestLoadVectors(t *testing.T) {
	for _, v := range vectors(t, "load") {
		t.Run(carries[v.id()]+v.Name, func(t *testing.T) {
			load := wire.Load(decode[loadValue](t, v))
			assert.Equal(t, hex.EncodeToString(v.Hex), hex.EncodeToString(load.Append(nil)))
			c, err := wire.NewCommandReader(bytes.NewReader(v.Hex)).Next()
			require.NoError(t, err)
			assert.Equal(t, load, *c.Load)
		})
	}
}

func TestInferVectors(t *testing.T) {
	for _, v := range vectors(t, "infer") {
		t.Run(carries[v.id()]+v.Name, func(t *testing.T) {
			jobs := []*job.Job{}
			for _, r := range decode[inferValue](t, v).Requests {
				j := &job.Job{ID: r.ID, Request: job.Request{Headers: headers(r.Headers)}}
				for _, p := range r.Parameters {
					j.Request.Parameters = append(j.Request.Parameters,
						job.Parameter{Name: p.Name, ContentType: p.ContentType, Value: p.Value})
				}
				jobs = append(jobs, j)
			}
			var e wire.Encoder
			assert.Equal(t, hex.EncodeToString(v.Hex), hex.EncodeToString(written(t, e.Infer(jobs))))
			c, err := wire.NewCommandReader(bytes.NewReader(v.Hex)).Next()
			require.NoError(t, err)
			sameRequests(t, jobs, c.Batch)
		})
	}
}

func TestIterateVector(t *testing.T) {
	t.Run("WRK-041 N2 known jobs travel with their headers and without parameters", func(t *testing.T) {
		for _, v := range vectors(t, "infer") {
			if v.id() != "N2" {
				continue
			}
			var jobs []*job.Job
			for _, r := range decode[inferValue](t, v).Requests {
				body := []job.Parameter{{Name: "body", ContentType: "text/plain", Value: []byte("hi")}}
				jobs = append(jobs, &job.Job{ID: r.ID, Request: job.Request{Headers: headers(r.Headers), Parameters: body}})
			}
			require.Len(t, jobs, 2)
			var e wire.Encoder
			assert.Equal(t, hex.EncodeToString(v.Hex), hex.EncodeToString(written(t, e.Iterate(jobs, 1))))
			return
		}
		assert.Fail(t, "no vector N2")
	})
}

func TestResponseVectors(t *testing.T) {
	for _, v := range vectors(t, "response") {
		t.Run(v.Name, func(t *testing.T) {
			value := decode[responseValue](t, v)
			want := wire.Response{Code: value.Code, Message: value.Message}
			for _, i := range value.Items {
				want.Items = append(want.Items, wire.Item{
					RequestID: i.RequestID, ContentType: i.ContentType, Status: i.Status, Phrase: i.Phrase,
					Headers: headers(i.Headers), Body: i.Body,
				})
			}
			assert.Equal(t, hex.EncodeToString(v.Hex), hex.EncodeToString(want.Append(nil)))
			got, err := wire.NewReader(bytes.NewReader(v.Hex), 1000).Response()
			require.NoError(t, err)
			sameResponse(t, want, got)
		})
	}
}

// written returns what a vectored write of the fragments sends.
func written(t *testing.T, fragments *net.Buffers) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := fragments.WriteTo(&out)
	require.NoError(t, err)
	return out.Bytes()
}

// sameRequests compares what was sent with what arrived.
func sameRequests(t *testing.T, jobs []*job.Job, batch []wire.Request) {
	t.Helper()
	require.Len(t, batch, len(jobs))
	for i, j := range jobs {
		assert.Equal(t, j.ID, batch[i].ID)
		assert.Empty(t, cmp.Diff(j.Request, job.Request{Headers: batch[i].Headers, Parameters: batch[i].Parameters}, emptyIsNil))
	}
}

// sameResponse compares responses, not telling nil from empty.
func sameResponse(t *testing.T, want, got wire.Response) {
	t.Helper()
	assert.Empty(t, cmp.Diff(want, got, emptyIsNil))
}
