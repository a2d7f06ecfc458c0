package rest_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// streamer hands the job of a request to the test, which then answers it.
func streamer() (*predictor, <-chan *job.Job) {
	jobs := make(chan *job.Job, 1)
	return &predictor{answer: func(j *job.Job) error {
		jobs <- j
		return nil
	}}, jobs
}

func piece(text string) job.Reply {
	return job.Reply{Status: 200, More: true, Body: []byte(text), Headers: []job.Header{{Name: "ts_stream_next", Value: "true"}}}
}

const predictRequest = "POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"

func TestStream(t *testing.T) {
	t.Parallel()
	t.Run("INF-100 INF-101 INF-102 INF-103 INF-105 INF-106 one chunk for each message, at once", func(t *testing.T) {
		t.Parallel()
		p, jobs := streamer()
		l, n := &lines{}, &counters{}
		c := dial(t, listen(t, rest.Inference(config(), rest.Deps{Predictor: p, Access: l.add, Metrics: n, Health: health{true, true}, Log: zerolog.Nop()})))
		c.send(predictRequest)
		j := <-jobs
		j.Take(time.Now())
		first := piece("one")
		first.Status, first.ContentType = 201, "text/s"
		j.Deliver(first)
		head := readHead(t, c)
		assert.True(t, strings.HasPrefix(head, "HTTP/1.1 201 Created\r\n"))
		for _, header := range []string{"Transfer-Encoding: chunked\r\n", "Ts_stream_next: true\r\n", "Content-Type: text/s\r\n", "Connection: keep-alive\r\n"} {
			assert.Contains(t, head, header)
		}
		assert.NotContains(t, head, "Content-Length")
		assert.Equal(t, "3\r\none\r\n", readText(t, c, 8), "before the handler has ended")
		j.Deliver(piece(""))
		second := piece("two")
		second.Status = 500
		j.Deliver(second)
		assert.Equal(t, "3\r\ntwo\r\n", readText(t, c, 8), "an empty message makes no chunk")
		j.Deliver(job.Reply{Status: 200, Headers: []job.Header{{Name: "ts_stream_next", Value: "false"}}})
		assert.Equal(t, "0\r\n\r\n", readText(t, c, 5), "no trailers")
		r := c.send("GET /ping HTTP/1.1\r\nHost: h\r\n\r\n").response("GET")
		assert.Equal(t, 200, r.code)
		assert.Len(t, l.list(), 2, "one line for the stream, one for the ping")
		assert.Equal(t, []int{201, 200}, n.answered())
	})
	t.Run("WRK-038 the last message may have a body", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(replying(piece("a"), job.Reply{Body: []byte("b")}))))
		body := c.send(predictRequest).response("POST").body
		assert.Equal(t, "ab", body)
	})
	t.Run("INF-104 a failure breaks off", func(t *testing.T) {
		t.Parallel()
		p, jobs := streamer()
		l, n := &lines{}, &counters{}
		c := dial(t, listen(t, rest.Inference(config(), rest.Deps{Predictor: p, Access: l.add, Metrics: n, Log: zerolog.Nop()})))
		c.send(predictRequest)
		j := <-jobs
		j.Take(time.Now())
		j.Deliver(piece("one"))
		readHead(t, c)
		assert.Equal(t, "3\r\none\r\n", readText(t, c, 8))
		j.Fail(&fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died."})
		assert.Empty(t, c.rest(), "no last chunk")
		assert.Len(t, l.list(), 1)
		assert.Equal(t, []int{200, 500}, n.answered())
	})
	t.Run("INF-123 a deadline breaks off", func(t *testing.T) {
		t.Parallel()
		p := &predictor{answer: func(j *job.Job) error {
			j.Deadline = time.Now().Add(50 * time.Millisecond)
			j.Take(time.Now())
			j.Deliver(piece("one"))
			return nil
		}}
		c := dial(t, listen(t, inference(p)))
		c.send(predictRequest)
		readHead(t, c)
		assert.Equal(t, "3\r\none\r\n", c.rest())
	})
	t.Run("a status of 400 and more delivers the stream, then closes", func(t *testing.T) {
		t.Parallel()
		first := piece("bad")
		first.Status = 422
		c := dial(t, listen(t, inference(replying(first, job.Reply{}))))
		c.send(predictRequest)
		assert.Contains(t, readHead(t, c), "Connection: close\r\n")
		assert.Equal(t, "3\r\nbad\r\n0\r\n\r\n", c.rest())
	})
	t.Run("an HTTP/1.0 client gets plain bytes", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(replying(piece("a"), piece("b"), job.Reply{Body: []byte("c")}))))
		c.send("POST /predictions/m HTTP/1.0\r\n\r\n")
		assert.NotContains(t, readHead(t, c), "chunked")
		assert.Equal(t, "abc", c.rest())
	})
	t.Run("HEAD gets no chunk", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(replying(piece("a"), job.Reply{}))))
		c.send("HEAD /predictions/m HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		readHead(t, c)
		assert.Empty(t, c.rest())
	})
}

// readHead reads up to and with the empty line.
func readHead(t *testing.T, c *conn) string {
	t.Helper()
	var head strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		require.NoError(t, err)
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

func readText(t *testing.T, c *conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(c.in, b)
	require.NoError(t, err)
	return string(b)
}

func TestConnections(t *testing.T) {
	t.Parallel()
	echo := func() *predictor {
		return &predictor{answer: func(j *job.Job) error {
			deliver(j, job.Reply{Body: j.Request.Parameters[0].Value})
			return nil
		}}
	}
	t.Run("INF-019 pipelined requests are answered in order", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(echo())))
		for _, text := range []string{"1", "2", "3"} {
			c.send("POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n" + text)
		}
		ids := map[string]bool{}
		for _, text := range []string{"1", "2", "3"} {
			r := c.response("POST")
			body := r.body
			assert.Equal(t, text, body)
			ids[r.header.Get("X-Request-Id")] = true
		}
		assert.Len(t, ids, 3)
	})
	t.Run("INF-015 a chunked body", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(echo())))
		r := c.send("POST /predictions/m HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").response("POST")
		body := r.body
		assert.Equal(t, "abc", body)
	})
	t.Run("a body with broken chunks", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(echo())))
		r := c.send("POST /predictions/m HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n").response("POST")
		body := r.body
		assert.Equal(t, failure("400", "BadRequestException", "Invalid HTTP message."), body)
	})
	t.Run("INF-016 Expect: 100-continue", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(echo())))
		c.send("POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
		assert.Equal(t, "HTTP/1.1 100 Continue\r\n\r\n", readText(t, c, 25))
		body := c.send("x").response("POST").body
		assert.Equal(t, "x", body)
	})
	t.Run("INF-016 another expectation", func(t *testing.T) {
		t.Parallel()
		r := dial(t, listen(t, inference(echo()))).send("POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n").response("POST")
		assert.Equal(t, 417, r.code)
		assert.Empty(t, r.body)
	})
	t.Run("Connection: close is honored", func(t *testing.T) {
		t.Parallel()
		c := dial(t, listen(t, inference(echo())))
		c.send("GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		assert.Contains(t, c.rest(), "Connection: close\r\n")
	})
	t.Run("OPTIONS * is the root", func(t *testing.T) {
		t.Parallel()
		h := inference(echo())
		star := dial(t, listen(t, h)).send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").response("OPTIONS")
		root := dial(t, listen(t, h)).send("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n").response("OPTIONS")
		assert.Equal(t, root.code, star.code)
	})
	for name, target := range map[string]string{
		"CONNECT":          "CONNECT h:80 HTTP/1.1",
		"an HTTP/2 client": "PRI * HTTP/2.0",
		"a star":           "GET * HTTP/1.1",
	} {
		t.Run("a target that is no path: "+name, func(t *testing.T) {
			t.Parallel()
			method, _, _ := strings.Cut(target, " ")
			r := dial(t, listen(t, inference(echo()))).send(target + "\r\nHost: h\r\n\r\n").response(method)
			assert.Equal(t, 400, r.code)
			assert.Contains(t, r.body, "Invalid HTTP message.")
		})
	}
}

func TestSizeLimit(t *testing.T) {
	t.Parallel()
	limited := func(p *predictor, l *lines, n *counters) http.Handler {
		cfg := config()
		cfg.MaxRequestSize = 4
		return rest.Inference(cfg, rest.Deps{Predictor: p, Access: l.add, Metrics: n, Log: zerolog.Nop()})
	}
	for name, c := range map[string]struct {
		send string
		code int
	}{
		"declared":              {"POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345", 413},
		"declared, sent late":   {"POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 413},
		"of an unknown route":   {"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345", 413},
		"equal":                 {"POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\n1234", 200},
		"chunked":               {"POST /predictions/m HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", 413},
		"chunked, equal":        {"POST /predictions/m HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\n1234\r\n0\r\n\r\n", 200},
		"huge, nothing is read": {"POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n", 413},
	} {
		t.Run("INF-120 INF-121 "+name, func(t *testing.T) {
			t.Parallel()
			p, l, n := &predictor{}, &lines{}, &counters{}
			s := dial(t, listen(t, limited(p, l, n)))
			r := s.send(c.send).response("POST")
			body := r.body
			assert.Empty(t, body)
			assert.Equal(t, c.code, r.code)
			if strings.Contains(c.send, "Expect") {
				s.send("12345") // net/http waits for what was promised, or for the end of the client
			}
			assert.Empty(t, s.rest(), "the connection closes cleanly")
			assert.Equal(t, []int{c.code}, n.answered())
			assert.Len(t, l.list(), 1)
			assert.Equal(t, c.code == 200, p.job() != nil)
		})
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	t.Run("INF-124 a queued job of a client that has gone is dropped", func(t *testing.T) {
		t.Parallel()
		p, jobs := streamer()
		logged := make(chan rest.AccessLine, 1)
		d := rest.Deps{Predictor: p, Access: func(l rest.AccessLine) { logged <- l }, Log: zerolog.Nop()}
		c := dial(t, listen(t, rest.Inference(config(), d)))
		c.send(predictRequest)
		j := <-jobs
		require.NoError(t, c.Close())
		assert.Equal(t, 499, (<-logged).Status)
		assert.False(t, j.Take(time.Now()))
	})
	t.Run("a client that goes before its body is complete makes no job", func(t *testing.T) {
		t.Parallel()
		p := &predictor{}
		logged := make(chan rest.AccessLine, 1)
		d := rest.Deps{Predictor: p, Access: func(l rest.AccessLine) { logged <- l }, Log: zerolog.Nop()}
		c := dial(t, listen(t, rest.Inference(config(), d)))
		c.send("POST /predictions/m HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nx")
		require.NoError(t, c.Close())
		assert.Equal(t, 499, (<-logged).Status)
		assert.Nil(t, p.job())
	})
	t.Run("a client that goes within a stream is not a failure", func(t *testing.T) {
		t.Parallel()
		p, jobs := streamer()
		n := &counters{}
		done := make(chan struct{})
		h := rest.Inference(config(), rest.Deps{Predictor: p, Metrics: n, Log: zerolog.Nop()})
		c := dial(t, listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			h.ServeHTTP(w, r)
		})))
		c.send(predictRequest)
		j := <-jobs
		j.Take(time.Now())
		j.Deliver(piece("one"))
		readHead(t, c)
		require.NoError(t, c.Close())
		<-done
		assert.True(t, j.Abandoned())
		assert.Equal(t, []int{200}, n.answered())
	})
	t.Run("a slow reader does not hold the worker", func(t *testing.T) {
		t.Parallel()
		p, jobs := streamer()
		c := dial(t, listen(t, inference(p)))
		c.send(predictRequest)
		j := <-jobs
		j.Take(time.Now())
		big := strings.Repeat("x", 1<<20)
		for range job.MaxUnread>>20 + 40 {
			j.Deliver(piece(big)) // returns at once, whatever the client does
		}
		assert.False(t, strings.HasSuffix(c.rest(), "\r\n0\r\n\r\n"), "the stream was lost, not the worker's time")
	})
}

// TestConcurrency has many clients at a time; each gets its own answer.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	p := &predictor{answer: func(j *job.Job) error {
		deliver(j, job.Reply{Body: j.Request.Parameters[0].Value})
		return nil
	}}
	address := listen(t, inference(p))
	var clients sync.WaitGroup
	for i := range 8 {
		text := strings.Repeat(string(rune('a'+i)), 3000)
		clients.Go(func() {
			c := dial(t, address)
			for range 20 {
				c.send("POST /predictions/m HTTP/1.1\r\nHost: h\r\nX-Request-Id: same\r\nContent-Length: 3000\r\n\r\n" + text)
				body := c.response("POST").body
				assert.Equal(t, text, body)
			}
		})
	}
	clients.Wait()
}
