package e2e

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/gates.py
var gatesModule string

//go:embed testdata/steps.py
var stepsHandler string

//go:embed testdata/turns.py
var sequenceHandler string

//go:embed testdata/crowd.py
var crowdHandler string

// kind is a way in which a model works on requests, other than in plain batches.
type kind struct {
	handler, config string
	held            string // verb that waits at the gate whose name follows, and then answers with the body
}

func steps() kind {
	return kind{stepsHandler, "continuousBatching: true\nmaxBatchDelay: 1\nbatchSize: 4\n", "at"}
}

func sequences() kind {
	return kind{sequenceHandler, "sequenceBatching: true\nsequenceMaxIdleMSec: 60000\nmaxBatchDelay: 1\nbatchSize: 4\n" +
		"maxNumSequence: 8\nmaxSequenceJobQueueSize: 8\n", "hold"}
}

func crowd() kind { return kind{crowdHandler, "asyncCommunication: true\n", "at"} }

// with returns the kind with lines of its model-config.yaml in place of, or beside,
// its own.
func (k kind) with(lines ...string) kind {
	for _, line := range lines {
		key, _, _ := strings.Cut(line, ":")
		var kept strings.Builder
		for own := range strings.Lines(k.config) {
			if !strings.HasPrefix(own, key+":") {
				kept.WriteString(own)
			}
		}
		k.config = kept.String() + line + "\n"
	}
	return k
}

// add registers a model of a kind, with one worker and further parameters of the
// call.
func (l lab) add(t *testing.T, name string, k kind, parameters ...string) {
	t.Helper()
	a := e2etest.Archive{Name: name, Handler: k.handler, Config: k.config, Files: map[string]string{"gates.py": gatesModule}}
	register(t, l.Server, strings.Join(append(parameters, "initial_workers=1", "url="+a.Write(t, l.Store)), "&"))
}

// pid returns the process of a model's only worker.
func (l lab) pid(t *testing.T, model string) int {
	t.Helper()
	workers := l.describe(t, model).Workers
	require.Len(t, workers, 1)
	return workers[0].PID
}

// awaitWorker waits until the only worker of a model is ready, in another process
// than before.
func (l lab) awaitWorker(t *testing.T, model string, before int) {
	t.Helper()
	l.In(t).Await("another worker", func() bool {
		w := l.describe(t, model).Workers[0]
		return w.Status == "READY" && w.PID != before
	})
	assert.Equal(t, http.StatusOK, l.In(t).Get(e2etest.Inference, "/ping", "").Status)
}

// metadata asks a model itself what it is.
func (l lab) metadata(t *testing.T, model string) string {
	t.Helper()
	var compact strings.Builder
	require.NoError(t, json.NewEncoder(&compact).Encode(l.describe(t, model+"?customized=true").Customized))
	return strings.TrimSpace(compact.String())
}

// journal decodes the entries that a handler has noted under a name.
func journal[T any](t *testing.T, l lab, name string) (entries []T) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(l.gates, name+".jsonl"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	for line := range strings.Lines(string(content)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var entry T
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		entries = append(entries, entry)
	}
	return entries
}

// drained has a request of a kind in a worker's hands, and another one that waits,
// if that is possible, while something takes the workers away.
func drained(t *testing.T, l lab, k kind, model string, leave func()) {
	t.Helper()
	gate := model
	running := l.beginAsk(t, model, k.held+"/"+gate, "held")
	l.awaitHeld(t, gate)
	if k.handler == crowdHandler { // its workers take all at once, and have answered what they had taken
		leave()
		l.In(t).Await("no worker", func() bool {
			reply, err := l.Send(t.Context(), e2etest.Call{To: e2etest.Inference, Path: path(model, "")})
			return err != nil || reply.Status != http.StatusOK
		})
	} else {
		queued := l.beginAsk(t, model, "x", "late")
		l.awaitQueued(t, model, 1)
		leave()
		assertFailure(t, queued.answer(), 503, "ServiceUnavailableException", noWorker(model, "1.0"))
	}
	running.unanswered()
	l.open(t, gate)
	reply := running.answer()
	assert.Equal(t, http.StatusOK, reply.Status)
	assert.Contains(t, reply.Body, "held")
}

// TestEndOfWork takes the workers away from models that have requests in work.
func TestEndOfWork(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]kind{"steps": steps(), "sequences": sequences(), "crowd": crowd()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			t.Run("SCH-034 unregister", func(t *testing.T) {
				t.Parallel()
				l.add(t, "gone", k)
				var removed *pending
				drained(t, l, k, "gone", func() {
					removed = l.begin(t, e2etest.Call{Method: http.MethodDelete, To: e2etest.Management, Path: "/models/gone"})
				})
				assert.Equal(t, http.StatusOK, removed.answer().Status)
				l.add(t, "gone", k)
				assert.Equal(t, http.StatusOK, l.In(t).askOf("gone", "x", "").Status)
			})
			t.Run("SCH-031 SCH-033 scale to none and back", func(t *testing.T) {
				t.Parallel()
				l.add(t, "less", k)
				drained(t, l, k, "less", func() {
					assertStatus(t, l.manage(t, "PUT", "/models/less?min_worker=0"), 202, textAccepted)
				})
				assertFailure(t, l.In(t).askOf("less", "x", ""), 503, "ServiceUnavailableException", noWorker("less", "1.0"))
				assertStatus(t, l.manage(t, "PUT", "/models/less?min_worker=1&synchronous=true"), 200, "Workers scaled to 1 for model: less")
				assert.Equal(t, http.StatusOK, l.In(t).askOf("less", "x", "").Status)
			})
			t.Run("SCH-021 SCH-022 SCH-018 a worker that is not started again", func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.add(t, "mortal", k.with("maxRetryTimeoutInSec: 0"))
				running := l.beginAsk(t, "mortal", k.held+"/mortal", "")
				pid := l.awaitHeld(t, "mortal")
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
				assertFailure(t, running.answer(), 507, "InternalServerException", "Worker died.")
				l.In(t).Await("/ping says 500", func() bool {
					return l.In(t).Get(e2etest.Inference, "/ping", "").Status == http.StatusInternalServerError
				})
				assertFailure(t, l.In(t).askOf("mortal", "x", ""), 503, "ServiceUnavailableException", noWorker("mortal", "1.0"))
				require.Equal(t, http.StatusOK, l.manage(t, "PUT", "/models/mortal?min_worker=1&synchronous=true").Status)
				l.awaitWorker(t, "mortal", pid)
				assert.Equal(t, http.StatusOK, l.In(t).askOf("mortal", "x", "").Status)
			})
			t.Run("WRK-062 WRK-063 the end of the server is that of the workers", func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.add(t, "orphan", k)
				running := l.beginAsk(t, "orphan", k.held+"/orphan", "")
				l.awaitHeld(t, "orphan")
				if k.handler != crowdHandler { // the others see it when they are done
					l.open(t, "orphan")
				}
				l.Kill()
				<-running.done
				l.In(t).Await("no worker", func() bool { return len(l.Processes()) == 0 })
			})
			t.Run("SCH-077 stop", func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.add(t, "stopped", k)
				drained(t, l, k, "stopped", func() { l.Signal(syscall.SIGTERM) })
				assert.Zero(t, l.Wait())
				assert.Empty(t, l.Processes())
			})
			t.Run("SCH-077 stop, without patience", func(t *testing.T) {
				t.Parallel()
				l := newLab(t, e2etest.Properties("shutdown_grace_sec=1"))
				l.add(t, "stubborn", k)
				running := l.beginAsk(t, "stubborn", k.held+"/never", "held")
				l.awaitHeld(t, "never")
				l.Signal(syscall.SIGTERM)
				assert.Equal(t, http.StatusServiceUnavailable, running.answer().Status)
				assert.Zero(t, l.Wait())
				assert.Empty(t, l.Processes())
			})
		})
	}
}
