package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/worker"
)

var states = []worker.State{worker.None, worker.Started, worker.ModelLoaded, worker.Failed, worker.Stopped, worker.ScaledDown}

// paths lead a new machine to each state.
var paths = map[worker.State][]worker.State{
	worker.None:        {},
	worker.Started:     {worker.Started},
	worker.ModelLoaded: {worker.Started, worker.ModelLoaded},
	worker.Failed:      {worker.Started, worker.Failed},
	worker.Stopped:     {worker.Stopped},
	worker.ScaledDown:  {worker.ScaledDown},
}

func TestMachine(t *testing.T) {
	legal := map[worker.State]string{ // one letter for each legal target, in the order of states
		worker.None:        " s  xd",
		worker.Started:     "  lfxd",
		worker.ModelLoaded: "    xd", // an incarnation ends before another begins
		worker.Failed:      "    xd", // a refused load is never served
		worker.Stopped:     " s  xd",
		worker.ScaledDown:  "      ", // for good
	}
	for _, from := range states {
		for i, to := range states {
			t.Run(fmt.Sprintf("%v to %v", from, to), func(t *testing.T) {
				var m worker.Machine
				for _, step := range paths[from] {
					_, err := m.Move(step)
					require.NoError(t, err)
				}
				before, err := m.Move(to)
				assert.Equal(t, from, before)
				if legal[from][i] != ' ' {
					require.NoError(t, err)
					assert.Equal(t, to, m.State())
					return
				}
				require.Error(t, err)
				assert.Equal(t, from, m.State())
			})
		}
	}
}

func TestStateNames(t *testing.T) {
	for i, name := range []string{"null", "WORKER_STARTED", "WORKER_MODEL_LOADED", "WORKER_ERROR", "WORKER_STOPPED", "WORKER_SCALED_DOWN"} {
		assert.Equal(t, name, states[i].String())
	}
	assert.Equal(t, "State(99)", worker.State(99).String())
}

func TestMachineWait(t *testing.T) {
	t.Run("returns at once or when the state comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var m worker.Machine
			s, err := m.Wait(t.Context(), worker.None)
			require.NoError(t, err)
			assert.Equal(t, worker.None, s)
			var waiters sync.WaitGroup
			for range 3 {
				waiters.Go(func() {
					s, err := m.Wait(t.Context(), worker.ModelLoaded, worker.Stopped)
					assert.NoError(t, err)
					assert.Equal(t, worker.ModelLoaded, s)
				})
			}
			for _, to := range []worker.State{worker.Started, worker.ModelLoaded} {
				synctest.Wait()
				_, err := m.Move(to)
				require.NoError(t, err)
			}
			waiters.Wait()
		})
	})
	t.Run("ends with its context", func(t *testing.T) {
		var m worker.Machine
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(enough)
		s, err := m.Wait(ctx, worker.Started)
		assert.ErrorIs(t, err, enough)
		assert.Equal(t, worker.None, s)
	})
}
