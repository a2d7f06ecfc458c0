package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// Response is one message of a worker: the answer to a load command (no items)
// or to an inference command, whole or a piece of a stream.
type Response struct {
	Code    int
	Message string
	Items   []Item
}

// Item is the answer to one request of a batch. Oversize is the length in bytes
// of a field that was above the reader's limit and was skipped; the item's
// other content is then not to be used (WRK-D8). It is 0 otherwise.
type Item struct {
	RequestID   string
	ContentType string
	Status      int
	Phrase      string
	Headers     []job.Header
	Body        []byte
	Oversize    int
}

// StreamNext is the response header that says whether more messages follow for
// a request (WRK §6).
const StreamNext = "ts_stream_next"

// Streaming reports the value of ts_stream_next: whether it is there and
// whether more messages follow. Values other than "true" count as false.
func (i *Item) Streaming() (present, more bool) {
	for _, h := range i.Headers {
		if h.Name == StreamNext {
			return true, h.Value == "true"
		}
	}
	return false, false
}

// ErrProtocol is in the chain of every error that means the bytes of the peer
// cannot be understood. The connection must not be used any more.
var ErrProtocol = errors.New("worker protocol violated")

// Limits of one message besides the reader's own: what no honest worker needs.
const (
	maxHeaderField = 6_500_000 // bytes of a header name or value, as in 0.12
	maxHeaders     = 65_536    // headers of one item
	maxItems       = 1 << 20   // items of one message
)

// minLimit is the least limit in bytes for what names a message or an item:
// without them not even its failure can be told.
const minLimit = 1 << 20

// firstChunk is the size in bytes up to which memory for a field is taken at
// once; a larger one grows while it arrives, so that a false length costs
// nothing.
const firstChunk = 16 << 20

// readBuffer is the size in bytes of a connection's read buffer: small answers
// arrive in one read.
const readBuffer = 16 << 10

// Reader decodes the messages of one connection.
type Reader struct {
	r       *bufio.Reader
	limit   int
	message string // of the message before; most are the same
	items   []Item // reused from message to message
}

// NewReader returns a Reader on r. limit is the largest accepted field in
// bytes (max_response_size).
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, readBuffer), limit: limit}
}

// Response reads one message. The items slice is valid until the next call or
// Forget; the bodies in it belong to the caller. io.EOF means that the peer closed between
// two messages, io.ErrUnexpectedEOF in the middle of one; an error with
// ErrProtocol in its chain means malformed bytes; others are those of the
// connection (a time-out, for instance).
func (r *Reader) Response() (Response, error) {
	if _, err := r.r.Peek(1); err != nil {
		return Response{}, err //nolint:wrapcheck // io.EOF is the contract
	}
	code, err := r.int()
	if err != nil {
		return Response{}, err
	}
	message, err := r.text()
	if err != nil {
		return Response{}, err
	}
	r.items = r.items[:0]
	for {
		n, err := r.int()
		if err != nil {
			return Response{}, err
		}
		if n == int(endOfList) {
			return Response{Code: code, Message: message, Items: r.items}, nil
		}
		if len(r.items) == maxItems {
			return Response{}, fmt.Errorf("%w: more than %d items in one message", ErrProtocol, maxItems)
		}
		item, err := r.item(n)
		if err != nil {
			return Response{}, err
		}
		r.items = append(r.items, item)
	}
}

// Buffered returns the number of bytes that were received but not decoded. A
// synchronous worker that is idle must have none.
func (r *Reader) Buffered() int { return r.r.Buffered() }

// Forget drops the references to the last message, so that an idle connection
// keeps no answer alive.
func (r *Reader) Forget() {
	clear(r.items)
	if cap(r.items) > maxIdleItems {
		r.items = nil
	}
}

// maxIdleItems is the number of items up to which their slice is kept between
// messages.
const maxIdleItems = 1024

func (r *Reader) item(idLength int) (item Item, err error) {
	f := fields{Reader: r}
	item.RequestID = f.stringOf(idLength, max(r.limit, minLimit))
	item.ContentType = f.string(r.limit)
	item.Status = f.int()
	item.Phrase = f.string(r.limit)
	item.Headers = f.headers()
	item.Body = f.bytes(r.limit)
	item.Oversize = f.oversize
	return item, f.err
}

// text reads the message text, which seldom changes.
func (r *Reader) text() (string, error) {
	n, err := r.int()
	if err != nil {
		return "", err
	}
	if b, err := r.r.Peek(min(max(n, 0), readBuffer)); err == nil && n == len(b) && string(b) == r.message {
		_, err = r.r.Discard(n)
		return r.message, err //nolint:wrapcheck // cannot fail: the bytes are buffered
	}
	f := fields{Reader: r}
	s := f.stringOf(n, max(r.limit, minLimit))
	if f.err == nil && f.oversize > 0 {
		f.err = fmt.Errorf("%w: message text of %d bytes", ErrProtocol, f.oversize)
	}
	r.message = s
	return s, f.err
}

func (r *Reader) int() (int, error) {
	b, err := r.r.Peek(4)
	if err != nil {
		return 0, midMessage(err)
	}
	//nolint:gosec // two's complement is what the wire means
	n := int(int32(binary.BigEndian.Uint32(b)))
	_, err = r.r.Discard(4)
	return n, err //nolint:wrapcheck // cannot fail: the bytes are buffered
}

// midMessage turns a clean end into an unexpected one: the message had begun.
func midMessage(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fields reads the fields of one item and latches the first error, so that the
// layout can be read as a list.
type fields struct {
	*Reader
	err      error
	oversize int
}

func (f *fields) int() int {
	if f.err != nil {
		return 0
	}
	var n int
	n, f.err = f.Reader.int()
	return n
}

func (f *fields) string(limit int) string { return f.stringOf(f.int(), limit) }

func (f *fields) stringOf(n, limit int) string {
	if f.err == nil && n > 0 && n <= min(limit, readBuffer) {
		if b, err := f.r.Peek(n); err == nil {
			s := string(b)
			_, _ = f.r.Discard(n) // cannot fail: the bytes are buffered
			return s
		}
	}
	return string(f.bytesOf(n, limit))
}

func (f *fields) bytes(limit int) []byte { return f.bytesOf(f.int(), limit) }

func (f *fields) bytesOf(n, limit int) []byte {
	switch {
	case f.err != nil:
		return nil
	case n < 0:
		f.err = fmt.Errorf("%w: field length %d", ErrProtocol, n)
		return nil
	case n > limit:
		f.oversize = max(f.oversize, n)
		_, err := f.r.Discard(n)
		f.err = midMessage(err)
		return nil
	}
	var b []byte
	b, f.err = readN(f.r, n)
	return b
}

func (f *fields) headers() []job.Header {
	n := f.int()
	switch {
	case f.err != nil || n == 0:
		return nil
	case n < 0 || n > maxHeaders:
		f.err = fmt.Errorf("%w: header count %d", ErrProtocol, n)
		return nil
	}
	headers := make([]job.Header, 0, min(n, 16))
	for range n {
		name := f.string(maxHeaderField)
		value := f.string(maxHeaderField)
		if f.err != nil {
			return nil
		}
		headers = append(headers, job.Header{Name: name, Value: value})
	}
	return headers
}

// readN reads exactly n bytes, taking memory only as fast as they arrive.
func readN(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, min(n, firstChunk))
	for got := 0; ; {
		k, err := io.ReadFull(r, b[got:])
		got += k
		if err != nil {
			return nil, midMessage(err)
		}
		if got == n {
			return b, nil
		}
		grown := make([]byte, min(n, 2*len(b)))
		copy(grown, b)
		b = grown
	}
}
