package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Kind is a kind of key, by the name that the key file uses.
type Kind string

// The kinds of keys. The zero Kind stands for calls that need none.
const (
	Inference  Kind = "inference"
	Management Kind = "management"
	API        Kind = "API" // renews the other two
	noKey      Kind = ""
)

// Endpoint is one listener of the server: the URL before all paths, without a
// slash at its end, and the HTTP client that reaches it. That client must not
// follow redirects: keys are for this server alone. Name stands for Base in
// messages, if it is not empty.
type Endpoint struct {
	Base string
	Name string
	HTTP *http.Client
}

func (e Endpoint) String() string { return cmp.Or(e.Name, e.Base) }

// Config says where the server is. Key returns the key of a kind, or the empty
// text for none; it is asked for each call, from any goroutine. A nil Key:
// there are no keys.
type Config struct {
	Inference  Endpoint
	Management Endpoint
	Metrics    Endpoint
	Key        func(Kind) (string, error)
}

// Client calls one server.
type Client struct{ cfg Config }

// New returns a client for the server of cfg.
func New(cfg Config) *Client { return &Client{cfg: cfg} }

// call is one request.
type call struct {
	method string
	at     Endpoint
	key    Kind
	path   string // escaped
	query  url.Values
	header http.Header
	body   io.Reader
	length int64 // bytes of body; -1: unknown
}

// String names the request without its query.
func (q call) String() string { return q.method + " " + q.at.String() + q.path }

// maxJSON bounds the answers that are read as a whole, in bytes.
const maxJSON = 16 << 20

// send makes a call. Its answer has a status below 300 and a body that the
// caller closes; any other is an AnswerError.
func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	target := q.at.Base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, q.body)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", q, withoutURL(err))
	}
	if q.body != nil {
		r.ContentLength = q.length
	}
	if q.header != nil {
		r.Header = q.header.Clone()
	}
	if err := c.authorize(r, q.key); err != nil {
		return nil, err
	}
	answer, err := q.at.HTTP.Do(r)
	if err != nil {
		return nil, q.unanswered(err)
	}
	if answer.StatusCode < http.StatusMultipleChoices {
		return answer, nil
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	return nil, q.refused(answer)
}

func (c *Client) authorize(r *http.Request, kind Kind) error {
	if kind == noKey || c.cfg.Key == nil {
		return nil
	}
	key, err := c.cfg.Key(kind)
	if err != nil {
		return fmt.Errorf("%s key: %w", kind, err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return nil
}

// ask makes a call whose answer is JSON, decodes it into v, and returns it as
// it came.
func (c *Client) ask(ctx context.Context, q call, v any) ([]byte, error) {
	answer, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	return q.decode(answer, v)
}

// decode reads an answer that is JSON into v.
func (q call) decode(answer *http.Response, v any) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxJSON+1))
	switch {
	case err != nil:
		return nil, q.brokenOff(err)
	case len(body) > maxJSON:
		return nil, fmt.Errorf("%v: the answer is larger than %d bytes", q, maxJSON)
	case json.Unmarshal(body, v) != nil: // its error is about a text that nobody expects
		return nil, q.foreign(answer, body)
	}
	return body, nil
}

// status makes a call that is answered by a sentence.
func (c *Client) status(ctx context.Context, q call) (string, error) {
	var answer struct {
		Status string `json:"status"`
	}
	_, err := c.ask(ctx, q, &answer)
	return answer.Status, err
}

// unanswered words the failure of a call that got no answer.
func (q call) unanswered(err error) error {
	err = withoutURL(err)
	if dialing(err) {
		return &UnreachableError{Endpoint: q.at.String(), Err: err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%v: the connection was closed without an answer", q)
	}
	return fmt.Errorf("%v: %w", q, err)
}

func (q call) brokenOff(err error) error {
	return fmt.Errorf("%v: the answer broke off: %w", q, err)
}

// withoutURL takes the URL, with its query, out of an error of net/http.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// segments joins the escaped parts of a path.
func segments(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}
