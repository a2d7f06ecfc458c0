package e2e

import (
	"embed"
	"fmt"
	"net/http"
	"slices"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/basic.py
var basicHandler string

//go:embed testdata/modes
var modeHandlers embed.FS

// modeConfigs are the configurations of the models in modeHandlers.
var modeConfigs = map[string]string{
	"asynchronous": "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 1\nasyncCommunication: true\n",
	"continuous":   "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 2\nmaxBatchDelay: 1\ncontinuousBatching: true\n",
	"sequence": "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 2\nmaxNumSequence: 2\nsequenceMaxIdleMSec: 60000\nmaxSequenceJobQueueSize: 10\n" +
		"sequenceBatching: true\n",
}

// exchange is a request that two servers are to answer alike.
type exchange struct {
	name string
	call e2etest.Call

	// differs says why they do not, with the deviation's ID; empty: they must.
	differs string
}

// exchanges returns what is asked of two servers, in this order; no worker ends by it.
func exchanges() []exchange {
	return slices.Concat(verbExchanges(), bodyExchanges(), headerExchanges(), routeExchanges(), basicExchanges())
}

// verbs has the lab do what the verbs ask for.
func verbs(words ...string) []exchange {
	all := make([]exchange, len(words))
	for i, verb := range words {
		all[i] = exchange{name: verb, call: labCall(verb, "", "body")}
	}
	return all
}

func labCall(verb, contentType, body string) e2etest.Call {
	c := e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", verb), Body: body}
	if contentType != "" {
		c.Header = map[string]string{"Content-Type": contentType}
	}
	return c
}

func verbExchanges() []exchange {
	return append(verbs(
		"measure", "echo", "seen", "batch", "kind/dict", "kind/list", "kind/str", "kind/bytes", "kind/bytearray", "kind/none", "kind/true",
		"kind/int", "kind/float", "kind/nan", "kind/empty", "kind/deep", "kind/keys", "status/201", "status/404", "status/204", "status/503",
		"content/image/png", "content/", "big/0", "big/3000000",
		"fail/prediction", "fail/prediction/404", "fail/prediction/413", "fail/prediction/599",
		"fail/memory", "fail/cuda", "fail/lookup", "fail/value", "fail/assert",
		"return/str", "return/none", "return/short", "return/long", "return/set", "return/dict", "return/tuple", "return/keys",
		"say", "stop/none/all", "no/such", "seen/a/b",
	), exchange{
		name: "fail/oom", call: labCall("fail/oom", "", ""), differs: "PYB §8.2: out of memory on other accelerators, too",
	})
}

func bodyExchanges() []exchange {
	const multipart = "multipart/form-data; boundary=b"
	parts := part(`name="data"; filename="a.json"`, "application/json; charset=utf-8", `{"a":1}`) +
		part(`name="text"; filename="a.txt"`, "text/plain", "Grüße") + part(`name="image"; filename="b.jpg"`, "", "\x00\xff") +
		part(`name="word"`, "application/json", `{"a":1}`) + part(`name="twice"`, "", "first") + part(`name="twice"`, "", "last")
	bodies := [][3]string{
		{"JSON", "application/json", `{"a": [1, 2.5, null, true, "ü"], "a b": NaN}`},
		{"JSON with a charset", "application/json; charset=utf-8", `[1]`},
		{"a word of JSON", "application/json", `null`},
		{"zero as JSON", "application/json", `0`},
		{"the same name twice in JSON", "application/json", `{"a": 1, "a": 2}`},
		{"invalid JSON", "application/json", `{"a":`},
		{"JSON that is not UTF-8", "application/json", "\"\xff\""},
		{"no JSON at all", "application/json", ""},
		{"JSON by another name", "application/problem+json", `{"a":1}`},
		{"text", "text/plain; charset=latin1", "Grüße"},
		{"text that is not UTF-8", "text/csv", "\xff"},
		{"bytes", "application/octet-stream", "\x00\xff"},
		{"nothing", "", ""},
		{"a form", "application/x-www-form-urlencoded", "a%20b=%C3%BC+x&c=1&c=2&body=b"},
		{"parts", multipart, parts + "--b--\r\n"},
		{"one part", multipart, part(`name="data"; filename="x"`, "text/html", "x") + "--b--\r\n"},
	}
	all := make([]exchange, len(bodies))
	for i, b := range bodies {
		all[i] = exchange{name: b[0], call: labCall("seen", b[1], b[2])}
	}
	return all
}

// headerExchanges has handlers read and set headers.
func headerExchanges() []exchange {
	all := []exchange{
		{name: "headers of the client", call: e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", "seen"), Body: "x",
			Header: map[string]string{"X-Mine": "1", "ts_request_sequence_id": "s-1", "Authorization": "Bearer x"},
		}},
		{name: "a method without body", call: e2etest.Call{Method: http.MethodGet, To: e2etest.Inference, Path: path("lab", "seen")}},
	}
	for _, set := range []string{
		`{"x-one": "1"}`, `{"content-type": "image/png"}`, `{"Content-Type": "text/html; charset=utf-8", "X-One": "one"}`, `{"x-empty": ""}`,
	} {
		all = append(all, exchange{name: "set " + set, call: labCall("headers", "application/json", set)})
	}
	return all
}

// routeExchanges come to the handler by other routes.
func routeExchanges() []exchange {
	var all []exchange
	for _, route := range []string{
		"/predictions/lab", "/explanations/lab", "/explanations/lab/1.0/seen/a/b", "/v1/models/lab:predict", "/v1/models/lab:explain", "/v2/models/lab/infer",
		"/models/lab/invoke?q=1", "/lab/predict?q=1", "/invocations?model_name=lab",
	} {
		call := labCall("", "application/json", `{"instances": [1]}`)
		call.Path = route
		call.Header["X-Verb"] = "seen"
		all = append(all, exchange{name: route, call: call})
	}
	describe := func(model, says string) exchange {
		call := e2etest.Call{Method: http.MethodGet, To: e2etest.Management, Path: "/models/" + model + "?customized=true"}
		if says != "" {
			call.Header = map[string]string{"X-Describe": says}
		}
		return exchange{name: fmt.Sprintf("describe %s: %s", model, says), call: call}
	}
	for _, says := range []string{"", "list", "empty", "text", "headers"} {
		all = append(all, describe("lab", says))
	}
	for _, says := range []string{"", `{"a": [1]}`, `[1]`, `"text"`, `{}`} {
		all = append(all, describe("basic", says))
	}
	return all
}

// basicExchanges go to the handler made from BaseHandler.
func basicExchanges() []exchange {
	call := func(route, contentType, body string) e2etest.Call {
		c := labCall("", contentType, body)
		c.Path = "/" + route + "/basic"
		return c
	}
	target := part(`name="data"; filename="x"`, "text/plain", "x") + part(`name="target"`, "", "3") + "--b--\r\n"
	return []exchange{
		{name: "BaseHandler predicts", call: call("predictions", "application/json", `{"a": 1}`)},
		{name: "BaseHandler explains", call: call("explanations", "text/plain", "why")},
		{
			name: "BaseHandler explains a target", call: call("explanations", "multipart/form-data; boundary=b", target),
			differs: "PYB §6.4: digits become a number",
		},
	}
}

// deadlyExchanges end workers, if only those of 0.12; after each the next one must
// serve.
func deadlyExchanges() []exchange {
	mended := []exchange{
		{name: "a circle", call: labCall("return/circle", "", ""), differs: "PYB §8.3: is 503 now"},
		{name: "a header that is no text", call: labCall("headers", "application/json", `{"x-number": 7}`), differs: "PYB §5.3: is sent as text now"},
	}
	var all []exchange
	for _, each := range append(verbs("exit/3", "fail/exit", "big/7000000"), mended...) {
		all = append(append(all, each), verbs("echo")...)
	}
	return all
}

// modeExchanges go to the models of modeConfigs.
func modeExchanges() []exchange {
	call := func(model, body string, headers ...string) exchange {
		c := e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/predictions/" + model, Body: body, Header: make(map[string]string)}
		for i := 0; i < len(headers); i += 2 {
			c.Header[headers[i]] = headers[i+1]
		}
		return exchange{name: fmt.Sprintf("%s: %s %v", model, body, headers), call: c}
	}
	var all []exchange
	for _, body := range []string{"say", "refuse", "fail", "status", "none", "stream:one:two", "fail:one", "say"} {
		all = append(all, call("asynchronous", body, "X-Mine", "1"))
	}
	for _, steps := range []string{"2", "5"} {
		all = append(all, call("continuous", steps, "X-Mine", "1"))
	}
	const id, start, end = "ts_request_sequence_id", "ts_request_sequence_start", "ts_request_sequence_end"
	return append(
		all,
		call("sequence", "1", id, "a", start, "true"), call("sequence", "2", id, "a"), call("sequence", "1", id, "b", start, "true"),
		call("sequence", "3", id, "a", end, "true"), call("sequence", "2", id, "b", end, "true"),
	)
}
