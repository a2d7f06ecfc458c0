package serving

import (
	"math"
	"time"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Defaults is what holds for a model where nothing else says.
type Defaults struct {
	Workers      int // for registrations by clients; 0: none
	StartWorkers int // for models loaded at start
	QueueSize    int // jobs
	Response     time.Duration
	Startup      time.Duration
}

// Preset is what the key models of the configuration says about one version;
// zero values mean that it says nothing.
type Preset struct {
	MinWorkers int
	MaxWorkers int
	BatchSize  int
	BatchDelay time.Duration
	Response   time.Duration
	Startup    time.Duration
	Runtime    model.Runtime
}

// settings merges what holds for a model version, strongest last: built-in and
// configured defaults, the key models, what the archive says explicitly, what
// the request says (decisions.md, "precedence of model parameters").
func (s *Service) settings(r model.Registration, runtime model.Runtime, c archive.ModelConfig, p Preset) model.Settings {
	m := model.Settings{
		Batching: model.Batching{Size: model.DefaultBatchSize, Delay: model.DefaultBatchDelay},
		Timeouts: model.Timeouts{
			Response: s.cfg.Defaults.Response, Startup: s.cfg.Defaults.Startup, Retry: model.DefaultRetryWindow,
		},
		QueueSize: s.cfg.Defaults.QueueSize,
	}
	over(&m.Batching.Size, p.BatchSize)
	over(&m.Batching.Delay, p.BatchDelay)
	over(&m.Timeouts.Response, p.Response)
	over(&m.Timeouts.Startup, p.Startup)
	m.Devices.Type = "cpu"
	if s.cfg.Devices > 0 {
		m.Devices.Type = "gpu"
	}
	m = c.Apply(m, runtime)
	given(&m.Batching.Size, r.BatchSize)
	given(&m.Batching.Delay, r.BatchDelay)
	given(&m.Timeouts.Response, r.Response)
	given(&m.Timeouts.Startup, r.Startup)
	if s.cfg.Unlimited {
		m.Timeouts.Response, m.Timeouts.Startup = unlimited, unlimited
	}
	return m
}

// unlimited is the time of a worker that somebody debugs, as describe shows it.
const unlimited = math.MaxInt32 * time.Second

// over replaces target by a value that is not absent.
func over[T int | time.Duration](target *T, value T) {
	if value > 0 {
		*target = value
	}
}

// given replaces target by a value that was given.
func given[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

// wanted returns how many workers a model version gets first.
func (s *Service) wanted(how admission, c archive.ModelConfig, p Preset) model.Workers {
	switch {
	case how.saved != nil:
		return how.saved.Workers
	case how.starting:
		return s.startWorkers(c, p)
	default:
		return s.workers(how.Registration, c)
	}
}

// workers returns how many workers a registration by a client starts: the pair
// of the archive wins over the request, archives rely on it (MGT-031).
func (s *Service) workers(r model.Registration, c archive.ModelConfig) model.Workers {
	if w, ok := c.Workers(); ok {
		return w
	}
	n := s.cfg.Defaults.Workers
	given(&n, r.Workers)
	n = max(n, 0)
	return model.Workers{Min: n, Max: n}
}

// startWorkers returns how many workers a model gets that is loaded when the
// server starts (CFG §11.1).
func (s *Service) startWorkers(c archive.ModelConfig, p Preset) model.Workers {
	if w, ok := c.Workers(); ok {
		return w
	}
	if c.MinWorkers != nil || c.MaxWorkers != nil {
		least, most := 0, 0
		given(&least, c.MinWorkers)
		given(&most, c.MaxWorkers)
		s.logServer.Warn().Msgf("Invalid model config in mar, minWorkers:%d, maxWorkers:%d", least, most)
	}
	w := model.Workers{Min: s.cfg.Defaults.StartWorkers, Max: s.cfg.Defaults.StartWorkers}
	over(&w.Min, p.MinWorkers)
	over(&w.Max, p.MaxWorkers)
	w.Max = max(w.Max, w.Min)
	return w
}

// supported refuses what this server cannot do yet: such a model would start
// and then answer wrongly.
func supported(a model.Archive, m model.Settings) error {
	if m.Devices.Ranks() > 0 && a.Runtime == model.LSP {
		return fault.New(fault.InvalidModel, "This server does not support parallelType with the runtime LSP yet")
	}
	return nil
}
