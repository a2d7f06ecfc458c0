package rest_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
)

func param(name, contentType, value string) job.Parameter {
	return job.Parameter{Name: name, ContentType: contentType, Value: []byte(value)}
}

const (
	formType  = "Content-Type: application/x-www-form-urlencoded"
	mixedType = "Content-Type: multipart/form-data; boundary=B"
)

// part is one part of a multipart body with boundary B.
func part(headers, body string) string { return "--B\r\n" + headers + "\r\n\r\n" + body + "\r\n" }

func TestInputs(t *testing.T) {
	t.Parallel()
	disposition := func(name string) string { return `Content-Disposition: form-data; name="` + name + `"` }
	for name, c := range map[string]struct {
		method, target, contentType, body string
		want                              []job.Parameter
	}{
		"JSON":                                   {"", "", "Content-Type: application/json", `{"a":1}`, []job.Parameter{param("body", "application/json", `{"a":1}`)}},
		"JSON with a charset":                    {"", "", "Content-Type: application/json; charset=utf-8", `1`, []job.Parameter{param("body", "application/json", `1`)}},
		"blanks around the type are taken off":   {"", "", "Content-Type: application/json ; charset=x", `1`, []job.Parameter{param("body", "application/json", `1`)}},
		"the case of the type stays":             {"", "", "Content-Type: Application/JSON", `1`, []job.Parameter{param("body", "Application/JSON", `1`)}},
		"INF-063 no content type":                {"", "", "", "raw\x00", []job.Parameter{param("body", "", "raw\x00")}},
		"INF-063 empty body":                     {"", "", "", "", []job.Parameter{param("body", "", "")}},
		"text":                                   {"", "", "Content-Type: text/plain", "t", []job.Parameter{param("body", "text/plain", "t")}},
		"INF-065 the query is ignored":           {"", "/predictions/m?a=b&c=%zz", "", "x", []job.Parameter{param("body", "", "x")}},
		"INF-065 the query is ignored by KServe": {"", "/v1/models/m:predict?a=b", "", "x", []job.Parameter{param("body", "", "x")}},
		"INF-066 the query comes first": {
			"", "/m/predict?b=1;a=2&b=3&&=n&e&f=%41+%C3%BC#x=y", "", "x", []job.Parameter{
				param("b", "", "1"), param("b", "", "3"), param("a", "", "2"), param("n", "", ""), param("e", "", ""), param("f", "", "A \u00fc"),
				param("body", "", "x"),
			},
		},
		"INF-066 on invocations": {
			"", "/invocations?model_name=m", "", "x", []job.Parameter{param("model_name", "", "m"), param("body", "", "x")},
		},
		"INF-066 on models invoke": {"", "/models/m/invoke?a=b", "", "x", []job.Parameter{param("a", "", "b"), param("body", "", "x")}},
		"INF-067 files and fields": {
			"", "", mixedType, part(disposition("f")+`; filename="a;b.png"`+"\r\nContent-Type: image/png; q=1", "\x89PNG\r\n") +
				part(disposition("g")+`; filename="x"`, "g") + part(disposition("t")+"\r\nContent-Type: text/plain", "field") +
				part(disposition("h")+"; filename*=utf-8''x", "") + "--B--\r\n",
			[]job.Parameter{
				param("f", "image/png", "\x89PNG\r\n"), param("g", "application/octet-stream", "g"), param("t", "", "field"),
				param("h", "application/octet-stream", ""),
			},
		},
		"a file of an empty type": {
			"", "", mixedType, part(disposition("f")+`; filename="x"`+"\r\nContent-Type:", "1") + "--B--", []job.Parameter{param("f", "", "1")},
		},
		"repeated names are all sent, in order": {
			"", "", mixedType, part(disposition("a"), "1") + part(disposition("a"), "2") + "--B--",
			[]job.Parameter{param("a", "", "1"), param("a", "", "2")},
		},
		"INF-069 PUT":             {"PUT", "", mixedType, part(disposition("a"), "1") + "--B--", []job.Parameter{param("a", "", "1")}},
		"INF-069 GET":             {"GET", "", mixedType, part(disposition("a"), "1") + "--B--", []job.Parameter{param("a", "", "1")}},
		"INF-069 quoted boundary": {"", "", `Content-Type: multipart/form-data; boundary="B"`, part(disposition("a"), "1") + "--B--", []job.Parameter{param("a", "", "1")}},
		"the type in any case, the boundary anywhere": {
			"", "", "Content-Type: Multipart/Form-Data; charset=x; y=z; Boundary=B", part(disposition("a"), "1") + "--B--",
			[]job.Parameter{param("a", "", "1")},
		},
		"a boundary with characters that need quotes": {
			"", "", "Content-Type: multipart/form-data; boundary=----=_Part/1", strings.ReplaceAll(part(disposition("a"), "1")+"--B--", "--B", "------=_Part/1"),
			[]job.Parameter{param("a", "", "1")},
		},
		"names in the charset of the header": {
			"", "", mixedType + "; charset=ISO-8859-1", part(disposition("\xe9"), "1") + "--B--", []job.Parameter{param("\u00e9", "", "1")},
		},
		"INF-070 no boundary":     {"", "", "Content-Type: multipart/form-data", "x", []job.Parameter{param("body", "multipart/form-data", "x")}},
		"INF-070 multipart mixed": {"", "", "Content-Type: multipart/mixed; boundary=B", "x", []job.Parameter{param("body", "multipart/mixed", "x")}},
		"names stay as they are":  {"", "", mixedType, part(disposition(`a:b,c=\"d\";\\`), "1") + "--B--", []job.Parameter{param(`a:b,c="d";\`, "", "1")}},
		"an unquoted name":        {"", "", mixedType, part("content-disposition: form-data; name=a", "1") + "--B--", []job.Parameter{param("a", "", "1")}},
		"a folded header":         {"", "", mixedType, part("Content-Disposition: form-data;\r\n name=a", "1") + "--B--", []job.Parameter{param("a", "", "1")}},
		"bare line feeds":         {"", "", mixedType, strings.ReplaceAll(part(disposition("a"), "1\n2")+"--B--\n", "\r", ""), []job.Parameter{param("a", "", "1\n2")}},
		"a preamble, an epilogue, a dash": {
			"", "", mixedType, "preamble --B\r\n" + part(disposition("a"), "--B1\r\n--BX\r\n--B -") + "--B-- epilogue\r\n" + part(disposition("b"), ""),
			[]job.Parameter{param("a", "", "--B1\r\n--BX\r\n--B -")},
		},
		"a part without an end is dropped": {
			"", "", mixedType, part(disposition("a"), "1") + part(disposition("b"), "2"), []job.Parameter{param("a", "", "1")},
		},
		"the last dashes may be missing": {
			"", "", mixedType, part(disposition("a"), "1") + "--B\r\n", []job.Parameter{param("a", "", "1")},
		},
		"a nested multipart": {
			"", "", mixedType, part(disposition("n")+"\r\nContent-Type: multipart/mixed; boundary=C",
				"--C\r\nContent-Disposition: file; filename=a\r\nContent-Type: text/a\r\n\r\n1\r\n--C\r\n\r\n2\r\n--C--") + "--B--",
			[]job.Parameter{param("n", "text/a", "1"), param("n", "application/octet-stream", "2")},
		},
		"a transfer encoding that changes nothing": {
			"", "", mixedType, part(disposition("a")+"; filename=x\r\nContent-Transfer-Encoding: Binary", "=41") + "--B--",
			[]job.Parameter{param("a", "application/octet-stream", "=41")},
		},
		"INF-072 a multipart body without parts": {"", "", mixedType, "x", []job.Parameter{param("body", "multipart/form-data", "x")}},
		"fields are decoded": {
			"", "", formType, "a=%41+b&%61%20=%FC&a=2", []job.Parameter{param("a", "", "A b"), param("a", "", "\xfc"), param("a", "", "2")},
		},
		"the type of a form in any case": {"", "", "Content-Type: Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=1", []job.Parameter{param("a", "", "1")}},
		"INF-072 text as a form":         {"", "", formType, "hello", []job.Parameter{param("body", "application/x-www-form-urlencoded", "hello")}},
		"INF-072 JSON as a form":         {"", "", formType, `{"a": "5%"}`, []job.Parameter{param("body", "application/x-www-form-urlencoded", `{"a": "5%"}`)}},
		"an empty form":                  {"", "", formType, "", nil},
		"an empty multipart body":        {"", "", mixedType, "", nil},
		"fields without value":           {"", "", formType, "a&b=&c", []job.Parameter{param("a", "", ""), param("b", "", ""), param("c", "", "")}},
		"a last separator":               {"", "", formType, "a=1&", []job.Parameter{param("a", "", "1")}},
		"a line end ends the form":       {"", "", formType, "a=1\r\n&b=2", []job.Parameter{param("a", "", "1")}},
		"a semicolon is text":            {"", "", formType, "a=1;b=2", []job.Parameter{param("a", "", "1;b=2")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &predictor{}
			q := request{method: c.method, target: c.target, body: c.body}
			if q.target == "" {
				q.target = "/predictions/m"
			}
			if c.contentType != "" {
				q.headers = []string{c.contentType}
			}
			w := call(t, inference(p), q)
			require.Equal(t, 200, w.Code, w.Body)
			assert.Equal(t, c.want, p.job().Request.Parameters)
		})
	}
}

func TestMalformedInputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ target, contentType, body, message string }{
		"a bad escape in a value":    {"", formType, "a=%zz", "Invalid hex byte in string: '%zz'"},
		"half an escape":             {"", formType, "a=%4", "Invalid hex byte in string: '%4'"},
		"a bad escape in a name":     {"", formType, "%zz=a", "Bad string: '%zz'"},
		"an empty name":              {"", formType, "a=1&&b=2", "A form field has no name"},
		"no name":                    {"", formType, "=x", "A form field has no name"},
		"a bare carriage return":     {"", formType, "a=1\rb", "Bad end of line"},
		"an empty boundary":          {"", "Content-Type: multipart/form-data; boundary=", "x", "Needs a boundary value"},
		"a boundary without a value": {"", "Content-Type: multipart/form-data; boundary", "x", "Needs a boundary value"},
		"a part without a name":      {"", mixedType, part("X: y", "1") + "--B--", "A form field has no name"},
		"a part with an empty name":  {"", mixedType, part(`Content-Disposition: form-data; name=""`, "1") + "--B--", "A form field has no name"},
		"an unknown transfer encoding": {
			"", mixedType, part("Content-Disposition: form-data; name=a; filename=b\r\nContent-Transfer-Encoding: base64", "1") + "--B--",
			"TransferEncoding Unknown: base64",
		},
		"a bad escape in the query":  {"/m/predict?a=%", "", "", "unterminated escape sequence at index 13 of: /m/predict?a=%"},
		"a bad digit in the query":   {"/m/predict?%4g=b", "", "", "invalid hex byte '4g' at index 12 of '/m/predict?%4g=b'"},
		"too many parts":             {"", mixedType, strings.Repeat(part("Content-Disposition: form-data; name=a", ""), 10_002), "The body has too many fields"},
		"too many fields":            {"", formType, strings.Repeat("a&", 10_001), "The body has too many fields"},
		"INF-054 before the look-up": {"/invocations?model_name=unknown", formType, "a=%zz", "Invalid hex byte in string: '%zz'"},
	} {
		t.Run("INF-073 "+name, func(t *testing.T) {
			t.Parallel()
			p := refusing(modelNotFound("unknown"))
			q := request{target: c.target, body: c.body}
			if q.target == "" {
				q.target = "/predictions/m"
			}
			if c.contentType != "" {
				q.headers = []string{c.contentType}
			}
			w := call(t, inference(p), q)
			assert.Equal(t, 400, w.Code)
			assert.Equal(t, failure("400", "BadRequestException", c.message), w.Body.String())
			assert.Nil(t, p.job(), "no job is made")
		})
	}
}

// FuzzInputs reads any body as any form: it is refused, or it becomes
// parameters with names that together are not larger than it.
func FuzzInputs(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "a=%41&b\r\n")
	f.Add(`multipart/form-data; boundary="B"`, part(`Content-Disposition: form-data; name="a"; filename="\"x"`, "1")+"--B--")
	f.Add("multipart/form-data; boundary=B", part("Content-Disposition: x; name=n\r\nContent-Type: multipart/mixed; boundary=C", "--C\r\n\r\n--C--")+"--B--")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		p := &predictor{}
		r := request{target: "/predictions/m", body: body}.http(t)
		r.Header["Content-Type"] = []string{contentType}
		inference(p).ServeHTTP(discardWriter{header: map[string][]string{}}, r)
		if p.job() == nil {
			return
		}
		size := 0
		for _, in := range p.job().Request.Parameters {
			require.NotEmpty(t, in.Name)
			size += len(in.Value)
		}
		require.LessOrEqual(t, size, len(body))
		require.NotEmpty(t, p.job().Request.Parameters)
	})
}

// FuzzQuery compares with the standard library where the rules agree.
func FuzzQuery(f *testing.F) {
	for _, text := range []string{"a=b&c", "a=%41+%C3%BC", "=x", "a==b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, " ;#\r\n\x00") || strings.Count(text, "&") > 500 {
			t.Skip("other rules")
		}
		p := &predictor{}
		r := request{target: "/m/predict"}.http(t)
		r.RequestURI = "/m/predict?" + text
		inference(p).ServeHTTP(discardWriter{header: map[string][]string{}}, r)
		values, err := url.ParseQuery(text)
		if err != nil {
			require.Nil(t, p.job())
			return
		}
		require.NotNil(t, p.job())
		valid := map[string]bool{}
		for name := range values {
			valid[strings.ToValidUTF8(name, "\uFFFD")] = true
		}
		for _, in := range p.job().Request.Parameters {
			if in.Name != "body" && !strings.HasPrefix(text, "=") && !strings.Contains(text, "&=") {
				require.True(t, valid[strings.ToValidUTF8(in.Name, "\uFFFD")], in.Name)
			}
		}
	})
}

// FuzzRegistrationBody: what the standard library takes as an object is taken
// with the same texts.
func FuzzRegistrationBody(f *testing.F) {
	for _, text := range []string{
		`{"url":"a.mar","batch_size":3}`, `{'url': "\u00fc\ud83d\ude00"; x=[1,{},]}`, `{"url":null}`, "# c\n{url:a}", `{"a":/**/1}`,
		`{"url":"\ud800"}`, "{\"url\":\"a\\\nb\"}", "[[[[[[", `{"synchronous":"no"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := &models{}
		w := call(t, managed(m, catalog{}), request{target: "/models", body: text, headers: []string{"Content-Type: application/json"}})
		if m.registered == nil {
			require.Equal(t, 400, w.Code)
		}
		var plain map[string]any
		if json.Unmarshal([]byte(text), &plain) != nil {
			return
		}
		if given, ok := plain["url"].(string); ok && m.registered != nil {
			require.Equal(t, given, m.registered.URL)
		}
	})
}
