package job

import (
	"context"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// MaxUnread is the size in bytes of replies that may wait in a Stream for its
// reader. A reader slower than that loses its own stream, not the worker's time.
const MaxUnread = 64 << 20

// Stream is a Sink that keeps the replies for one waiting reader. Next is for
// one goroutine; Deliver and Fail may run beside it.
type Stream struct {
	ready chan struct{} // holds one token: there is something to read

	mu      sync.Mutex // Protects fields below
	replies []Reply
	unread  int // bytes
	err     error
}

// NewStream returns an empty Stream.
func NewStream() *Stream {
	return &Stream{ready: make(chan struct{}, 1)} // a second signal would say nothing new
}

// Deliver keeps r for the reader. It returns false when the stream is lost,
// because too much of it is unread.
func (s *Stream) Deliver(r Reply) (more bool) {
	s.mu.Lock()
	if s.err == nil {
		s.replies = append(s.replies, r)
		s.unread += len(r.Body)
		if s.unread > MaxUnread && r.More {
			s.err = fault.New(fault.Internal, "The client reads its stream too slowly")
		}
	}
	more = s.err == nil
	s.mu.Unlock()
	s.signal()
	return more
}

// Fail ends the stream after the replies that were delivered before.
func (s *Stream) Fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Stream) signal() {
	select {
	case s.ready <- struct{}{}:
	default: // the token is there already
	}
}

// Next blocks until there is a reply and returns it, or the error that ended
// the job, or the cause of ctx. After a reply without More it must not be
// called again.
func (s *Stream) Next(ctx context.Context) (Reply, error) {
	for {
		if r, err, ok := s.take(); ok {
			return r, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return Reply{}, context.Cause(ctx)
		}
	}
}

func (s *Stream) take() (r Reply, err error, ok bool) { //nolint:revive // the error belongs to r, ok to both
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replies) > 0 {
		r = s.replies[0]
		s.replies[0] = Reply{} // do not keep what was read
		s.replies = s.replies[1:]
		s.unread -= len(r.Body)
		return r, nil, true
	}
	return Reply{}, s.err, s.err != nil
}

var _ Sink = (*Stream)(nil)
