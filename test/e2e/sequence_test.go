package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// turn is what a handler answers to a request of a sequence.
type turn struct {
	Sequence, Start string
	Headers         map[string]any
	History, Batch  []string
	PID, Size       int
}

// in is a request of a sequence.
func in(sequence, model, verb, body string) e2etest.Call {
	return e2etest.Call{
		Method: http.MethodPost, To: e2etest.Inference, Path: path(model, verb), Body: body,
		Header: map[string]string{"ts_request_sequence_id": sequence},
	}
}

func asTurn(t *testing.T, reply e2etest.Reply) turn {
	t.Helper()
	require.Equal(t, http.StatusOK, reply.Status, "%s", reply.Body)
	var got turn
	reply.JSON(t, &got)
	return got
}

// take does one request of a sequence.
func (l lab) take(t *testing.T, sequence, model, body string) turn {
	t.Helper()
	return asTurn(t, l.In(t).Do(in(sequence, model, "say", body)))
}

func TestSequences(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("SCH-049 INF-086 a request without an id opens a sequence", func(t *testing.T) {
		t.Parallel()
		l.add(t, "fresh", sequences())
		first := asTurn(t, l.In(t).askOf("fresh", "say", "1"))
		assert.Regexp(t, "^ts-seq-[0-9a-f-]{36}$", first.Sequence)
		assert.Equal(t, "true", first.Start)
		second := l.take(t, first.Sequence, "fresh", "2")
		assert.Equal(t, []string{"1", "2"}, second.History)
		assert.Empty(t, second.Start)
		empty := asTurn(t, l.In(t).Do(in("", "fresh", "say", "")))
		assert.Equal(t, "true", empty.Start, "an empty id is none")
	})
	t.Run("SCH-050 the id's header may be written in any way, and the handler finds it as it is configured", func(t *testing.T) {
		t.Parallel()
		l.add(t, "spelling", sequences())
		for _, name := range []string{"ts_request_sequence_id", "Ts_Request_Sequence_Id", "TS_REQUEST_SEQUENCE_ID"} {
			got := l.conversation(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: h\r\n%s: s\r\nConnection: close\r\n\r\n", path("spelling", "say"), name)).rest()
			assert.Contains(t, got, `"ts_request_sequence_id": "s"`)
		}
		assert.Len(t, l.take(t, "s", "spelling", "").History, 4)
	})
	t.Run("SCH-051 PYB-039 requests of a sequence are done in order by one worker, with headers as they are called", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Properties("ts_header_key_sequence_id=My_Id", "ts_header_key_sequence_start=My_Start", "ts_header_key_sequence_end=My_End"))
		l.add(t, "order", sequences())
		require.Equal(t, http.StatusOK, l.manage(t, "PUT", "/models/order?min_worker=2&synchronous=true").Status)
		call := func(verb, body string) e2etest.Call {
			c := in("", "order", verb, body)
			c.Header = map[string]string{"my_ID": "s"}
			return c
		}
		held := l.begin(t, call("hold/order", "0"))
		pid := l.awaitHeld(t, "order")
		var all []*pending
		for i := range 5 {
			all = append(all, l.begin(t, call("say", fmt.Sprint(i+1))))
			l.awaitQueued(t, "order", i+1)
		}
		other := asTurn(t, l.In(t).askOf("order", "say", "")) // by the other worker
		assert.NotEqual(t, pid, other.PID)
		assert.Equal(t, "true", other.Headers["My_Start"])
		l.open(t, "order")
		assert.Equal(t, "s", asTurn(t, held.answer()).Headers["My_Id"])
		for i, p := range all {
			got := asTurn(t, p.answer())
			assert.Equal(t, strings.Split("0 1 2 3 4 5", " ")[:i+2], got.History)
			assert.Equal(t, pid, got.PID)
			assert.Equal(t, "s", got.Sequence)
		}
	})
	t.Run("SCH-052 SCH-010 a batch has one request of each sequence, in the order in which they came", func(t *testing.T) {
		t.Parallel()
		l.add(t, "batches", sequences())
		held := l.begin(t, in("a", "batches", "hold/batches", "0"))
		l.awaitHeld(t, "batches")
		var all []*pending
		for i, sequence := range []string{"b", "a", "b", "c", "a", "a"} {
			all = append(all, l.begin(t, in(sequence, "batches", "say", fmt.Sprint(i+1))))
			l.awaitQueued(t, "batches", i+1)
		}
		l.open(t, "batches")
		asTurn(t, held.answer())
		var got []string
		for _, p := range all {
			got = append(got, strings.Join(asTurn(t, p.answer()).Batch, ""))
		}
		assert.Equal(t, []string{"bac", "bac", "ba", "bac", "ba", "a"}, got)
	})
	t.Run("SCH-053 no more sequences than maxNumSequence, until one was idle long enough", func(t *testing.T) {
		t.Parallel()
		l.add(t, "number", sequences().with("maxNumSequence: 1", "sequenceMaxIdleMSec: 300"))
		held := l.begin(t, in("a", "number", "hold/number", "1"))
		l.awaitHeld(t, "number")
		for _, sequence := range []string{"b", ""} {
			assertFailure(t, l.In(t).Do(in(sequence, "number", "say", "")), 503, "ServiceUnavailableException", noWorker("number", "1.0"))
		}
		l.In(t).AwaitLog("ts_log.log", "for sequence: b due to jobGroups size: 1 exceeding maxNumSequence: 1\n")
		l.open(t, "number")
		asTurn(t, held.answer())
		assert.Equal(t, []string{"1", "2"}, l.take(t, "a", "number", "2").History, "it has not ended before")
		l.In(t).Await("room", func() bool { return l.In(t).Do(in("b", "number", "say", "")).Status == http.StatusOK })
		l.In(t).AwaitLog("ts_log.log", "added jobGroup for sequenceId:b\n")
	})
	t.Run("SCH-054 no more requests wait in a sequence than maxSequenceJobQueueSize", func(t *testing.T) {
		t.Parallel()
		l.add(t, "length", sequences().with("maxSequenceJobQueueSize: 1"))
		held := l.begin(t, in("a", "length", "hold/length", "1"))
		l.awaitHeld(t, "length")
		gone := l.begin(t, in("a", "length", "say", "gone"))
		l.awaitQueued(t, "length", 1)
		assertFailure(t, l.In(t).Do(in("a", "length", "say", "")), 503, "ServiceUnavailableException", noWorker("length", "1.0"))
		gone.end() // a client that does not wait takes no place
		<-gone.done
		l.awaitQueued(t, "length", 0)
		waits := l.begin(t, in("a", "length", "say", "2"))
		l.awaitQueued(t, "length", 1)
		l.open(t, "length")
		asTurn(t, held.answer())
		assert.Equal(t, []string{"1", "2"}, asTurn(t, waits.answer()).History)
	})
	t.Run("SCH-055 sequenceTimeoutMSec ends a sequence that is busy", func(t *testing.T) {
		t.Parallel()
		l.add(t, "timeout", sequences().with("sequenceTimeoutMSec: 500", "maxNumSequence: 1"))
		held := l.begin(t, in("a", "timeout", "hold/timeout", "1"))
		l.awaitHeld(t, "timeout")
		waits := l.begin(t, in("a", "timeout", "say", "2"))
		assertFailure(t, waits.answer(), 503, "ServiceUnavailableException", noWorker("timeout", "1.0"))
		l.open(t, "timeout")
		assert.Equal(t, []string{"1"}, asTurn(t, held.answer()).History)
		l.Await("the place of the sequence", func() bool { return l.Do(in("b", "timeout", "say", "3")).Status == http.StatusOK })
	})
	t.Run("SCH-058 describe belongs to no sequence", func(t *testing.T) {
		t.Parallel()
		l.add(t, "describe", sequences().with("maxNumSequence: 1"))
		held := l.begin(t, in("a", "describe", "hold/describe", "1"))
		l.awaitHeld(t, "describe")
		described := l.begin(t, e2etest.Call{To: e2etest.Management, Path: "/models/describe?customized=true"})
		l.awaitQueued(t, "describe", 1)
		next := l.begin(t, in("a", "describe", "say", "2"))
		l.awaitQueued(t, "describe", 2)
		l.open(t, "describe")
		asTurn(t, held.answer())
		assert.Equal(t, http.StatusOK, described.answer().Status)
		asTurn(t, next.answer())
		assert.JSONEq(t, `{"sequences": ["a"], "size": 1}`, l.metadata(t, "describe"))
	})
	t.Run("SCH-059 sequences without sequenceMaxIdleMSec", func(t *testing.T) {
		t.Parallel()
		k := sequences()
		k.config = "sequenceBatching: true\n"
		l.add(t, "default", k)
		l.take(t, "a", "default", "1")
		assert.Equal(t, []string{"1", "2"}, l.take(t, "a", "default", "2").History)
	})
	t.Run("a request that fails leaves its sequence alive", func(t *testing.T) {
		t.Parallel()
		l.add(t, "fail", sequences())
		l.take(t, "a", "fail", "1")
		assertFailure(t, l.In(t).Do(in("a", "fail", "fail", "")), 422, "InternalServerException", "refused by the model")
		assert.Equal(t, []string{"1", "2"}, l.take(t, "a", "fail", "2").History)
	})
	t.Run("a header that ends sequences means nothing without continuous batching", func(t *testing.T) {
		t.Parallel()
		l.add(t, "end", sequences())
		l.In(t).Do(in("a", "end", "end/a", "1"))
		assert.Equal(t, []string{"1", "2"}, l.take(t, "a", "end", "2").History)
	})
	t.Run("SCH-041 a request whose time is over does not stop its sequence", func(t *testing.T) {
		t.Parallel()
		l.add(t, "late", sequences().with("clientTimeoutInMills: 500"))
		held := l.begin(t, in("a", "late", "hold/late", "1"))
		l.awaitHeld(t, "late")
		late := l.begin(t, in("a", "late", "say", "2"))
		assertFailure(t, late.answer(), 504, "InternalServerException", "Request timed out after 500 ms")
		assert.Equal(t, http.StatusGatewayTimeout, held.answer().Status)
		l.open(t, "late")
		assert.Equal(t, []string{"1", "3"}, l.take(t, "a", "late", "3").History)
	})
}

// TestSequencesAndWorkers is about what becomes of sequences when their workers
// come and go.
func TestSequencesAndWorkers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("SCH-057 SCH-015 sequences end with their worker, others begin", func(t *testing.T) {
		t.Parallel()
		l.add(t, "crash", sequences().with("batchSize: 1"))
		l.take(t, "a", "crash", "1")
		held := l.begin(t, in("b", "crash", "hold/crash", ""))
		pid := l.awaitHeld(t, "crash")
		lost := l.begin(t, in("a", "crash", "say", "2"))
		l.awaitQueued(t, "crash", 1)
		kept := l.begin(t, in("c", "crash", "say", "3"))
		l.awaitQueued(t, "crash", 2)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		assertFailure(t, held.answer(), 507, "InternalServerException", "Worker died.")
		assertFailure(t, lost.answer(), 503, "ServiceUnavailableException", noWorker("crash", "1.0"))
		assert.Equal(t, []string{"3"}, asTurn(t, kept.answer()).History, "nothing of it was lost")
		l.awaitWorker(t, "crash", pid)
		assert.Equal(t, []string{"4"}, l.take(t, "a", "crash", "4").History)
		assertFailure(t, l.In(t).Do(in("a", "crash", "die", "")), 500, "InternalServerException", "Worker died.")
		assert.Equal(t, []string{"5"}, l.take(t, "a", "crash", "5").History)
	})
	t.Run("SCH-033 a worker that leaves takes no new sequences, and ends its own", func(t *testing.T) {
		t.Parallel()
		l.add(t, "leave", sequences())
		require.Equal(t, http.StatusOK, l.manage(t, "PUT", "/models/leave?min_worker=2&synchronous=true").Status)
		newest := l.describe(t, "leave").Workers[1].PID
		var sequence string
		for i := 0; sequence == ""; i++ {
			if got := l.take(t, fmt.Sprint("s", i), "leave", ""); got.PID == newest {
				sequence = got.Sequence
			}
		}
		held := l.begin(t, in(sequence, "leave", "hold/leave", ""))
		l.awaitHeld(t, "leave")
		lost := l.begin(t, in(sequence, "leave", "say", ""))
		l.awaitQueued(t, "leave", 1)
		assertStatus(t, l.manage(t, "PUT", "/models/leave?min_worker=1"), 202, textAccepted)
		for i := range 3 {
			assert.NotEqual(t, newest, l.take(t, fmt.Sprint("new", i), "leave", "").PID)
		}
		held.unanswered()
		l.open(t, "leave")
		asTurn(t, held.answer())
		assertFailure(t, lost.answer(), 503, "ServiceUnavailableException", noWorker("leave", "1.0"))
		assert.NotEqual(t, newest, l.take(t, sequence, "leave", "").PID)
	})
	t.Run("tickets are for those who open a sequence", func(t *testing.T) {
		t.Parallel()
		l.add(t, "tickets", sequences().with("useJobTicket: true"))
		held := l.begin(t, in("a", "tickets", "hold/tickets", "1"))
		l.awaitHeld(t, "tickets")
		assertFailure(t, l.In(t).Do(in("b", "tickets", "say", "")), 503, "ServiceUnavailableException", noWorker("tickets", "1.0"))
		next := l.begin(t, in("a", "tickets", "say", "2"))
		l.awaitQueued(t, "tickets", 1)
		l.open(t, "tickets")
		asTurn(t, held.answer())
		assert.Equal(t, []string{"1", "2"}, asTurn(t, next.answer()).History)
		l.In(t).Await("a ticket", func() bool { return l.In(t).Do(in("b", "tickets", "say", "")).Status == http.StatusOK })
	})
}

// TestContinuousSequences combines both: several requests of a sequence may be
// live.
func TestContinuousSequences(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	both := kind{stepsHandler, sequences().config, "at"}.with("continuousBatching: true", "batchSize: 1")
	t.Run("SCH-056 up to twice batchSize are live, of one sequence, too", func(t *testing.T) {
		t.Parallel()
		l.add(t, "twice", both)
		a := l.stream(t, "twice", "on", "ts_request_sequence_id: a")
		second := l.begin(t, in("a", "twice", "at/twice/1/2/3", ""))
		l.awaitHeld(t, "twice")
		third := l.begin(t, in("a", "twice", "x", ""))
		l.awaitQueued(t, "twice", 1)
		l.open(t, "twice")
		assert.Equal(t, "123", second.answer().Body)
		assert.Equal(t, "x", third.answer().Body)
		assert.Equal(t, "on", a.chunk())
		most := 0
		for _, iteration := range l.iterations(t, "twice") {
			for _, request := range iteration {
				assert.Equal(t, "a", request.Sequence)
			}
			most = max(most, len(iteration))
		}
		assert.Equal(t, 2, most)
	})
	t.Run("SCH-056 a handler ends sequences, and refuses what waits in them", func(t *testing.T) {
		t.Parallel()
		l.add(t, "ends", both)
		a := l.stream(t, "ends", "on", "ts_request_sequence_id: a")
		b := l.begin(t, in("b", "ends", "at/ends/end/a%3B%20b%20%3Bc", ""))
		l.awaitHeld(t, "ends")
		var waiting []*pending
		for i, sequence := range []string{"a", "b"} {
			waiting = append(waiting, l.begin(t, in(sequence, "ends", "late", "")))
			l.awaitQueued(t, "ends", i+1)
		}
		other := l.begin(t, in("d", "ends", "other", ""))
		l.awaitQueued(t, "ends", 3)
		l.open(t, "ends")
		assert.Equal(t, "end", b.answer().Body)
		for _, p := range waiting {
			assertFailure(t, p.answer(), 503, "ServiceUnavailableException", noWorker("ends", "1.0"))
		}
		assert.Equal(t, "other", other.answer().Body)
		assert.Equal(t, "on", a.chunk(), "what is live goes on")
		assert.Equal(t, "again", l.In(t).Do(in("a", "ends", "again", "")).Body)
		l.In(t).Await("it was opened twice", func() bool {
			return len(lines(l.Logs("ts_log.log"), "added jobGroup for sequenceId:a")) >= 2
		})
	})
	t.Run("SCH-047 SCH-058 describe has its turn, once: what came later does not join before", func(t *testing.T) {
		t.Parallel()
		l.add(t, "turn", both)
		a := l.stream(t, "turn", "one/at/turn/two/three", "ts_request_sequence_id: a")
		l.awaitHeld(t, "turn")
		described := l.begin(t, e2etest.Call{To: e2etest.Management, Path: "/models/turn?customized=true"})
		l.awaitQueued(t, "turn", 1)
		b := l.begin(t, in("b", "turn", "b", ""))
		l.awaitQueued(t, "turn", 2)
		l.open(t, "turn")
		assert.Equal(t, []string{"one", "two", "three"}, a.pieces())
		assert.Equal(t, http.StatusOK, described.answer().Status)
		assert.Equal(t, "b", b.answer().Body)
		var got []string
		for _, iteration := range l.iterations(t, "turn")[3:] {
			got = append(got, iteration[0].Path)
		}
		assert.Equal(t, []string{"describe", "b"}, got)
	})
}
