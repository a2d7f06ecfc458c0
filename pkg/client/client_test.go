package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// seen is a request as a server got it.
type seen struct {
	line, key, media, body string
	length                 int64
}

// fake is a server that answers each request in the same way.
type fake struct {
	*client.Client
	base string
	got  chan seen
}

func serve(t *testing.T, answer http.HandlerFunc) fake {
	t.Helper()
	got := make(chan seen, 100) // more than a test asks
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		got <- seen{r.Method + " " + r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body), r.ContentLength}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	keys := func(kind client.Kind) (string, error) { return "key of " + string(kind), nil }
	return fake{at(s.URL, keys), s.URL, got}
}

func at(base string, keys func(client.Kind) (string, error)) *client.Client {
	e := client.Endpoint{Base: base, HTTP: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return client.New(client.Config{Inference: e, Management: e, Metrics: e, Key: keys})
}

func says(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	odd := model.Ref{Name: "a/b ?", Version: "1.0"}
	const management, inference, api = "Bearer key of management", "Bearer key of inference", "Bearer key of API"
	full := model.Registration{
		URL: "https://h/x.mar?sig=1&b=2", Name: "n", Handler: new("h:f"), Runtime: model.Python3, BatchSize: new(8), Workers: new(0),
		BatchDelay: new(20 * time.Millisecond), Response: new(3 * time.Second), Startup: new(time.Minute), S3SSEKMS: true, Synchronous: true,
	}
	for name, c := range map[string]struct {
		do   func(context.Context, *client.Client) error
		want seen
	}{
		"describe": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Describe(ctx, odd, true); return err },
			seen{line: "GET /models/a%2Fb%20%3F/1.0?customized=true", key: management},
		},
		"register by little": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Register(ctx, model.Registration{URL: "a.mar"})
				return err
			},
			seen{line: "POST /models?synchronous=false&url=a.mar", key: management},
		},
		"register by all": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Register(ctx, full); return err },
			seen{
				line: "POST /models?batch_size=8&handler=h%3Af&initial_workers=0&max_batch_delay=20&model_name=n&response_timeout=3" +
					"&runtime=python3&s3_sse_kms=true&startup_timeout=60&synchronous=true&url=" + url.QueryEscape(full.URL),
				key: management,
			},
		},
		"scale": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Scale(ctx, model.Ref{Name: "m"}, model.Scaling{Workers: model.Workers{Min: 1, Max: 3}})
				return err
			},
			seen{line: "PUT /models/m?max_worker=3&min_worker=1&synchronous=false", key: management},
		},
		"unregister": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Unregister(ctx, odd); return err },
			seen{line: "DELETE /models/a%2Fb%20%3F/1.0", key: management},
		},
		"set default": {
			func(ctx context.Context, c *client.Client) error { _, err := c.SetDefault(ctx, odd); return err },
			seen{line: "PUT /models/a%2Fb%20%3F/1.0/set-default", key: management},
		},
		"renew": {
			func(ctx context.Context, c *client.Client) error { return c.Renew(ctx, client.Inference) },
			seen{line: "POST /token?type=inference", key: api},
		},
		"ready": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Ready(ctx); return err },
			seen{line: "GET /readyz"},
		},
		"version": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Version(ctx); return err },
			seen{line: "GET /api-description"},
		},
		"predict": {
			func(ctx context.Context, c *client.Client) error {
				return predict(ctx, c, client.Prediction{
					Ref: odd, Body: strings.NewReader("hello"), Length: 5, Header: http.Header{"Content-Type": {"text/plain"}},
				})
			},
			seen{line: "POST /predictions/a%2Fb%20%3F/1.0", key: inference, body: "hello", length: 5, media: "text/plain"},
		},
		"predict without an end in sight": {
			func(ctx context.Context, c *client.Client) error {
				return predict(ctx, c, client.Prediction{Ref: model.Ref{Name: "m"}, Body: strings.NewReader("hello"), Length: -1})
			},
			seen{line: "POST /predictions/m", key: inference, body: "hello", length: -1},
		},
		"explain nothing": {
			func(ctx context.Context, c *client.Client) error {
				return predict(ctx, c, client.Prediction{Ref: model.Ref{Name: "m"}, Explain: true, Body: strings.NewReader("")})
			},
			seen{line: "POST /explanations/m", key: inference},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/models/") {
					_, _ = io.WriteString(w, "[]")
					return
				}
				_, _ = io.WriteString(w, `{"status":"Healthy"}`)
			})
			require.NoError(t, c.do(t.Context(), s.Client))
			assert.Equal(t, c.want, <-s.got)
		})
	}
}

func predict(ctx context.Context, c *client.Client, p client.Prediction) error {
	answer, err := c.Predict(ctx, p)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

func TestList(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("next_page_token") {
		case "":
			_, _ = io.WriteString(w, `{"nextPageToken":"2","models":[{"modelName":"a","modelUrl":"a.mar"},{"modelName":"b"}]}`)
		case "2":
			_, _ = io.WriteString(w, `{"nextPageToken":"3","models":[{"modelName":"c"}]}`)
		default: // a page that ends exactly at the last model names a next one (MGT-058)
			_, _ = io.WriteString(w, `{"models":[]}`)
		}
	})
	all, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []client.Listed{{Name: "a", URL: "a.mar"}, {Name: "b"}, {Name: "c"}}, all)
	assert.Len(t, s.got, 3)
}

func TestChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status   int
		location string
		want     client.Change
	}{
		"done":                                   {200, "/models/m/1.0", client.Change{Ref: model.Ref{Name: "m", Version: "1.0"}, Text: "so"}},
		"accepted":                               {202, "/models/a%2Fb/1%200", client.Change{Ref: model.Ref{Name: "a/b", Version: "1 0"}, Pending: true, Text: "so"}},
		"fewer than wanted":                      {206, "", client.Change{Pending: true, Text: "so"}},
		"a location of something else":           {202, "https://h/models/m/1.0", client.Change{Pending: true, Text: "so"}},
		"a location with an escape that is none": {202, "/models/%zz/1.0", client.Change{Pending: true, Text: "so"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", c.location)
				says(c.status, "application/json", `{"status":"so"}`)(w, r)
			})
			got, err := s.Register(t.Context(), model.Registration{URL: "a.mar"})
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   bool
		fails  string
	}{
		"healthy":            {says(200, "application/json", `{"status": "Healthy"}`), true, ""},
		"unhealthy":          {says(503, "application/json", `{"status": "Unhealthy"}`), false, ""},
		"somebody else":      {says(503, "text/html", "<h1>No backend</h1>"), false, "503 Service Unavailable, an HTML page"},
		"somebody else's OK": {says(200, "text/plain", "OK"), false, "is not TorchServe's"},
		"JSON of somebody":   {says(200, "application/json", "{}"), false, "the answer says nothing about health"},
		"TorchServe 0.12":    {without("/readyz", says(200, "application/json", `{"status": "Healthy"}`)), true, ""},
		"0.12, unhealthy":    {without("/readyz", says(500, "application/json", `{"status": "Unhealthy"}`)), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := serve(t, c.answer).Ready(t.Context())
			assert.Equal(t, c.want, got)
			if c.fails == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.fails)
		})
	}
}

// without refuses a path as 0.12 refuses those that it does not know.
func without(path string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != path && r.Header.Get("Authorization") == "Bearer key of inference":
			next(w, r)
		default:
			says(400, "application/json", `{"type": "InvalidKeyException", "message": "no key"}`)(w, r)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	s := serve(t, says(200, "text/plain; version=0.0.4", `
# TYPE ts_process_start_time_seconds gauge
ts_process_start_time_seconds 1.5e+09
# TYPE ts_jobs_running gauge
ts_jobs_running{model_name="a",model_version="1.0"} 2
# TYPE ts_queue_oldest_wait_seconds gauge
ts_queue_oldest_wait_seconds{model_name="a",model_version="1.0"} 0.25
`))
	got, err := s.Figures(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(1500000000), got.Started.Unix())
	assert.Equal(t, map[model.Ref]client.ModelFigures{
		{Name: "a", Version: "1.0"}: {Running: 2, Oldest: 250 * time.Millisecond},
	}, got.Models)

	_, err = serve(t, says(200, "text/html", "<h1>no</h1>")).Figures(t.Context())
	require.Error(t, err)
	got, err = serve(t, says(200, "text/plain", "")).Figures(t.Context())
	require.NoError(t, err, "0.12 answers with nothing")
	assert.True(t, got.Started.IsZero())
}

// TestStream proves that an answer is passed on while the model makes it.
func TestStream(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one ")
		_ = http.NewResponseController(w).Flush()
		<-gate
		_, _ = io.WriteString(w, "two")
	})
	answer, err := s.Predict(t.Context(), client.Prediction{Ref: model.Ref{Name: "m"}, Body: strings.NewReader("x"), Length: 1})
	require.NoError(t, err)
	first := make([]byte, 4)
	_, err = io.ReadFull(answer.Body, first)
	require.NoError(t, err)
	assert.Equal(t, "one ", string(first))
	close(gate)
	rest, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, "two", string(rest))
	require.NoError(t, answer.Body.Close())
}

// TestHalfAnswers has a connection that ends before its answer does.
func TestHalfAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		do     func(context.Context, *client.Client) error
		want   string
	}{
		"before the first byte": {"", list, "GET %s/models: the connection was closed without an answer"},
		"in the head":           {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n", list, "GET %s/models: the connection was closed without an answer"},
		"in a list":             {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"models\":[", list, "GET %s/models: the answer broke off: unexpected EOF"},
		"in a prediction": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", func(ctx context.Context, c *client.Client) error {
			return predict(ctx, c, client.Prediction{Ref: model.Ref{Name: "m"}, Body: strings.NewReader("x"), Length: 1})
		}, "POST %s/predictions/m: the answer broke off: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := raw(t, c.answer)
			err := c.do(t.Context(), at(base, nil))
			require.EqualError(t, err, fmt.Sprintf(c.want, base))
		})
	}
}

func list(ctx context.Context, c *client.Client) error {
	_, err := c.List(ctx)
	return err
}

// raw listens, and answers each connection with a text and its end.
func raw(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096)) // the request
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}
