package rest

import (
	"net/http"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// Names of headers, in the form that net/http keeps them in.
const (
	headerRequestID     = "X-Request-Id"
	headerContentType   = "Content-Type"
	headerContentLength = "Content-Length"
	headerConnection    = "Connection"
	headerDate          = "Date"
	headerWarning       = "Warning"
	headerLocation      = "Location" // of a new model: 0.12's answer does not name it while its workers start
)

// Keys of log fields.
const (
	keyRequest = "request_id"
	keyStack   = "stack"
	keyStatus  = "status"
)

// head holds the headers that every answer has (INF §8.1). The slices are
// shared by all answers and never written.
type head struct {
	fixed     []header
	optional  []header // unless the model has set its own (CORS)
	keepAlive []string
	close     []string
}

// header is one header as net/http takes it.
type header struct {
	name  string
	value []string
}

func newHead(c CORS) head {
	h := head{
		fixed: []header{
			{"Pragma", []string{"no-cache"}},
			{"Cache-Control", []string{"no-cache; no-store, must-revalidate, private"}},
			{"Expires", []string{"Thu, 01 Jan 1970 00:00:00 UTC"}},
		},
		keepAlive: []string{"keep-alive"},
		close:     []string{"close"},
	}
	for _, cors := range []header{
		{"Access-Control-Allow-Origin", []string{c.Origin}},
		{"Access-Control-Allow-Methods", []string{c.Methods}},
		{"Access-Control-Allow-Headers", []string{c.Headers}},
	} {
		if cors.value[0] != "" {
			h.optional = append(h.optional, cors)
		}
	}
	return h
}

// answer is the ResponseWriter behind frame: it knows the request, and closes
// the head of the response when the first byte is written.
type answer struct {
	http.ResponseWriter
	edge     *edge
	request  *http.Request
	id       [1]string // a header value without an allocation of its own
	length   [1]string // the same
	received time.Time // when the request was complete, as far as is known
	wrote    bool
}

// frame recovers from panics, gives the request its id and makes the answer.
func (e *edge) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, kept := e.ids.take(r.Header)
		a := &answer{ResponseWriter: w, edge: e, request: r, id: [1]string{id}, received: time.Now()}
		defer func() {
			if kept {
				e.ids.release(id)
			}
			if p := recover(); p != nil {
				a.rescue(p)
			}
		}()
		h := w.Header()
		h[headerRequestID] = a.id[:]
		h[headerDate] = nil        // nil: net/http adds none
		h[headerContentType] = nil // nil: net/http does not guess
		next.ServeHTTP(a, r)
		a.WriteHeader(http.StatusOK) // of those who wrote nothing
	})
}

// rescue turns a panic into an answer, or into a broken connection where an
// answer has begun.
func (a *answer) rescue(p any) {
	if p != http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
		a.edge.deps.Log.Error().Str(keyRequest, a.id[0]).Interface(zerolog.ErrorFieldName, p).
			Bytes(keyStack, debug.Stack()).Msg("A handler panicked")
		if !a.wrote {
			Fail(a, a.request, fault.New(fault.Internal, ""))
			return
		}
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http is told to abort a connection
}

// Unwrap gives http.ResponseController the way to Flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write writes the head for status 200 where there was none, then p.
func (a *answer) Write(p []byte) (int, error) {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// WriteHeader completes the head, writes it, and accounts for the answer. Only
// the first call counts.
func (a *answer) WriteHeader(status int) {
	if a.wrote {
		return
	}
	a.wrote = true
	a.complete(status)
	a.ResponseWriter.WriteHeader(status)
	a.edge.deps.Metrics.Answered(status)
	a.edge.deps.Access(AccessLine{
		Remote:   a.request.RemoteAddr,
		Method:   a.request.Method,
		URI:      a.request.RequestURI,
		Protocol: a.request.Proto,
		Status:   status,
		Elapsed:  time.Since(a.received),
	})
}

// complete sets the headers that win over those of the model. Connections end
// at statuses of 400 and above, as in 0.12; not so in HTTP/2, where the
// connection is not the request's.
func (a *answer) complete(status int) {
	h, fixed := a.Header(), &a.edge.head
	for _, cors := range fixed.optional {
		if _, own := h[cors.name]; !own {
			h[cors.name] = cors.value
		}
	}
	for _, own := range fixed.fixed {
		h[own.name] = own.value
	}
	h[headerRequestID] = a.id[:]
	switch {
	case a.request.ProtoMajor != 1:
	case status < http.StatusBadRequest:
		h[headerConnection] = fixed.keepAlive
	default:
		h[headerConnection] = fixed.close
	}
}

// answerOf returns the answer that w is or wraps; nil: w is not behind frame.
func answerOf(w http.ResponseWriter) *answer {
	for {
		if a, ok := w.(*answer); ok {
			return a
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}
