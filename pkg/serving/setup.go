package serving

import (
	"context"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Dependencies installs what models need beside their archives.
type Dependencies interface {
	// Install blocks until a model has what it needs, or ctx has ended. Its error
	// is a fault, or the cause of ctx.
	Install(ctx context.Context, a model.Archive, s model.Settings) error
}

// setups are the models that are on their way: what fetches and unpacks their
// archives, and installs their dependencies, ends when the server stops. The zero
// value has none.
type setups struct {
	running sync.WaitGroup

	mu   sync.Mutex // Protects fields below
	over bool
	last int // number of the one that began last
	ends map[int]context.CancelCauseFunc
}

// begin notes a model, whose setup the returned function ends, and returns its
// context. After halt there is none.
func (s *setups) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, nil, stopping()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.last++
	number := s.last
	if s.ends == nil {
		s.ends = map[int]context.CancelCauseFunc{}
	}
	s.ends[number] = cancel
	s.running.Add(1)
	return ctx, func() {
		s.mu.Lock()
		delete(s.ends, number)
		s.mu.Unlock()
		cancel(nil)
		s.running.Done()
	}, nil
}

// halt ends all setups; running says when they have ended.
func (s *setups) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, end := range s.ends {
		end(stopping())
	}
}
