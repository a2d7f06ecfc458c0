package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// emptyIsNil compares bytes as such, because cmp takes its time for a megabyte.
var emptyIsNil = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(bytes.Equal)}

func TestLoadAppend(t *testing.T) {
	for _, size := range []int{0, -5} {
		t.Run("WRK-004 a batch size below 1 is sent as 1", func(t *testing.T) {
			c, err := wire.NewCommandReader(bytes.NewReader(wire.Load{BatchSize: size}.Append(nil))).Next()
			require.NoError(t, err)
			assert.Equal(t, 1, c.Load.BatchSize)
		})
	}
}

func TestEncoder(t *testing.T) {
	large := bytes.Repeat([]byte{7}, 100_000)
	batch := []*job.Job{
		{ID: "a", Request: job.Request{Parameters: []job.Parameter{{Name: "x", Value: large}, {Name: "y", Value: []byte("small")}}}},
		{ID: "b", Request: job.Request{Headers: []job.Header{{Name: "X-CaSe", Value: "v"}}, Parameters: []job.Parameter{{Name: "z", Value: large[:4097]}}}},
	}
	t.Run("large values are sent from where they are", func(t *testing.T) {
		var e wire.Encoder
		shared := 0
		for _, fragment := range *e.Infer(batch) {
			if &fragment[0] == &large[0] {
				shared++
			}
		}
		assert.Equal(t, 2, shared)
	})
	t.Run("WRK-016 is read back, header names as they were", func(t *testing.T) {
		var e wire.Encoder
		c, err := wire.NewCommandReader(bytes.NewReader(written(t, e.Infer(batch)))).Next()
		require.NoError(t, err)
		sameRequests(t, batch, c.Batch)
	})
	t.Run("is used again", func(t *testing.T) {
		var e wire.Encoder
		first := written(t, e.Infer(batch))
		e.Forget()
		written(t, e.Infer(batch[1:]))
		e.Forget()
		assert.True(t, bytes.Equal(first, written(t, e.Infer(batch))))
	})
	t.Run("takes no memory once it has grown", func(t *testing.T) {
		var e wire.Encoder
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			_, _ = e.Infer(batch).WriteTo(io.Discard)
			e.Forget()
		}))
	})
}

// response is one of everything.
var response = wire.Response{Code: 200, Message: "Prediction success", Items: []wire.Item{
	{RequestID: "r1", ContentType: "text/plain", Status: 200, Phrase: "OK", Headers: []job.Header{{Name: "a", Value: "b"}}, Body: []byte("body")},
	{RequestID: "r2", Status: 404, Body: bytes.Repeat([]byte("x"), 40_000)},
}}

func TestReader(t *testing.T) {
	encoded := response.Append(nil)
	t.Run("WRK-030 one byte at a time", func(t *testing.T) {
		r := wire.NewReader(iotest.OneByteReader(bytes.NewReader(encoded)), 1<<20)
		got, err := r.Response()
		require.NoError(t, err)
		sameResponse(t, response, got)
		_, err = r.Response()
		assert.ErrorIs(t, err, io.EOF)
	})
	t.Run("two messages in one read", func(t *testing.T) {
		r := wire.NewReader(bytes.NewReader(append(bytes.Clone(encoded), encoded...)), 1<<20)
		for range 2 {
			got, err := r.Response()
			require.NoError(t, err)
			sameResponse(t, response, got)
			r.Forget()
		}
		assert.Zero(t, r.Buffered())
	})
	t.Run("an end in the middle is unexpected, wherever it is", func(t *testing.T) {
		for n := 1; n < len(encoded); n += 1 + n/100 {
			_, err := wire.NewReader(bytes.NewReader(encoded[:n]), 1<<20).Response()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
		}
	})
	t.Run("the error of the connection comes through", func(t *testing.T) {
		broken := errors.New("no route")
		_, err := wire.NewReader(io.MultiReader(bytes.NewReader(encoded[:30]), iotest.ErrReader(broken)), 1<<20).Response()
		assert.ErrorIs(t, err, broken)
	})
	t.Run("bodies belong to the caller", func(t *testing.T) {
		r := wire.NewReader(bytes.NewReader(append(bytes.Clone(encoded), encoded...)), 1<<20)
		first, err := r.Response()
		require.NoError(t, err)
		kept := first.Items[0].Body
		r.Forget()
		_, err = r.Response()
		require.NoError(t, err)
		assert.Equal(t, "body", string(kept))
	})
}

func TestReaderLimits(t *testing.T) {
	const limit = 1000
	read := func(r wire.Response) (wire.Response, error) {
		return wire.NewReader(bytes.NewReader(r.Append(nil)), limit).Response()
	}
	t.Run("WRK-034 a field above the limit is skipped, the rest is read", func(t *testing.T) {
		for name, spoil := range map[string]func(*wire.Item){
			"body":         func(i *wire.Item) { i.Body = make([]byte, limit+1) },
			"content type": func(i *wire.Item) { i.ContentType = strings.Repeat("t", limit+1) },
			"phrase":       func(i *wire.Item) { i.Phrase = strings.Repeat("p", limit+1) },
		} {
			items := []wire.Item{{RequestID: "r1"}, {RequestID: "r2", Body: []byte("fine")}}
			spoil(&items[0])
			got, err := read(wire.Response{Code: 200, Items: items})
			require.NoError(t, err, name)
			require.Len(t, got.Items, 2)
			assert.Equal(t, "r1", got.Items[0].RequestID)
			assert.Equal(t, limit+1, got.Items[0].Oversize, name)
			assert.Zero(t, got.Items[1].Oversize)
			assert.Equal(t, "fine", string(got.Items[1].Body))
		}
	})
	t.Run("a field of exactly the limit passes", func(t *testing.T) {
		got, err := read(wire.Response{Code: 200, Items: []wire.Item{{RequestID: "r1", Body: make([]byte, limit)}}})
		require.NoError(t, err)
		assert.Zero(t, got.Items[0].Oversize)
		assert.Len(t, got.Items[0].Body, limit)
	})
	t.Run("ids and the message may be longer than a small limit", func(t *testing.T) {
		long := strings.Repeat("l", limit+1)
		got, err := read(wire.Response{Code: 500, Message: long, Items: []wire.Item{{RequestID: long}}})
		require.NoError(t, err)
		assert.Equal(t, long, got.Message)
		assert.Equal(t, long, got.Items[0].RequestID)
		assert.Zero(t, got.Items[0].Oversize)
	})
}

// ints encodes numbers as the wire does.
func ints(ns ...int32) []byte {
	var b []byte
	for _, n := range ns {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return b
}

func TestReaderRefusesNonsense(t *testing.T) {
	for name, b := range map[string][]byte{
		"negative message length":          ints(200, -2),
		"END for a message":                ints(200, -1),
		"message of 2 GiB":                 ints(200, 1<<31-1),
		"negative id length":               ints(200, 0, -2),
		"negative content type length":     ints(200, 0, 0, -1),
		"negative header count":            ints(200, 0, 0, 0, 200, 0, -1),
		"header count beyond all reason":   ints(200, 0, 0, 0, 200, 0, 1<<30),
		"negative header name length":      ints(200, 0, 0, 0, 200, 0, 1, -3),
		"negative body length":             ints(200, 0, 0, 0, 200, 0, 0, -1),
		"text where a number should stand": []byte("HTTP/1.1 500 Internal Server Error\r\n\r\n"),
	} {
		t.Run("WRK-D9 "+name, func(t *testing.T) {
			if strings.Contains(name, "GiB") || strings.HasPrefix(name, "text") {
				b = append(b, make([]byte, 100)...)
				_, err := wire.NewReader(bytes.NewReader(b), 1000).Response()
				require.Error(t, err)
				return
			}
			// The verdict does not wait for bytes that may never come.
			_, err := wire.NewReader(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errors.New("read on"))), 1000).Response()
			require.ErrorIs(t, err, wire.ErrProtocol)
		})
	}
}

func TestReaderMemory(t *testing.T) {
	t.Run("a false length costs little", func(t *testing.T) {
		lie := ints(200, 0, 0, 0, 200, 0, 0, 1<<30) // a body of 1 GiB, and nothing of it
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := wire.NewReader(bytes.NewReader(lie), 1<<30).Response()
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20<<20))
	})
	t.Run("an answer costs what the client gets, and its id", func(t *testing.T) {
		small := wire.Response{Code: 200, Message: "Prediction success", Items: []wire.Item{{RequestID: "r1", Status: 200, Body: []byte("ok")}}}.Append(nil)
		r := wire.NewReader(&endless{b: small}, 1000)
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			_, err := r.Response()
			require.NoError(t, err)
			r.Forget()
		}), 2.0)
	})
}

// endless repeats b for ever.
type endless struct {
	b  []byte
	at int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.b[e.at:])
	e.at = (e.at + n) % len(e.b)
	return n, nil
}

func TestStreaming(t *testing.T) {
	for name, c := range map[string]struct {
		headers       []job.Header
		present, more bool
	}{
		"none":      {nil, false, false},
		"true":      {[]job.Header{{Name: "a", Value: "true"}, {Name: wire.StreamNext, Value: "true"}}, true, true},
		"false":     {[]job.Header{{Name: wire.StreamNext, Value: "false"}}, true, false},
		"TRUE":      {[]job.Header{{Name: wire.StreamNext, Value: "TRUE"}}, true, false},
		"elsewhere": {[]job.Header{{Name: "x", Value: wire.StreamNext}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			present, more := (&wire.Item{Headers: c.headers}).Streaming()
			assert.Equal(t, c.present, present)
			assert.Equal(t, c.more, more)
		})
	}
}

func TestCommandReader(t *testing.T) {
	t.Run("an unknown command byte", func(t *testing.T) {
		_, err := wire.NewCommandReader(strings.NewReader("X")).Next()
		assert.ErrorIs(t, err, wire.ErrProtocol)
	})
	t.Run("an end between commands", func(t *testing.T) {
		_, err := wire.NewCommandReader(strings.NewReader("")).Next()
		assert.ErrorIs(t, err, io.EOF)
	})
	t.Run("an end in the middle", func(t *testing.T) {
		whole := wire.Load{ModelName: "m", ModelPath: "/m", Handler: "h.py:f"}.Append(nil)
		for n := 1; n < len(whole); n++ {
			_, err := wire.NewCommandReader(bytes.NewReader(whole[:n])).Next()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
		}
	})
	t.Run("a field too large is an error", func(t *testing.T) {
		_, err := wire.NewCommandReader(io.MultiReader(bytes.NewReader([]byte{'L'}), bytes.NewReader(ints(1<<30+1)), bytes.NewReader(make([]byte, 100)))).Next()
		assert.Error(t, err)
	})
}

func FuzzResponse(f *testing.F) {
	f.Add(response.Append(nil), 1000)
	f.Add(ints(200, 0, -1), 10)
	f.Add(ints(200, 0, 2, 0, 200, 0, 1, 0, 0, 3), 0)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = min(max(limit, 0), 1<<12)
		r := wire.NewReader(iotest.HalfReader(bytes.NewReader(b)), limit)
		got, err := r.Response()
		if err != nil {
			return
		}
		for _, i := range got.Items {
			if i.Oversize > 0 {
				require.Greater(t, i.Oversize, limit)
				return // it cannot be written as it was read
			}
		}
		again := got.Append(nil)
		assert.True(t, bytes.HasPrefix(b, again), "what was read is what is written")
	})
}

func FuzzCommand(f *testing.F) {
	f.Add(wire.Load{ModelName: "m", ModelPath: "/m", BatchSize: 1, GPU: -1, LimitMaxImagePixels: true}.Append(nil))
	f.Add(append([]byte{'I'}, ints(0, -1, 0, 0, 1, -1, -1)...))
	f.Add([]byte("I\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := wire.NewCommandReader(bytes.NewReader(b)).Next()
		switch {
		case err != nil:
			return
		case c.Load != nil:
			again, err := wire.NewCommandReader(bytes.NewReader(c.Load.Append(nil))).Next()
			require.NoError(t, err)
			assert.Equal(t, max(c.Load.BatchSize, 1), again.Load.BatchSize)
			assert.Equal(t, c.Load.Handler, again.Load.Handler)
		default:
			jobs := make([]*job.Job, 0, len(c.Batch))
			for _, r := range c.Batch {
				jobs = append(jobs, &job.Job{ID: r.ID, Request: job.Request{Headers: r.Headers, Parameters: r.Parameters}})
			}
			var e wire.Encoder
			assert.True(t, bytes.HasPrefix(b, written(t, e.Infer(jobs))), "what was read is what is written")
		}
	})
}

func BenchmarkInfer(b *testing.B) {
	for name, size := range map[string]int{"100B": 100, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			j := &job.Job{ID: strings.Repeat("i", 36), Request: job.Request{
				Headers:    []job.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "url_path"}, {Name: "explain", Value: "False"}},
				Parameters: []job.Parameter{{Name: "body", ContentType: "application/json", Value: make([]byte, size)}},
			}}
			var e wire.Encoder
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				_, _ = e.Infer([]*job.Job{j}).WriteTo(io.Discard)
				e.Forget()
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	for name, size := range map[string]int{"100B": 100, "1MiB": 1 << 20, "10MiB": 10 << 20} {
		b.Run(name, func(b *testing.B) {
			message := wire.Response{Code: 200, Message: "Prediction success", Items: []wire.Item{
				{RequestID: strings.Repeat("i", 36), ContentType: "application/json", Status: 200, Body: make([]byte, size)},
			}}.Append(nil)
			r := wire.NewReader(&endless{b: message}, 20<<20)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := r.Response(); err != nil {
					b.Fatal(err)
				}
				r.Forget()
			}
		})
	}
}
