package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// TestMalformed says things to a listener that are not quite HTTP.
func TestMalformed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	to := path("lab", "echo")
	const invalid = "\r\n\r\n{\n  \"code\": 400,\n  \"type\": \"BadRequestException\",\n  \"message\": \"Invalid HTTP message.\"\n}\n"
	for name, request := range map[string]string{
		"INF-013 a request line that is none":   "nonsense\r\n\r\n",
		"INF-013 a protocol that is none":       "GET /ping NONSENSE\r\nHost: h\r\n\r\n",
		"INF-013 a header that is none":         "GET /ping HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n",
		"INF-013 a blank before the colon":      "GET /ping HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
		"INF-014 two lengths":                   "POST " + to + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"INF-014 a length that is none":         "POST " + to + " HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
		"INF-014 a negative length":             "POST " + to + " HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
		"INF-013 a chunk size that is none":     "POST " + to + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"INF-013 more headers than may be read": "GET /ping HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
		"INF-013 a request line without end":    "GET /" + strings.Repeat("x", 2<<20) + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"two Hosts":                             "GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := l.conversation(t, "")
			_, _ = io.WriteString(c.conn, request) // it may be refused before it is said completely
			answer := c.rest()
			assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%.300s", answer)
			assert.True(t, strings.HasSuffix(answer, invalid), "%.300s", answer)
		})
	}
}

// TestMessages says unusual things to a listener.
func TestMessages(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("max_request_size=1000", "max_response_size=1000"))
	to := path("lab", "echo")
	t.Run("INF-016 expectations", func(t *testing.T) {
		t.Parallel()
		c := l.conversation(t, "POST "+path("lab", "seen")+" HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
		assert.Equal(t, "HTTP/1.1 100 Continue\r\n\r\n", c.head())
		c.say("x")
		assert.True(t, strings.HasPrefix(c.head(), "HTTP/1.1 200 "))
		other := l.conversation(t, "POST "+to+" HTTP/1.1\r\nHost: h\r\nExpect: the-unexpected\r\nContent-Length: 1\r\n\r\n")
		assert.Regexp(t, `(?is)^HTTP/1.1 417 .*\r\ncontent-length: 0\r\n`, other.head())
	})
	t.Run("INF-018 a request without a host is served", func(t *testing.T) {
		t.Parallel()
		answer := l.In(t).Raw(e2etest.Inference, "POST "+to+" HTTP/1.1\r\nContent-Length: 7\r\n\r\nno host")
		assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 200 "), "%.300s", answer)
		assert.True(t, strings.HasSuffix(answer, "\r\n\r\nno host"), "%.300s", answer)
	})
	t.Run("INF-019 pipelined requests are answered in turn", func(t *testing.T) {
		t.Parallel()
		c := l.conversation(t, post(to, "one")+"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"+post(to, "three")+
			"GET /none HTTP/1.1\r\nHost: h\r\n\r\n")
		all := c.rest()
		require.Equal(t, 4, strings.Count(all, "HTTP/1.1 "), "%s", all)
		ids := map[string]bool{}
		for line := range strings.Lines(all) {
			if id, ok := strings.CutPrefix(strings.ToLower(line), "x-request-id: "); ok {
				ids[id] = true
			}
		}
		assert.Len(t, ids, 4)
		assert.Regexp(t, "(?s)\r\n\r\none.*Healthy.*\r\n\r\nthree.* 404 ", all)
	})
	t.Run("INF-020 a slow reader gets all of the answer on a connection that is closed", func(t *testing.T) {
		t.Parallel()
		body := strings.Repeat("x", 5<<20)
		l := newLab(t)
		c := l.conversation(t, post(path("lab", "status/500"), body))
		l.AwaitLog("access_log.log", path("lab", "status/500"))
		assert.Regexp(t, `(?is)^HTTP/1.1 500 .*\r\nconnection: close\r\n`, c.head())
		assert.True(t, body == c.rest())
	})
	t.Run("INF-D4 who asks for it gets its connection closed", func(t *testing.T) {
		t.Parallel()
		for _, request := range []string{"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /ping HTTP/1.0\r\n\r\n"} {
			answer := l.In(t).Raw(e2etest.Inference, request)
			assert.Contains(t, answer, "Healthy")
		}
	})
	t.Run("INF-120 INF-121 a body that is too large", func(t *testing.T) {
		t.Parallel()
		assert.Len(t, l.In(t).ask("echo", strings.Repeat("x", 1000)).Body, 1000)
		assert.Equal(t, http.StatusRequestEntityTooLarge, l.In(t).ask("echo", strings.Repeat("x", 1001)).Status)
		assert.Regexp(t, `(?s)^HTTP/1.1 413 .*\r\n\r\n$`, l.conversation(t, post(to, strings.Repeat("x", 5000))).rest(), "no reset")
		chunked := "POST " + to + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
		for size, status := range map[int]int{1000: 200, 1001: 413} {
			answer := l.In(t).Raw(e2etest.Inference, fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunked, size, strings.Repeat("x", size)))
			assert.True(t, strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", status)), "%.300s", answer)
			assert.Equal(t, status == 413, strings.HasSuffix(answer, "\r\n\r\n"), "%.300s", answer)
		}
		assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
	})
	t.Run("INF-122 WRK-034 an answer that is too large", func(t *testing.T) {
		t.Parallel()
		assert.Len(t, l.In(t).ask("big/1000", "").Body, 1000)
		before := l.describe(t, "lab").Workers[0].PID
		assertFailure(t, l.In(t).ask("big/1001", ""), 500, "InternalServerException",
			"Message size exceed limit: 1001\nConsider increasing the 'max_response_size' in 'config.properties' to fix.")
		assert.Equal(t, before, l.describe(t, "lab").Workers[0].PID)
		l.model(t, "pair", "batch_size=2&max_batch_delay=20000")
		large, small := l.beginAsk(t, "pair", "big/1001", ""), l.beginAsk(t, "pair", "echo", "small")
		assert.Equal(t, "small", small.answer().Body)
		assert.Equal(t, http.StatusInternalServerError, large.answer().Status)
	})
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("max_request_size=20000000", "max_response_size=20000000"))
	body := strings.Repeat("0123456789abcdef", 10<<16)
	t.Run("INF-120 10 MiB there and back", func(t *testing.T) {
		t.Parallel()
		reply := l.In(t).ask("echo", body)
		assert.Equal(t, http.StatusOK, reply.Status)
		assert.True(t, body == reply.Body, "%d bytes, not the same", len(reply.Body))
	})
	t.Run("10 MiB as a part of a form, in chunks", func(t *testing.T) {
		t.Parallel()
		reply := l.In(t).Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", "echo"),
			Header: map[string]string{"Content-Type": "multipart/form-data; boundary=b"},
			Body:   part(`name="body"; filename="x"`, "", body) + "--b--\r\n",
		})
		assert.Equal(t, http.StatusOK, reply.Status)
		assert.True(t, body == reply.Body, "%d bytes, not the same", len(reply.Body))
	})
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Properties("cors_allowed_origin=https://a.example", "cors_allowed_methods=GET, POST", "cors_allowed_headers=X-A"),
		e2etest.Serve(labArchive("")))
	headers := map[string]string{
		"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "X-A",
	}
	t.Run("INF-133 CFG-032 on every answer", func(t *testing.T) {
		t.Parallel()
		s := s.In(t)
		key := s.Key(e2etest.Inference)
		for status, reply := range map[int]e2etest.Reply{
			200: s.Get(e2etest.Inference, "/ping", key), 404: s.Get(e2etest.Inference, "/none", key), 400: s.Get(e2etest.Management, "/models", ""),
			405: s.Get(e2etest.Metrics, "/", ""),
		} {
			assert.Equal(t, status, reply.Status)
			for name, value := range headers {
				assert.Equal(t, []string{value}, reply.Header[name], "%d", status)
			}
		}
		plain := newLab(t).Get(e2etest.Inference, "/ping", "")
		for name := range headers {
			assert.NotContains(t, plain.Header, name)
		}
	})
	t.Run("INF-096 the handler knows better", func(t *testing.T) {
		t.Parallel()
		call := s.In(t).Prediction("lab/1.0/headers", `{"access-control-allow-origin": "*"}`)
		call.Header = map[string]string{"Content-Type": "application/json"}
		reply := s.In(t).Do(call)
		assert.Equal(t, []string{"*"}, reply.Header["Access-Control-Allow-Origin"])
		assert.Equal(t, []string{"X-A"}, reply.Header["Access-Control-Allow-Headers"])
	})
	t.Run("INF-135 without a key, and with a wrong one", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/ping", "/predictions/lab", "/none"} {
			for _, key := range []string{"", "wrong"} {
				assertFailure(t, s.In(t).Get(e2etest.Inference, path, key), 400, "InvalidKeyException",
					"Token Authorization failed. Token either incorrect, expired, or not provided correctly")
			}
		}
	})
	t.Run("INF-134 a preflight needs no key", func(t *testing.T) {
		t.Parallel()
		for role, path := range map[e2etest.Role]string{e2etest.Inference: "/predictions/lab", e2etest.Management: "/models"} {
			call := e2etest.Call{Method: http.MethodOptions, To: role, Path: path, Header: map[string]string{
				"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
			}}
			reply := s.In(t).Do(call)
			assert.Equal(t, http.StatusOK, reply.Status)
			assert.Equal(t, "https://a.example", reply.Header.Get("Access-Control-Allow-Origin"))
			delete(call.Header, "Origin")
			assert.Equal(t, http.StatusBadRequest, s.In(t).Do(call).Status)
		}
	})
}
