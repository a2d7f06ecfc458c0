package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"sync/atomic"
	"time"
)

type digest = [sha256.Size]byte

// ring holds the keys of one moment by their kind. It is never changed.
type ring [kinds]keys

// keys are the valid keys of one kind: one, or several while the operator
// replaces one from outside.
type keys struct {
	text    string // a generated key, for the key file; empty: from outside
	digests []digest
	expires time.Time    // zero: never
	told    *atomic.Bool // the log says that they have expired
}

// generate makes a key of n random bytes.
func generate(n int, expires time.Time) keys {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the process instead
	text := base64.RawURLEncoding.EncodeToString(b)
	return keys{text: text, digests: []digest{digestOf(text)}, expires: expires, told: new(atomic.Bool)}
}

func (k keys) expired(now time.Time) bool { return !k.expires.IsZero() && !now.Before(k.expires) }

// holder returns the kind of keys that text, a token of a client, is one of.
// Texts are compared by digest and with every key there is, so that the time
// this takes says nothing about them (D-TOK-5).
func (r *ring) holder(text string, now time.Time) (kind Scope, ok bool) {
	d := digestOf(text)
	for s := range kinds {
		equal := 0
		for i := range r[s].digests {
			equal |= subtle.ConstantTimeCompare(d[:], r[s].digests[i][:])
		}
		if equal == 1 && !r[s].expired(now) {
			kind, ok = s, true
		}
	}
	return kind, ok
}

func digestOf(text string) digest {
	var room [128]byte // keeps usual keys off the heap
	return sha256.Sum256(append(room[:0], text...))
}
