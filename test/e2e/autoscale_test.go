package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// TestAutoscale has more and more requests wait for a model, until they are
// answered at once.
func TestAutoscale(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.archive(t, "elastic", "minWorkers: 1\nmaxWorkers: 3\nautoscale: {queueWaitMs: 50, upAfterMs: 300, downAfterMs: 1500}\n")
	workers := func(n int) {
		l.Await(fmt.Sprint(n, " loaded workers"), func() bool {
			all := l.describe(t, "elastic").Workers
			for _, w := range all {
				if w.Status != "READY" {
					return false
				}
			}
			return len(all) == n
		})
	}
	decided := func(direction, reason string, n int) {
		metrics := l.Get(e2etest.Metrics, "/metrics?name[]=ts_autoscale_decisions_total", "").Body
		assert.Contains(t, metrics, fmt.Sprintf(
			`ts_autoscale_decisions_total{direction=%q,model_name="elastic",model_version="1.0",reason=%q,} %d.0`, direction, reason, n))
	}
	workers(1)
	first := l.describe(t, "elastic").Workers[0]
	var asked []*pending
	for n := range 5 {
		asked = append(asked, l.beginAsk(t, "elastic", "hold/all", fmt.Sprint(n)))
	}
	workers(3)
	l.awaitQueued(t, "elastic", 2) // the maximum
	decided("up", "wait", 2)
	assert.Contains(t, l.Get(e2etest.Metrics, "/metrics", "").Body, `ts_workers_loaded{model_name="elastic",model_version="1.0",} 3.0`)
	l.open(t, "all")
	for n, each := range asked {
		assert.Equal(t, fmt.Sprint(n), each.answer().Body)
	}
	workers(1)
	decided("down", "idle", 2)
	last := l.describe(t, "elastic")
	assert.Equal(t, []int{1, 3}, []int{last.Min, last.Max})
	assert.Equal(t, first, last.Workers[0], "the oldest stays")
	l.AwaitLog("ts_log.log", "Autoscale model: elastic, version: 1.0, workers: 1 -> 2 (minWorkers: 1, maxWorkers: 3): requests waited longer than 50ms for 300ms")
	l.Await("no process of the others", func() bool { return len(l.Workers()) == 2 })

	reply := l.Manage(http.MethodPut, "/models/elastic?min_worker=2&max_worker=2&synchronous=true")
	require.Equal(t, http.StatusOK, reply.Status, "%s", reply.Body)
	workers(2)
	assert.Equal(t, http.StatusOK, l.Manage(http.MethodDelete, "/models/elastic").Status)
}
