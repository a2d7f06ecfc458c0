package pool

import (
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// TestFullQueue has nobody take jobs meanwhile, as no fake worker can promise.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	t.Run("a full queue takes no ticket", func(t *testing.T) {
		t.Parallel()
		p := New(Config{
			Settings: model.Settings{JobTicket: true, QueueSize: 1},
			Log:      func(string, string) zerolog.Logger { return zerolog.Nop() },
		})
		p.tickets.offer(&slot{}, 2)
		a, b := newJob("a"), newJob("b")
		require.NoError(t, p.put(a))
		refused := newJob("refused")
		err := p.put(refused)
		require.Error(t, err)
		assert.Equal(t, fault.Busy, fault.KindOf(err))
		assert.Empty(t, fault.Message(err), "the edge words it")
		assert.False(t, refused.Done(), "the sink of a refused job is not called")
		assert.Equal(t, []*job.Job{a}, p.waiting.Drain())
		require.NoError(t, p.put(b), "the second ticket is still there")
		assert.Equal(t, []*job.Job{b}, p.waiting.Drain())
		assert.Error(t, p.put(newJob("c")), "there is no third one")
	})
}

func newJob(id string) *job.Job {
	return &job.Job{ID: id, Ref: model.Ref{Name: "m"}, Sink: job.NewStream()}
}
