package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// Names of the headers that only the server may set towards a model.
const (
	headerExplain  = "explain"
	headerDescribe = "describe"
	headerURLPath  = "url_path"
)

// spellings maps the canonical form of the names that TorchServe defines to the
// spelling that models know. An empty one is never handed on: a client must not
// switch the mode of a handler.
func spellings(sequence []string) map[string]string {
	names := make(map[string]string, len(sequence)+4)
	for _, name := range sequence {
		names[http.CanonicalHeaderKey(name)] = name
	}
	for _, name := range []string{headerExplain, headerDescribe, headerURLPath} {
		names[http.CanonicalHeaderKey(name)] = ""
	}
	names["Expect"] = "" // answered by net/http
	return names
}

// requestHeaders returns the headers that the model sees (INF §7), followed by
// those of the route.
func (e *edge) requestHeaders(r *http.Request, length int, own []job.Header) []job.Header {
	headers := make([]job.Header, 0, len(r.Header)+len(own)+2)
	if r.Host != "" {
		headers = append(headers, job.Header{Name: "Host", Value: r.Host})
	}
	declared := false
	for name, values := range r.Header {
		if len(values) == 0 {
			continue
		}
		if spelling, special := e.names[name]; special {
			if spelling == "" {
				continue
			}
			name = spelling
		}
		declared = declared || name == headerContentLength
		// Of repeated headers the last one counts (INF-081).
		headers = append(headers, job.Header{Name: name, Value: latin1(values[len(values)-1])})
	}
	if !declared {
		headers = append(headers, job.Header{Name: "content-length", Value: strconv.Itoa(length)})
	}
	return append(headers, own...)
}

// latin1 reads the bytes of a header as ISO-8859-1 (INF-085).
func latin1(value string) string {
	if ascii(value) {
		return value
	}
	var b strings.Builder
	for _, c := range []byte(value) {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
