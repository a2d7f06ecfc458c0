package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// live is what a handler sees of a request in one iteration.
type live struct {
	ID, Path, Sequence, Start string
	Inputs                    []string
}

// iterations returns what the worker of a model was given, from the first one on.
func (l lab) iterations(t *testing.T, model string) [][]live {
	t.Helper()
	return journal[[]live](t, l, "steps-"+model)
}

// stream begins a request of which the pieces are of interest, and reads the head
// of its answer.
func (l lab) stream(t *testing.T, model, verb string, headers ...string) conversation {
	t.Helper()
	request := post(path(model, verb), "")
	for _, header := range headers {
		request = strings.Replace(request, "\r\n", "\r\n"+header+"\r\n", 1)
	}
	c := l.conversation(t, request)
	head := c.head()
	require.True(t, strings.HasPrefix(head, "HTTP/1.1 200 "), "%s", head)
	return c
}

// cut reads to the end of a connection that the server breaks off in the middle of
// a stream.
func (c conversation) cut() {
	c.t.Helper()
	rest, err := io.ReadAll(c)
	assert.NotErrorIs(c.t, err, os.ErrDeadlineExceeded)
	assert.False(c.t, strings.HasSuffix(string(rest), "0\r\n\r\n"), "%q", rest)
}

// pieces reads the pieces of a stream to its end.
func (c conversation) pieces() (all []string) {
	c.t.Helper()
	for piece := c.chunk(); piece != ""; piece = c.chunk() {
		all = append(all, piece)
	}
	return all
}

func TestContinuousBatching(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("SCH-043 SCH-044 WRK-041 PYB-031 requests join between iterations, and are then known", func(t *testing.T) {
		t.Parallel()
		l.add(t, "join", steps().with("batchSize: 2"))
		a := l.stream(t, "join", "one/at/join/two/three")
		assert.Equal(t, "one", a.chunk())
		l.awaitHeld(t, "join")
		b := l.beginAsk(t, "join", "1/2/3", "b")
		l.awaitQueued(t, "join", 1)
		c := l.beginAsk(t, "join", "only", "c")
		l.awaitQueued(t, "join", 2)
		l.open(t, "join")
		assert.Equal(t, []string{"two", "three"}, a.pieces())
		assert.Equal(t, "b123", b.answer().Body)
		assert.Equal(t, "true", b.reply.Header.Get("ts_stream_next"))
		assert.Equal(t, "conly", c.answer().Body)
		var got []string
		for _, iteration := range l.iterations(t, "join") {
			var seen []string
			for _, request := range iteration {
				seen = append(seen, fmt.Sprint(request.Path, request.Inputs))
			}
			got = append(got, strings.Join(seen, " "))
		}
		assert.Equal(t, []string{
			"one/at/join/two/three[body]",
			"one/at/join/two/three[]",
			"one/at/join/two/three[] 1/2/3[body]",
			"1/2/3[] only[body]",
			"1/2/3[]",
		}, got)
	})
	t.Run("SCH-044 INF-107 WRK-038 a first piece that is the last one is an ordinary answer", func(t *testing.T) {
		t.Parallel()
		l.add(t, "first", steps())
		for _, verb := range []string{"only", "alone"} {
			reply := l.In(t).askOf("first", verb, "")
			assert.Equal(t, []string{strconv.Itoa(len(verb))}, reply.Header["Content-Length"])
			assert.Empty(t, reply.Header.Get("ts_stream_next"))
			assert.Equal(t, verb, reply.Body)
		}
		c := l.stream(t, "first", "one/alone")
		assert.Equal(t, []string{"one", "alone"}, c.pieces(), "one that does not say so ends the stream")
		c.say(post(path("first", "only"), ""))
		assert.Regexp(t, `(?i)\r\ncontent-length: 4\r\n`, c.head(), "the connection goes on")
		assert.Equal(t, http.StatusTeapot, l.In(t).askOf("first", "status/418", "").Status)
	})
	t.Run("SCH-046 WRK-042 who has gone is not in the next iteration", func(t *testing.T) {
		t.Parallel()
		l.add(t, "leave", steps())
		a := l.stream(t, "leave", "on", "X-Request-Id: leaving")
		b := l.stream(t, "leave", "on")
		require.NoError(t, a.conn.Close())
		l.In(t).Await("b alone", func() bool {
			all := l.iterations(t, "leave")
			return len(all[len(all)-1]) == 1
		})
		l.In(t).AwaitLog("ts_log.log", "Connection to client got closed; Removing job: leaving\n")
		assert.Equal(t, "on", b.chunk())
		require.NoError(t, b.conn.Close())
		l.In(t).Await("somebody else alone", func() bool {
			assert.Equal(t, "x", l.In(t).askOf("leave", "x", "").Body)
			all := l.iterations(t, "leave")
			return len(all[len(all)-1]) == 1
		})
	})
	t.Run("SCH-047 describe is executed once, alone, whatever the last criterion said", func(t *testing.T) {
		t.Parallel()
		l.add(t, "describe", steps())
		a := l.stream(t, "describe", "one/at/describe/two")
		l.awaitHeld(t, "describe")
		described := l.begin(t, e2etest.Call{To: e2etest.Management, Path: "/models/describe?customized=true"})
		l.awaitQueued(t, "describe", 1)
		b := l.beginAsk(t, "describe", "b", "")
		l.awaitQueued(t, "describe", 2)
		l.open(t, "describe")
		assert.Equal(t, []string{"one", "two"}, a.pieces())
		assert.Equal(t, http.StatusOK, described.answer().Status)
		assert.Equal(t, "b", b.answer().Body)
		c := l.stream(t, "describe", "on") // the last criterion of which will be that it goes on
		require.NoError(t, c.conn.Close())
		assert.JSONEq(t, `{"model": "describe"}`, l.metadata(t, "describe"))
		assert.Equal(t, "x", l.In(t).askOf("describe", "x", "").Body)
		var found int
		for _, iteration := range l.iterations(t, "describe") {
			if iteration[0].Path == "describe" {
				assert.Len(t, iteration, 1)
				found++
			}
		}
		assert.Equal(t, 2, found)
	})
	t.Run("two live requests with one id are two requests", func(t *testing.T) {
		t.Parallel()
		l.add(t, "twins", steps())
		ask := func(verb, body string) *pending { return l.beginAskAs(t, "twin", "twins", verb, body) }
		first := ask("at/twins/a/b", "1")
		l.awaitHeld(t, "twins")
		second := ask("c/d", "2")
		l.awaitQueued(t, "twins", 1)
		first.end() // its client does not wait, and asks again
		<-first.done
		third := ask("e/f", "3")
		l.awaitQueued(t, "twins", 2)
		l.open(t, "twins")
		assert.Equal(t, "2cd", second.answer().Body)
		assert.Equal(t, "3ef", third.answer().Body)
		assert.NotEqual(t, second.reply.Header.Get("X-Request-Id"), third.reply.Header.Get("X-Request-Id"))
	})
	t.Run("useJobTicket there are as many tickets as places", func(t *testing.T) {
		t.Parallel()
		l.add(t, "tickets", steps().with("batchSize: 2", "maxBatchDelay: 20000", "useJobTicket: true"))
		a, b := l.beginAsk(t, "tickets", "one/at/tickets/two/three", "a"), l.beginAsk(t, "tickets", "one", "b")
		l.awaitHeld(t, "tickets")
		assert.Equal(t, "bone", b.answer().Body)
		c := l.beginAsk(t, "tickets", "joins", "c")
		l.awaitQueued(t, "tickets", 1)
		assertFailure(t, l.In(t).askOf("tickets", "x", ""), 503, "ServiceUnavailableException", noWorker("tickets", "1.0"))
		l.open(t, "tickets")
		assert.Equal(t, "aonetwothree", a.answer().Body)
		assert.Equal(t, "cjoins", c.answer().Body)
	})
}

// TestContinuousFailures has iterations fail, in all ways.
func TestContinuousFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for step, c := range map[string]struct {
		status  int
		message string
	}{
		"fail":      {422, "in the middle"},
		"criterion": {503, "Prediction failed"},
		"short":     {503, "number of batch response mismatched"},
	} {
		t.Run("SCH-045 INF-104 all live requests fail, and the worker goes on: "+step, func(t *testing.T) {
			t.Parallel()
			l.add(t, step, steps())
			pid := l.pid(t, step)
			a := l.stream(t, step, "one/at/"+step+"/two/three/four/five/six")
			assert.Equal(t, "one", a.chunk())
			l.awaitHeld(t, step)
			b := l.beginAsk(t, step, step+"/x", "")
			l.awaitQueued(t, step, 1)
			l.open(t, step)
			assertFailure(t, b.answer(), c.status, "InternalServerException", c.message)
			a.cut()
			assert.Equal(t, "x", l.In(t).askOf(step, "x", "").Body)
			assert.Equal(t, pid, l.pid(t, step))
		})
	}
	for step, status := range map[string]int{"die": 500, "kill": 507} {
		t.Run("SCH-015 the worker's end is that of its live requests only: "+step, func(t *testing.T) {
			t.Parallel()
			l.add(t, step, steps())
			a := l.stream(t, step, "on")
			b := l.beginAsk(t, step, "at/"+step+"/"+step, "")
			pid := l.awaitHeld(t, step)
			waiting := l.beginAsk(t, step, "x", "later")
			l.awaitQueued(t, step, 1)
			if step == "kill" {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}
			l.open(t, step)
			assertFailure(t, b.answer(), status, "InternalServerException", "Worker died.")
			a.cut()
			assert.Equal(t, "laterx", waiting.answer().Body)
			l.awaitWorker(t, step, pid)
		})
	}
	t.Run("an answer too many in an iteration ends the worker before another request gets it", func(t *testing.T) {
		t.Parallel()
		l.add(t, "twice", steps())
		a := l.stream(t, "twice", "one/twice/on")
		pid := l.pid(t, "twice")
		l.In(t).Await("the surplus one", func() bool { return a.chunk() == "between" })
		assertFailure(t, l.In(t).askOf("twice", "x", ""), 503, "InternalServerException", "number of batch response mismatched")
		a.cut()
		assert.Equal(t, "x", l.In(t).askOf("twice", "x", "").Body)
		l.awaitWorker(t, "twice", pid)
	})
	t.Run("an answer that nobody has asked for ends an idle worker", func(t *testing.T) {
		t.Parallel()
		l.add(t, "unasked", steps())
		pid := l.pid(t, "unasked")
		assert.Equal(t, "oneunasked", l.In(t).askOf("unasked", "one/unasked", "").Body)
		l.In(t).Await("it", func() bool { return len(journal[[]string](t, l, "unasked")) == 1 })
		assert.Equal(t, "x", l.In(t).askOf("unasked", "x", "").Body)
		l.awaitWorker(t, "unasked", pid)
	})
	t.Run("SCH-013 SCH-014 an iteration that takes too long", func(t *testing.T) {
		t.Parallel()
		l.add(t, "late", steps().with("responseTimeout: 1"))
		a := l.stream(t, "late", "one/at/never/two")
		pid := l.awaitHeld(t, "never")
		b := l.beginAsk(t, "late", "x", "")
		a.cut()
		assert.Equal(t, "x", b.answer().Body)
		l.awaitWorker(t, "late", pid)
	})
	t.Run("SCH-041 a request whose time is over is not in the next iteration", func(t *testing.T) {
		t.Parallel()
		l.add(t, "brief", steps().with("clientTimeoutInMills: 300"))
		pid := l.pid(t, "brief")
		l.stream(t, "brief", "on").cut()
		assertFailure(t, l.In(t).askOf("brief", "at/brief/x", ""), 504, "InternalServerException", "Request timed out after 300 ms")
		l.open(t, "brief")
		assert.Equal(t, "x", l.In(t).askOf("brief", "x", "").Body)
		assert.Equal(t, pid, l.pid(t, "brief"))
	})
}
