package worker_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestStepsGoneWrong(t *testing.T) {
	t.Parallel()
	t.Run("SCH-047 a describe job has one step, whatever a criterion says", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Item, Code: 200, Text: "me", Headers: [][2]string{{wire.StreamNext, "true"}}})
		jobs, streams := batchOf("")
		jobs[0].Kind = job.Describe
		err := w.Iterate(jobs, 0, nil)
		require.NoError(t, err)
		assert.Equal(t, "me", string(workertest.Reply(t, streams[0]).Body))
		assert.True(t, jobs[0].Done())
	})
	t.Run("a missing item ends the worker: its next message may belong to this step", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Short})
		jobs, streams := batchOf("a", "b")
		err := w.Iterate(jobs, 0, nil)
		require.ErrorIs(t, err, wire.ErrProtocol)
		assert.Equal(t, "a", string(workertest.Reply(t, streams[0]).Body))
		failure := workertest.Failure(t, streams[1])
		assert.Equal(t, 503, fault.Status(failure))
		assert.Equal(t, "number of batch response mismatched", fault.Message(failure))
	})
}
