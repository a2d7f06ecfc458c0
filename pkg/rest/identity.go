package rest

import (
	"net/http"
	"sync"

	"github.com/google/uuid"
)

// maxRequestID is the length in bytes up to which a client's own id is kept.
const maxRequestID = 128

// identities gives each request an id that no other request has at the same
// time: replies of workers are matched by it.
type identities struct {
	mu    sync.Mutex // Protects fields below
	taken map[string]struct{}
}

// take returns the client's own id where it is fit and free, else a random
// UUID. A kept id must be released when the request has ended.
func (i *identities) take(h http.Header) (id string, kept bool) {
	if own := h[headerRequestID]; len(own) > 0 && printable(own[0]) && i.claim(own[0]) {
		return own[0], true
	}
	return uuid.NewString(), false
}

func (i *identities) claim(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, busy := i.taken[id]; busy {
		return false
	}
	if i.taken == nil {
		i.taken = map[string]struct{}{}
	}
	i.taken[id] = struct{}{}
	return true
}

func (i *identities) release(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.taken, id)
}

// printable reports whether text can be an id: 1 to maxRequestID printable
// ASCII characters.
func printable(text string) bool {
	if text == "" || len(text) > maxRequestID {
		return false
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
