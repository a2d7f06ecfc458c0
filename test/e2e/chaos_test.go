package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// load is a number of clients that ask a model again and again.
type load struct {
	answers map[int]*atomic.Int64 // by status; 0: no answer
	stop    context.CancelFunc
	clients sync.WaitGroup
}

func (l lab) load(t *testing.T, model string, clients int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &load{answers: map[int]*atomic.Int64{0: {}, 200: {}, 500: {}, 503: {}, 507: {}}, stop: cancel}
	server := l.Server
	for i := range clients {
		p.clients.Go(func() {
			body := fmt.Sprintf("client %d", i)
			call := e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: path(model, "echo"), Body: body}
			for ctx.Err() == nil {
				reply, err := server.Send(t.Context(), call)
				status := reply.Status
				if err != nil || status == http.StatusOK && reply.Body != body || p.answers[status] == nil {
					status = 0
				}
				p.answers[status].Add(1)
			}
		})
	}
	t.Cleanup(p.end)
	return p
}

// end lets the clients finish what they have begun.
func (p *load) end() {
	p.stop()
	p.clients.Wait()
}

// served waits until so many more requests have been answered with 200.
func (l lab) served(t *testing.T, p *load, n int64) {
	t.Helper()
	from := p.answers[http.StatusOK].Load()
	l.In(t).Await("answers", func() bool { return p.answers[http.StatusOK].Load() >= from+n })
}

// TestWorkerKilled kills workers while clients ask.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("SCH-015 INF-118 only what it has in its hands fails, and it comes back", func(t *testing.T) {
		t.Parallel()
		l.model(t, "two", "")
		require.Equal(t, http.StatusOK, l.manage(t, "PUT", "/models/two?min_worker=2&synchronous=true").Status)
		held := l.beginAsk(t, "two", "hold/two", "")
		pid := l.awaitHeld(t, "two")
		clients := l.load(t, "two", 4)
		l.served(t, clients, 20)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		assertFailure(t, held.answer(), 507, "InternalServerException", "Worker died.")
		l.served(t, clients, 20)
		l.In(t).Await("both workers", func() bool {
			workers := l.describe(t, "two").Workers
			return workers[0].Status == "READY" && workers[1].Status == "READY"
		})
		clients.end()
		for status, n := range clients.answers {
			assert.Equal(t, status == http.StatusOK, n.Load() > 0, "%d: %d", status, n.Load())
		}
	})
	t.Run("SCH-081 SCH-016 every request has one answer, whenever the only worker is killed", func(t *testing.T) {
		t.Parallel()
		l.model(t, "one", "batch_size=4&max_batch_delay=5")
		clients := l.load(t, "one", 8)
		const kills = 2
		for range kills {
			l.served(t, clients, 50)
			l.kill(t, "one")
			l.served(t, clients, 50)
		}
		clients.end()
		assert.Zero(t, clients.answers[0].Load())
		assert.Zero(t, clients.answers[http.StatusServiceUnavailable].Load(), "those that wait, wait")
		died := clients.answers[http.StatusInsufficientStorage].Load() + clients.answers[http.StatusInternalServerError].Load()
		assert.LessOrEqual(t, died, int64(4*kills), "at most a batch each time")
	})
}

// TestStopUnderLoad stops a server that has work in its hands.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	t.Run("SCH-077 what has begun is answered, what waits is refused, and nobody is left", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		running := l.beginAsk(t, "lab", "hold/lab", "held")
		l.awaitHeld(t, "lab")
		queued := l.beginAsk(t, "lab", "echo", "")
		l.awaitQueued(t, "lab", 1)
		l.Signal(syscall.SIGTERM)
		assertFailure(t, queued.answer(), 503, "ServiceUnavailableException", noWorker("lab", "1.0"))
		running.unanswered()
		l.open(t, "lab")
		assert.Equal(t, "held", running.answer().Body)
		assert.Zero(t, l.Wait())
		assert.Empty(t, l.Processes())
	})
}

// descriptors returns the number of files and sockets that the server has open.
func (l lab) descriptors(t *testing.T) int {
	t.Helper()
	return len(names(t, fmt.Sprintf("/proc/%d/fd", l.PID)))
}

// TestRudeClients has clients that do not behave.
func TestRudeClients(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("http_header_timeout_sec=1"))
	dial := func(t *testing.T) *net.TCPConn {
		t.Helper()
		conn, err := net.DialTimeout("tcp", l.Address(e2etest.Inference), limit)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(limit)))
		tcp, ok := conn.(*net.TCPConn)
		require.True(t, ok)
		return tcp
	}
	assert.Equal(t, "x", l.ask("echo", "x").Body)
	t.Run("clients that go away at any byte", func(t *testing.T) {
		t.Parallel()
		request := post(path("lab", "echo"), strings.Repeat("body", 5000)) + "POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
		random := rand.New(rand.NewPCG(1, 2)) // the same bytes in every run
		for range 300 {
			conn := dial(t)
			if random.IntN(2) == 0 {
				require.NoError(t, conn.SetLinger(0)) // a reset instead of an end
			}
			_, err := io.WriteString(conn, request[:random.IntN(len(request))])
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
		assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
	})
	t.Run("a slow header is not waited for", func(t *testing.T) {
		t.Parallel()
		conn := dial(t)
		defer func() { _ = conn.Close() }()
		_, err := io.WriteString(conn, "POST "+path("lab", "echo")+" HTTP/1.1\r\nHost: h\r\n")
		require.NoError(t, err)
		begun := time.Now()
		_, err = io.ReadAll(conn)
		require.NoError(t, err)
		assert.Less(t, time.Since(begun), 5*time.Second)
	})
	t.Run("a slow body is waited for, and hinders nobody", func(t *testing.T) {
		t.Parallel()
		c := l.conversation(t, "POST "+path("lab", "echo")+" HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
		for i := range 100 {
			c.say("x")
			if i%20 == 0 {
				assert.Equal(t, "beside", l.In(t).ask("echo", "beside").Body)
			}
		}
		assert.True(t, strings.HasPrefix(c.head(), "HTTP/1.1 200 "))
	})
	t.Run("a slow reader gets everything, and hinders nobody", func(t *testing.T) {
		t.Parallel()
		const size = 6 << 20 // more than the sockets hold
		c := l.conversation(t, post(path("lab", fmt.Sprintf("big/%d", size)), ""))
		assert.True(t, strings.HasPrefix(c.head(), "HTTP/1.1 200 "))
		for range 10 {
			assert.Equal(t, "beside", l.In(t).ask("echo", "beside").Body)
		}
		n, err := io.CopyN(io.Discard, c, size)
		require.NoError(t, err)
		assert.EqualValues(t, size, n)
	})
	t.Run("headers without end, and lengths that lie", func(t *testing.T) {
		t.Parallel()
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 3000) + "\r\n",
			"POST " + path("lab", "echo") + " HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999\r\n\r\nx",
			"POST " + path("lab", "echo") + " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff1\r\nx",
		} {
			conn := dial(t)
			_, _ = io.WriteString(conn, request) // it may be refused before it is said completely
			_ = conn.CloseWrite()                // the same
			answer, _ := io.ReadAll(conn)        // a reset is an answer, too
			require.NoError(t, conn.Close())
			assert.Regexp(t, "^(HTTP/1.1 4[0-9][0-9] .*)?$", strings.SplitN(string(answer), "\r\n", 2)[0])
			assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
		}
	})
	t.Run("a form of very many parts", func(t *testing.T) {
		t.Parallel()
		reply := l.In(t).Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", "echo"), Header: map[string]string{"Content-Type": "multipart/form-data; boundary=b"},
			Body: strings.Repeat(part(`name="x"`, "", "y"), 20_000) + part(`name="body"`, "", "last") + "--b--",
		})
		assert.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, reply.Status)
		assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
	})
}

// TestNothingLeaks compares what a server has open before and after a storm.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	t.Run("connections and processes that have gone leave nothing behind", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		assert.Equal(t, "x", l.ask("echo", "x").Body)
		l.describe(t, "lab") // each listener has a connection now
		before := l.descriptors(t)
		var open []net.Conn
		for range 500 {
			conn, err := net.DialTimeout("tcp", l.Address(e2etest.Inference), limit)
			require.NoError(t, err)
			open = append(open, conn)
		}
		l.Await("500 more", func() bool { return l.descriptors(t) >= before+500 })
		assert.Equal(t, "x", l.ask("echo", "x").Body)
		for _, conn := range open {
			require.NoError(t, conn.Close())
		}
		for range 3 {
			l.model(t, "again", "")
			assert.Equal(t, "x", l.askOf("again", "echo", "x").Body)
			require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/again").Status)
		}
		l.Await("as before", func() bool { return l.descriptors(t) <= before })
	})
}

// TestFolders is about folders that go away, or cannot be written.
func TestFolders(t *testing.T) {
	t.Parallel()
	t.Run("the model store goes away", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		require.NoError(t, os.RemoveAll(l.Store))
		assert.Equal(t, "x", l.ask("echo", "x").Body)
		assertFailure(t, l.manage(t, "POST", "/models?url=lab.mar&model_name=x"), 404, "ModelNotFoundException", "Model not found at: lab.mar")
	})
	t.Run("a working directory that cannot be written", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() == 0 {
			t.Skip("permissions do not bind root")
		}
		s := e2etest.NewSite(t)
		require.NoError(t, os.Chmod(s.Dir, 0o500))
		got := s.Run("--start", "--foreground", "--ncs", "--model-store", s.Store)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "token_key_file")
	})
	t.Run("a full disk below the logs", func(t *testing.T) {
		t.Parallel()
		l := e2etest.NewSite(t, e2etest.NoTokens(), e2etest.Serve(labArchive("")))
		require.NoError(t, os.Mkdir(l.Path("logs"), 0o755))
		for file := range logFiles() {
			require.NoError(t, os.Symlink("/dev/full", l.Path("logs/"+file)))
		}
		s := l.Start()
		assert.Equal(t, "x", s.Predict("lab", "x").Body)
		s.AwaitOutput(`"POST /predictions/lab HTTP/1.1" 200`)
	})
}
