package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// cacheHeaders are on every answer.
func cacheHeaders() map[string]string {
	return map[string]string{
		"Pragma": "no-cache", "Cache-Control": "no-cache; no-store, must-revalidate, private",
		"Expires": "Thu, 01 Jan 1970 00:00:00 UTC",
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for kind, want := range map[string]string{
		"dict": "{\n  \"b\": 1,\n  \"a\": [\n    \"\\u00e4\",\n    null\n  ]\n}", "list": "[\n  1,\n  {\n    \"x\": true\n  }\n]",
		"str": "Grüße", "bytes": "\x00\xff", "bytearray": "\x01\xfe", "none": "null", "true": "true", "int": "7", "float": "0.5",
		"nan": "NaN", "empty": "",
	} {
		t.Run("INF-091 INF-094 WRK-026 a result of type "+kind, func(t *testing.T) {
			t.Parallel()
			reply := l.In(t).ask("kind/"+kind, "")
			assert.Equal(t, http.StatusOK, reply.Status)
			assert.Equal(t, want, reply.Body)
			assert.NotContains(t, reply.Header, "Content-Type")
			assert.Equal(t, []string{fmt.Sprint(len(want))}, reply.Header["Content-Length"])
		})
	}
	t.Run("INF-010 INF-011 INF-017 INF-090 the head of an answer", func(t *testing.T) {
		t.Parallel()
		reply := l.In(t).ask("echo", "x")
		for name, value := range cacheHeaders() {
			assert.Equal(t, []string{value}, reply.Header[name])
		}
		for _, name := range []string{"Date", "Server", "Content-Encoding", "Content-Type", "Vary"} {
			assert.NotContains(t, reply.Header, name)
		}
		answer := l.In(t).Raw(e2etest.Inference, "GET "+path("lab", "echo")+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 200 "), "%s", answer)
		kept := l.conversation(t, "GET "+path("lab", "echo")+" HTTP/1.1\r\nHost: h\r\n\r\n")
		head := kept.head()
		assert.Contains(t, strings.ToLower(head), "\r\nconnection: keep-alive\r\n")
	})
	for _, status := range []int{201, 203, 301, 404, 413, 418, 500, 999} {
		t.Run(fmt.Sprintf("INF-092 INF-093 INF-011 status %d", status), func(t *testing.T) {
			t.Parallel()
			reply := l.In(t).ask(fmt.Sprintf("status/%d", status), "")
			assert.Equal(t, status, reply.Status)
			assert.Equal(t, "with status", reply.Body)
			assert.Equal(t, status >= 400, reply.Close)
		})
	}
	t.Run("INF-097 answers without body", func(t *testing.T) {
		t.Parallel()
		for _, status := range []int{204, 205, 304} {
			reply := l.In(t).ask(fmt.Sprintf("status/%d", status), "")
			assert.Equal(t, status, reply.Status)
			assert.Empty(t, reply.Body)
		}
		head := l.In(t).Do(e2etest.Call{Method: http.MethodHead, To: e2etest.Inference, Path: path("lab", "big/100")})
		assert.Equal(t, http.StatusOK, head.Status)
		assert.Equal(t, "100", head.Header.Get("Content-Length"))
		assert.Empty(t, head.Body)
	})
	t.Run("INF-098 a status that is none", func(t *testing.T) {
		t.Parallel()
		for _, status := range []int{-1, 99, 101, 1000} {
			reply := l.In(t).ask(fmt.Sprintf("status/%d", status), "")
			assert.Equal(t, http.StatusInternalServerError, reply.Status, status)
		}
		assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
	})
	t.Run("INF-092 INF-095 INF-098 headers of the handler", func(t *testing.T) {
		t.Parallel()
		set := `{"content-type": "image/png", "x-mine": "1", "X-Split": "a\r\nSet-Cookie: b", "bad name": "x", "x-letters": "ü€", "x-number": 7,
			"x-request-id": "forged", "pragma": "forged", "CACHE-CONTROL": "forged", "Expires": "forged",
			"Content-Length": "3", "Connection": "upgrade", "Transfer-Encoding": "chunked"}`
		reply := l.In(t).Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", "headers"), Body: set,
			Header: map[string]string{"Content-Type": "application/json"},
		})
		assert.Equal(t, "with headers", reply.Body)
		for name, value := range map[string]string{"Content-Type": "image/png", "X-Mine": "1", "X-Letters": "\xfc?", "X-Number": "7"} {
			assert.Equal(t, []string{value}, reply.Header[name], name)
		}
		for name, value := range cacheHeaders() {
			assert.Equal(t, []string{value}, reply.Header[name])
		}
		assert.NotEqual(t, "forged", reply.Header.Get("X-Request-Id"))
		assert.Empty(t, reply.Header.Get("Set-Cookie"))
		assert.Contains(t, reply.Header.Get("X-Split"), "a")
	})
}

// TestBatchAnswers has two requests in one batch, each with its own answer.
func TestBatchAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.model(t, "pair", "batch_size=2&max_batch_delay=20000")
	t.Run("INF-092 SCH-007 PYB-052 PYB-053 each request has its own status, headers and body", func(t *testing.T) {
		t.Parallel()
		one := l.begin(t, e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: path("pair", "headers"), Body: `{"content-type": "text/x-one", "x-one": "1"}`,
			Header: map[string]string{"Content-Type": "application/json"},
		})
		two := l.beginAsk(t, "pair", "status/404", "")
		first, second := one.answer(), two.answer()
		assert.Equal(t, "with headers", first.Body)
		assert.Equal(t, "text/x-one", first.Header.Get("Content-Type"))
		assert.Equal(t, http.StatusOK, first.Status)
		assert.Equal(t, "with status", second.Body)
		assert.False(t, first.Close)
		assert.Equal(t, http.StatusNotFound, second.Status)
		assert.True(t, second.Close)
		assert.NotContains(t, second.Header, "X-One")
	})
	t.Run("INF-108 predictions and explanations do not share one", func(t *testing.T) {
		t.Parallel()
		l.model(t, "modes", "batch_size=2&max_batch_delay=20000")
		begin := func(route string) *pending {
			return l.begin(t, e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/" + route + "/modes/1.0/batch", Body: route})
		}
		alone, waiting := begin("predictions"), begin("explanations")
		select { // whichever comes second ends the batch of the other one
		case <-alone.done:
		case <-waiting.done:
			alone, waiting = waiting, alone
		}
		first := alone.answer().Body
		assert.Equal(t, "1 of 1: ", first[:len("1 of 1: ")])
		waiting.unanswered()
		route := "predictions"
		if strings.HasSuffix(first, route) {
			route = "explanations"
		}
		companion := begin(route)
		both := []string{waiting.answer().Body, companion.answer().Body}
		assert.ElementsMatch(t, []string{"1 of 2: " + route, "2 of 2: " + route}, both)
	})
}

// conversation is a connection of which the test sees the bytes.
type conversation struct {
	t    *testing.T
	conn net.Conn
	*bufio.Reader
}

// conversation connects to the inference listener and says something.
func (l lab) conversation(t *testing.T, text string) conversation {
	t.Helper()
	conn, err := net.DialTimeout("tcp", l.Address(e2etest.Inference), limit)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(limit)))
	c := conversation{t, conn, bufio.NewReader(conn)}
	c.say(text)
	return c
}

func (c conversation) say(text string) {
	c.t.Helper()
	_, err := io.WriteString(c.conn, text)
	require.NoError(c.t, err)
}

// head reads the head of an answer, with the empty line.
func (c conversation) head() string {
	c.t.Helper()
	var head strings.Builder
	for {
		line, err := c.ReadString('\n')
		require.NoError(c.t, err, "%s", head.String())
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

// chunk reads one chunk of a body; the last one is empty.
func (c conversation) chunk() string {
	c.t.Helper()
	size, err := c.ReadString('\n')
	require.NoError(c.t, err)
	var n int
	_, err = fmt.Sscanf(size, "%x\r\n", &n)
	require.NoError(c.t, err, "%q", size)
	content := make([]byte, n+2)
	_, err = io.ReadFull(c, content)
	require.NoError(c.t, err)
	require.Equal(c.t, "\r\n", string(content[n:]))
	return string(content[:n])
}

// rest reads until the server closes the connection.
func (c conversation) rest() string {
	c.t.Helper()
	rest, err := io.ReadAll(c)
	require.NoError(c.t, err)
	return string(rest)
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func TestStreams(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.model(t, "fragile", "")
	t.Run("INF-100 INF-101 INF-102 INF-105 INF-106 LOG-018 parts come as chunks, at once", func(t *testing.T) {
		t.Parallel()
		c := l.conversation(t, post(path("lab", "stream/one/at/stream/two")+"?once=1", "last"))
		head := c.head()
		assert.True(t, strings.HasPrefix(head, "HTTP/1.1 200 "), "%s", head)
		assert.Regexp(t, `(?i)\r\ntransfer-encoding: chunked\r\n`, head)
		assert.Regexp(t, `(?i)\r\nts_stream_next: true\r\n`, head)
		assert.NotRegexp(t, `(?i)\r\ncontent-length:`, head)
		assert.Equal(t, "one", c.chunk(), "while the handler waits")
		l.awaitHeld(t, "stream")
		l.In(t).AwaitLog("access_log.log", "?once=1")
		l.open(t, "stream")
		for _, want := range []string{"two", "last", ""} {
			assert.Equal(t, want, c.chunk())
		}
		c.say(post(path("lab", "echo"), "again"))
		assert.Regexp(t, `(?i)\r\ncontent-length: 5\r\n`, c.head())
		assert.Len(t, lines(l.In(t).Logs("access_log.log"), "?once=1"), 1)
	})
	t.Run("INF-103 empty parts are no chunks", func(t *testing.T) {
		t.Parallel()
		c := l.conversation(t, post(path("lab", "stream/empty/one/empty"), ""))
		c.head()
		assert.Equal(t, "one", c.chunk())
		assert.Empty(t, c.chunk())
	})
	for name, end := range map[string]string{"raises": "fail", "dies": "die"} {
		t.Run("INF-104 PYB-089 a handler that "+name+" in the middle breaks the connection", func(t *testing.T) {
			t.Parallel()
			c := l.conversation(t, post(path("fragile", "stream/one/"+end), ""))
			c.head()
			assert.Equal(t, "one", c.chunk())
			assert.Empty(t, c.rest())
			assert.Equal(t, "alive", l.In(t).askOf("fragile", "echo", "alive").Body)
		})
	}
	t.Run("an old client gets the parts without chunks", func(t *testing.T) {
		t.Parallel()
		answer := l.In(t).Raw(e2etest.Inference, "GET "+path("lab", "stream/one/two")+" HTTP/1.0\r\n\r\n")
		assert.True(t, strings.HasSuffix(answer, "\r\n\r\nonetwo"), "%s", answer)
	})
	t.Run("SCH-014 each part has the response time-out of its own", func(t *testing.T) {
		t.Parallel()
		l.model(t, "slow", "response_timeout=1")
		c := l.conversation(t, post(path("slow", "stream/one/at/never"), ""))
		c.head()
		assert.Equal(t, "one", c.chunk())
		assert.Empty(t, c.rest(), "the worker was killed, and the connection broken")
	})
}
