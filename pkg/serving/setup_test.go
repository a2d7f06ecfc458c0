package serving_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// gate is an installation that begins and does not end before it is told to, or its
// context ends.
type gate struct {
	begun chan model.Archive
	end   chan error
	ended chan error // what became of it
}

func newGate() *gate {
	return &gate{begun: make(chan model.Archive, 1), end: make(chan error, 1), ended: make(chan error, 1)}
}

func (g *gate) install(ctx context.Context, a model.Archive, _ model.Settings) (err error) {
	g.begun <- a
	select {
	case err = <-g.end:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	g.ended <- err
	return err
}

// installing begins a registration of a model that has something to install, and
// waits until that has begun.
func installing(t *testing.T, ctx context.Context, f *fixture) (g *gate, ended <-chan error) { //nolint:revive // t first, as everywhere
	t.Helper()
	g = newGate()
	f.installs = g.install
	f.put("noop.mar", source{})
	outcome := make(chan error, 1)
	go func() {
		_, err := f.Register(ctx, model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		outcome <- err
	}()
	assert.Equal(t, "noop_1.0", (<-g.begun).ID())
	return g, outcome
}

func TestInstall(t *testing.T) {
	t.Parallel()
	t.Run("MAR-130 before there are workers, and before anybody sees the model", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		g, ended := installing(t, t.Context(), f)
		assert.Empty(t, f.List())
		_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar"})
		f.fails(err, fault.Conflict, "Model version 1.0 is already registered for model noop")
		f.fails(f.Unregister(t.Context(), noop("")), fault.ModelNotFound, "Model not found: noop")
		assert.Len(t, f.unpacked(), 1)
		g.end <- nil
		require.NoError(t, <-ended)
		assert.Equal(t, "hello", f.predict(noop(""), "hello"))
	})
	t.Run("others do not wait for it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		g, ended := installing(t, t.Context(), f)
		f.installs = nil
		f.registered(model.Registration{URL: "noop.mar", Name: "other", Workers: new(1), Synchronous: true})
		assert.Equal(t, "hello", f.predict(model.Ref{Name: "other"}, "hello"))
		g.end <- nil
		require.NoError(t, <-ended)
	})
	t.Run("MAR-131 a failure leaves nothing, and the call can be repeated", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		for range 2 {
			g, ended := installing(t, t.Context(), f)
			g.end <- fault.New(fault.ModelSetup, "no such package")
			f.fails(<-ended, fault.ModelSetup, "no such package")
			f.gone("noop")
		}
		f.installs = nil
		f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
	})
	t.Run("MAR-131 at start the others are loaded all the same", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.put("bad.mar", source{name: "bad"})
		f.installs = func(_ context.Context, a model.Archive, _ model.Settings) error {
			if a.Name == "bad" {
				return fault.New(fault.ModelSetup, "no such package")
			}
			return nil
		}
		f.Load(t.Context(), "", "bad.mar")
		f.Load(t.Context(), "", "noop.mar")
		assert.Equal(t, []model.Listed{{Name: "noop", URL: "noop.mar"}}, f.List())
		assert.Contains(t, f.log.of(t, "warn"), "org.pytorch.serve.ModelServer Failed to load model: bad.mar")
	})
	t.Run("a client that goes ends it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		g, ended := installing(t, ctx, f)
		cancel()
		assert.Equal(t, fault.Canceled, fault.KindOf(<-ended))
		assert.ErrorIs(t, <-g.ended, context.Canceled)
		f.gone("noop")
	})
	t.Run("a server that stops ends it, and waits for that", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		g, ended := installing(t, t.Context(), f)
		require.NoError(t, f.Close(t.Context()))
		select {
		case err := <-g.ended:
			f.fails(err, fault.Busy, "The server is stopping")
		default:
			assert.Fail(t, "it still runs")
		}
		f.fails(<-ended, fault.Busy, "The server is stopping")
		f.gone("noop")
		_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar"})
		f.fails(err, fault.Busy, "The server is stopping")
	})
}
