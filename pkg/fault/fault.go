package fault

import (
	"context"
	"errors"
	"strings"
)

// Error is a failure with enough context to be answered, logged and compared.
// The zero Kind is Internal. Status is the code that a worker or its end gives
// (400 to 599; 413 of a worker means out of memory); read it with the functions
// Status and GRPC, which know what each transport shows for it.
type Error struct {
	Op      string // what was being done, for the log: "register"
	Kind    Kind
	Subject string // to what, for the log: a model, a path, an address
	Message string // what the client reads; empty: the cause, if the table shows it
	Status  int    // code chosen by a worker; 0: the table's
	Details string // what the client may read beside the message: a worker's last words
	Hint    string // what an operator should do, for the log
	Err     error  // cause, may be nil
}

// New makes a fault of kind k whose message the client reads as it is.
func New(k Kind, message string) *Error { return &Error{Kind: k, Message: message} }

// Wrap makes a fault of kind k with a message for the client and a cause for
// the log. A nil cause is allowed.
func Wrap(k Kind, message string, cause error) *Error {
	return &Error{Kind: k, Message: message, Err: cause}
}

// Error returns the text for logs: op, subject, message and cause, as far as
// they are set.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, s := range []string{e.Op, e.Subject, e.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return e.Kind.String()
	}
	text := strings.Join(parts, ": ")
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost fault in err's chain. A context
// error without a fault around it is Canceled or Expired; everything else,
// nil included, is Internal.
func KindOf(err error) Kind {
	var f *Error
	switch {
	case errors.As(err, &f):
		return f.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Expired
	case errors.Is(err, context.Canceled):
		return Canceled
	default:
		return Internal
	}
}

// Is reports whether err is a fault of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Message returns the text a client may read: the outermost fault's message,
// else where the table allows it the cause's (its message if it is a fault, else
// its text), else the empty text.
func Message(err error) string {
	var f *Error
	if !errors.As(err, &f) {
		return ""
	}
	if f.Message != "" {
		return f.Message
	}
	if f.Err == nil || !f.Kind.Row().ShowCause {
		return ""
	}
	if m := Message(f.Err); m != "" {
		return m
	}
	return f.Err.Error()
}

// Details returns what a client may read beside the message of err.
func Details(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Details
	}
	return ""
}

// Status returns the HTTP status of err: the worker's own where the fault has
// one, else that of the table. A worker's 413 is shown as 507 (INF §11.2).
func Status(err error) int {
	var f *Error
	switch {
	case !errors.As(err, &f) || f.Status == 0:
		return KindOf(err).Row().Status
	case f.Status == outOfMemory && f.Kind == Worker:
		return table[OutOfMemory].Status
	default:
		return f.Status
	}
}

// GRPC returns the canonical gRPC code (0 to 16) of err: derived from the
// worker's own code where the fault has one, else that of the table.
func GRPC(err error) uint32 {
	if f, ok := errors.AsType[*Error](err); ok && f.Status != 0 {
		return GRPCOf(f.Status)
	}
	return KindOf(err).Row().GRPC
}
