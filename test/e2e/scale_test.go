package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

func TestScale(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("MGT-039 SCH-028 MGT-042 MGT-043 what is refused", func(t *testing.T) {
		t.Parallel()
		for path, want := range map[string]failure{
			"/models/lab?min_worker=3&max_worker=2":    {400, "BadRequestException", "max_worker cannot be less than min_worker."},
			"/models/absent?min_worker=3&max_worker=2": {400, "BadRequestException", "max_worker cannot be less than min_worker."},
			"/models/absent":                {404, "ModelNotFoundException", "Model not found: absent"},
			"/models/lab/9.9":               {404, "ModelVersionNotFoundException", "Model version: 9.9 does not exist for model: lab"},
			"/models/lab?model_version=9.9": {404, "ModelVersionNotFoundException", "Model version: 9.9 does not exist for model: lab"},
			"/models/lab?min_worker=-1":     {400, "BadRequestException", "min_worker cannot be negative."},
		} {
			assertFailure(t, l.manage(t, "PUT", path), want.Code, want.Type, want.Message)
		}
	})
	t.Run("MGT-040 MGT-041 SCH-027 SCH-029 SCH-030 SCH-035 up and down", func(t *testing.T) {
		t.Parallel()
		register(t, l.Server, "url=lab.mar&model_name=group&initial_workers=1")
		ids := func() []string {
			var all []string
			for _, w := range l.describe(t, "group").Workers {
				all = append(all, w.ID)
			}
			return all
		}
		first := ids()
		assertStatus(t, l.manage(t, "PUT", "/models/group?min_worker=3&synchronous=true"), 200, "Workers scaled to 3 for model: group")
		three := ids()
		require.Len(t, three, 3)
		assert.Equal(t, first, three[:1])
		assert.IsIncreasing(t, three)
		for _, w := range l.describe(t, "group").Workers {
			assert.Equal(t, "READY", w.Status)
		}
		assertStatus(t, l.manage(t, "PUT", "/models/group/1.0?min_worker=1&max_worker=5&synchronous=true"),
			200, "Workers scaled to 1 for model: group, version: 1.0")
		assert.Equal(t, three, ids(), "SCH-030")
		assertStatus(t, l.manage(t, "PUT", "/models/group?model_version=1.0&min_worker=1&max_worker=2&synchronous=true"),
			200, "Workers scaled to 1 for model: group, version: 1.0")
		assert.Equal(t, three[:2], ids(), "SCH-029 the oldest stay")
		assertStatus(t, l.manage(t, "PUT", "/models/group?min_worker=3"), 202, textAccepted)
		assert.Len(t, ids(), 3, "MGT-023")
		assert.NotContains(t, three, ids()[2], "SCH-035 no number is given twice")
	})
	t.Run("MGT-044 SCH-031 SCH-032 down to nothing", func(t *testing.T) {
		t.Parallel()
		l.model(t, "none", "")
		worker := l.describe(t, "none").Workers[0]
		release := l.hold(t, "none", "none")
		queued := l.beginAsk(t, "none", "echo", "")
		l.awaitQueued(t, "none", 1)
		scale := l.begin(t, e2etest.Call{Method: http.MethodPut, To: e2etest.Management, Path: "/models/none?min_worker=0&max_worker=5&synchronous=true"})
		assertFailure(t, queued.answer(), 503, "ServiceUnavailableException", noWorker("none", "1.0"))
		assert.Empty(t, l.describe(t, "none").Workers)
		assertFailure(t, l.In(t).askOf("none", "echo", ""), 503, "ServiceUnavailableException", noWorker("none", "1.0"))
		assert.Equal(t, "held", release().Body, "SCH-033 MGT-072")
		assertStatus(t, scale.answer(), 200, "Workers scaled to 0 for model: none")
		assert.False(t, e2etest.Alive(worker.PID))
		assert.Equal(t, "{\n  \"name\": \"none\",\n  \"ready\": false\n}\n", l.manage(t, "GET", "/v1/models/none").Body, "MGT-061")
		assertStatus(t, l.manage(t, "PUT", "/models/none?min_worker=1&synchronous=true"), 200, "Workers scaled to 1 for model: none")
		assert.Equal(t, "{\n  \"name\": \"none\",\n  \"ready\": true\n}\n", l.manage(t, "GET", "/v1/models/none").Body, "MGT-061")
	})
	t.Run("SCH-033 MGT-072 a busy worker finishes what it does, once", func(t *testing.T) {
		t.Parallel()
		l.model(t, "shrunk", "")
		require.Equal(t, http.StatusOK, l.manage(t, "PUT", "/models/shrunk?min_worker=2&synchronous=true").Status)
		one, two := l.beginAsk(t, "shrunk", "hold/shrunk1", "1"), l.beginAsk(t, "shrunk", "hold/shrunk2", "2")
		l.awaitHeld(t, "shrunk1")
		l.awaitHeld(t, "shrunk2")
		assertStatus(t, l.manage(t, "PUT", "/models/shrunk?min_worker=1"), 202, textAccepted)
		l.open(t, "shrunk1")
		l.open(t, "shrunk2")
		assert.Equal(t, "1", one.answer().Body)
		assert.Equal(t, "2", two.answer().Body)
		l.In(t).Await("one worker", func() bool { return len(l.describe(t, "shrunk").Workers) == 1 })
	})
}

// unloadable fails to load; the ways are those of MGT-024.
func unloadable(name, statement string) e2etest.Archive {
	return e2etest.Archive{Name: name, Handler: "def handle(data, context):\n    " + statement + "\n"}
}

// TestFailedRegistration has the workers of new models fail.
func TestFailedRegistration(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("default_startup_timeout=1"))
	const initializing = "class Handler:\n    def initialize(self, context):\n        raise RuntimeError('no device')\n    def handle(self, data, context):\n        pass\n"
	for name, c := range map[string]struct {
		archive e2etest.Archive
		status  int
		details string
	}{
		"PYB-012 an exception":     {unloadable("raises", `raise ValueError("no weights")`), 500, "ValueError: no weights"},
		"no memory":                {unloadable("memory", "raise MemoryError"), 507, "MemoryError"},
		"no CUDA memory":           {unloadable("cuda", `raise RuntimeError("CUDA out of memory")`), 507, "CUDA out of memory"},
		"PYB-010 initialize":       {e2etest.Archive{Name: "initialize", Handler: initializing}, 500, "RuntimeError: no device"},
		"PYB-012 a missing module": {e2etest.Archive{Name: "missing", Handler: "import not_installed\n"}, 500, "No module named 'not_installed'"},
		"PYB-012 a syntax error":   {e2etest.Archive{Name: "syntax", Handler: "def handle(:\n"}, 500, "SyntaxError"},
		"an exit":                  {unloadable("exits", "raise SystemExit(3)"), 500, ""},
		"SCH-024 no answer":        {unloadable("sleeps", "import time; time.sleep(3600)"), 500, ""},
	} {
		t.Run("MGT-024 MGT-025 MAR-077 MAR-069 SCH-025 WRK-018 WRK-020 "+name, func(t *testing.T) {
			t.Parallel()
			c.archive.Write(t, l.Store)
			model := c.archive.Name
			for range 2 {
				reply := l.manage(t, "POST", "/models?initial_workers=1&url="+model+".mar")
				assert.Equal(t, c.status, reply.Status)
				var body struct{ Type, Message, Details string }
				reply.JSON(t, &body)
				assert.Equal(t, "InternalServerException", body.Type)
				assert.Equal(t, "Failed to start workers for model "+model+" version: 1.0", body.Message)
				assert.Contains(t, body.Details, c.details)
				assertFailure(t, l.manage(t, "GET", "/models/"+model), 404, "ModelNotFoundException", "Model not found: "+model)
			}
			if c.details != "" {
				l.In(t).Await("the traceback", func() bool {
					log := l.Logs("model_log.log")
					return len(lines(log, "-"+model+"_1.0-", c.details)) > 0 && len(lines(log, "-"+model+"_1.0-", "Traceback (most recent call last):")) > 0
				})
			}
		})
	}
	t.Run("SCH-026 MGT-023 an asynchronous one keeps the model, and tries again", func(t *testing.T) {
		t.Parallel()
		a := unloadable("moody", `import os; assert os.path.exists(os.path.join(os.environ["LAB"], "mood")), "not in the mood"`)
		a.Handler += "    return data and ['served'] * len(data)\n"
		assertStatus(t, l.manage(t, "POST", "/models?initial_workers=1&synchronous=false&url="+a.Write(t, l.Store)), 202, textAccepted)
		assert.Len(t, l.describe(t, "moody").Workers, 1)
		l.In(t).AwaitLog("model_log.log", "AssertionError: not in the mood")
		l.In(t).Await("the reason", func() bool {
			return strings.Contains(l.Manage(http.MethodGet, "/models/moody").Body, "not in the mood")
		})
		waiting := l.begin(t, e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/predictions/moody"})
		require.NoError(t, os.WriteFile(filepath.Join(l.gates, "mood"), nil, 0o600))
		assert.Equal(t, "served", waiting.answer().Body)
		assert.NotContains(t, l.manage(t, "GET", "/models/moody").Body, "not in the mood")
	})
	t.Run("a scale call says why, and the model stays", func(t *testing.T) {
		t.Parallel()
		a := unloadable("stays", `raise ValueError("no weights")`)
		register(t, l.Server, "initial_workers=0&url="+a.Write(t, l.Store))
		reply := l.manage(t, "PUT", "/models/stays?min_worker=1&synchronous=true")
		assert.Equal(t, http.StatusInternalServerError, reply.Status)
		assert.Contains(t, reply.Body, "Failed to start workers for model stays version: null")
		assert.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/stays").Status)
	})
	t.Run("MGT-067 SCH-076 a slow one delays nobody", func(t *testing.T) {
		t.Parallel()
		slow := e2etest.Archive{Name: "slow", Handler: loadingAt("slow")}
		p := l.begin(t, e2etest.Call{
			Method: http.MethodPost, To: e2etest.Management, Path: "/models?initial_workers=1&startup_timeout=60&url=" + slow.Write(t, l.Store),
		})
		l.awaitHeld(t, "slow")
		for range 5 {
			assert.Equal(t, http.StatusOK, l.manage(t, "GET", "/models").Status)
			assert.Equal(t, "x", l.In(t).ask("echo", "x").Body)
		}
		register(t, l.Server, "url=lab.mar&model_name=beside&initial_workers=1&startup_timeout=60")
		p.unanswered()
		l.open(t, "slow")
		assert.Equal(t, http.StatusOK, p.answer().Status)
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for version, file := range map[string]string{"2.0": "two", "10.0": "ten"} {
		a := e2etest.Archive{Name: file, Version: version, Handler: e2etest.Echo}
		register(t, l.Server, "initial_workers=0&model_name=lab&url="+a.Write(t, l.Store))
	}
	t.Run("MGT-045 MGT-048 MGT-069 the keys in their order", func(t *testing.T) {
		t.Parallel()
		body := l.manage(t, "GET", "/models/lab").Body
		var keys []string
		for _, found := range regexp.MustCompile(`(?m)^ +"(\w+)":`).FindAllStringSubmatch(body, -1) {
			keys = append(keys, found[1])
		}
		assert.Equal(t, strings.Fields(`modelName modelVersion modelUrl runtime minWorkers maxWorkers batchSize maxBatchDelay responseTimeout
			startupTimeout maxRetryTimeoutInSec clientTimeoutInMills parallelType parallelLevel deviceType continuousBatching useJobTicket
			useVenv stateful sequenceMaxIdleMSec sequenceTimeoutMSec maxNumSequence maxSequenceJobQueueSize loadedAtStartup workers
			id startTime status memoryUsage pid gpu gpuUsage jobQueueStatus remainingCapacity pendingRequests`), keys)
		started, err := time.Parse("2006-01-02T15:04:05.000Z", l.describe(t, "lab").Workers[0].StartTime)
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now(), started, 20*time.Minute, "UTC")
	})
	t.Run("MGT-049 MGT-052 all versions", func(t *testing.T) {
		t.Parallel()
		for _, query := range []string{"", "?customized=true"} {
			var all []described
			l.manage(t, "GET", "/models/lab/all"+query).JSON(t, &all)
			require.Len(t, all, 3)
			for i, version := range []string{"1.0", "2.0", "10.0"} {
				assert.Equal(t, version, all[i].Version)
				assert.Nil(t, all[i].Customized)
			}
		}
		assertFailure(t, l.manage(t, "GET", "/models/none/all"), 404, "ModelNotFoundException", "Model not found: none")
		assertFailure(t, l.manage(t, "GET", "/models/lab/9.9"), 404, "ModelVersionNotFoundException", "Model version: 9.9 does not exist for model: lab")
	})
	t.Run("MGT-050 MGT-051 WRK-015 WRK-070 SCH-011 PYB-030 what the model says itself", func(t *testing.T) {
		t.Parallel()
		customized := func(kind string) e2etest.Reply {
			return l.In(t).Do(e2etest.Call{To: e2etest.Management, Path: "/models/lab?customized=true", Header: map[string]string{"x-describe": kind}})
		}
		for kind, want := range map[string]string{"": `{"given": [{}], "describe": "True", "model": "lab"}`, "list": "{}", "text": "{}", "empty": ""} {
			var all []described
			reply := customized(kind)
			assert.Equal(t, http.StatusOK, reply.Status)
			reply.JSON(t, &all)
			require.Len(t, all, 1)
			if want == "" {
				assert.Nil(t, all[0].Customized)
			} else {
				assert.JSONEq(t, want, string(all[0].Customized))
			}
		}
		shaped := customized("headers")
		assert.Equal(t, http.StatusNonAuthoritativeInfo, shaped.Status)
		assert.Equal(t, "lab", shaped.Header.Get("X-Model"))
		assert.Equal(t, "application/json", shaped.Header.Get("Content-Type"))
		assert.True(t, json.Valid([]byte(shaped.Body)))
		l.In(t).AwaitLog("ts_log.log", "Customized metadata should be a dictionary.")
		assertFailure(t, l.manage(t, "GET", "/models/lab/2.0?customized=true"), 503, "ServiceUnavailableException",
			`Model "lab" has no worker to serve describe request. Please use scale workers API to add workers.`)
		register(t, l.Server, "url=lab.mar&model_name=idle&initial_workers=0")
		assertFailure(t, l.manage(t, "GET", "/models/idle?customized=true"), 503, "ServiceUnavailableException",
			`Model "idle" has no worker to serve describe request. Please use scale workers API to add workers.`)
	})
	t.Run("a model that does not say it in time", func(t *testing.T) {
		t.Parallel()
		l.model(t, "silent", "response_timeout=1")
		l.hold(t, "silent", "silent")
		assertFailure(t, l.manage(t, "GET", "/models/silent?customized=true"), 500, "InternalServerException",
			"Failed to get customized model matadata.")
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	two := labArchive("")
	two.Name, two.Version, two.Handler = "second", "2.0", "def handle(data, context):\n    return data and ['two'] * len(data)\n"
	register(t, l.Server, "initial_workers=1&model_name=lab&url="+two.Write(t, l.Store))
	version := func(path string) string { return l.In(t).Predict(path, "one").Body }
	t.Run("INF-040 INF-041 MGT-053 MGT-054 MGT-056 SCH-020", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "one", version("lab"), "the first one is the default")
		assert.Equal(t, "two", version("lab/2.0"))
		assertFailure(t, l.manage(t, "DELETE", "/models/lab"), 403, "InvalidModelVersionException", "Cannot remove default version for model lab")
		assertFailure(t, l.manage(t, "DELETE", "/models/lab/1.0"), 403, "InvalidModelVersionException", "Cannot remove default version for model lab")
		assertFailure(t, l.manage(t, "PUT", "/models/lab/9.9/set-default"), 404, "ModelVersionNotFoundException", "Model version 9.9 does not exist for model lab")
		assertFailure(t, l.manage(t, "PUT", "/models/none/1.0/set-default"), 404, "ModelNotFoundException", "Model not found: none")
		assertStatus(t, l.manage(t, "PUT", "/models/lab/2.0/set-default"), 200, `Default version successfully updated for model \"lab\" to \"2.0\"`)
		assert.Equal(t, "two", version("lab"))
		assert.Equal(t, "one", version("lab/1.0"))
		assert.Equal(t, "2.0", l.describe(t, "lab").Version)
		assertStatus(t, l.manage(t, "DELETE", "/models/lab/1.0"), 200, `Model \"lab\" unregistered`)
		assertFailure(t, l.In(t).Predict("lab/1.0", ""), 404, "ModelVersionNotFoundException", "Model version: 1.0 does not exist for model: lab")
		assertStatus(t, l.manage(t, "DELETE", "/models/lab"), 200, `Model \"lab\" unregistered`)
		assertFailure(t, l.manage(t, "DELETE", "/models/lab"), 404, "ModelNotFoundException", "Model not found: lab")
		assert.FileExists(t, filepath.Join(l.Store, "lab.mar"), "MGT-055 MAR-066 it came from the store")
		assert.Empty(t, l.Workers())
		register(t, l.Server, "url=lab.mar&initial_workers=1")
		assert.Equal(t, "one", version("lab"))
	})
}
