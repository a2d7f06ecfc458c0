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
// must not be used any more. Only close may be called beside the others.
type conn struct {
	net    net.Conn
	raw    syscall.RawConn
	reader *wire.Reader
	enc    wire.Encoder

	peek func(fd uintptr) // sets seen; made once, because a closure costs memory
	seen error            // what peek found; nil: silence
}

// sendBuffer is how many bytes of a batch the kernel may hold for the worker, as
// far as it allows: with its usual 208 KiB server and worker wake each other
// several times for each large body. The worker does the same for its answers.
const sendBuffer = 1 << 20

func dial(ctx context.Context, network, address string, maxResponse int) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to worker: %w", err)
	}
	raw, err := rawConn(c)
	if err != nil {
		_ = c.Close() // nothing was sent
		return nil, err
	}
	if b, ok := c.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = b.SetWriteBuffer(sendBuffer) // it works without, slower
	}
	made := &conn{net: c, raw: raw, reader: wire.NewReader(c, maxResponse)}
	made.peek = func(fd uintptr) { made.seen = peek(int(fd)) }
	return made, nil
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

// errUnsent is in the chain of errors that happened before the worker got a
// byte of the batch: its jobs may be given to another worker.
var errUnsent = errors.New("batch not sent")

// sendLoad writes the load command. The deadline also covers the answer.
func (c *conn) sendLoad(l wire.Load, limit time.Duration) error {
	if err := c.net.SetDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("send load: %w", err)
	}
	if _, err := c.net.Write(l.Append(nil)); err != nil {
		return fmt.Errorf("send load: %w", err)
	}
	return nil
}

// send writes one batch, without the parameters of the jobs that are known. The
// deadline also covers the first answer.
func (c *conn) send(jobs []*job.Job, known int, limit time.Duration) error {
	if err := c.idle(); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	if err := c.net.SetDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	return c.write(jobs, known)
}

// sendAhead writes a batch while the answer to another one is awaited. Whatever
// goes wrong, the worker has not begun it.
func (c *conn) sendAhead(jobs []*job.Job) error {
	if err := c.write(jobs, 0); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	return nil
}

func (c *conn) write(jobs []*job.Job, known int) error {
	n, err := c.enc.Iterate(jobs, known).WriteTo(c.net)
	switch {
	case err == nil:
		return nil
	case n == 0 && hungUp(err):
		return fmt.Errorf("%w: %w", errUnsent, err)
	default:
		// A part of the batch may be what ended the worker: it must not go on
		// to the next one.
		return fmt.Errorf("send batch: %w", err)
	}
}

// extend gives the next message its own time (SCH-014).
func (c *conn) extend(limit time.Duration) error {
	if err := c.net.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("batch answer: %w", err)
	}
	return nil
}

// receive reads one message.
func (c *conn) receive() (wire.Response, error) {
	r, err := c.reader.Response()
	if err != nil {
		return r, fmt.Errorf("worker's answer: %w", err)
	}
	return r, nil
}

// forget drops what the last exchange left in the buffers.
func (c *conn) forget() {
	c.enc.Forget()
	c.reader.Forget()
}

var errUnsolicited = fmt.Errorf("%w: bytes without a command", wire.ErrProtocol)

// idle verifies that the peer is still there and has said nothing unasked: a
// batch must not be given to a worker that has left, and an answer that comes
// too late must not answer the next request (SCH-D9, SCH-D10). Deadlines that
// passed since the last exchange do not matter.
func (c *conn) idle() error {
	if c.reader.Buffered() > 0 {
		return errUnsolicited
	}
	if err := c.raw.Control(c.peek); err != nil {
		return fmt.Errorf("worker connection: %w", err)
	}
	return c.seen
}

// peek looks at a socket without waiting and without taking anything.
func peek(fd int) error {
	var one [1]byte
	n, _, err := syscall.Recvfrom(fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return err //nolint:wrapcheck // a system call number says it all
	case n == 0:
		return io.EOF
	default:
		return errUnsolicited
	}
}

// hungUp reports whether err means that the peer has closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (c *conn) close() { _ = c.net.Close() } // nothing to be done about it
