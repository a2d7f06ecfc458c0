package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// booting is a process of n ranks that has said nothing yet.
func booting(n int) *process {
	return &process{program: program{ranks: n}, marked: make(chan struct{}, n), exited: make(chan struct{}), done: make(chan struct{})}
}

func TestWaitReady(t *testing.T) {
	t.Run("WRK-053 SCH-023 fails after two minutes without the marker", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := booting(1).waitReady(t.Context(), bootLimit)
			assert.Equal(t, "Backend worker startup time out.", fault.Message(err))
			assert.Equal(t, 500, fault.Status(err))
			assert.Contains(t, fault.Details(err), "did not listen within 120 s. If it needs longer, raise startupTimeout ")
			assert.Equal(t, 2*time.Minute, time.Since(start))
		})
	})
	t.Run("WRK-054 waits for every rank", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, start := booting(3), time.Now()
			go func() {
				for range 3 {
					<-time.NewTimer(time.Second).C
					p.mark()
				}
			}()
			require.NoError(t, p.waitReady(t.Context(), bootLimit))
			assert.Equal(t, 3*time.Second, time.Since(start))
		})
	})
	t.Run("fails at once when the process ends, having read its output", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, start := booting(3), time.Now()
			p.mark()
			go func() {
				<-time.NewTimer(time.Second).C
				close(p.exited)
				<-time.NewTimer(time.Second).C
				close(p.done)
			}()
			assert.Equal(t, "Backend stream closed.", fault.Message(p.waitReady(t.Context(), bootLimit)))
			assert.Equal(t, 2*time.Second, time.Since(start))
		})
	})
	t.Run("a marker too many blocks nobody", func(*testing.T) {
		p := booting(1)
		for range 5 {
			p.mark()
		}
	})
}
