package rest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// TestBytes compares whole answers as they are on the wire.
func TestBytes(t *testing.T) {
	t.Parallel()
	const fixed = "Cache-Control: no-cache; no-store, must-revalidate, private\r\n"
	const after = "Expires: Thu, 01 Jan 1970 00:00:00 UTC\r\nPragma: no-cache\r\nX-Request-Id: r1\r\n"
	h := func(name, value string) job.Header { return job.Header{Name: name, Value: value} }
	for name, c := range map[string]struct {
		method string
		reply  job.Reply
		want   string
	}{
		"INF-010 INF-011 INF-017 INF-091 MGT-003 nothing set by the model": {
			"POST",
			job.Reply{Status: 200, Body: []byte("<html>")},
			"HTTP/1.1 200 OK\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 6\r\n" + after + "\r\n<html>",
		},
		"status, content type and headers of the model": {
			"POST",
			job.Reply{Status: 201, ContentType: "text/x", Body: []byte("a"), Headers: []job.Header{h("x-own", "v"), h("X-OWN", "w")}},
			"HTTP/1.1 201 Created\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 1\r\nContent-Type: text/x\r\n" +
				strings.Replace(after, "X-Request-Id", "X-Own: w\r\nX-Request-Id", 1) + "\r\na",
		},
		"INF-093 INF-011 MGT-004 a failure of the model's own": {
			"POST",
			job.Reply{Status: 404, Body: []byte("gone")},
			"HTTP/1.1 404 Not Found\r\n" + fixed + "Connection: close\r\nContent-Length: 4\r\n" + after + "\r\ngone",
		},
		"413 of the model stays": {
			"POST",
			job.Reply{Status: 413, Body: []byte("big")},
			"HTTP/1.1 413 Request Entity Too Large\r\n" + fixed + "Connection: close\r\nContent-Length: 3\r\n" + after + "\r\nbig",
		},
		"INF-095 headers that the model cannot set": {
			"POST",
			job.Reply{Status: 400, Body: []byte("a"), Headers: []job.Header{
				h("x-request-id", "x"), h("Pragma", "x"), h("cache-control", "x"), h("EXPIRES", "x"), h("Content-Length", "99"),
				h("Connection", "upgrade"), h("Transfer-Encoding", "chunked"), h("Trailer", "x"), h("Upgrade", "x"),
				h("Keep-Alive", "x"), h("Proxy-Authenticate", "x"),
			}},
			"HTTP/1.1 400 Bad Request\r\n" + fixed + "Connection: close\r\nContent-Length: 1\r\n" + after + "\r\na",
		},
		"INF-097 204": {
			"POST",
			job.Reply{Status: 204, Body: []byte("a")},
			"HTTP/1.1 204 No Content\r\n" + fixed + "Connection: keep-alive\r\n" + after + "\r\n",
		},
		"205": {
			"POST",
			job.Reply{Status: 205, Body: []byte("a")},
			"HTTP/1.1 205 Reset Content\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 0\r\n" + after + "\r\n",
		},
		"INF-097 304": {
			"POST",
			job.Reply{Status: 304, Body: []byte("a")},
			"HTTP/1.1 304 Not Modified\r\n" + fixed + "Connection: keep-alive\r\n" + after + "\r\n",
		},
		"INF-097 HEAD": {
			"HEAD",
			job.Reply{Status: 200, Body: []byte("abc")},
			"HTTP/1.1 200 OK\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 3\r\n" + after + "\r\n",
		},
		"INF-098 a header cannot split the response": {
			"POST",
			job.Reply{Status: 200, ContentType: "a\r\nX-Evil: 1", Headers: []job.Header{
				h("X-A", "b\r\nX-Evil: 2"), h("X-Evil:", "3"), h("X Evil", "4"), h("", "5"), h("X-E\r\n", "6"), h("X-L", "\u00fc\u20ac"),
			}},
			"HTTP/1.1 200 OK\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 0\r\nContent-Type: aX-Evil: 1\r\n" +
				strings.Replace(after, "X-Request-Id", "X-A: bX-Evil: 2\r\nX-L: \xfc?\r\nX-Request-Id", 1) + "\r\n",
		},
		"INF-107 a stream of one reply": {
			"POST",
			job.Reply{Status: 200, Body: []byte("a"), Headers: []job.Header{h("ts_stream_next", "false")}},
			"HTTP/1.1 200 OK\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 1\r\n" + after + "\r\na",
		},
		"an unknown status": {
			"POST",
			job.Reply{Status: 299},
			"HTTP/1.1 299 status code 299\r\n" + fixed + "Connection: keep-alive\r\nContent-Length: 0\r\n" + after + "\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c1 := dial(t, listen(t, inference(replying(c.reply))))
			c1.send(c.method + " /predictions/m HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\n\r\n")
			got := make([]byte, len(c.want))
			_, err := io.ReadFull(c1.in, got)
			require.NoError(t, err, "%q", got)
			require.Equal(t, c.want, string(got))
			if strings.Contains(c.want, "Connection: close") {
				assert.Empty(t, c1.rest(), "the server closes")
				return
			}
			// The connection is good for another request.
			r := c1.send("GET /ping HTTP/1.1\r\nHost: h\r\n\r\n").response("GET")
			assert.Equal(t, 200, r.code)
		})
	}
	t.Run("INF-010 INF-012 INF-127 a failure", func(t *testing.T) {
		t.Parallel()
		body := failure("404", "ModelNotFoundException", "Model not found: nomodel")
		c := dial(t, listen(t, inference(refusing(modelNotFound("nomodel")))))
		got := c.send("GET /predictions/nomodel HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\n\r\n").rest()
		assert.Equal(t, "HTTP/1.1 404 Not Found\r\n"+fixed+"Connection: close\r\nContent-Length: 95\r\nContent-Type: application/json\r\n"+
			after+"\r\n"+body, got)
	})
}

func TestSanitizingIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	p := replying(job.Reply{Headers: []job.Header{{Name: "a b", Value: "x"}, {Name: "X-A", Value: "a\nb"}}})
	call(t, rest.Inference(config(), rest.Deps{Predictor: p, Log: zerolog.New(&log)}), request{target: "/predictions/m"})
	assert.Contains(t, log.String(), `"header":"a b"`)
	assert.Contains(t, log.String(), `"header":"X-A"`)
}
