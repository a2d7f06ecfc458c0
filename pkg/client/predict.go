package client

import (
	"context"
	"io"
	"net/http"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Prediction is one request to a model. Body is read once, and not closed.
type Prediction struct {
	Ref     model.Ref
	Explain bool // ask for an explanation in the place of a prediction
	Header  http.Header
	Body    io.Reader
	Length  int64 // bytes of Body; -1: unknown
}

// Answer is the beginning of a model's answer; the rest comes from Body while
// the model makes it. The caller closes Body. An error of Body that is not
// io.EOF means that the answer is not complete.
type Answer struct {
	Media string // as the model calls it, empty if it does not
	Body  io.ReadCloser
}

// Predict asks a model and returns when its answer begins.
func (c *Client) Predict(ctx context.Context, p Prediction) (*Answer, error) {
	q := call{
		method: http.MethodPost, at: c.cfg.Inference, key: Inference, path: refPath("predictions", p.Ref),
		header: p.Header, body: io.NopCloser(p.Body), length: p.Length,
	}
	if p.Explain {
		q.path = refPath("explanations", p.Ref)
	}
	if p.Length == 0 {
		q.body = http.NoBody // net/http takes 0 for unknown otherwise
	}
	answer, err := c.send(ctx, q) //nolint:bodyclose // the caller's
	if err != nil {
		return nil, err
	}
	return &Answer{Media: answer.Header.Get("Content-Type"), Body: &pieces{answer.Body, q}}, nil
}

// pieces is the body of an answer, with its failures put into words.
type pieces struct {
	io.ReadCloser
	of call
}

func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it as it is
		err = p.of.brokenOff(err)
	}
	return n, err
}
