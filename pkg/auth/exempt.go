package auth

import (
	"net/http"
	"slices"
	"strings"
)

// Exemption is a row of the table of requests that need no key.
type Exemption struct {
	Methods []string // nil: any
	Path    string   // decoded, without a slash at its end; "/x/*": /x and all below
	Scopes  []Scope  // nil: all
	Headers []string // that the request must carry
	Reason  string
}

// Exemptions returns the table of requests that need no key, as configured.
func Exemptions(cfg Config) []Exemption {
	probe := []string{http.MethodGet, http.MethodHead}
	table := []Exemption{
		{Path: "/", Reason: "OPTIONS describes the API, the rest is 405"},
		{Path: "/api-description", Reason: "describes the API"},
		{
			Path: "/livez", Methods: probe, Scopes: []Scope{Inference, Management},
			Reason: "probes have no key; it names nothing",
		},
		{
			Path: "/readyz", Methods: probe, Scopes: []Scope{Inference, Management},
			Reason: "probes have no key; it names nothing",
		},
	}
	if cfg.ExemptPing {
		table = append(table, Exemption{
			Path: "/ping/*", Scopes: []Scope{Inference}, Reason: "token_exempt_ping=true",
		})
	}
	if !cfg.ProtectMetrics {
		table = append(table, Exemption{
			Path: "/*", Scopes: []Scope{Metrics}, Reason: "scrapers of 0.12 have no key",
		})
	}
	if cfg.CORS {
		table = append(table, Exemption{
			Path: "/*", Methods: []string{http.MethodOptions}, Headers: []string{"Origin", "Access-Control-Request-Method"},
			Reason: "browsers send no key in a preflight (D-TOK-29)",
		})
	}
	return table
}

// Covers reports whether r, of the given scope, is a request of row e.
func (e Exemption) Covers(scope Scope, r *http.Request) bool {
	if e.Methods != nil && !slices.Contains(e.Methods, r.Method) {
		return false
	}
	if e.Scopes != nil && !slices.Contains(e.Scopes, scope) {
		return false
	}
	for _, name := range e.Headers {
		if r.Header.Get(name) == "" {
			return false
		}
	}
	return e.coversPath(strings.TrimRight(r.URL.Path, "/"))
}

// coversPath compares without the slashes at the end, as the routers do.
func (e Exemption) coversPath(path string) bool {
	if prefix, ok := strings.CutSuffix(e.Path, "/*"); ok {
		rest, below := strings.CutPrefix(path, prefix)
		return below && (rest == "" || rest[0] == '/')
	}
	return path == strings.TrimRight(e.Path, "/")
}
