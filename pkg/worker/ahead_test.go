package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// once gives jobs away at the first call.
func once(jobs []*job.Job) func() []*job.Job {
	return func() []*job.Job {
		given := jobs
		jobs = nil
		return given
	}
}

func TestExchangeAhead(t *testing.T) {
	t.Parallel()
	t.Run("the next batch waits on the socket, and each gets its own answers", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Echo})
		first, firstAnswers := batchOf("a", "b")
		second, secondAnswers := batchOf("c")
		third, thirdAnswers := batchOf("d", "e")
		require.NoError(t, w.ExchangeAhead(first, once(second)))
		assert.Equal(t, "a", string(workertest.Reply(t, firstAnswers[0]).Body))
		assert.Equal(t, "b", string(workertest.Reply(t, firstAnswers[1]).Body))
		require.NoError(t, w.ExchangeAhead(second, once(third)))
		assert.Equal(t, "c", string(workertest.Reply(t, secondAnswers[0]).Body))
		require.NoError(t, w.Exchange(third))
		assert.Equal(t, "e", string(workertest.Reply(t, thirdAnswers[1]).Body))
		serves(t, w)
	})
	t.Run("SCH-014 its time begins when it is its turn", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 300 * time.Millisecond },
			workertest.Action{Do: workertest.Stream, N: 3, Pause: 150 * time.Millisecond}, workertest.Action{Do: workertest.Echo})
		first, _ := batchOf("a")
		second, answers := batchOf("b")
		require.NoError(t, w.ExchangeAhead(first, once(second)), "the stream takes longer than one answer may")
		require.NoError(t, w.Exchange(second))
		assert.Equal(t, "b", string(workertest.Reply(t, answers[0]).Body))
	})
	for name, c := range map[string]struct {
		do      workertest.Do
		unbegun bool
	}{
		"the process is killed": {workertest.Kill, true},
		"garbage":               {workertest.Garbage, false},
	} {
		t.Run("SCH-D11 what is known of the next batch: "+name, func(t *testing.T) {
			t.Parallel()
			w := scripted(t, nil, workertest.Action{Do: c.do})
			first, answers := batchOf("a")
			second, _ := batchOf("b")
			err := w.ExchangeAhead(first, once(second))
			require.Error(t, err)
			assert.Equal(t, c.unbegun, worker.Unbegun(err))
			assert.Equal(t, "Worker died.", fault.Message(workertest.Failure(t, answers[0])))
			assert.False(t, second[0].Done(), "it is the caller's")
			require.NoError(t, w.Stop(t.Context()))
			require.NoError(t, w.Start(t.Context()))
			assert.NotPanics(t, func() { _ = w.Exchange(second) }, "a new incarnation knows nothing of it")
		})
	}
}
