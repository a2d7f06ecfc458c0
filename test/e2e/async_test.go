package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

func TestAsynchronousWorkers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("SCH-060 WRK-060 many are in work, and are answered in any order", func(t *testing.T) {
		t.Parallel()
		l.add(t, "any", crowd())
		var all []*pending
		for i := range 5 {
			all = append(all, l.beginAsk(t, "any", fmt.Sprint("at/any", i), fmt.Sprint(i)))
		}
		for i := range all {
			l.awaitHeld(t, fmt.Sprint("any", i))
		}
		for i, p := range slices.Backward(all) {
			p.unanswered()
			l.open(t, fmt.Sprint("any", i))
			assert.Equal(t, fmt.Sprint(i, " (1)"), p.answer().Body)
		}
	})
	t.Run("SCH-061 INF-126 one that fails is the only one", func(t *testing.T) {
		t.Parallel()
		l.add(t, "fail", crowd())
		held := l.beginAsk(t, "fail", "at/fail", "held")
		l.awaitHeld(t, "fail")
		a := l.stream(t, "fail", "one/at/two/two")
		assert.Equal(t, "one", a.chunk())
		assertFailure(t, l.In(t).askOf("fail", "refuse", ""), 422, "InternalServerException", "refused by the model")
		assertFailure(t, l.In(t).askOf("fail", "fail", ""), 503, "InternalServerException", "Prediction failed")
		assertFailure(t, l.In(t).askOf("fail", "short", ""), 503, "InternalServerException", "number of batch response mismatched")
		broken := l.stream(t, "fail", "one/fail")
		broken.cut()
		l.open(t, "two")
		assert.Equal(t, []string{"two", " (1)"}, a.pieces())
		l.open(t, "fail")
		assert.Equal(t, "held (1)", held.answer().Body)
	})
	for step, status := range map[string]int{"die": 500, "kill": 507} {
		t.Run("SCH-062 SCH-063 SCH-015 all fail with their worker, and it comes back: "+step, func(t *testing.T) {
			t.Parallel()
			l.add(t, step, crowd())
			a := l.stream(t, step, "one/never")
			var all []*pending
			for range 3 {
				all = append(all, l.beginAsk(t, step, "never", ""))
			}
			all = append(all, l.beginAsk(t, step, "at/"+step+"/"+step, ""))
			pid := l.awaitHeld(t, step)
			l.In(t).Await("all", func() bool { return strings.Count(l.metadata(t, step), "-") == 4*5 })
			if step == "kill" {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}
			l.open(t, step)
			for _, p := range all {
				assertFailure(t, p.answer(), status, "InternalServerException", "Worker died.")
			}
			a.cut()
			assert.Equal(t, "later (1)", l.In(t).askOf(step, "", "later").Body)
			l.awaitWorker(t, step, pid)
		})
	}
	t.Run("SCH-062 a child that holds the connection does not hide the worker's end", func(t *testing.T) {
		t.Parallel()
		l.add(t, "child", crowd())
		pid := l.pid(t, "child")
		never := l.beginAsk(t, "child", "fork/at/child", "")
		l.awaitHeld(t, "child")
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		assertFailure(t, never.answer(), 507, "InternalServerException", "Worker died.")
		l.awaitWorker(t, "child", pid)
	})
	t.Run("SCH-064 batches are of one, and nobody waits for others", func(t *testing.T) {
		t.Parallel()
		l.add(t, "alone", crowd().with("batchSize: 4", "maxBatchDelay: 20000"))
		var all []*pending
		for i := range 8 {
			all = append(all, l.beginAsk(t, "alone", "", fmt.Sprint(i)))
		}
		for i, p := range all {
			assert.Equal(t, fmt.Sprint(i, " (1)"), p.answer().Body)
		}
	})
	t.Run("one that is forgotten fails, the others go on", func(t *testing.T) {
		t.Parallel()
		l.add(t, "forget", crowd().with("responseTimeout: 1"))
		pid := l.pid(t, "forget")
		forgotten := l.beginAsk(t, "forget", "never", "")
		streamed := l.stream(t, "forget", "one/never")
		l.In(t).Await("its end", func() bool {
			assert.Equal(t, "x (1)", l.In(t).askOf("forget", "", "x").Body)
			select {
			case <-forgotten.done:
				return true
			default:
				return false
			}
		})
		assertFailure(t, forgotten.answer(), 500, "InternalServerException", "Backend worker did not respond in given time")
		streamed.cut()
		assert.Equal(t, pid, l.pid(t, "forget"))
	})
	for _, verb := range []string{"never", "block"} {
		t.Run("SCH-013 a worker that says nothing at all is ended: "+verb, func(t *testing.T) {
			t.Parallel()
			l.add(t, verb, crowd().with("responseTimeout: 1"))
			pid := l.pid(t, verb)
			all := []*pending{l.beginAsk(t, verb, verb, ""), l.beginAsk(t, verb, verb, "")}
			for _, p := range all {
				assertFailure(t, p.answer(), 500, "InternalServerException", "Worker died.")
			}
			l.awaitWorker(t, verb, pid)
			assert.Equal(t, "x (1)", l.In(t).askOf(verb, "", "x").Body)
		})
	}
	t.Run("each piece has the response time-out of its own", func(t *testing.T) {
		t.Parallel()
		l.add(t, "pace", crowd().with("responseTimeout: 1"))
		assert.Equal(t, strings.Repeat("nap", 6)+" (1)", l.In(t).askOf("pace", strings.Repeat("nap/", 6), "").Body)
	})
	t.Run("no more are in work than maxAsyncRequests, the others wait", func(t *testing.T) {
		t.Parallel()
		l.add(t, "bound", crowd().with("maxAsyncRequests: 2", "jobQueueSize: 1"))
		var all []*pending
		for i := range 2 {
			all = append(all, l.beginAsk(t, "bound", fmt.Sprint("at/bound", i), ""))
			l.awaitHeld(t, fmt.Sprint("bound", i))
		}
		waits := l.beginAsk(t, "bound", "", "waits")
		l.awaitQueued(t, "bound", 1)
		assertFailure(t, l.In(t).askOf("bound", "", ""), 503, "ServiceUnavailableException", noWorker("bound", "1.0"))
		l.open(t, "bound1")
		all[1].answer()
		assert.Equal(t, "waits (1)", waits.answer().Body)
		l.open(t, "bound0")
		all[0].answer()
	})
	t.Run("an answer that nobody waits for is dropped", func(t *testing.T) {
		t.Parallel()
		l.add(t, "stranger", crowd())
		pid := l.pid(t, "stranger")
		assert.Equal(t, "x (1)", l.In(t).askOf("stranger", "stranger", "x").Body)
		left := l.beginAsk(t, "stranger", "one/at/left/two", "")
		l.awaitHeld(t, "left")
		left.end()
		<-left.done
		l.open(t, "left")
		l.In(t).Await("nobody is left", func() bool { return !strings.Contains(l.metadata(t, "stranger"), "-") })
		assert.Equal(t, "x (1)", l.In(t).askOf("stranger", "", "x").Body)
		assert.Equal(t, pid, l.pid(t, "stranger"))
	})
	t.Run("a client that asks again with the same id, while the first request is in work", func(t *testing.T) {
		t.Parallel()
		l.add(t, "twin", crowd())
		ask := func(verb, body string) *pending { return l.beginAskAs(t, "twin", "twin", verb, body) }
		first := ask("at/twin", "first")
		l.awaitHeld(t, "twin")
		beside := ask("", "beside")
		assert.Equal(t, "beside (1)", beside.answer().Body)
		assert.NotEqual(t, "twin", beside.reply.Header.Get("X-Request-Id"))
		first.end()
		<-first.done
		l.In(t).Await("the id", func() bool { // the server must have seen that the first client has gone
			again := ask("", "again")
			assert.Equal(t, "again (1)", again.answer().Body)
			return again.reply.Header.Get("X-Request-Id") == "twin"
		})
		assert.Equal(t, "other (1)", l.In(t).askOf("twin", "", "other").Body)
		l.open(t, "twin")
	})
	t.Run("describe is one request among others", func(t *testing.T) {
		t.Parallel()
		l.add(t, "describe", crowd())
		held := l.beginAsk(t, "describe", "at/describe", "")
		l.awaitHeld(t, "describe")
		assert.Contains(t, l.metadata(t, "describe"), `"size":1`)
		l.open(t, "describe")
		held.answer()
	})
	t.Run("PYB-091 a handler that is no coroutine function", func(t *testing.T) {
		t.Parallel()
		k := crowd()
		k.handler = strings.Replace(labHandler, "import itertools", "import itertools, gates", 1)
		l.add(t, "plain", k)
		assertFailure(t, l.In(t).askOf("plain", "echo", ""), 503, "InternalServerException", "Prediction failed")
	})
	t.Run("a request whose time is over", func(t *testing.T) {
		t.Parallel()
		l.add(t, "brief", crowd().with("clientTimeoutInMills: 300"))
		assertFailure(t, l.In(t).askOf("brief", "never", ""), 504, "InternalServerException", "Request timed out after 300 ms")
		l.stream(t, "brief", "one/never").cut()
		assert.Equal(t, "x (1)", l.In(t).askOf("brief", "", "x").Body)
	})
	for _, other := range []string{"continuousBatching", "sequenceBatching"} {
		t.Run("asynchronous workers cannot have "+other, func(t *testing.T) {
			t.Parallel()
			a := e2etest.Archive{Name: other, Handler: crowdHandler, Config: crowd().config + other + ": true\n", Files: map[string]string{"gates.py": gatesModule}}
			reply := l.manage(t, "POST", "/models?initial_workers=1&url="+a.Write(t, l.Store))
			assert.Equal(t, http.StatusBadRequest, reply.Status, "%s", reply.Body)
			assert.Contains(t, reply.Body, "asyncCommunication cannot be combined")
		})
	}
}
