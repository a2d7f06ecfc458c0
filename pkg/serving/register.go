package serving

import (
	"context"
	"errors"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/registry"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// Register opens an archive, has its dependencies installed, enters its model and
// starts workers. A synchronous call with workers blocks until they serve.
// Cancelling ctx ends the opening of the archive and the installation; what comes
// after them goes on, so that a failure of the workers is undone even when nobody
// waits any more. On an error nothing of the registration is left, apart from
// CleanupTimeout. Kinds: BadRequest,
// ModelNotFound, Download, InvalidModel, ModelSetup, Conflict, Internal from the
// archive; WorkerStart when there are no devices for a worker; Worker with the
// status of the first failed start; Busy when the server is stopping.
func (s *Service) Register(ctx context.Context, r model.Registration) (model.Registered, error) {
	e, want, err := s.enter(ctx, admission{Registration: r})
	if err != nil {
		return model.Registered{}, err
	}
	done := model.Registered{Name: e.Archive.Name, Version: e.Archive.Version, Workers: want.Min}
	if want.Min == 0 {
		s.changed()
		return done, nil
	}
	done.Progress, err = s.scale(context.WithoutCancel(ctx), e, model.Scaling{Workers: want, Synchronous: r.Synchronous})
	if err != nil {
		ref := model.Ref{Name: e.Archive.Name, Version: e.Archive.Version}
		return done, errors.Join(startFailure(ref, err), s.rollBack(ctx, e))
	}
	if s.stopping.Load() { // Close ends the workers
		return done, stopping()
	}
	return done, nil
}

// stopping is the refusal of what a server that is going away cannot begin.
func stopping() error { return fault.New(fault.Busy, "The server is stopping") }

// rollBack removes a model whose workers failed. A snapshot may have it already.
func (s *Service) rollBack(ctx context.Context, e *registry.Entry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.UnregisterLimit)
	defer cancel()
	s.registry.Remove(e)
	if err := e.Pool.Close(ctx); err != nil {
		return err
	}
	s.discard(e)
	s.changed()
	return nil
}

// admission is how a model version comes into the registry.
type admission struct {
	model.Registration
	starting bool              // as one of load_models
	saved    *snapshot.Version // as one of a snapshot; else nil
}

// atStartup reports whether the model counts as loaded when the server started.
func (a admission) atStartup() bool { return a.starting || a.saved != nil && a.saved.AtStartup }

// enter does everything of a registration but the workers, and says how many of
// them are wanted.
func (s *Service) enter(ctx context.Context, a admission) (*registry.Entry, model.Workers, error) {
	ctx, end, err := s.setups.begin(ctx)
	if err != nil {
		return nil, model.Workers{}, err
	}
	defer end()
	u, err := s.archives.Open(ctx, archive.Request{
		URL: a.URL, Name: a.Name, Handler: a.Handler, Runtime: a.Runtime,
		DefaultHandler: s.cfg.Handler, Envelope: s.cfg.Envelope,
		S3SSEKMS: a.S3SSEKMS, DeriveName: a.starting, Stored: a.saved != nil,
	})
	if err != nil {
		return nil, model.Workers{}, err
	}
	e, want, err := s.add(ctx, u, a)
	if err != nil {
		return nil, want, errors.Join(err, u.Remove())
	}
	return e, want, nil
}

func (s *Service) add(ctx context.Context, u *archive.Unpacked, how admission) (*registry.Entry, model.Workers, error) {
	a := u.Archive
	preset := s.cfg.Models[a.Name][a.Version]
	if preset.Runtime != "" && how.Runtime == "" {
		a.Runtime = preset.Runtime
	}
	if how.saved != nil && how.saved.ParallelLevel > 0 {
		u.Config.ParallelLevel = &how.saved.ParallelLevel
	}
	settings := s.settings(how.Registration, a.Runtime, u.Config, preset)
	if err := supported(a, settings); err != nil {
		return nil, model.Workers{}, err
	}
	want := s.wanted(how, u.Config, preset)
	if err := affordable(want); err != nil {
		return nil, want, err
	}
	release, err := s.registry.Claim(a.Name, a.Version)
	if err != nil {
		return nil, want, err
	}
	defer release()
	if err := s.dependencies.Install(ctx, a, settings); err != nil {
		return nil, want, err
	}
	e := &registry.Entry{
		Archive: a, Settings: settings, Pool: s.newPool(a, settings),
		Handler: how.Handler, AtStartup: how.atStartup(), Discard: u.Remove,
	}
	isDefault, err := s.registry.Add(e)
	if err != nil {
		return nil, want, err
	}
	if s.stopping.Load() { // Close may have looked at the registry before
		s.registry.Remove(e)
		return nil, want, stopping()
	}
	s.logVersions.Debug().Msgf("Adding new version %s for model %s", a.Version, a.Name)
	if isDefault {
		s.logVersions.Debug().Msgf("Setting default version to %s for model %s", a.Version, a.Name)
	}
	s.logManager.Info().Msgf("Model %s loaded.", a.Name)
	s.warnOfName(a.Name)
	return e, want, nil
}

// warnOfName tells of a name that no path can hold, however it is escaped: %2F
// separates, too. compat(0.12): it is registered all the same, and predicts.
func (s *Service) warnOfName(name model.Name) {
	if strings.Contains(string(name), "/") {
		s.logManager.Warn().Msgf("The name of model %s has a slash: only /invocations?model_name= reaches it; "+
			"to describe, scale or unregister it, register it by another name (model_name)", name)
	}
}

// Load registers a model when the server starts and begins to start its
// workers, without waiting for them. A failure is logged: the others go on. An
// empty name means the archive's, else one derived from the location.
func (s *Service) Load(ctx context.Context, name model.Name, location string) {
	s.logServer.Info().Msg("Loading initial models: " + location)
	s.load(ctx, name, location, location)
}

// load does the work of Load; shown is the location as a failure names it.
func (s *Service) load(ctx context.Context, name model.Name, location, shown string) {
	e, want, err := s.enter(ctx, admission{starting: true, Registration: model.Registration{URL: location, Name: name}})
	if err == nil && want.Min > 0 {
		if _, err = s.scale(ctx, e, model.Scaling{Workers: want}); err != nil {
			err = errors.Join(err, s.rollBack(ctx, e))
		}
	}
	if err != nil {
		s.logServer.Warn().Err(err).Msg("Failed to load model: " + shown)
	}
}

// LoadAll loads every archive of the model store, as Load does.
func (s *Service) LoadAll(ctx context.Context) {
	names, err := s.archives.List()
	if err != nil {
		s.logServer.Warn().Msg(fault.Message(err))
	}
	for _, name := range names {
		s.logServer.Debug().Msg("Loading models from model store: " + name)
		s.load(ctx, "", name, s.archives.Path(name))
	}
}
