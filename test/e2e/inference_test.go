package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// seen is what the handler of the lab saw of a request.
type seen struct {
	Inputs   map[string]input
	Headers  map[string]any
	ID       string
	Early    map[string]any
	Size     int
	Count    int
	Answer   []any
	Sequence []any
}

type input struct {
	Type  string
	Value any
}

// raw is a value that reached the handler as bytes.
func raw(value string) input { return input{"bytearray", value} }

// look makes a call on the lab's verb "seen" and returns what its handler saw.
func (l lab) look(t *testing.T, c e2etest.Call) seen {
	t.Helper()
	c.To = e2etest.Inference
	if c.Path == "" {
		c.Path = path("lab", "seen")
	}
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	reply := l.In(t).Do(c)
	assert.Equal(t, http.StatusOK, reply.Status, "%s", reply.Body)
	var s seen
	reply.JSON(t, &s)
	return s
}

// part writes one part of a multipart body with the boundary b.
func part(disposition, contentType, content string) string {
	if contentType != "" {
		contentType = "Content-Type: " + contentType + "\r\n"
	}
	return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n" + contentType + "\r\n" + content + "\r\n"
}

// TestInputs sends bodies in all forms and asks the handler what it got.
func TestInputs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	parts := part(`name="data"; filename="a.json"`, "application/json; charset=utf-8", `{"a":1}`) +
		part(`name="image"; filename="b.jpg"`, "", "\x00\xff") +
		part(`name="word"`, "application/json", `{"a":1}`) +
		part(`name="twice"`, "", "first") + part(`name="twice"`, "", "last") + "--b--\r\n"
	object := map[string]any{"a": 1.0}
	manyParts := map[string]input{
		"data": {"dict", object}, "image": raw("\x00\u00ff"), "word": raw(`{"a":1}`), "twice": raw("last"),
	}
	body := func(i input) map[string]input { return map[string]input{"body": i} }
	for name, c := range map[string]struct {
		contentType, body string
		want              map[string]input
	}{
		"INF-060 PYB-021 JSON":                                  {"application/json", `{"a":1}`, body(input{"dict", object})},
		"INF-061 WRK-010 PYB-021 JSON with a charset":           {"application/json; charset=utf-8", `[1,"ü"]`, body(input{"list", []any{1.0, "ü"}})},
		"INF-062 PYB-022 invalid JSON":                          {"application/json", `{"a":`, body(raw(`{"a":`))},
		"INF-064 PYB-023 text":                                  {"text/plain; charset=utf-8", "Grüße", body(input{"str", "Grüße"})},
		"INF-064 PYB-023 text that is not UTF-8":                {"text/csv", "\xff", body(raw("\u00ff"))},
		"INF-063 PYB-024 no content type":                       {"", "\x00\x01\xfe", body(raw("\x00\x01\u00fe"))},
		"INF-063 nothing":                                       {"", "", body(raw(""))},
		"an image":                                              {"image/jpeg", "\xff\xd8", body(raw("\u00ff\u00d8"))},
		"INF-071 WRK-011 PYB-027 a form":                        {"application/x-www-form-urlencoded", "a%20b=%C3%BC+x&c=1&c=2", map[string]input{"a b": raw("\u00c3\u00bc x"), "c": raw("2")}},
		"INF-072 what curl -d sends":                            {"application/x-www-form-urlencoded", `{"a": 1}`, body(raw(`{"a": 1}`))},
		"INF-067 INF-068 INF-069 WRK-011 WRK-014 PYB-026 parts": {"multipart/form-data; boundary=b", parts, manyParts},
		"INF-069 parts with a quoted boundary":                  {`multipart/form-data; charset=utf-8; boundary="b"`, parts, manyParts},
		"INF-070 parts without a boundary":                      {"multipart/form-data", "--b", body(raw("--b"))},
		"INF-070 multipart/mixed":                               {"multipart/mixed; boundary=b", "--b", body(raw("--b"))},
		"a part that ends before its end":                       {"multipart/form-data; boundary=b", "--b\r\nContent-Disp", body(raw("--b\r\nContent-Disp"))},
		"INF-054 INF-073 a part without a name":                 {"multipart/form-data; boundary=b", part("x=y", "", "1") + "--b--", nil},
		"INF-054 INF-073 a malformed escape":                    {"application/x-www-form-urlencoded", "a=%zz", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := e2etest.Call{Header: map[string]string{"Content-Type": c.contentType}, Body: c.body}
			if c.want != nil {
				assert.Equal(t, c.want, l.look(t, call).Inputs)
				return
			}
			for _, model := range []string{"lab", "nobody"} {
				call.Method, call.Path, call.To = http.MethodPost, path(model, "seen"), e2etest.Inference
				reply := l.In(t).Do(call)
				assert.Equal(t, http.StatusBadRequest, reply.Status, "%s", reply.Body)
				assert.Contains(t, reply.Body, "BadRequestException")
			}
		})
	}
	t.Run("INF-034 INF-069 INF-015 other methods", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch, "BREW"} {
			call := e2etest.Call{Method: method, Header: map[string]string{"Content-Type": "multipart/form-data; boundary=b"}, Body: parts}
			assert.Equal(t, manyParts, l.look(t, call).Inputs, method)
		}
		answer := l.In(t).Raw(e2etest.Inference, "POST "+path("lab", "echo")+
			" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n")
		assert.True(t, strings.HasSuffix(answer, "\r\n\r\nabcde"), "%s", answer)
	})
	t.Run("INF-074 WRK-051 PYB-025 decode_input_request=false", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Properties("decode_input_request=false"))
		for contentType, text := range map[string]string{"application/json": `{"a":1}`, "text/plain": "x"} {
			got := l.look(t, e2etest.Call{Header: map[string]string{"Content-Type": contentType}, Body: text})
			assert.Equal(t, body(raw(text)), got.Inputs)
		}
	})
}

// TestRoutes asks for predictions on all routes that there are.
func TestRoutes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	seeing := e2etest.Archive{Name: "seeing", Handler: strings.ReplaceAll(labHandler, `or "echo"`, `or "seen"`)}
	register(t, l.Server, "initial_workers=1&url="+seeing.Write(t, l.Store))
	body, queried := map[string]input{"body": raw("x")}, map[string]input{"body": raw("x"), "q": raw("1")}
	type headers map[string]any
	for name, c := range map[string]struct {
		path string
		want map[string]input
		said headers // nil: not said
	}{
		"INF-040 INF-042 INF-043 INF-065 WRK-012 PYB-028 PYB-035 PYB-036 predictions": {"/predictions/seeing?q=1", body, headers{"explain": "False", "url_path": ""}},
		"INF-032 INF-040 a version and a slash":                                       {"/predictions/seeing/1.0/", body, headers{"explain": "False", "url_path": ""}},
		"INF-042 WRK-013 INF-033 PYB-036 more segments":                               {"/predictions/seeing/1.0/seen/a%2Fb+c", body, headers{"explain": "False", "url_path": "seen/a/b+c"}},
		"INF-043 INF-065 WRK-012 PYB-028 PYB-035 PYB-036 explanations":                {"/explanations/seeing/1.0?q=1", body, headers{"explain": "True", "url_path": ""}},
		"INF-044 INF-065 PYB-028 PYB-036 KServe v1":                                   {"/v1/models/seeing:predict?q=1", body, headers{"explain": "False", "url_path": nil}},
		"INF-044 PYB-035 KServe v1 explain":                                           {"/v1/models/seeing:explain", body, headers{"explain": "True", "url_path": nil}},
		"INF-044 INF-065 PYB-028 PYB-036 KServe v2":                                   {"/v2/models/seeing/infer?q=1", body, headers{"explain": "False", "url_path": nil}},
		"INF-044 KServe v2 explain":                                                   {"/v2/models/seeing/explain", body, headers{"explain": "True", "url_path": nil}},
		"INF-048 INF-066 PYB-028 legacy":                                              {"/seeing/predict?q=1", queried, headers{"explain": nil, "url_path": nil}},
		"INF-048 INF-066 PYB-028 legacy with a version":                               {"/seeing/1.0/predict?q=1", queried, headers{"explain": nil, "url_path": nil}},
		"INF-066 PYB-028 invoke":                                                      {"/models/seeing/invoke?q=1", queried, headers{"explain": nil, "url_path": nil}},
		"INF-066 PYB-028 invocations":                                                 {"/invocations?q=1&model_name=seeing", map[string]input{"body": raw("x"), "q": raw("1"), "model_name": raw("seeing")}, headers{"explain": nil}},
		"INF-066 a parameter of the query with the body's name":                       {"/seeing/predict?body=q", body, headers{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := l.look(t, e2etest.Call{Path: c.path, Body: "x"})
			assert.Equal(t, c.want, got.Inputs)
			for header, value := range c.said {
				assert.Equal(t, value, got.Headers[header], header)
			}
		})
	}
	t.Run("INF-045 the only model of the start", func(t *testing.T) {
		t.Parallel()
		reply := l.In(t).Do(e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/invocations", Body: "to the lab"})
		assert.Equal(t, "to the lab", reply.Body)
	})
	t.Run("INF-049 unknown models and versions", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/predictions/nobody", "/explanations/nobody/1.0", "/nobody/predict", "/v1/models/nobody:predict", "/v2/models/nobody/infer"} {
			assertFailure(t, l.In(t).Get(e2etest.Inference, path, ""), 404, "ModelNotFoundException", "Model not found: nobody")
		}
		for _, path := range []string{"/predictions/lab/9.9", "/explanations/lab/9.9/x", "/lab/9.9/predict"} {
			assertFailure(t, l.In(t).Get(e2etest.Inference, path, ""), 404,
				"ModelVersionNotFoundException", "Model version: 9.9 does not exist for model: lab")
		}
	})
	t.Run("INF-031 INF-035 INF-036 INF-037 what is no route", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{
			"/predictions", "/explanations/", "/models", "/models/lab", "/models/lab/invokes", "/invocations/x",
			"/v1/models/lab", "/v2/models/lab", "/metrics", "/nothing", "//models", "/Ping",
		} {
			assertFailure(t, l.In(t).Get(e2etest.Inference, path, ""), 404,
				"ResourceNotFoundException", "Requested resource is not found, please refer to API document.")
		}
	})
	t.Run("INF-053 INF-138 the description of a route", func(t *testing.T) {
		t.Parallel()
		register(t, l.Server, "url=lab.mar&model_name=echo&initial_workers=0")
		for _, path := range []string{"/predictions/echo", "/predictions/echo/1.0", "/explanations/echo", "/models/echo/invoke", "/echo/predict", "/v1/models/echo:predict", "/v2/models/echo/infer"} {
			reply := l.In(t).Do(e2etest.Call{Method: http.MethodOptions, To: e2etest.Inference, Path: path})
			assert.Equal(t, http.StatusOK, reply.Status, path)
			assert.Len(t, reply.Body, 3637, path)
		}
	})
}

// TestInvocations has two models from the start, so that none of them is meant
// where none is named.
func TestInvocations(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
	call := e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/invocations", Body: form("model_name", "echo", "data", "hello")}
	t.Run("INF-046 none is named", func(t *testing.T) {
		t.Parallel()
		assertFailure(t, l.In(t).Do(call), 400, "BadRequestException", "Parameter model_name is required.")
	})
	t.Run("INF-047 a field of the form names it", func(t *testing.T) {
		t.Parallel()
		call := call
		call.Header = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
		assert.Equal(t, "hello", l.In(t).Do(call).Body)
	})
}

func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("INF-080 INF-081 INF-085 WRK-016 PYB-034 names, repetitions, foreign letters", func(t *testing.T) {
		t.Parallel()
		answer := l.In(t).Raw(e2etest.Inference, "POST "+path("lab", "seen")+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+
			"X-Twice: first\r\nX-Twice: last\r\nx-lower: caf\xe9\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\nx")
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		var got seen
		e2etest.Reply{Body: body}.JSON(t, &got)
		assert.Subset(t, got.Headers, map[string]any{
			"X-Twice": "last", "X-Lower": "café", "Content-Length": "1", "Host": "h", "Connection": "close",
			"Content-Type": "text/plain; charset=utf-8", "body": map[string]any{"content-type": "text/plain"},
		})
	})
	t.Run("INF-082 PYB-034 the length of a body that is not declared", func(t *testing.T) {
		t.Parallel()
		answer := l.In(t).Raw(e2etest.Inference, "POST "+path("lab", "seen")+
			" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		assert.Contains(t, answer, `"content-length": "3"`)
		assert.NotContains(t, strings.ToLower(answer), `"transfer-encoding"`)
	})
	t.Run("INF-099 PYB-038 the request id is that of the handler", func(t *testing.T) {
		t.Parallel()
		const uuid = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
		for _, header := range []map[string]string{{}, {"X-Request-Id": "mine-1"}, {"X-Request-Id": strings.Repeat("x", 129)}} {
			reply := l.In(t).Do(e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", "seen"), Header: header})
			var got seen
			reply.JSON(t, &got)
			assert.Equal(t, reply.Header.Get("X-Request-Id"), got.ID)
			if header["X-Request-Id"] == "mine-1" {
				assert.Equal(t, "mine-1", got.ID, "decided otherwise than in 0.12")
			} else {
				assert.Regexp(t, uuid, got.ID)
			}
		}
	})
	t.Run("INF-083 INF-084 PYB-035 PYB-037 clients do not set the mode of a handler", func(t *testing.T) {
		t.Parallel()
		header := map[string]string{"explain": "True", "url_path": "kill", "describe": "True"}
		got := l.look(t, e2etest.Call{Header: header})
		assert.Equal(t, "False", got.Headers["explain"])
		assert.Equal(t, "seen", got.Headers["url_path"])
		assert.NotContains(t, got.Headers, "describe")
		explained := l.look(t, e2etest.Call{Path: "/explanations/lab/1.0/seen", Header: map[string]string{"explain": "False", "Describe": "True"}})
		assert.Equal(t, "True", explained.Headers["explain"])
		assert.NotContains(t, explained.Headers, "Describe")
		invoked := l.In(t).Do(e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/invocations", Header: header, Body: "echoed"})
		assert.Equal(t, "echoed", invoked.Body, "decided otherwise than in 0.12")
	})
}
