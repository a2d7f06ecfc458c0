package rest_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// predictor is a Predictor whose answer is a function; it keeps the last job.
type predictor struct {
	answer  func(j *job.Job) error // nil: a 200 without a body
	resolve error
	startup model.Name

	mu   sync.Mutex // Protects fields below
	last *job.Job
}

func (p *predictor) Submit(_ context.Context, j *job.Job) error {
	p.mu.Lock()
	p.last = j
	p.mu.Unlock()
	if p.answer != nil {
		return p.answer(j)
	}
	deliver(j, job.Reply{Status: 200})
	return nil
}

func (p *predictor) Resolve(model.Ref) error { return p.resolve }

func (p *predictor) StartupModel() (model.Name, bool) { return p.startup, p.startup != "" }

func (p *predictor) job() *job.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// deliver answers as a worker does.
func deliver(j *job.Job, replies ...job.Reply) {
	if !j.Take(time.Now()) {
		return
	}
	for _, r := range replies {
		j.Deliver(r)
	}
}

// replying answers every job with the same replies.
func replying(replies ...job.Reply) *predictor {
	return &predictor{answer: func(j *job.Job) error {
		deliver(j, replies...)
		return nil
	}}
}

// refusing fails every job at once.
func refusing(err error) *predictor {
	return &predictor{answer: func(*job.Job) error { return err }, resolve: err}
}

// failing fails every job on the worker.
func failing(err error) *predictor {
	return &predictor{answer: func(j *job.Job) error {
		j.Take(time.Now())
		j.Fail(err)
		return nil
	}}
}

type health struct{ healthy, ready bool }

func (h health) Healthy() bool { return h.healthy }
func (h health) Ready() bool   { return h.ready }

// counters counts answers by status.
type counters struct {
	mu        sync.Mutex // Protects fields below
	statuses  []int
	requested []model.Ref
	predicted []model.Ref
}

func (c *counters) Answered(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses = append(c.statuses, status)
}

func (c *counters) Requested(ref model.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requested = append(c.requested, ref)
}

func (c *counters) Predicted(ref model.Ref, _, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.predicted = append(c.predicted, ref)
}

func (c *counters) answered() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int{}, c.statuses...)
}

// lines collects the access log.
type lines struct {
	mu  sync.Mutex // Protects fields below
	all []rest.AccessLine
}

func (l *lines) add(line rest.AccessLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) list() []rest.AccessLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]rest.AccessLine{}, l.all...)
}

func config() rest.Config {
	return rest.Config{
		ModelAPI: true, MaxRequestSize: 6553500,
		SequenceHeaders: []string{"ts_request_sequence_id", "ts_request_sequence_start", "ts_request_sequence_end"},
	}
}

func inference(p *predictor) http.Handler {
	return rest.Inference(config(), rest.Deps{Predictor: p, Health: health{true, true}, Log: zerolog.Nop()})
}

// request is one call; headers are written "Name: value".
type request struct {
	method, target, body string
	headers              []string
}

func (q request) http(t testing.TB) *http.Request {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodPost
	}
	r := httptest.NewRequestWithContext(t.Context(), q.method, q.target, strings.NewReader(q.body))
	for _, h := range q.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func call(t testing.TB, h http.Handler, q request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q.http(t))
	return w
}

// listen serves h on a real socket and returns its address.
func listen(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.DisableGeneralOptionsHandler = true
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// response is what a client reads.
type response struct {
	code   int
	header http.Header
	body   string
}

// conn is a client that sends and reads bytes.
type conn struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, address string) *conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &conn{t, c, bufio.NewReader(c)}
}

func (c *conn) send(text string) *conn {
	c.t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(c.t, err)
	return c
}

// response reads one response with its body.
func (c *conn) response(method string) response {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, &http.Request{Method: method})
	require.NoError(c.t, err)
	body, err := io.ReadAll(r.Body)
	require.NoError(c.t, err)
	require.NoError(c.t, r.Body.Close())
	return response{r.StatusCode, r.Header, string(body)}
}

// rest reads until the server closes.
func (c *conn) rest() string {
	c.t.Helper()
	all, err := io.ReadAll(c.in)
	require.NoError(c.t, err)
	return string(all)
}

func modelNotFound(name string) error {
	return fault.New(fault.ModelNotFound, "Model not found: "+name)
}

func status(text string) string { return "{\n  \"status\": \"" + text + "\"\n}\n" }

func failure(code, kind, message string) string {
	return "{\n  \"code\": " + code + ",\n  \"type\": \"" + kind + "\",\n  \"message\": \"" + message + "\"\n}\n"
}
