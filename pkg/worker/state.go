package worker

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// State is where a worker is in its life.
type State uint8

// The states of a worker.
const (
	None        State = iota // created, its process is not up yet
	Started                  // the process listens
	ModelLoaded              // serving
	Failed                   // the load was answered with an error
	Stopped                  // the incarnation has ended; another may follow
	ScaledDown               // deliberately stopped, for good
)

// String returns 0.12's name of the state, null for None.
func (s State) String() string {
	switch s {
	case None:
		return "null"
	case Started:
		return "WORKER_STARTED"
	case ModelLoaded:
		return "WORKER_MODEL_LOADED"
	case Failed:
		return "WORKER_ERROR"
	case Stopped:
		return "WORKER_STOPPED"
	case ScaledDown:
		return "WORKER_SCALED_DOWN"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// moves lists where each state may go.
//
//nolint:gochecknoglobals // read-only table
var moves = map[State][]State{
	None:        {Started, Stopped, ScaledDown},
	Started:     {ModelLoaded, Failed, Stopped, ScaledDown},
	ModelLoaded: {Stopped, ScaledDown},
	Failed:      {Stopped, ScaledDown},
	Stopped:     {Started, Stopped, ScaledDown},
	ScaledDown:  {},
}

// Machine is the state of one worker. The zero value is in state None. It is
// safe for concurrent use.
type Machine struct {
	mu      sync.Mutex // Protects fields below
	state   State
	changed chan struct{} // closed at the next move; nil when nobody waits
}

// State returns the current state.
func (m *Machine) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Move goes to a state and returns the one before. It returns an error, and
// nothing was changed, when the table does not allow the move.
func (m *Machine) Move(to State) (from State, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from = m.state
	if !slices.Contains(moves[from], to) {
		return from, fmt.Errorf("worker cannot go from %v to %v", from, to)
	}
	m.state = to
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
	return from, nil
}

// Wait blocks until the state is one of states and returns it, or the cause of
// ctx. A state that was left before Wait looked is not seen.
func (m *Machine) Wait(ctx context.Context, states ...State) (State, error) {
	for {
		m.mu.Lock()
		now := m.state
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		if slices.Contains(states, now) {
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return now, context.Cause(ctx)
		}
	}
}
