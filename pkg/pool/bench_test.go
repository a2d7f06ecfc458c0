package pool_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

// answered is a sink that signals.
type answered chan struct{}

func (a answered) Deliver(job.Reply) bool {
	a <- struct{}{}
	return true
}
func (a answered) Fail(error) { a <- struct{}{} }

// roundTrips returns a function that has one job answered by a worker that does
// nothing, and costs nothing itself; it may be called limit times.
func roundTrips(tb testing.TB, limit int) func() {
	tb.Helper()
	tm := &team{}
	cfg := tm.config(base())
	cfg.NewWorker = func(s pool.Slot) pool.Worker { return &instant{fake: fake{place: s, team: tm}} }
	p := pool.New(cfg)
	tb.Cleanup(func() { require.NoError(tb, p.Close(tb.Context())) })
	_, err := scaleAndWait(tb.Context(), p, model.Workers{Min: 1, Max: 1})
	require.NoError(tb, err)
	sink := make(answered, 1)
	jobs := make([]job.Job, limit)
	for i := range jobs {
		jobs[i].ID, jobs[i].Sink, jobs[i].Created = strconv.Itoa(i), sink, time.Now()
	}
	ctx := tb.Context()
	i := 0
	return func() {
		if p.Submit(ctx, &jobs[i]) == nil {
			<-sink
		}
		i++
	}
}

// instant is a fake that answers at once.
type instant struct{ fake }

func (*instant) ExchangeAhead(jobs []*job.Job, _ func() []*job.Job) error {
	for _, j := range jobs {
		j.Deliver(job.Reply{Status: 200})
	}
	return nil
}

func TestAllocations(t *testing.T) {
	const runs = 1000
	trip := roundTrips(t, runs+10)
	for range 5 {
		trip()
	}
	assert.Zero(t, testing.AllocsPerRun(runs, trip), "per job, from Submit to its answer")
}

func BenchmarkRoundTrip(b *testing.B) {
	b.ReportAllocs()
	const limit = 1 << 16
	trip := roundTrips(b, limit)
	left := limit
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			trip, left = roundTrips(b, limit), limit
			b.StartTimer()
		}
		left--
		trip()
	}
}
