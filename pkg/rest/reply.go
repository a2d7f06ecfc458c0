package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// headerStream marks the replies of a stream.
const headerStream = "Ts_stream_next"

// reply writes the answer of a model: one reply, or a stream of them.
func (e *edge) reply(ctx context.Context, w http.ResponseWriter, r *http.Request, first job.Reply, s *job.Stream) error {
	status := first.Status
	if status == 0 {
		status = http.StatusOK
	}
	// net/http cannot end an answer with a status below 200 either (INF-D15).
	if status < http.StatusOK || status > 999 {
		return fault.New(fault.Internal, "Invalid response status: "+strconv.Itoa(status))
	}
	e.replyHeaders(w, first)
	if first.More {
		return e.stream(ctx, w, r, first, s, status)
	}
	h := w.Header()
	delete(h, headerStream) // compat(0.12): INF-D16 (c), INF-107
	switch status {
	case http.StatusNoContent:
		w.WriteHeader(status)
		return nil
	case http.StatusResetContent:
		first.Body = nil
	default:
	}
	length := strconv.Itoa(len(first.Body))
	if a := answerOf(w); a != nil {
		a.length[0] = length
		h[headerContentLength] = a.length[:]
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead || status == http.StatusNotModified || len(first.Body) == 0 {
		return nil
	}
	_, _ = w.Write(first.Body) // a client that has gone is none of the model's business
	return nil
}

// stream writes the replies as they come, one chunk for each that is not empty.
func (e *edge) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, next job.Reply, s *job.Stream, status int) error {
	w.WriteHeader(status)
	flush := http.NewResponseController(w)
	silent := r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	for {
		if len(next.Body) > 0 && !silent {
			if _, err := w.Write(next.Body); err != nil {
				return fault.Wrap(fault.Canceled, "", err)
			}
		}
		if !next.More {
			return nil
		}
		if err := flush.Flush(); err != nil {
			return fault.Wrap(fault.Canceled, "", err)
		}
		var err error
		if next, err = s.Next(ctx); err != nil {
			return err
		}
	}
}

// replyHeaders sets what the model says about its reply, as far as it may: not
// the headers that belong to the connection, and nothing that could split the
// response (INF §8.2, INF-D15).
func (e *edge) replyHeaders(w http.ResponseWriter, reply job.Reply) {
	h := w.Header()
	if reply.ContentType != "" {
		h[headerContentType] = []string{e.headerValue(headerContentType, reply.ContentType)}
	}
	for _, header := range reply.Headers {
		name := http.CanonicalHeaderKey(header.Name)
		switch {
		case !token(name):
			e.deps.Log.Warn().Str("header", header.Name).Msg("A model set a header whose name is not allowed; it was dropped")
		case reserved(name):
		default:
			h[name] = []string{e.headerValue(name, header.Value)}
		}
	}
}

// reserved reports whether a header belongs to the server or the connection.
func reserved(name string) bool {
	switch name {
	case headerRequestID, "Pragma", "Cache-Control", "Expires",
		headerConnection, "Keep-Alive", "Transfer-Encoding", headerContentLength, "Trailer", "Upgrade", "Te":
		return true
	default:
		return strings.HasPrefix(name, "Proxy-")
	}
}

// headerValue returns value as bytes of ISO-8859-1, ? for what that has not,
// and without control characters.
func (e *edge) headerValue(name, value string) string {
	if clean(value) {
		return value
	}
	dropped := false
	b := make([]byte, 0, len(value))
	for _, c := range value {
		switch {
		case c == 0x7F, c < ' ' && c != '\t':
			dropped = true
		case c > 0xFF:
			b = append(b, '?')
		default:
			b = append(b, byte(c)) //nolint:gosec // G115: at most 0xFF
		}
	}
	if dropped {
		e.deps.Log.Warn().Str("header", name).Msg("A model set a header with control characters; they were dropped")
	}
	return string(b)
}

func clean(value string) bool {
	for i := range len(value) {
		if c := value[i]; c >= 0x7F || c < ' ' && c != '\t' {
			return false
		}
	}
	return true
}

// token reports whether name is the name of a header.
func token(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7F || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}
