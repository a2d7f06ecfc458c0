package listen_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const malformedBody = "{\n  \"code\": 400,\n  \"type\": \"BadRequestException\",\n  \"message\": \"Invalid HTTP message.\"\n}\n"

// answering serves h on a plain listener of a network.
func answering(t *testing.T, network string, h http.HandlerFunc) net.Addr {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = socketPath(t)
	}
	l := open(t, network, address, nil)
	s := &http.Server{Handler: h, MaxHeaderBytes: 1 << 12}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return l.Addr()
}

// exchange sends text and returns all that comes back.
func exchange(t *testing.T, to net.Addr, text string) string {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), to.Network(), to.String())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	_, err = io.WriteString(c, text)
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(answer)
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"INF-013 garbage":                "garbage\r\n\r\n",
		"INF-013 no version":             "GET /ping\r\n\r\n",
		"INF-013 another version":        "GET /ping HTTP/3.7\r\nHost: h\r\n\r\n",
		"INF-014 two lengths":            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"a negative length":              "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
		"a header without colon":         "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n",
		"a blank before the colon":       "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
		"an escape that is none":         "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
		"no host in the second message":  "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"two hosts":                      "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
		"an unknown transfer coding":     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: rot13\r\n\r\n",
		"a head that is too large":       "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 1<<14) + "\r\n\r\n",
		"INF-020 with much behind it":    "garbage\r\n\r\n" + strings.Repeat("x", 1<<20),
		"the second message of a client": "GET / HTTP/1.1\r\nHost: h\r\n\r\ngarbage\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := answering(t, "tcp", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") })
			_, answer, found := strings.Cut(exchange(t, served, message), "HTTP/1.1 400 Bad Request\r\n")
			require.True(t, found)
			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			assert.Equal(t, malformedBody, body)
			assert.Regexp(t, "^content-type: application/json\r\nx-request-id: [0-9a-f-]{36}\r\nPragma: no-cache\r\n"+
				"Cache-Control: no-cache; no-store, must-revalidate, private\r\nExpires: Thu, 01 Jan 1970 00:00:00 UTC\r\n"+
				"content-length: 89\r\nconnection: close$", head)
		})
	}
	t.Run("on a unix socket", func(t *testing.T) {
		t.Parallel()
		assert.Contains(t, exchange(t, answering(t, "unix", nil), "garbage\r\n\r\n"), malformedBody)
	})
}

func TestHandlersAnswersStay(t *testing.T) {
	t.Parallel()
	const text = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	answer := exchange(t, answering(t, "tcp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, text) // the client is ours
	}), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	assert.True(t, strings.HasSuffix(answer, "\r\n\r\n"+text), answer)
	assert.NotContains(t, answer, "Invalid HTTP message.")
}

func TestLaxMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ message, want string }{
		"INF-018 no host":             {"GET / HTTP/1.1\r\n\r\n", "host [] body []"},
		"no host, and a body":         {"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "host [] body [abc]"},
		"no host, and a body in bits": {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "host [] body [abc]"},
		"blank lines first":           {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "host [h] body []"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := answering(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				w.Header().Set("Connection", "close")
				_, _ = io.WriteString(w, "host ["+r.Host+"] body ["+string(body)+"]") // the client is ours
			})
			answer := exchange(t, served, c.message)
			assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n"), answer)
			assert.True(t, strings.HasSuffix(answer, "\r\n\r\n"+c.want), answer)
		})
	}
}
