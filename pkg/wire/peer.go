package wire

import (
	"bufio"
	"fmt"
	"io"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// Command is what a worker receives. Exactly one of Load and Batch is set; an
// empty batch is a non-nil slice of length 0.
type Command struct {
	Load  *Load
	Batch []Request
}

// Request is one request of a received batch.
type Request struct {
	ID         string
	Headers    []job.Header
	Parameters []job.Parameter
}

// maxCommandField is the largest field in bytes that a CommandReader accepts; a
// larger one is an error.
const maxCommandField = 1 << 30

// CommandReader decodes commands: the worker's side of a connection, for
// workers written in Go and for tests.
type CommandReader struct{ r Reader }

// NewCommandReader returns a CommandReader on r.
func NewCommandReader(r io.Reader) *CommandReader {
	return &CommandReader{Reader{r: bufio.NewReaderSize(r, readBuffer), limit: maxCommandField}}
}

// Next reads one command. io.EOF means that the server closed the connection
// between two commands; an unknown command byte has ErrProtocol in its chain.
func (c *CommandReader) Next() (Command, error) {
	b, err := c.r.r.ReadByte()
	if err != nil {
		return Command{}, err //nolint:wrapcheck // io.EOF is the contract
	}
	switch b {
	case CommandLoad:
		l, err := c.load()
		return Command{Load: &l}, err
	case CommandInfer:
		batch, err := c.batch()
		return Command{Batch: batch}, err
	default:
		return Command{}, fmt.Errorf("%w: command byte %q", ErrProtocol, b)
	}
}

func (c *CommandReader) load() (l Load, err error) {
	f := fields{Reader: &c.r}
	l.ModelName = f.string(maxCommandField)
	l.ModelPath = f.string(maxCommandField)
	l.BatchSize = f.int()
	l.Handler = f.string(maxCommandField)
	l.GPU = f.int()
	l.Envelope = f.string(maxCommandField)
	if err := f.failure(); err != nil {
		return l, err
	}
	flag, err := c.r.r.ReadByte()
	l.LimitMaxImagePixels = flag != 0
	return l, midMessage(err)
}

func (c *CommandReader) batch() ([]Request, error) {
	f := fields{Reader: &c.r}
	batch := []Request{}
	for n := f.int(); f.err == nil && n != int(endOfList); n = f.int() {
		r := Request{ID: f.stringOf(n, maxCommandField)}
		for n := f.int(); f.err == nil && n != int(endOfList); n = f.int() {
			name := f.stringOf(n, maxCommandField)
			r.Headers = append(r.Headers, job.Header{Name: name, Value: f.string(maxCommandField)})
		}
		for n := f.int(); f.err == nil && n != int(endOfList); n = f.int() {
			name := f.stringOf(n, maxCommandField)
			contentType := f.string(maxCommandField)
			value := f.bytes(maxCommandField)
			r.Parameters = append(r.Parameters, job.Parameter{Name: name, ContentType: contentType, Value: value})
		}
		batch = append(batch, r)
	}
	return batch, f.failure()
}

// failure returns the first error of the fields; for a command too large a
// field is one.
func (f *fields) failure() error {
	if f.err == nil && f.oversize > 0 {
		return fmt.Errorf("%w: field of %d bytes in a command", ErrProtocol, f.oversize)
	}
	return f.err
}

// Append adds the encoded response to dst and returns the extended slice.
func (r Response) Append(dst []byte) []byte {
	dst = appendInt(dst, r.Code)
	dst = appendString(dst, r.Message)
	for _, i := range r.Items {
		dst = appendString(dst, i.RequestID)
		dst = appendString(dst, i.ContentType)
		dst = appendInt(dst, i.Status)
		dst = appendString(dst, i.Phrase)
		dst = appendInt(dst, len(i.Headers))
		for _, h := range i.Headers {
			dst = appendString(dst, h.Name)
			dst = appendString(dst, h.Value)
		}
		dst = appendBytes(dst, i.Body)
	}
	return appendInt(dst, int(endOfList))
}
