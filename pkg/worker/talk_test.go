package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestConverseEnds(t *testing.T) {
	t.Parallel()
	t.Run("without waiting for jobs whose clients have gone", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Hang})
		jobs, _ := batchOf("a", "b")
		enough := errors.New("enough")
		var landed atomic.Int64
		unsent, err := w.Converse(t.Context(), func(context.Context) (*job.Job, error) {
			if len(jobs) == 0 {
				return nil, enough
			}
			j := jobs[0]
			jobs = jobs[1:]
			j.Abandon()
			return j, nil
		}, func() { landed.Add(1) })
		require.ErrorIs(t, err, enough)
		assert.Nil(t, unsent)
		assert.EqualValues(t, 2, landed.Load(), "they count as over")
	})
}
