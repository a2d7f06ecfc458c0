package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// noWorker is what a client reads where nobody can take its request.
func noWorker(model, version string) string {
	if version != "" {
		version = " Version " + version + `"`
	}
	return `Model "` + model + `"` + version + " has no worker to serve inference request. Please use scale workers API to add workers." +
		" If this is a sequence inference, please check if it is closed, or expired; or exceeds maxSequenceJobQueueSize"
}

// TestHandlerFailures has the handler fail in all ways that do not end it.
func TestHandlerFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for verb, c := range map[string]struct {
		id, message string
		status      int
	}{
		"fail/prediction":     {"INF-114 WRK-023 PYB-047", "refused by the model", 500},
		"fail/prediction/422": {"INF-113 WRK-023", "refused by the model", 422},
		"fail/prediction/404": {"INF-113 WRK-023 PYB-047", "refused by the model", 404},
		"fail/prediction/413": {"INF-114", "refused by the model", 507},
		"fail/prediction/200": {"INF-113", "refused by the model", 500},
		"fail/prediction/999": {"INF-113", "refused by the model", 500},
		"fail/memory":         {"INF-115 WRK-022", "Out of resources", 507},
		"fail/cuda":           {"INF-115 WRK-022", "Out of resources", 507},
		"fail/value":          {"INF-116 WRK-022 SCH-012", "Prediction failed", 503},
		"return/str":          {"INF-117 WRK-024", "Invalid model predict output", 503},
		"return/none":         {"INF-117 WRK-024", "Invalid model predict output", 503},
		"return/dict":         {"INF-117 WRK-024", "Invalid model predict output", 503},
		"return/short":        {"INF-117 WRK-024", "number of batch response mismatched", 503},
		"return/long":         {"INF-117 WRK-024", "number of batch response mismatched", 503},
		"return/set":          {"INF-117 WRK-025", "Unsupported model output data type.", 503},
	} {
		t.Run(c.id+" "+verb, func(t *testing.T) {
			t.Parallel()
			reply := l.In(t).ask(verb, "")
			assertFailure(t, reply, c.status, "InternalServerException", c.message)
			assert.True(t, reply.Close, "INF-011")
			assert.NotContains(t, reply.Body, "secret", "the traceback is the operator's")
			assert.Regexp(t, "^{\n  \"code\": [0-9]+,\n  \"type\": \"[A-Za-z]+\",\n  \"message\": \".+\"\n}\n$", reply.Body, "INF-012 INF-127")
			assert.Equal(t, "alive", l.In(t).ask("echo", "alive").Body)
		})
	}
	t.Run("INF-113 SCH-012 PYB-047 the whole batch fails", func(t *testing.T) {
		t.Parallel()
		l.model(t, "pair", "batch_size=2&max_batch_delay=20000")
		one, two := l.beginAsk(t, "pair", "fail/prediction/422", ""), l.beginAsk(t, "pair", "fail/prediction/422", "")
		for _, p := range []*pending{one, two} {
			assertFailure(t, p.answer(), 422, "InternalServerException", "refused by the model")
		}
	})
	t.Run("INF-112 INF-130 SCH-002 requests to a model that loads are answered later", func(t *testing.T) {
		t.Parallel()
		waiting := e2etest.Archive{Name: "waiting", Handler: loadingAt("loading")}
		reply := l.In(t).Manage(http.MethodPost, "/models?initial_workers=1&synchronous=false&url="+waiting.Write(t, l.Store))
		require.Equal(t, http.StatusAccepted, reply.Status, "%s", reply.Body)
		p := l.beginAsk(t, "waiting", "echo", "later")
		l.awaitHeld(t, "loading")
		l.awaitQueued(t, "waiting", 1)
		assert.Equal(t, http.StatusOK, l.In(t).Get(e2etest.Inference, "/ping", "").Status, "INF-130")
		l.open(t, "loading")
		assert.Equal(t, "later", p.answer().Body)
	})
}

// TestDeath has the handler end its process, with a worker of its own for each
// way.
func TestDeath(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for verb, c := range map[string]struct {
		id     string
		status int
	}{
		"exit/1":         {"INF-118 SCH-015 WRK-065", 500},
		"exit/0":         {"INF-118 SCH-015 WRK-065", 500},
		"exit/137":       {"INF-118 SCH-015 WRK-065", 507},
		"kill":           {"INF-118 SCH-015 WRK-065", 507},
		"sleep":          {"INF-119 SCH-013", 500},
		"fail/exit":      {"PYB-051", 500},
		"fail/interrupt": {"PYB-051", 500},
	} {
		t.Run(c.id+" "+verb, func(t *testing.T) {
			t.Parallel()
			model := strings.ReplaceAll(verb, "/", "")
			l.model(t, model, "response_timeout=1")
			before := l.describe(t, model).Workers[0]
			assertFailure(t, l.In(t).askOf(model, verb, ""), c.status, "InternalServerException", "Worker died.")
			assert.Equal(t, http.StatusOK, l.In(t).Get(e2etest.Inference, "/ping", "").Status, "INF-131 SCH-019 it may recover")
			assert.Equal(t, "again", l.In(t).askOf(model, "echo", "again").Body, "waits for the next one")
			after := l.describe(t, model).Workers[0]
			assert.Equal(t, before.ID, after.ID, "SCH-035")
			assert.NotEqual(t, before.PID, after.PID)
			assert.False(t, e2etest.Alive(before.PID))
		})
	}
	for _, way := range []string{"die", "exit"} {
		t.Run("PYB-051 SCH-015 a request that waits while the worker ends: "+way, func(t *testing.T) {
			t.Parallel()
			model := "waiting-" + way
			l.model(t, model, "")
			last := l.beginAsk(t, model, "stream/at/"+model+"/"+way, "")
			l.awaitHeld(t, model)
			waiting := l.beginAsk(t, model, "echo", "served")
			l.awaitQueued(t, model, 1)
			l.open(t, model)
			assertFailure(t, last.answer(), 500, "InternalServerException", "Worker died.")
			assert.Equal(t, "served", waiting.answer().Body)
		})
	}
	t.Run("INF-131 INF-132 SCH-017 SCH-018 SCH-020 SCH-021 SCH-022 a worker that is not started again", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.archive(t, "mortal", "maxRetryTimeoutInSec: 0\n")
		second := labArchive("")
		second.Name, second.Version = "mortal", "2.0"
		register(t, l.Server, "initial_workers=1&url="+second.Write(t, l.Store))
		waiting := l.beginAsk(t, "mortal", "hold/mortal", "")
		l.awaitHeld(t, "mortal")
		queued := l.beginAsk(t, "mortal", "echo", "")
		l.awaitQueued(t, "mortal", 1)
		l.kill(t, "mortal")
		assertFailure(t, waiting.answer(), 507, "InternalServerException", "Worker died.")
		assertFailure(t, queued.answer(), 503, "ServiceUnavailableException", noWorker("mortal", "1.0"))
		ping := func() e2etest.Reply { return l.In(t).Get(e2etest.Inference, "/ping", "") }
		l.In(t).Await("INF-131 SCH-019 /ping says 500", func() bool { return ping().Status == http.StatusInternalServerError })
		assert.Equal(t, "{\n  \"status\": \"Unhealthy\"\n}\n", ping().Body)
		assert.Equal(t, http.StatusServiceUnavailable, l.In(t).Get(e2etest.Inference, "/readyz", "").Status)
		assertFailure(t, l.In(t).Get(e2etest.Inference, "/predictions/mortal", ""), 503, "ServiceUnavailableException", noWorker("mortal", ""))

		require.Equal(t, http.StatusOK, l.In(t).Manage(http.MethodPut, "/models/mortal/2.0/set-default").Status)
		assert.Equal(t, http.StatusOK, ping().Status, "INF-132 SCH-020 only the default version counts")
		require.Equal(t, http.StatusOK, l.In(t).Manage(http.MethodPut, "/models/mortal/1.0/set-default").Status)
		require.Equal(t, http.StatusInternalServerError, ping().Status)
		scaled := l.In(t).Manage(http.MethodPut, "/models/mortal?min_worker=1&synchronous=true")
		assert.Equal(t, http.StatusOK, scaled.Status, "%s", scaled.Body)
		assert.Equal(t, "{\n  \"status\": \"Healthy\"\n}\n", ping().Body)
		assert.Equal(t, "back", l.In(t).askOf("mortal", "echo", "back").Body, "SCH-022")
	})
}

// TestRefusals is about requests that no worker gets.
func TestRefusals(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("job_queue_size=1"))
	refused := func(t *testing.T, reply e2etest.Reply, message string) {
		t.Helper()
		assertFailure(t, reply, 503, "ServiceUnavailableException", message)
		assert.Equal(t, "1", reply.Header.Get("Retry-After"))
	}
	t.Run("INF-110 INF-130 SCH-001 no worker", func(t *testing.T) {
		t.Parallel()
		register(t, l.Server, "url=lab.mar&model_name=empty&initial_workers=0")
		refused(t, l.In(t).Get(e2etest.Inference, "/predictions/empty", ""), noWorker("empty", ""))
		refused(t, l.In(t).Get(e2etest.Inference, "/predictions/empty/1.0", ""), noWorker("empty", "1.0"))
		assert.Equal(t, http.StatusOK, l.In(t).Get(e2etest.Inference, "/ping", "").Status, "INF-130")
	})
	t.Run("INF-111 CFG-048 SCH-003 a full queue", func(t *testing.T) {
		t.Parallel()
		l.model(t, "full", "")
		release := l.hold(t, "full", "full")
		queued := l.beginAsk(t, "full", "echo", "queued")
		l.awaitQueued(t, "full", 1)
		assert.Zero(t, l.describe(t, "full").Queue.Remaining)
		refused(t, l.In(t).askOf("full", "echo", ""), noWorker("full", "1.0"))
		assert.Equal(t, "held", release().Body)
		assert.Equal(t, "queued", queued.answer().Body)
	})
	t.Run("SCH-003 SCH-004 jobQueueSize of the archive", func(t *testing.T) {
		t.Parallel()
		for name, config := range map[string]string{"wide": "jobQueueSize: 2\n", "zero": "jobQueueSize: 0\n"} {
			l.archive(t, name, config)
			want := strings.Count(config, "2") + 1
			assert.Equal(t, want, l.describe(t, name).Queue.Remaining)
			release := l.hold(t, name, name)
			var queued []*pending
			for i := range want {
				queued = append(queued, l.beginAsk(t, name, "echo", fmt.Sprint(i)))
				l.awaitQueued(t, name, i+1)
			}
			refused(t, l.In(t).askOf(name, "echo", ""), noWorker(name, "1.0"))
			release()
			for i, p := range queued {
				assert.Equal(t, fmt.Sprint(i), p.answer().Body)
			}
		}
	})
	t.Run("INF-111 SCH-039 useJobTicket and no idle worker", func(t *testing.T) {
		t.Parallel()
		l.archive(t, "ticket", "useJobTicket: true\n")
		l.In(t).Await("a ticket", func() bool { return l.askOf("ticket", "echo", "").Status == http.StatusOK })
		release := l.hold(t, "ticket", "ticket")
		refused(t, l.In(t).askOf("ticket", "echo", ""), noWorker("ticket", "1.0"))
		assert.Equal(t, "held", release().Body)
		l.In(t).Await("the ticket again", func() bool { return l.askOf("ticket", "echo", "").Status == http.StatusOK })
	})
}

// TestPatience is about clients that do not wait for ever.
func TestPatience(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.archive(t, "hasty", "clientTimeoutInMills: 300\nbatchSize: 2\nmaxBatchDelay: 1\n")
	t.Run("INF-123 SCH-041 a client's time is over while its request is queued, and while it is computed", func(t *testing.T) {
		t.Parallel()
		computed := l.beginAsk(t, "hasty", "hold/hasty", "")
		l.awaitHeld(t, "hasty")
		queued := l.beginAsk(t, "hasty", "seen", "")
		for _, p := range []*pending{computed, queued} {
			assertFailure(t, p.answer(), 504, "InternalServerException", "Request timed out after 300 ms")
		}
		l.open(t, "hasty")
		l.In(t).AwaitLog("ts_log.log", "Drop inference request ")
		l.In(t).AwaitLog("ts_log.log", "Drop response for inference request ")
		var got seen
		l.In(t).Await("an answer in time", func() bool {
			reply := l.askOf("hasty", "seen", "")
			return reply.Status == http.StatusOK && json.Unmarshal([]byte(reply.Body), &got) == nil
		})
		assert.Equal(t, 1, got.Count, "the queued request was never computed")
	})
	t.Run("INF-124 a client that has gone while its request was queued", func(t *testing.T) {
		t.Parallel()
		l.model(t, "left", "")
		release := l.hold(t, "left", "left")
		gone := l.beginAsk(t, "left", "seen", "")
		l.awaitQueued(t, "left", 1)
		gone.end()
		l.awaitQueued(t, "left", 0)
		release()
		assert.Equal(t, 1, l.look(t, e2etest.Call{Path: path("left", "seen")}).Count)
	})
	t.Run("INF-125 MGT-071 SCH-034 waiting requests of a model that is unregistered", func(t *testing.T) {
		t.Parallel()
		l.model(t, "removed", "")
		running := l.beginAsk(t, "removed", "hold/removed", "held")
		l.awaitHeld(t, "removed")
		queued := l.beginAsk(t, "removed", "echo", "")
		l.awaitQueued(t, "removed", 1)
		unregister := l.begin(t, e2etest.Call{Method: http.MethodDelete, To: e2etest.Management, Path: "/models/removed"})
		assertFailure(t, queued.answer(), 503, "ServiceUnavailableException", noWorker("removed", "1.0"))
		unregister.unanswered()
		l.open(t, "removed")
		assert.Equal(t, "held", running.answer().Body)
		assert.Equal(t, http.StatusOK, unregister.answer().Status)
	})
}
