package server

import (
	"context"
	"net/http"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/backend"
	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/device"
	"github.com/torchserve-go/torchserve/pkg/logging"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/pydeps"
	"github.com/torchserve-go/torchserve/pkg/registry"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

func (s *Server) openWorkDir(context.Context) error {
	work, err := openWorkDir(s.cfg.Server.TempDir)
	if err != nil {
		return err
	}
	s.work = work
	s.undo.push("work directory", func(context.Context) error { return work.close() })
	return nil
}

// makeService joins archives, registry and pools to the use cases.
func (s *Server) makeService(context.Context) error {
	launch, err := s.launch()
	if err != nil {
		return err
	}
	if launch.MetricsJSON, err = s.openMetrics(launch.MetricsConfig); err != nil {
		return err
	}
	archives := archive.New(s.archiveConfig())
	if err := archives.Prepare(); err != nil {
		return err //nolint:wrapcheck // names the setting already
	}
	s.undo.push("unpacked models", func(context.Context) error { return archives.Close() })
	s.undo.push("listeners", s.closeDoors)

	places := newPlaces(s.cfg.Workers, s.deps.Devices)
	s.service = serving.New(s.servingConfig(), serving.Deps{
		Archives:     archives,
		Dependencies: s.dependencies(launch),
		Registry:     registry.New(),
		NewPool: func(a model.Archive, settings model.Settings) *pool.Pool {
			return s.newPool(a, settings, places, launch)
		},
		Journal: s.journal,
		Usage:   s.usage(device.NewGauge(s.deps.Devices)), //nolint:contextcheck // all who ask share one answer
		Log:     func(name string) zerolog.Logger { return s.logs.Logger(name, logging.MainThread) },
	})
	s.undo.push("models", s.service.Close)
	return nil
}

func (s *Server) dependencies(launch worker.Launch) *pydeps.Installer {
	d := s.cfg.Models.Dependencies
	return pydeps.New(pydeps.Config{
		Requirements: d.Install, Limit: d.Timeout, Home: launch.Home, Launch: launch,
		Log: s.logs.Logger(serving.LogManager, logging.MainThread),
	})
}

func (s *Server) newPool(a model.Archive, settings model.Settings, p *places, launch worker.Launch) *pool.Pool {
	seats := p.board.Seats(settings.Devices)
	return pool.New(pool.Config{
		Archive:  a,
		Settings: settings,
		Assign: func() pool.Slot {
			place := seats.Take()
			return pool.Slot{Port: p.number(settings.Devices.Level), GPU: place.GPU, Env: place.Env}
		},
		Vacate: func(slot pool.Slot) { seats.Leave(slot.GPU) },
		NewWorker: func(slot pool.Slot) pool.Worker {
			return worker.New(worker.Config{
				Port: slot.Port, GPU: slot.GPU, Env: slot.Env, Share: slot.Share,
				Archive: a, Settings: settings, Launch: launch,
				MaxResponse: int(s.cfg.Workers.MaxResponse),
				StopGrace:   s.cfg.Workers.StopGrace,
				StopLimit:   s.cfg.Models.Defaults.Unregister,
				SequenceEnd: sequenceEnd(settings, s.cfg.HTTP.Sequence),
				Metrics:     s.metrics.Worker(a.Name, s.logs.Logger(worker.LogLifeCycle, worker.Name(slot.Port, a))),
				Log:         s.logs.Logger,
			})
		},
		Pinned:    launch.CPULauncher != nil,
		Sequences: model.SequenceHeaders(s.cfg.HTTP.Sequence),
		Release:   func(slot pool.Slot) { s.metrics.Forget(worker.Name(slot.Port, a)) },
		StopLimit: s.cfg.Models.Defaults.Unregister,
		Log:       s.logs.Logger,
	})
}

// usage returns what says how busy an accelerator is; empty: nobody knows.
func (s *Server) usage(g *device.Gauge) func(gpu int) string {
	log := s.logs.Logger(logging.ConfigManager, logging.MainThread)
	return func(gpu int) string {
		text, err := g.Text(gpu)
		if err != nil {
			log.Error().Msgf("Exception Raised : %v", err)
		}
		return text
	}
}

// sequenceEnd is the response header with which a model ends sequences: only one
// that has several requests of a sequence at a time needs it (SCH §13.4).
func sequenceEnd(settings model.Settings, names config.SequenceHeaders) string {
	if settings.Sequence.Batching && settings.Sequence.Continuous {
		return names.End
	}
	return ""
}

// maxSocketPath is the length in bytes of a socket's path that every system
// takes (WRK-D17).
const maxSocketPath = 100

// launch unpacks the Python package and says how workers are started.
func (s *Server) launch() (worker.Launch, error) {
	c := s.cfg.Workers
	home := c.Home
	if home == "" {
		var err error
		if home, err = backend.Unpack(s.work.python()); err != nil {
			return worker.Launch{}, err //nolint:wrapcheck // says what it did
		}
	}
	s.home = home
	metricsFile := s.cfg.Metrics.File
	if metricsFile == "" {
		metricsFile = filepath.Join(home, "ts", "configs", "metrics.yaml")
	}
	l := worker.Launch{
		Home:          home,
		Python:        c.Python,
		MetricsConfig: metricsFile,
		SocketDir:     s.work.own,
		LogDir:        s.cfg.Logs.Dir,
		Debug:         c.Debug,
		TCP:           c.TCP,
		Environ:       s.deps.Environ,
		Extra:         c.Env,
		CPPLogConfig:  c.CPPLogConfig,
		LimitPixels:   c.LimitImagePixels,
	}
	if c.HideEnv != nil {
		l.Hidden = c.HideEnv.MatchString
	}
	l.Resolve = (&backend.Interpreters{Environ: l.Inherited()}).Resolve
	if c.Debug {
		l.SocketDir = s.cfg.Server.TempDir // where whoever starts the worker expects its socket
	}
	if c.CPULauncher.Enabled {
		cpu := &backend.CPULauncher{Args: c.CPULauncher.Args}
		l.CPULauncher = &worker.CPULauncher{Args: cpu.Args, Check: cpu.Check}
	}
	if longest := len(s.work.own) + len("/.ts.sock.2147483647"); longest > maxSocketPath && !l.TCP {
		s.log.Warn().Msgf("The directory %s is too long for Unix sockets; workers are spoken to over TCP (set TEMP to a shorter one)", s.work.own)
		l.TCP = true
	}
	return l, nil
}

func (s *Server) archiveConfig() archive.Config {
	m := s.cfg.Models
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment} // decisions.md, "downloads behind a proxy"
	return archive.Config{
		ModelStore:     m.Store,
		WorkDir:        filepath.Join(s.cfg.Server.TempDir, "models"),
		AllowedURLs:    m.Fetch.Allowed,
		Transport:      transport,
		StrictSecurity: s.cfg.Security.Strict,
		Devices:        len(s.deps.Devices.All),
		Credentials:    s.credentials,
		Limits: archive.Limits{
			Entries: m.Unpack.MaxEntries, Bytes: m.Unpack.MaxSize, Ratio: m.Unpack.MaxRatio,
			Download: m.Fetch.MaxSize, Time: m.Fetch.MaxTime, Wait: m.Fetch.MaxWait,
		},
		Log: s.logs.Logger(logging.ModelArchive, logging.MainThread),
	}
}

// credentials reads the keys for S3 from the server's environment.
func (s *Server) credentials() archive.Credentials {
	env := environment(s.deps.Environ)
	return archive.Credentials{
		AccessKey: env["AWS_ACCESS_KEY_ID"],
		SecretKey: env["AWS_SECRET_ACCESS_KEY"],
		Region:    env["AWS_DEFAULT_REGION"],
		Session:   env["AWS_SESSION_TOKEN"],
	}
}

func (s *Server) servingConfig() serving.Config {
	m := s.cfg.Models
	presets := make(map[model.Name]map[model.Version]serving.Preset, len(m.Versions))
	for name, versions := range m.Versions {
		presets[model.Name(name)] = presetsOf(versions)
	}
	return serving.Config{
		Handler:  m.Handler,
		Envelope: m.Envelope,
		Defaults: serving.Defaults{
			Workers: m.Defaults.Workers, StartWorkers: m.Defaults.StartWorkers, QueueSize: m.Defaults.QueueSize,
			Response: m.Defaults.Response, Startup: m.Defaults.Startup,
		},
		Models:          presets,
		Devices:         len(s.deps.Devices.All),
		UnregisterLimit: m.Defaults.Unregister,
		Unlimited:       s.cfg.Workers.Debug,
		Lenient:         s.cfg.Snapshots.Lenient,
	}
}

func presetsOf(versions map[string]config.VersionDefaults) map[model.Version]serving.Preset {
	all := make(map[model.Version]serving.Preset, len(versions))
	for version, d := range versions {
		all[model.Version(version)] = serving.Preset{
			MinWorkers: d.MinWorkers, MaxWorkers: d.MaxWorkers, BatchSize: d.BatchSize,
			BatchDelay: d.BatchDelay, Response: d.Response, Startup: d.Startup, Runtime: d.Runtime,
		}
	}
	return all
}

// loadModels registers the models of the configuration; their workers are not
// waited for.
func (s *Server) loadModels(ctx context.Context) {
	m := s.cfg.Models
	if m.LoadAll {
		s.service.LoadAll(ctx)
		return
	}
	for _, each := range m.Load {
		if ctx.Err() != nil {
			return
		}
		s.service.Load(ctx, model.Name(each.Name), each.Location)
	}
}
