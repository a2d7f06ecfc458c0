package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AnswerError is an answer of the server, or of something before it, that is not
// what was asked for. Type, Message and Details are those of the server's error
// body; with an empty Type the answer has none, and Text is its text as far as
// it is one.
type AnswerError struct {
	Call       string // method and URL, without the query
	Status     int
	Type       string
	Message    string
	Details    string
	Text       string        // at most 2000 bytes, printable
	Media      string        // media type of the answer, empty if it names none
	RetryAfter time.Duration // 0: not said
}

// Error returns the server's message, or says what came in its place.
func (e *AnswerError) Error() string {
	status := strings.TrimSpace(strconv.Itoa(e.Status) + " " + http.StatusText(e.Status))
	switch {
	case e.Type != "" && e.Message == "":
		return e.Call + ": " + status + ": " + e.Type
	case e.Details != "":
		return e.Message + "\n" + e.Details
	case e.Type != "":
		return e.Message
	case e.Media == "text/html":
		return e.Call + ": " + status + ", an HTML page, which is not TorchServe's: is the address right, or a proxy in between?"
	case e.Status < http.StatusMultipleChoices:
		return e.Call + ": the answer is not TorchServe's: is the address right?"
	case e.Status < http.StatusBadRequest:
		return e.Call + ": " + status + ": redirects are not followed, because keys are for one server only"
	case e.Text != "":
		return e.Call + ": " + status + ": " + e.Text
	default:
		return e.Call + ": " + status
	}
}

// UnreachableError says that nobody answers at an endpoint.
type UnreachableError struct {
	Endpoint string
	Err      error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no server answers at %s: %v", e.Endpoint, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// dialing reports whether err comes from the attempt to connect.
func dialing(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// Sizes of what is read of an answer that nobody asked for, in bytes.
const (
	maxRefusal = 64 << 10
	maxText    = 2000
)

// refused reads an answer with a status of 300 and more.
func (q call) refused(answer *http.Response) *AnswerError {
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal)) // the status is known, the rest is courtesy
	var own struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Details string `json:"details"`
	}
	if answer.StatusCode < http.StatusBadRequest || json.Unmarshal(body, &own) != nil || own.Type == "" {
		return q.foreign(answer, body)
	}
	return &AnswerError{
		Call: q.String(), Status: answer.StatusCode, RetryAfter: retryAfter(answer),
		Type: own.Type, Message: own.Message, Details: own.Details,
	}
}

// foreign describes an answer that is not in the server's own form: of a model
// with a status of its own, or of somebody else.
func (q call) foreign(answer *http.Response, body []byte) *AnswerError {
	media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil {
		media = "" // none, or nonsense
	}
	return &AnswerError{
		Call: q.String(), Status: answer.StatusCode, RetryAfter: retryAfter(answer),
		Text: printable(body), Media: media,
	}
}

// printable returns the beginning of a text; empty if it is none.
func printable(body []byte) string {
	text := strings.TrimSpace(string(body[:min(len(body), maxText)]))
	if len(body) > maxText {
		for text != "" && !utf8.ValidString(text[max(0, len(text)-utf8.UTFMax):]) { // a character cut in two
			text = text[:len(text)-1]
		}
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return ""
	}
	return text
}

// retryAfter reads the header in its form of seconds, the only one that the
// server uses.
func retryAfter(answer *http.Response) time.Duration {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
