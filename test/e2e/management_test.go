package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// manage calls the management listener.
func (l lab) manage(t *testing.T, method, path string) e2etest.Reply {
	t.Helper()
	return l.In(t).Manage(method, path)
}

// assertStatus checks the answer of a call that must work.
func assertStatus(t *testing.T, reply e2etest.Reply, status int, text string) {
	t.Helper()
	assert.Equal(t, status, reply.Status)
	assert.Equal(t, "{\n  \"status\": \""+text+"\"\n}\n", reply.Body)
}

const (
	textAccepted  = "Processing worker updates..."
	noSuchRoute   = "Requested resource is not found, please refer to API document."
	noSuchMethod  = "Requested method is not allowed, please refer to API document."
	withoutWorker = ` Version: 1.0 registered with 0 initial workers. Use scale workers API to add workers for the model.`
)

func TestManagementRoutes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("MGT-001 MGT-002 lists", func(t *testing.T) {
		t.Parallel()
		empty := e2etest.Start(t, e2etest.NoTokens())
		for _, path := range []string{"/models", "/models/"} {
			reply := empty.Get(e2etest.Management, path, "")
			assert.Equal(t, http.StatusOK, reply.Status)
			assert.Equal(t, "{\n  \"models\": []\n}\n", reply.Body)
		}
	})
	t.Run("MGT-003 MGT-004 MGT-005 the head of an answer, and an error", func(t *testing.T) {
		t.Parallel()
		for path, closes := range map[string]bool{"/models": false, "/models/none": true} {
			reply := l.manage(t, "GET", path)
			for name, value := range cacheHeaders() {
				assert.Equal(t, []string{value}, reply.Header[name])
			}
			assert.Len(t, reply.Header.Get("X-Request-Id"), 36)
			assert.Equal(t, "application/json", reply.Header.Get("Content-Type"))
			assert.Equal(t, closes, reply.Close)
		}
		assert.Equal(t, "{\n  \"code\": 404,\n  \"type\": \"ModelNotFoundException\",\n  \"message\": \"Model not found: none\"\n}\n",
			l.manage(t, "GET", "/models/none").Body)
	})
	for name, c := range map[string]struct {
		method, path string
		status       int
		kind         string
		message      string
	}{
		"MGT-002 an empty segment":           {"GET", "//models", 404, "ResourceNotFoundException", noSuchRoute},
		"MGT-006 INF-D7 a bad escape":        {"GET", "/models?limit=%zz", 400, "BadRequestException", "invalid hex byte 'zz' at index 15 of '/models?limit=%zz'"},
		"MGT-070 no route":                   {"GET", "/models/a/b/c", 404, "ResourceNotFoundException", noSuchRoute},
		"MGT-070 a route of inference":       {"GET", "/ping", 404, "ResourceNotFoundException", noSuchRoute},
		"MGT-062 not a method of /":          {"GET", "/", 405, "MethodNotAllowedException", noSuchMethod},
		"MGT-057 set-default takes PUT only": {"GET", "/models/lab/1.0/set-default", 405, "MethodNotAllowedException", noSuchMethod},
		"MGT-057 it deletes nothing":         {"DELETE", "/models/lab/1.0/set-default", 405, "MethodNotAllowedException", noSuchMethod},
		"MGT-061 not a method of readiness":  {"POST", "/v1/models/lab", 405, "MethodNotAllowedException", noSuchMethod},
		"MGT-061 no such model":              {"GET", "/v1/models/none", 404, "ModelNotFoundException", "Model not found: none"},
		"MGT-065 workflows":                  {"POST", "/workflows?url=x.war", 400, "BadRequestException", "Registering new workflows is disabled."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertFailure(t, l.manage(t, c.method, c.path), c.status, c.kind, c.message)
		})
	}
	t.Run("MGT-062 MGT-063 MGT-064 descriptions", func(t *testing.T) {
		t.Parallel()
		for _, role := range []e2etest.Role{e2etest.Inference, e2etest.Management, e2etest.Metrics} {
			whole := l.In(t).Do(e2etest.Call{Method: http.MethodOptions, To: role, Path: "/"})
			assert.Equal(t, http.StatusOK, whole.Status)
			assert.Equal(t, whole.Body, l.In(t).Do(e2etest.Call{Method: "BREW", To: role, Path: "/api-description"}).Body)
		}
		var document struct {
			Info  struct{ Title, Description string }
			Paths map[string]any
		}
		l.manage(t, http.MethodOptions, "/models/lab/1.0").JSON(t, &document)
		assert.Equal(t, "RESTful Management API for: lab", document.Info.Title)
		assert.Len(t, document.Paths, 3)
	})
	t.Run("MGT-058 MGT-059 MGT-060 MGT-007 pages", func(t *testing.T) {
		t.Parallel()
		names := []string{"a", "b", "c"}
		l := newLab(t)
		for _, name := range names {
			register(t, l.Server, "url=lab.mar&initial_workers=0&model_name="+name)
		}
		for query, want := range map[string][]string{
			"?limit=2": {"2", "a", "b"}, "?limit=2&next_page_token=2": {"4", "c", "lab"}, "?limit=2&next_page_token=4": {""},
			"?limit=0": {"0"}, "?limit=1000": {"", "a", "b", "c", "lab"}, "?limit=x": {"", "a", "b", "c", "lab"},
			"?limit=-1": {"", "a", "b", "c", "lab"}, "?next_page_token=2147483647": {""},
		} {
			reply := l.manage(t, "GET", "/models"+query)
			var page struct {
				NextPageToken string
				Models        []struct{ ModelName, ModelURL string }
			}
			reply.JSON(t, &page)
			got := []string{page.NextPageToken}
			for _, m := range page.Models {
				got = append(got, m.ModelName)
				assert.Equal(t, "lab.mar", m.ModelURL)
			}
			assert.Equal(t, want, got, query)
		}
		assert.True(t, strings.HasPrefix(l.manage(t, "GET", "/models?limit=1").Body, "{\n  \"nextPageToken\": \"1\",\n  \"models\": ["))
	})
}

// TestModelAPIOff is about a server that lets nobody register.
func TestModelAPIOff(t *testing.T) {
	t.Parallel()
	archive := e2etest.Serve(labArchive(""))
	s := e2etest.Start(t, e2etest.NoTokens(), archive)
	t.Run("MGT-008 registering and unregistering", func(t *testing.T) {
		t.Parallel()
		for method, path := range map[string]string{"POST": "/models?url=lab.mar", "DELETE": "/models/none"} {
			assertFailure(t, s.In(t).Manage(method, path), 405, "MethodNotAllowedException", noSuchMethod)
		}
	})
	t.Run("MGT-009 all else", func(t *testing.T) {
		t.Parallel()
		for method, path := range map[string]string{"GET": "/models/lab", "PUT": "/models/lab?min_worker=1&synchronous=true", "OPTIONS": "/models/lab"} {
			assert.Equal(t, http.StatusOK, s.In(t).Manage(method, path).Status, path)
		}
		assert.Equal(t, http.StatusOK, s.In(t).Manage("PUT", "/models/lab/1.0/set-default").Status)
		assert.Equal(t, "x", s.In(t).Predict("lab", "x").Body)
	})
	t.Run("MGT-010 CFG-012 the environment beats the command line", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.NoTokens(), archive, e2etest.Args("--enable-model-api"),
			e2etest.Properties("enable_envvars_config=true"), e2etest.Env("TS_ENABLE_MODEL_API=false"))
		assert.Equal(t, http.StatusMethodNotAllowed, s.Manage("POST", "/models?url=lab.mar").Status)
	})
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("allowed_urls=file://.*|http://127.0.0.1.*"),
		e2etest.Shelve(e2etest.Archive{Name: "noop", Handler: e2etest.Echo}))
	require.NoError(t, os.Mkdir(filepath.Join(l.Store, "nameless"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(l.Store, "nameless", "handler.py"), []byte(e2etest.Echo), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(l.Store, "broken.tar.gz"), []byte("no archive"), 0o644))
	for name, c := range map[string]struct {
		query   string
		status  int
		kind    string
		message string
	}{
		"MGT-011 MAR-040 no url":          {"", 400, "BadRequestException", "Parameter url is required."},
		"MGT-012 MAR-040 an empty url":    {"url=", 404, "ModelNotFoundException", "empty url"},
		"MGT-012 MAR-042 a way upwards":   {"url=../x.mar", 404, "ModelNotFoundException", "Relative path is not allowed in url: ../x.mar"},
		"MGT-013 MAR-041 nothing there":   {"url=nope.mar", 404, "ModelNotFoundException", "Model not found at: nope.mar"},
		"MAR-044 no s3":                   {"url=s3://b/x.mar", 404, "ModelNotFoundException", "Model not found at: s3://b/x.mar"},
		"MGT-014 MAR-024 no such runtime": {"url=noop.mar&runtime=python2", 400, "BadRequestException", "Invalid RuntimeType value: python2"},
		"MGT-015 MAR-045 not allowed":     {"url=https://example.org/x.mar", 404, "ModelNotFoundException", "Given URL https://example.org/x.mar does not match any allowed URL(s)"},
		"MGT-016 MAR-050 nobody there":    {"url=http://127.0.0.1:1/x.mar", 400, "DownloadArchiveException", "Failed to download archive from: http://127.0.0.1:1/x.mar"},
		"MGT-019 MAR-021 no name":         {"url=nameless", 400, "InvalidModelException", "Model name is not defined."},
		"MGT-020 MAR-007 no archive":      {"url=broken.tar.gz", 500, "InternalServerException", "Failed to save model: broken.tar.gz"},
		"MGT-018 MAR-076 CFG-036 twice":   {"url=lab.mar", 409, "ConflictStatusException", "Model version 1.0 is already registered for model lab"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertFailure(t, l.manage(t, "POST", "/models?"+c.query), c.status, c.kind, c.message)
			assert.NoFileExists(t, filepath.Join(l.Store, "x.mar"))
		})
	}
	t.Run("MGT-021 MAR-075 MAR-058 MAR-043 MGT-035 without workers", func(t *testing.T) {
		t.Parallel()
		assertStatus(t, l.manage(t, "POST", "/models?url=any/where/noop.mar&model_name=idle&initial_workers=0"), 200, `Model \"idle\"`+withoutWorker)
		d := l.describe(t, "idle")
		assert.Equal(t, "any/where/noop.mar", d.URL)
		assert.Empty(t, d.Workers)
		assert.False(t, d.AtStartup, "MGT-069")
		assert.True(t, l.describe(t, "lab").AtStartup, "MGT-069")
	})
	t.Run("MGT-022 MGT-014 with workers it waits", func(t *testing.T) {
		t.Parallel()
		assertStatus(t, l.manage(t, "POST", "/models?url=noop.mar&initial_workers=1&runtime=python3"),
			200, `Model \"noop\" Version: 1.0 registered with 1 initial workers`)
		d := l.describe(t, "noop")
		assert.Equal(t, "python3", d.Runtime)
		require.Len(t, d.Workers, 1)
		assert.Equal(t, "READY", d.Workers[0].Status, "MGT-047")
		assert.True(t, e2etest.Alive(d.Workers[0].PID), "WRK-059")
		assert.Equal(t, "x", l.In(t).Predict("noop", "x").Body)
	})
	t.Run("MGT-023 MGT-047 SCH-026 asynchronous", func(t *testing.T) {
		t.Parallel()
		reply := l.manage(t, "POST", "/models?url=noop.mar&model_name=later&initial_workers=2&synchronous=false")
		assertStatus(t, reply, 202, textAccepted)
		assert.Len(t, l.describe(t, "later").Workers, 2)
		l.In(t).Await("two workers", func() bool {
			workers := l.describe(t, "later").Workers
			return workers[0].Status == "READY" && workers[1].Status == "READY"
		})
	})
	t.Run("MGT-034 SCH-027 the default number of workers", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Args("--enable-model-api"), e2etest.Properties("default_workers_per_model=2"),
			e2etest.Shelve(e2etest.Archive{Name: "noop", Handler: e2etest.Echo}))
		assertStatus(t, s.Manage("POST", "/models?url=noop.mar"), 200, `Model \"noop\" Version: 1.0 registered with 2 initial workers`)
		assert.Len(t, describe(t, s, "noop").Workers, 2)
	})
	t.Run("MAR-030 name and handler of the call", func(t *testing.T) {
		t.Parallel()
		a := labArchive("")
		a.Name, a.Files = "several", map[string]string{"second.py": "def entry(data, context):\n    return data and ['second'] * len(data)\n"}
		register(t, l.Server, "initial_workers=1&model_name=renamed&handler=second:entry&url="+a.Write(t, l.Store))
		assert.Equal(t, "second", l.In(t).Predict("renamed", "").Body)
	})
}

// TestJSONRegistration sends the parameters as a body.
func TestJSONRegistration(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	call := func(t *testing.T, contentType, query, body string) e2etest.Reply {
		t.Helper()
		return l.In(t).Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Management, Path: "/models" + query, Body: body,
			Header: map[string]string{"Content-Type": contentType},
		})
	}
	t.Run("MGT-026 MGT-027 MGT-028 MGT-030 SCH-075 MAR-104 the body holds, and it alone", func(t *testing.T) {
		t.Parallel()
		reply := call(t, "application/JSON; charset=utf-8", "?url=none.mar&batch_size=9&model_name=wrong",
			`{"url": "lab.mar", "model_name": "json", "batch_size": "3", "initial_workers": 1.0, "synchronous": "true", "unknown": [1]}`)
		assertStatus(t, reply, 200, `Model \"json\" Version: 1.0 registered with 1 initial workers`)
		d := l.describe(t, "json")
		assert.Equal(t, 3, d.BatchSize)
		assert.Equal(t, 100, d.BatchDelay)
	})
	t.Run("MGT-027 MAR-104 the archive's delay stays", func(t *testing.T) {
		t.Parallel()
		a := labArchive("maxBatchDelay: 7\n")
		a.Name = "delayed"
		require.Equal(t, http.StatusOK, call(t, "application/json", "", `{"url": "`+a.Write(t, l.Store)+`"}`).Status)
		assert.Equal(t, 7, l.describe(t, "delayed").BatchDelay)
	})
	t.Run("MGT-026 another body is ignored", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, http.StatusOK, call(t, "text/plain", "?url=lab.mar&model_name=text", `{"url": "none.mar"}`).Status)
	})
	t.Run("MGT-029 what cannot be read", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{"", "{", "[]", "null", `{"url": ["x"]}`, `{"url": "lab.mar"} x`, strings.Repeat("[", 10_000)} {
			reply := call(t, "application/json", "", body)
			assert.Equal(t, http.StatusBadRequest, reply.Status, "%.100s: %s", body, reply.Body)
			assert.Contains(t, reply.Body, "BadRequestException")
		}
	})
}
