package rest

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// normalize gives everything behind it the path as 0.12 reads it, in
// r.URL.Path, so that guard and router cannot see two different ones.
func normalize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, changed, err := normalPath(r)
		if err != nil {
			Fail(w, r, err)
			return
		}
		if changed {
			r = withPath(r, path)
		}
		if unroutable(r.Method) {
			chi.RouteContext(r.Context()).RouteMethod = http.MethodTrace
		}
		next.ServeHTTP(w, r)
	})
}

// normalPath returns the path of r by the rules of INF §3.1, and whether it
// differs from what r has: decoded once, so that %2F separates; up to a #;
// invalid UTF-8 replaced; without trailing slashes. OPTIONS * means the root.
func normalPath(r *http.Request) (path string, changed bool, err error) {
	path = r.URL.Path
	if raw, _, found := strings.Cut(r.URL.RawPath, "#"); found {
		if path, err = url.PathUnescape(raw); err != nil {
			return "", false, fault.Wrap(fault.BadRequest, "", err)
		}
	}
	if r.Method == http.MethodOptions && path == "*" || path == "" && r.Method != http.MethodConnect {
		path = "/"
	}
	if path == "" || path[0] != '/' {
		return "", false, fault.New(fault.BadRequest, "Invalid HTTP message.")
	}
	path = strings.TrimRight(path, "/")
	if path == "" {
		path = "/"
	}
	if !utf8.ValidString(path) {
		path = string([]rune(path))
	}
	return path, path != r.URL.Path || r.URL.RawPath != "", nil
}

// withPath returns a copy of r with another path. The target of the access
// line, r.RequestURI, stays.
func withPath(r *http.Request, path string) *http.Request {
	target := *r.URL
	target.Path, target.RawPath = path, ""
	other := *r
	other.URL = &target
	return &other
}

// unroutable reports whether chi does not know the method. Such a request is
// routed as TRACE, which no route names alone: it reaches the routes that take
// any method and gets 405 from the others, as in 0.12.
func unroutable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions,
		http.MethodHead, http.MethodPatch, http.MethodConnect, http.MethodTrace:
		return false
	default:
		return true
	}
}
