package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// conn is the connection to one rank. One exchange at a time; after an error it
// must not be used any more.
type conn struct {
	net    net.Conn
	reader *wire.Reader
	enc    wire.Encoder
}

func dial(ctx context.Context, network, address string, maxResponse int) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to worker: %w", err)
	}
	return &conn{net: c, reader: wire.NewReader(c, maxResponse)}, nil
}

// errUnsent is in the chain of errors that happened before the worker could
// have understood the batch: its jobs may be given to another worker.
var errUnsent = errors.New("batch not sent")

// load sends the load command and waits for its answer.
func (c *conn) load(l wire.Load, limit time.Duration) (wire.Response, error) {
	if err := c.net.SetDeadline(time.Now().Add(limit)); err != nil {
		return wire.Response{}, fmt.Errorf("load: %w", err)
	}
	if _, err := c.net.Write(l.Append(nil)); err != nil {
		return wire.Response{}, fmt.Errorf("send load: %w", err)
	}
	r, err := c.reader.Response()
	if err != nil {
		return r, fmt.Errorf("load answer: %w", err)
	}
	return r, nil
}

// send writes one batch. The deadline also covers the first answer.
func (c *conn) send(jobs []*job.Job, limit time.Duration) error {
	if err := c.idle(); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	if err := c.net.SetDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	if _, err := c.enc.Infer(jobs).WriteTo(c.net); err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			// The frame is incomplete: the worker cannot have run it.
			return fmt.Errorf("%w: %w", errUnsent, err)
		}
		return fmt.Errorf("send batch: %w", err)
	}
	return nil
}

// receive reads one message; limit is counted anew for every message after the
// first.
func (c *conn) receive(first bool, limit time.Duration) (wire.Response, error) {
	if !first {
		if err := c.net.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return wire.Response{}, fmt.Errorf("batch answer: %w", err)
		}
	}
	r, err := c.reader.Response()
	if err != nil {
		return r, fmt.Errorf("batch answer: %w", err)
	}
	return r, nil
}

var errUnsolicited = fmt.Errorf("%w: bytes without a command", wire.ErrProtocol)

// idle verifies that the peer is still there and has said nothing unasked: a
// batch must not be given to a worker that has left, and an answer that comes
// too late must not answer the next request (SCH-D9, SCH-D10).
func (c *conn) idle() error {
	if c.reader.Buffered() > 0 {
		return errUnsolicited
	}
	raw, err := rawConn(c.net)
	if err != nil {
		return err
	}
	verdict := error(nil)
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR: //nolint:errorlint // system call numbers
		case err != nil:
			verdict = err
		case n == 0:
			verdict = io.EOF
		default:
			verdict = errUnsolicited
		}
		return true // never wait
	})
	return errors.Join(err, verdict)
}

func rawConn(c net.Conn) (syscall.RawConn, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection of type %T has no descriptor", c)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("worker connection: %w", err)
	}
	return raw, nil
}

func (c *conn) close() { _ = c.net.Close() } // nothing to be done about it
