package rest

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// errorBody is what a failure says; keys and order are 0.12's. Details, which
// 0.12 has not, come last and only when there are some.
type errorBody struct {
	Code    int    `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message,omitempty"`
	Details string `json:"details,omitempty"`
}

// Fail answers a request with err by the table of pkg/fault and logs what the table
// says is worth it. Where an answer has begun it breaks the connection off, by
// the panic that net/http has for it.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	a := answerOf(w)
	if a != nil {
		a.log(err)
		if a.wrote {
			a.breakOff(err)
		}
	}
	if r.ContentLength != 0 {
		// The connection is closed after a failure: net/http must not wait for a body that nobody reads (TOK-045).
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadGrace))
	}
	status := statusOf(err)
	h := w.Header()
	switch fault.KindOf(err) {
	case fault.TooLarge:
		// compat(0.12): the only failure without a body (INF-120).
		h[headerContentLength] = []string{"0"}
		w.WriteHeader(status)
		return
	case fault.Busy:
		if status == http.StatusServiceUnavailable {
			h["Retry-After"] = []string{"1"}
		}
	default:
	}
	body, encoding := encode(errorBody{
		Code:    status,
		Type:    fault.KindOf(err).Row().Type,
		Message: fault.Message(err),
		Details: fault.Details(err),
	})
	if encoding != nil {
		body = nil // numbers and texts have an encoding
	}
	writeBody(w, status, body)
}

// unreadGrace is how long a client that was refused may go on sending before its
// connection is closed.
const unreadGrace = 500 * time.Millisecond

// statusOf returns the status of err. A worker may choose only statuses that
// mean failure, and 413 would say that the request was too large (INF-D21).
func statusOf(err error) int {
	status := fault.Status(err)
	if !fault.Is(err, fault.Worker) {
		return status
	}
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return http.StatusInsufficientStorage
	case status < 400 || status > 599:
		return http.StatusInternalServerError
	default:
		return status
	}
}

// breakOff ends an answer that has begun without its last bytes. A client that
// has gone is not counted as a failure.
func (a *answer) breakOff(err error) {
	if !fault.Is(err, fault.Canceled) {
		a.edge.deps.Metrics.Answered(http.StatusInternalServerError)
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http is told to abort a connection
}

// log writes what the level of the failure asks for. A broken answer is always
// worth a line, unless its client broke it.
func (a *answer) log(err error) {
	var level zerolog.Level
	switch fault.KindOf(err).Row().Level {
	case fault.Warn:
		level = zerolog.WarnLevel
	case fault.Loud:
		level = zerolog.ErrorLevel
	case fault.Quiet:
		if !a.wrote || fault.Is(err, fault.Canceled) {
			return
		}
		level = zerolog.WarnLevel
	}
	a.edge.deps.Log.WithLevel(level).Str(keyRequest, a.id[0]).Int(keyStatus, statusOf(err)).Err(err).Msg("A request failed")
}
