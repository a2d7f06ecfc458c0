package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/auth"
	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/device"
	"github.com/torchserve-go/torchserve/pkg/logging"
	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/plugin"
	"github.com/torchserve-go/torchserve/pkg/rest"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// Deps are what the command gives to the server.
type Deps struct {
	Version string     // of TorchServe, shown to clients
	Environ []string   // NAME=value, handed on to workers
	Devices device.Set // accelerators for workers
	Stdout  io.Writer  // gets the log, if the configuration says so
	Stderr  io.Writer  // gets what cannot be logged
	// Reload asks for the token keys to be read anew; nil: nobody asks.
	Reload <-chan struct{}
	// Accepted is called once when the configuration holds, the keys are
	// written and the addresses are ours. An error of it ends the start.
	Accepted func() error
}

// Server is the running program.
//
//	inference  management  metrics            <- listeners (listen)
//	    |          |          |
//	    +--- recover, request id, access log --+
//	    |          |          |
//	   TokenAuthorizationHandler (auth)
//	    |          |          |
//	    +---- chi routers (rest) --+
//	               |
//	        use cases (serving)
//	          |          |
//	  archives (archive)  registry -> pools (pool) -> workers (worker)
//	                                    |               |
//	                                 queue (batch)    Python (backend), spoken to in wire
type Server struct {
	cfg  config.Config
	deps Deps

	logs    *logging.Logs
	log     zerolog.Logger // logging.ModelServer's
	keys    *auth.Keys
	plugins []plugin.Kind
	metrics *metrics.Recorder
	service *serving.Service
	journal *snapshot.Journal
	saved   *snapshot.State // to be restored; nil: nothing
	work    *workDir
	home    string // of the Python package
	doors   []*door
	serving sync.WaitGroup // of the doors that are open
	undo    undoStack
}

// door is one listener with what answers on it.
type door struct {
	role     string // Inference, Management, Metrics
	address  config.Address
	listener net.Listener
	server   *http.Server
}

// New builds the server and binds its listeners, without serving yet. On an
// error everything that was done is undone. Errors for the operator name the
// setting to change.
func New(ctx context.Context, cfg config.Config, d Deps) (*Server, error) {
	s := &Server{cfg: cfg, deps: d}
	if err := s.build(ctx); err != nil {
		if s.logs != nil {
			s.complain(err)
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
		defer cancel()
		return nil, errors.Join(err, s.undo.unwind(stop))
	}
	return s, nil
}

// build takes the steps of a start in the order of CLI §7.
func (s *Server) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.openLogs, s.warnOfLater, s.openSnapshots, s.bind, s.openKeys, s.findPlugins, s.openWorkDir, s.makeService, s.furnish, s.greet, s.examine,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Addr returns where the listener of a role ("Inference", "Management",
// "Metrics") is bound, nil if there is none.
func (s *Server) Addr(role string) net.Addr {
	for _, d := range s.doors {
		if d.role == role {
			return d.listener.Addr()
		}
	}
	return nil
}

func (s *Server) openLogs(context.Context) error {
	c := s.cfg.Logs
	levels := make(map[string]string, len(c.Levels))
	for _, l := range c.Levels {
		levels[l.Logger] = l.Level
	}
	lc := logging.Config{
		Dir: c.Dir, MetricsDir: c.MetricsDir, Stderr: s.deps.Stderr,
		Level: c.Level, Levels: levels, JSON: c.JSON,
		Rotation: logging.Rotation{MaxSize: c.MaxSize, Keep: c.MaxArchives, MaxAge: c.MaxAge},
		Now:      clock(c.TimeZone),
	}
	if c.Console {
		lc.Console = s.deps.Stdout
	}
	logs, err := logging.Open(lc)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	s.logs = logs
	s.log = logs.Logger(logging.ModelServer, logging.MainThread)
	s.background("log", logs.Run) //nolint:contextcheck // see there
	s.undo.push("server", func(context.Context) error {
		s.log.Info().Msg("Torchserve stopped.")
		return nil
	})
	log := logs.Logger(logging.ConfigManager, logging.MainThread)
	if c.File != "" {
		log.Warn().Msgf("The log configuration %s is not read by this version: the built-in one is used; see log_level, log_levels and log_format", c.File)
	}
	for _, w := range s.cfg.Warnings {
		log.WithLevel(warningLevels[w.Level]).Msg(w.Text)
	}
	return nil
}

//nolint:gochecknoglobals // read-only table
var warningLevels = map[config.Level]zerolog.Level{
	config.Info: zerolog.InfoLevel, config.Warn: zerolog.WarnLevel, config.Mistake: zerolog.ErrorLevel,
}

// background runs a long-lived part until it is its turn to be stopped; what it
// returned is the failure of its stop.
func (s *Server) background(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background()) // ends by the undo stack, not with the start
	ended := make(chan error, 1)                            // one result
	go func() { ended <- run(ctx) }()
	s.undo.push(name, func(stop context.Context) error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-stop.Done():
			return context.Cause(stop)
		}
	})
}

func (s *Server) openKeys(context.Context) error {
	sec := s.cfg.Security
	keys, err := auth.Open(auth.Config{
		Enabled: sec.TokensEnabled(), DisabledBy: sec.TokensDisabledBy,
		KeyFile: sec.TokenKeyFile, KeyBytes: sec.TokenKeyBytes, Expiry: sec.TokenLifetime, KeysFile: sec.TokenKeysFile,
		RefusalStatus: sec.RefusalStatus, ExemptPing: sec.ExemptPing, ProtectMetrics: sec.ProtectMetrics,
		Refused: func(scope auth.Scope) { s.metrics.Refused(scope.String()) },
		CORS:    s.cfg.HTTP.CORS.Origin != "", ForwardHeader: sec.ForwardHeader,
		Log:        s.logs.Logger(auth.Logger, logging.MainThread),
		HandlerLog: s.logs.Logger(auth.HandlerLogger, logging.MainThread),
	})
	if err != nil {
		return err //nolint:wrapcheck // names the setting already
	}
	s.keys = keys
	s.undo.push("token keys", func(context.Context) error { return keys.Close() })
	s.background("watch of the token keys", keys.Run) //nolint:contextcheck // see there
	return nil
}

// findPlugins looks for the plugins that have a native endpoint here. The one
// for tokens changes nothing: authorization is built in.
func (s *Server) findPlugins(context.Context) error {
	p := s.cfg.Server.Plugins
	log := s.logs.Logger(plugin.LogName, logging.MainThread)
	kinds, err := plugin.Discover(p.Paths, p.Native, log)
	if err != nil {
		return err //nolint:wrapcheck // names the file and the class
	}
	if by := s.cfg.Security.TokensDisabledBy; by != "" && slices.Contains(kinds, plugin.Token) {
		log.Warn().Msgf("The token plugin is ignored: token authorization is disabled by %s", by)
	}
	s.plugins = kinds
	return nil
}

// greet logs the start-up dump.
func (s *Server) greet(context.Context) error {
	s.log.Info().Msg(s.cfg.Banner(config.Host{Version: s.deps.Version, Home: s.home, Heap: memoryLimit()}))
	return nil
}

// memoryLimit returns the memory in bytes that this process may use: the limit
// that somebody set with GOMEMLIMIT, else all that the machine has.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return machineMemory()
}

var (
	_ rest.Predictor = (*serving.Service)(nil)
	_ rest.Models    = (*serving.Service)(nil)
	_ rest.Catalog   = (*serving.Service)(nil)
	_ rest.Health    = (*serving.Service)(nil)
)
