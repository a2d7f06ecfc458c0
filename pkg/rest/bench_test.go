package rest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// instant answers at once with one reply.
type instant struct{ reply job.Reply }

func (p instant) Submit(_ context.Context, j *job.Job) error {
	j.Take(time.Time{})
	j.Deliver(p.reply)
	return nil
}

func (instant) Resolve(model.Ref) error          { return nil }
func (instant) StartupModel() (model.Name, bool) { return "", false }

// discardWriter is the cheapest ResponseWriter.
type discardWriter struct{ header http.Header }

func (w discardWriter) Header() http.Header       { return w.header }
func (discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (discardWriter) WriteHeader(int)             {}

// predictOnce returns a function that answers one prediction of size bytes as
// net/http would ask for it, again and again.
func predictOnce(tb testing.TB, size int) func() {
	tb.Helper()
	body := bytes.Repeat([]byte{'x'}, size)
	d := rest.Deps{
		Predictor: instant{job.Reply{Status: 200, ContentType: "application/json", Body: body}},
		Access:    func(rest.AccessLine) {}, Log: zerolog.Nop(),
	}
	h := rest.Inference(config(), d)
	r := request{target: "/predictions/m", headers: []string{
		"Content-Type: application/octet-stream", "User-Agent: bench", "Accept: */*", "Content-Length: 1",
	}}.http(tb)
	reader := bytes.NewReader(body)
	r.Body, r.ContentLength = io.NopCloser(reader), int64(size)
	w := discardWriter{http.Header{}}
	return func() {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func BenchmarkPredict(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			once := predictOnce(b, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				once()
			}
		})
	}
}

func BenchmarkPing(b *testing.B) {
	h := inference(&predictor{})
	r := request{method: "GET", target: "/ping"}.http(b)
	w := discardWriter{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

// TestAllocations keeps the way of a prediction through this package cheap. The
// request, its path values and context are chi's, five of them.
func TestAllocations(t *testing.T) {
	once := predictOnce(t, 100)
	assert.LessOrEqual(t, testing.AllocsPerRun(200, once), 20.0)
}
