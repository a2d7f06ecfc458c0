package pool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestReadAhead(t *testing.T) {
	t.Parallel()
	t.Run("SCH-D11 what was sent ahead of a worker's death is answered by the next incarnation", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Gate: true}}})
		gate := workertest.NewGate(t, a)
		p := processes(t, a, base())
		first, second, third := queued(t, p, "1"), ask(t, p, "2"), ask(t, p, "3")
		gate.Await(t)
		signal(t, p, 0, syscall.SIGKILL)
		assert.Equal(t, 507, fault.Status(workertest.Failure(t, first)))
		gate.Open(t)
		require.NoError(t, os.Remove(filepath.Join(a.Dir, "fake-worker.gate")), "the next incarnation does not wait")
		assert.Equal(t, "2", string(workertest.Reply(t, second).Body))
		assert.Equal(t, "3", string(workertest.Reply(t, third).Body))
	})
	t.Run("all of a long queue are answered in order", func(t *testing.T) {
		t.Parallel()
		s := base()
		s.QueueSize = 200
		p := processes(t, workertest.Behaving(t, workertest.Echoes), s)
		scale(t, p, 1)
		var streams []*job.Stream
		for i := range 200 {
			streams = append(streams, ask(t, p, fmt.Sprint(i)))
		}
		for i, s := range streams {
			assert.Equal(t, fmt.Sprint(i), string(workertest.Reply(t, s).Body))
		}
	})
	t.Run("bytes that make no sense end the batch behind them, too: nobody knows whether it was begun", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Do: workertest.Garbage, Gate: true}}})
		gate := workertest.NewGate(t, a)
		p := processes(t, a, base())
		first, second := queued(t, p, "1"), ask(t, p, "2")
		gate.Await(t)
		gate.Open(t)
		assert.Equal(t, 500, fault.Status(workertest.Failure(t, first)))
		assert.Equal(t, 500, fault.Status(workertest.Failure(t, second)))
	})
}

// queued begins to start a worker and asks before it can serve.
func queued(t *testing.T, p *pool.Pool, id string) *job.Stream {
	t.Helper()
	_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
	require.NoError(t, err)
	return ask(t, p, id)
}
