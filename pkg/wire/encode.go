package wire

import (
	"encoding/binary"
	"net"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// The command bytes.
const (
	CommandLoad  byte = 'L'
	CommandInfer byte = 'I'
)

const endOfList int32 = -1

// inlineLimit is the size in bytes up to which a parameter's value is copied
// beside its header fragment; larger ones are written from where they are.
const inlineLimit = 4096

// Load is the first command on a connection. BatchSize below 1 is sent as 1
// (WRK-004); a negative GPU means none.
type Load struct {
	ModelName           string
	ModelPath           string
	BatchSize           int
	Handler             string
	GPU                 int
	Envelope            string
	LimitMaxImagePixels bool
}

// Append adds the encoded command to dst and returns the extended slice.
func (l Load) Append(dst []byte) []byte {
	dst = append(dst, CommandLoad)
	dst = appendString(dst, l.ModelName)
	dst = appendString(dst, l.ModelPath)
	dst = appendInt(dst, max(l.BatchSize, 1))
	dst = appendString(dst, l.Handler)
	dst = appendInt(dst, max(l.GPU, -1))
	dst = appendString(dst, l.Envelope)
	if l.LimitMaxImagePixels {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// Encoder builds inference commands. The zero value is ready for use. It is
// reused from batch to batch, so what Infer returned is valid until the next
// call.
type Encoder struct {
	head    []byte      // everything but large values
	cuts    []cut       // where large values go
	out     net.Buffers // the fragments in order
	pending net.Buffers // out, as consumed by the write
}

type cut struct {
	at    int // offset in head before which value is inserted
	value []byte
}

// Infer encodes one batch as fragments for a vectored write. Values above 4 KiB
// are referenced, not copied: they must not change until the write is done. The
// batch must not be empty (WRK-D3); it is the caller's duty never to send one.
func (e *Encoder) Infer(jobs []*job.Job) *net.Buffers { return e.Iterate(jobs, 0) }

// Iterate encodes one iteration of continuous batching: of the first jobs, as
// many as known says, the worker has had the parameters (WRK §7).
func (e *Encoder) Iterate(jobs []*job.Job, known int) *net.Buffers {
	e.head = append(e.head[:0], CommandInfer)
	e.cuts = e.cuts[:0]
	for i, j := range jobs {
		e.headers(j)
		if i >= known {
			e.parameters(j)
		}
		e.head = appendInt(e.head, int(endOfList))
	}
	e.head = appendInt(e.head, int(endOfList))
	return e.fragments()
}

func (e *Encoder) headers(j *job.Job) {
	e.head = appendString(e.head, j.ID)
	for _, h := range j.Request.Headers {
		e.head = appendString(e.head, h.Name)
		e.head = appendString(e.head, h.Value)
	}
	e.head = appendInt(e.head, int(endOfList))
}

func (e *Encoder) parameters(j *job.Job) {
	for _, p := range j.Request.Parameters {
		e.head = appendString(e.head, p.Name)
		e.head = appendString(e.head, p.ContentType)
		e.head = appendInt(e.head, len(p.Value))
		if len(p.Value) <= inlineLimit {
			e.head = append(e.head, p.Value...)
			continue
		}
		e.cuts = append(e.cuts, cut{at: len(e.head), value: p.Value})
	}
}

// fragments cuts head where large values belong. It runs after head has
// stopped growing, because growing moves it.
func (e *Encoder) fragments() *net.Buffers {
	e.out = e.out[:0]
	from := 0
	for _, c := range e.cuts {
		e.out = append(e.out, e.head[from:c.at], c.value)
		from = c.at
	}
	e.out = append(e.out, e.head[from:])
	e.pending = e.out // a write consumes the slice header it is given
	return &e.pending
}

// Forget drops the references to the values of the last batch, so that an idle
// connection keeps no request alive. Call it when the batch has been written.
func (e *Encoder) Forget() {
	clear(e.out)
	clear(e.cuts)
	if cap(e.head) > maxIdleHead {
		e.head = nil
	}
}

// maxIdleHead is the size in bytes up to which the encoder's own buffer is kept
// between batches.
const maxIdleHead = 1 << 20

func appendInt(dst []byte, n int) []byte {
	//nolint:gosec // lengths are limited by the request size; the wire has 32 bits
	return binary.BigEndian.AppendUint32(dst, uint32(int32(n)))
}

func appendString(dst []byte, s string) []byte {
	return append(appendInt(dst, len(s)), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(appendInt(dst, len(b)), b...)
}
