package serving

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/registry"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// Logger names of 0.12 that a Service writes to.
const (
	LogServer   = "org.pytorch.serve.ModelServer"
	LogManager  = "org.pytorch.serve.wlm.ModelManager"
	LogVersions = "org.pytorch.serve.wlm.ModelVersionedRefs"
)

// Config holds what the server's configuration says about models. It is not
// changed after New.
type Config struct {
	Handler         string // default_service_handler
	Envelope        string // service_envelope
	Defaults        Defaults
	Models          map[model.Name]map[model.Version]Preset // the key models
	Devices         int                                     // accelerators of the server
	Unlimited       bool                                    // workers have all the time they want (debug)
	UnregisterLimit time.Duration                           // unregister_model_timeout
	Lenient         bool                                    // snapshot_lenient
}

// Deps are the collaborators of a Service.
type Deps struct {
	Archives     *archive.Store
	Dependencies Dependencies
	Registry     *registry.Registry
	// NewPool makes the pool of a model version, without workers.
	NewPool func(a model.Archive, s model.Settings) *pool.Pool
	// Journal saves what is served.
	Journal Journal
	// Usage says how busy an accelerator is, in the words of 0.12, "" if nobody
	// knows. It may block for seconds.
	Usage func(gpu int) string
	// Log makes the logger with this name.
	Log func(name string) zerolog.Logger
}

// Service answers the edges.
type Service struct {
	cfg          Config
	archives     *archive.Store
	dependencies Dependencies
	registry     *registry.Registry
	newPool      func(a model.Archive, s model.Settings) *pool.Pool
	journal      Journal
	usage        func(gpu int) string

	logServer    zerolog.Logger
	logManager   zerolog.Logger
	logVersions  zerolog.Logger
	logSnapshots zerolog.Logger

	stopping atomic.Bool
	setups   setups
}

// New returns a Service without models.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg:          cfg,
		archives:     d.Archives,
		dependencies: d.Dependencies,
		registry:     d.Registry,
		newPool:      d.NewPool,
		journal:      d.Journal,
		usage:        d.Usage,
		logServer:    d.Log(LogServer),
		logManager:   d.Log(LogManager),
		logVersions:  d.Log(LogVersions),
		logSnapshots: d.Log(snapshot.LogName),
	}
}

// Submit queues j for the model version that it names and returns at once;
// replies reach j's sink later. It sets j.Deadline where the model has a client
// time-out. On an error the sink is never called: ModelNotFound and
// VersionNotFound carry 0.12's message, Busy (no worker, full queue, stopping)
// carries none.
func (s *Service) Submit(ctx context.Context, j *job.Job) error {
	if s.stopping.Load() { // Close takes the models away one by one
		return fault.New(fault.Busy, "")
	}
	e, err := s.registry.Find(j.Ref)
	if err != nil {
		return err
	}
	if limit := e.Settings.Timeouts.Client; limit > 0 && j.Kind != job.Describe {
		j.Deadline = j.Created.Add(limit)
	}
	return e.Pool.Submit(ctx, j)
}

// Resolve returns the error that Submit would return for an unknown model or
// version.
func (s *Service) Resolve(ref model.Ref) error {
	_, err := s.registry.Find(ref)
	return err
}

// StartupModel returns the model that was loaded at start-up, if exactly one
// name was (INF §4.4).
func (s *Service) StartupModel() (model.Name, bool) {
	var only model.Name
	found := false
	for _, e := range s.registry.All() {
		if !e.AtStartup || found && e.Archive.Name == only {
			continue
		}
		if found {
			return "", false
		}
		only, found = e.Archive.Name, true
	}
	return only, found
}
