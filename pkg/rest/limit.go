package rest

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// preflight answers what a browser asks before it sends the real request. It
// cannot carry a token, so it never reaches guard or route; its answer is the
// CORS headers alone (INF-D25).
func (e *edge) preflight(next http.Handler) http.Handler {
	if e.cfg.CORS.Origin == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
			r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header()[headerContentLength] = []string{"0"}
			w.WriteHeader(http.StatusOK)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limit refuses a body that is declared too large before any of it is read.
func (e *edge) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > e.cfg.MaxRequestSize {
			Fail(w, r, tooLarge())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func tooLarge() error { return fault.New(fault.TooLarge, "") }

// readBody returns the whole body of r, never nil. A declared length is read
// into one slice of that size.
func (e *edge) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := e.read(r)
	if a := answerOf(w); a != nil {
		a.received = time.Now()
	}
	return body, err
}

// trusted is the length in bytes for which memory is taken before anything has
// arrived.
const trusted = 1 << 20

// readExactly reads n bytes into one slice; a large one is made when its first
// part is there, so that announcing a body costs no memory.
func readExactly(from io.Reader, n int64) ([]byte, error) {
	body := make([]byte, min(n, trusted))
	got, err := io.ReadFull(from, body)
	if err != nil || int64(got) == n {
		return body, err
	}
	whole := make([]byte, n)
	copy(whole, body)
	_, err = io.ReadFull(from, whole[got:])
	return whole, err
}

func (e *edge) read(r *http.Request) ([]byte, error) {
	if r.ContentLength >= 0 {
		body, err := readExactly(r.Body, r.ContentLength) // limit has judged the length
		return body, unread(err)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, e.cfg.MaxRequestSize+1))
	if err == nil && int64(len(body)) > e.cfg.MaxRequestSize {
		return nil, tooLarge()
	}
	return body, unread(err)
}

// unread says why a body could not be read: its sender has gone, or its chunks
// make no sense.
func unread(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &timeout):
		return fault.Wrap(fault.Canceled, "", err)
	default:
		return fault.Wrap(fault.BadRequest, "Invalid HTTP message.", err)
	}
}
