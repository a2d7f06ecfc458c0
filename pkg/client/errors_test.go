package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	own := `{"code": 404, "type": "ModelNotFoundException", "message": "Model not found: m"}`
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		text   string
		want   client.AnswerError
	}{
		"the server's own": {
			says(404, "application/json", own), "Model not found: m",
			client.AnswerError{Status: 404, Type: "ModelNotFoundException", Message: "Model not found: m"},
		},
		"with the last words of a worker": {
			says(500, "application/json", `{"type": "InternalServerException", "message": "Failed", "details": "ImportError: torch"}`),
			"Failed\nImportError: torch",
			client.AnswerError{Status: 500, Type: "InternalServerException", Message: "Failed", Details: "ImportError: torch"},
		},
		"without a message": {
			says(500, "application/json", `{"type": "NullPointerException"}`), "GET BASE/models: 500 Internal Server Error: NullPointerException",
			client.AnswerError{Status: 500, Type: "NullPointerException"},
		},
		"busy": {
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "7")
				says(503, "application/json", `{"type": "ServiceUnavailableException", "message": "no worker"}`)(w, r)
			},
			"no worker",
			client.AnswerError{Status: 503, Type: "ServiceUnavailableException", Message: "no worker", RetryAfter: 7 * time.Second},
		},
		"a date to retry after is not read": {
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT")
				says(503, "", "")(w, r)
			},
			"GET BASE/models: 503 Service Unavailable",
			client.AnswerError{Status: 503},
		},
		"a page of a proxy": {
			says(502, "text/html; charset=utf-8", "<html>Bad gateway</html>"),
			"GET BASE/models: 502 Bad Gateway, an HTML page, which is not TorchServe's: is the address right, or a proxy in between?",
			client.AnswerError{Status: 502, Media: "text/html", Text: "<html>Bad gateway</html>"},
		},
		"a page where JSON was wanted": {
			says(200, "text/html", "<html>Log in</html>"),
			"GET BASE/models: 200 OK, an HTML page, which is not TorchServe's: is the address right, or a proxy in between?",
			client.AnswerError{Status: 200, Media: "text/html", Text: "<html>Log in</html>"},
		},
		"half of JSON": {
			says(200, "application/json", `{"models":[`), "GET BASE/models: the answer is not TorchServe's: is the address right?",
			client.AnswerError{Status: 200, Media: "application/json", Text: `{"models":[`},
		},
		"a status of a handler": {
			says(418, "text/plain", " I am a\n\tteapot\n"), "GET BASE/models: 418 I'm a teapot: I am a\n\tteapot",
			client.AnswerError{Status: 418, Media: "text/plain", Text: "I am a\n\tteapot"},
		},
		"bytes are not shown":  {says(500, "", "\x1b[31mred"), "GET BASE/models: 500 Internal Server Error", client.AnswerError{Status: 500}},
		"nor bad characters":   {says(500, "", "\xff\xfe"), "GET BASE/models: 500 Internal Server Error", client.AnswerError{Status: 500}},
		"a status of nobody's": {says(599, "text/plain", ""), "GET BASE/models: 599", client.AnswerError{Status: 599, Media: "text/plain"}},
		"a redirect": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(http.StatusFound)
			},
			"GET BASE/models: 302 Found: redirects are not followed, because keys are for one server only",
			client.AnswerError{Status: 302},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			_, err := s.List(t.Context())
			var got *client.AnswerError
			require.ErrorAs(t, err, &got)
			c.want.Call = "GET " + s.base + "/models"
			assert.Equal(t, c.want, *got)
			assert.Equal(t, strings.ReplaceAll(c.text, "BASE", s.base), err.Error())
		})
	}
	t.Run("a long text is cut between characters", func(t *testing.T) {
		t.Parallel()
		_, err := serve(t, says(500, "text/plain", "x"+strings.Repeat("ü", 5000))).List(t.Context())
		var got *client.AnswerError
		require.ErrorAs(t, err, &got)
		assert.Equal(t, "x"+strings.Repeat("ü", 999), got.Text)
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = at("http://"+l.Addr().String(), nil).List(t.Context())
	var got *client.UnreachableError
	require.ErrorAs(t, err, &got)
	assert.Equal(t, "http://"+l.Addr().String(), got.Endpoint)
}

// TestSecrets proves that errors show neither keys nor queries.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	keys := func(client.Kind) (string, error) { return secret, nil }
	r := model.Registration{URL: "https://h/x.mar?sig=" + secret}
	for name, base := range map[string]string{
		"refused":        serve(t, says(500, "text/html", "")).base,
		"closed":         raw(t, ""),
		"unreachable":    "http://127.0.0.1:1",
		"no address":     "http://h:port",
		"no host at all": "://",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := at(base, keys).Register(t.Context(), r)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-s.got
		cancel()
	}()
	_, err := s.List(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestKeyFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("no file")
	s := serve(t, says(200, "application/json", `{"models":[]}`))
	_, err := at(s.base, func(client.Kind) (string, error) { return "", broken }).List(t.Context())
	require.ErrorIs(t, err, broken)
	assert.EqualError(t, err, "management key: no file")
	assert.Empty(t, s.got, "nothing is sent without it")

	_, err = at(s.base, func(client.Kind) (string, error) { return "", nil }).List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, (<-s.got).key)
}

// TestLargeAnswers proves that no answer is read without end.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		block := strings.Repeat(" ", 1<<20)
		for range 100 {
			if _, err := io.WriteString(w, block); err != nil {
				return // as it should be
			}
		}
	})
	_, err := s.List(t.Context())
	require.ErrorContains(t, err, "the answer is larger than")
}
