//go:build !race

package metrics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/metrics"
)

// TestAllocations is not for the race detector, under which pools forget what
// they keep.
func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations of the process
	for _, mode := range []metrics.Mode{metrics.Log, metrics.Prometheus, metrics.Legacy} {
		r := newSilent(t, mode)
		w := r.worker()
		for name, call := range map[string]func(){
			"Requested":        func() { r.Requested(resnet) },
			"Answered":         func() { r.Answered(200) },
			"Predicted":        func() { r.Predicted(resnet, 3*time.Millisecond, time.Millisecond) },
			"WorkerThreadTime": func() { w.WorkerThreadTime(time.Millisecond) },
			"WorkerLoadTime":   func() { w.WorkerLoadTime("W-9000-m_1.0", time.Second) },
			"Line":             func() { w.Line(line) },
		} {
			call() // the series, and the buffer
			assert.Zero(t, testing.AllocsPerRun(1000, call), "%s in mode %s", name, mode)
		}
	}
}
