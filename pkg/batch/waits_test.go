package batch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
)

func TestWaits(t *testing.T) {
	t.Run("of a queue: from the arrival of a job until a worker has it", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		assert.Zero(t, q.Waits())
		put(t, q, "a")
		pass(time.Second)
		b := put(t, q, "b")[0]
		pass(2 * time.Second)
		collect(t, q, batch.Limits{Size: 1})
		assert.Equal(t, batch.Waits{Over: batch.Waited{Jobs: 1, Sum: 3 * time.Second}, Since: b.Created}, q.Waits())
		collect(t, q, batch.Limits{Size: 1})
		assert.Equal(t, batch.Waits{Over: batch.Waited{Jobs: 2, Sum: 5 * time.Second}}, q.Waits())
	}))
	t.Run("a job whose client has gone does not wait", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		put(t, q, "a")[0].Abandon()
		assert.Zero(t, q.Waits())
	}))
	t.Run("of sequences: not before the answer to the job before", virtually(func(t *testing.T) {
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		of(t, s, "a", "a1")
		of(t, s, "a", "a2")
		first := taken(t, l, 4)
		assert.Equal(t, batch.Waits{Over: batch.Waited{Jobs: 1}}, s.Waits(), "a2 waits, but for no worker")
		pass(time.Second)
		answered := time.Now()
		answer(l, first)
		assert.Equal(t, answered, s.Waits().Since)
		pass(time.Second)
		taken(t, l, 4)
		assert.Equal(t, batch.Waits{Over: batch.Waited{Jobs: 2, Sum: time.Second}}, s.Waits())
	}))
	t.Run("of sequences: the one that has waited longest, with jobs of none", virtually(func(t *testing.T) {
		s := batch.NewSequences(anyLimits())
		a := of(t, s, "a", "a1")
		pass(time.Second)
		loose := of(t, s, "", "loose")
		pass(time.Second)
		assert.Equal(t, a.Created, s.Waits().Since, "though no worker is there")
		l := s.Line()
		assert.Equal(t, []string{"loose"}, names(taken(t, l, 1)))
		assert.Equal(t, batch.Waited{Jobs: 1, Sum: time.Second}, s.Waits().Over)
		assert.Equal(t, a.Created, s.Waits().Since)
		assert.Empty(t, l.Return([]*job.Job{loose}))
		taken(t, l, 4)
		assert.Equal(t, batch.Waits{Over: batch.Waited{Jobs: 3, Sum: 4 * time.Second}}, s.Waits(), "one that came back waits anew")
	}))
}

func TestLeave(t *testing.T) {
	t.Parallel()
	t.Run("a worker with a sequence stays, one without gets none any more", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l, m := s.Line(), s.Line()
		of(t, s, "a", "a1")
		assert.False(t, l.Resign())
		assert.True(t, m.Resign())
		of(t, s, "b", "b1")
		of(t, s, "c", "c1")
		assert.Equal(t, []string{"a1", "b1", "c1"}, names(taken(t, l, 4)))
		assert.Empty(t, m.Close())
		s.End([]string{"a", "b", "c"})
		assert.True(t, l.Resign())
	})
	t.Run("where all workers share a queue any of them may", func(t *testing.T) {
		t.Parallel()
		assert.True(t, batch.NewQueue(1).Line().Resign())
	})
}
