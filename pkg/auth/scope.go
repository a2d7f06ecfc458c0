package auth

import (
	"net/http"
	"strings"
)

// Scope is what a request wants to do, and thereby which key it needs.
type Scope uint8

// The scopes. A key of one kind opens no other scope.
const (
	Inference  Scope = iota // everything on the inference listeners
	Management              // everything on the management listeners but /token
	API                     // /token
	Metrics                 // the metrics routes: open, or the management key's

	kinds = Metrics // there are as many kinds of keys as scopes before Metrics
)

// String returns the name of s as the key file spells it.
func (s Scope) String() string {
	switch s {
	case Inference:
		return "inference"
	case Management:
		return "management"
	case API:
		return "API"
	case Metrics:
		return "metrics"
	default:
		return "unknown"
	}
}

// key returns the kind of key that opens s.
func (s Scope) key() Scope {
	if s == Metrics {
		return Management
	}
	return s
}

// of returns the scope of r on the listener of scope s: of the management
// listener's paths, only the decoded /token is the API key's (D-TOK-21).
func (s Scope) of(r *http.Request) Scope {
	if s == Management && strings.TrimRight(r.URL.Path, "/") == "/token" {
		return API
	}
	return s
}
