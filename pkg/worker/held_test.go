package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// TestHeldLines has workers end that have not written all their lines.
func TestHeldLines(t *testing.T) {
	t.Parallel()
	const lines = "\x1e[METRICS]Calls.Count:1|#Level:Model\nlast words\n"
	for name, do := range map[string]workertest.Do{"exits": workertest.Exit, "is killed": workertest.Kill, "is late": workertest.Stubborn} {
		t.Run("a worker that "+name, func(t *testing.T) {
			t.Parallel()
			out, seen := &logs{}, &figures{}
			w := scripted(t, func(c *worker.Config) {
				c.Log, c.Metrics, c.Settings.Timeouts.Response = out.make, seen, 2*time.Second
			}, workertest.Action{Do: do, Hold: lines})
			jobs, streams := batchOf("a")
			require.Error(t, w.Exchange(jobs))
			require.Error(t, workertest.Failure(t, streams[0]))
			require.NoError(t, w.Stop(t.Context()))
			assert.Equal(t, []string{"Calls.Count:1|#Level:Model"}, seen.texts)
			assert.Contains(t, out.of(t, worker.LogModel), "last words")
		})
	}
	t.Run("each rank", func(t *testing.T) {
		t.Parallel()
		hold := func(do workertest.Do, name string) workertest.Script {
			return workertest.Script{Infer: []workertest.Action{{Do: do, Hold: "[METRICS]" + name + ".Count:1|#Level:Model\n", Meet: true}}}
		}
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{
			Ranks: map[int]workertest.Script{0: hold(workertest.Kill, "First"), 1: hold(workertest.Hang, "Second")},
		})
		seen := &figures{}
		cfg.Metrics = seen
		w := workertest.Started(t, worker.New(cfg))
		jobs, _ := batchOf("a")
		require.Error(t, w.Exchange(jobs))
		require.NoError(t, w.Stop(t.Context()))
		assert.ElementsMatch(t, []string{"First.Count:1|#Level:Model", "Second.Count:1|#Level:Model"}, seen.texts)
		nothingLeft(t, cfg, out, 2)
	})
}
