package auth

import (
	"net/http"
	"slices"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// The texts of a refusal, on every route and on /token.
const (
	refusedMessage      = "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
	refusedTokenMessage = "Token Authentication failed. Token either incorrect, expired, or not provided correctly"
)

const challenge = `Bearer realm="torchserve"`

// failedUpdate is logged for every /token that fails, whatever the reason.
const failedUpdate = "Failed to update key file"

// Fail answers r with err; it is the only writer of failures. It closes the
// connection, on which an unread body may be under way (D-TOK-18).
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// verdict is what a token is worth for a scope.
type verdict uint8

const (
	refused   verdict = iota // missing, malformed, wrong or expired
	otherKind                // a valid key, of another scope
	granted
)

// TokenAuthorizationHandler returns the guard of the listener of one scope, for
// chi's Use at the root of its router; on Management, /token needs the API key.
// A request without the key gets fail with a fault of kind InvalidKey, its body
// unread. Requests of the exemption table pass, and all while authorization is
// off.
func (k *Keys) TokenAuthorizationHandler(listener Scope, fail Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if !k.cfg.Enabled {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope := listener.of(r)
			if !k.exempt(scope, r) {
				if v := k.check(scope, r.Header.Values("Authorization")); v != granted {
					fail(w, r, k.refuse(w, r, scope, v))
					return
				}
			}
			if !k.cfg.ForwardHeader {
				r.Header.Del("Authorization") // model code must not collect keys (D-TOK-19)
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (k *Keys) exempt(scope Scope, r *http.Request) bool {
	return slices.ContainsFunc(k.open, func(e Exemption) bool { return e.Covers(scope, r) })
}

// check judges the values of an Authorization header for scope.
func (k *Keys) check(scope Scope, values []string) verdict {
	ring, now, kind := k.ring.Load(), k.cfg.Now(), scope.key()
	k.tellExpiry(kind, ring[kind], now)
	text, ok := bearer(values)
	if !ok {
		return refused
	}
	switch holder, ok := ring.holder(text, now); {
	case !ok:
		return refused
	case holder != kind:
		return otherKind
	default:
		return granted
	}
}

// tellExpiry logs the expiry of a key once, when it begins to matter (D-TOK-15).
func (k *Keys) tellExpiry(kind Scope, ks keys, now time.Time) {
	if !ks.expired(now) || !ks.told.CompareAndSwap(false, true) {
		return
	}
	title := map[Scope]string{Inference: "Inference", Management: "Management", API: "API"}
	k.cfg.HandlerLog.Info().Msg(title[kind] + " token expired")
}

// refuse counts the refusal, prepares the answer's header and returns its
// fault, after a pause if the address has tried too often.
func (k *Keys) refuse(w http.ResponseWriter, r *http.Request, scope Scope, v verdict) error {
	k.cfg.Refused(scope)
	w.Header().Set("WWW-Authenticate", challenge)
	f := fault.New(fault.InvalidKey, refusedMessage)
	if scope == API {
		k.cfg.HandlerLog.Error().Msg(failedUpdate)
		f.Message = refusedTokenMessage
	}
	if k.cfg.RefusalStatus == http.StatusUnauthorized {
		f.Status = http.StatusUnauthorized
		if v == otherKind {
			f.Status = http.StatusForbidden
		}
	}
	if wait := k.limiter.refused(r.RemoteAddr, k.cfg.Now()); wait > 0 {
		pause := time.NewTimer(wait)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-r.Context().Done():
		}
	}
	return f
}
