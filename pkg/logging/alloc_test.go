//go:build !race

package logging_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

// TestAllocations is not for the race detector, under which pools forget what
// they keep.
func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations of the process
	b := running(t)
	access := b.Access("http")
	log := b.Logger(logging.MetricsName, "metrics")
	line := prediction()
	// The buffers grow in the first moments, and again after the collector took them.
	assert.Less(t, testing.AllocsPerRun(20_000, func() { access.Log(line) }), 1.0)
	assert.Less(t, testing.AllocsPerRun(20_000, func() { log.Info().Msg(metric) }), 1.0)
	lines, text := b.Lines(logging.MetricsName, "metrics"), []byte(metric+"\n"+metric+"\n")
	assert.Less(t, testing.AllocsPerRun(20_000, func() { lines.Log(text) }), 1.0)
}
