package serving

import (
	"context"
	"errors"
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/registry"
)

// Scale sets the wanted number of workers of a model version, the default one
// if ref names none. A synchronous call blocks until the workers serve or the
// first of them failed; cancelling ctx stops the waiting only. Errors:
// ModelNotFound, VersionNotFound; BadRequest above 4096 workers; WorkerStart when
// there are no devices for one; Worker with the status of the failed start;
// CleanupTimeout when a worker did not end in time; Busy when the model is being
// removed. The model stays in any case but the last.
func (s *Service) Scale(ctx context.Context, ref model.Ref, want model.Scaling) (model.Progress, error) {
	e, err := s.registry.Find(ref)
	if err != nil {
		return model.Done, err
	}
	if err := affordable(want.Workers); err != nil {
		return model.Done, err
	}
	s.logManager.Debug().Msgf("updateModel: %s, count: %d", ref.Name, want.Workers.Min)
	progress, err := s.scale(ctx, e, want)
	if err != nil {
		return progress, startFailure(ref, err)
	}
	return progress, s.holds()
}

// scale changes the workers of a model, as far as there are devices for them.
func (s *Service) scale(ctx context.Context, e *registry.Entry, want model.Scaling) (model.Progress, error) {
	w, err := s.fit(e, want.Workers)
	if err != nil {
		return model.Partial, err
	}
	c, err := e.Pool.Scale(ctx, w)
	if err != nil {
		return model.Partial, err
	}
	s.changed()
	if !want.Synchronous {
		return model.Accepted, nil
	}
	return c.Wait(ctx)
}

// holds refuses a change that was made when the server was about to stop: it may
// have come too late for the last snapshot.
func (s *Service) holds() error {
	if s.stopping.Load() {
		return stopping()
	}
	return nil
}

// fit cuts a wanted number of workers to the devices that they would need (SCH
// §7.1).
func (s *Service) fit(e *registry.Entry, w model.Workers) (model.Workers, error) {
	d := e.Settings.Devices
	most, limited := d.Capacity(s.cfg.Devices)
	switch {
	case !limited || w.Min == 0:
		return w, nil
	case most == 0:
		s.logManager.Error().Msgf("there are no enough gpu devices to support this parallelLever: %d", d.Level)
		return w, fault.New(fault.WorkerStart,
			fmt.Sprintf("No enough gpu devices for model:%s parallelLevel:%d", e.Archive.Name, d.Level))
	}
	w = model.Workers{Min: min(w.Min, most), Max: min(w.Max, most)}
	s.logManager.Info().Msgf("model %s set minWorkers: %d, maxWorkers: %d for parallelLevel: %d ", e.Archive.Name, w.Min, w.Max, d.Level)
	return w, nil
}

func affordable(w model.Workers) error {
	if w.Min > model.MaxWorkers {
		return fault.New(fault.BadRequest, fmt.Sprintf("A model can have at most %d workers, not %d.", model.MaxWorkers, w.Min))
	}
	return nil
}

// startFailure words the failure of workers for the client: status and details
// stay those of the cause.
func startFailure(ref model.Ref, cause error) error {
	version := ref.Version
	if version == "" {
		version = "null" // compat(0.12): MGT §5
	}
	f := &fault.Error{
		Op: "start workers", Subject: string(ref.Name), Kind: fault.KindOf(cause), Details: fault.Details(cause), Err: cause,
		Message: fmt.Sprintf("Failed to start workers for model %s version: %s", ref.Name, version),
	}
	switch f.Kind {
	case fault.Worker:
		f.Status = fault.Status(cause)
	case fault.WorkerStart:
		f.Message = fault.Message(cause)
	case fault.CleanupTimeout, fault.Busy, fault.Canceled:
		// The table's status. Busy: the model is being removed.
	default:
		f.Kind = fault.Worker
	}
	return f
}

// SetDefault makes the version that ref names the default of its model. The kinds
// of its errors are ModelNotFound, VersionNotFound, and Busy when the server is
// stopping.
func (s *Service) SetDefault(_ context.Context, ref model.Ref) error {
	if err := s.registry.SetDefault(ref.Name, ref.Version); err != nil {
		return err
	}
	s.logVersions.Debug().Msgf("Setting default version to %s for model %s", ref.Version, ref.Name)
	s.changed()
	return s.holds()
}

// Unregister stops the workers of a model version and removes it. What is in
// flight may finish within the unregister limit; queued requests are refused at
// once (D-MGT-29). Errors: ModelNotFound, VersionNotFound, DefaultVersion;
// CleanupTimeout when a worker did not end in time: the model then stays,
// without workers, and the call can be repeated; Busy when the server is stopping.
func (s *Service) Unregister(ctx context.Context, ref model.Ref) error {
	e, err := s.registry.Removable(ref)
	if err != nil {
		return err
	}
	// The removal goes on when the client has gone: half of it would help nobody.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.UnregisterLimit)
	defer cancel()
	if err := e.Pool.Close(ctx); err != nil {
		return fault.Wrap(fault.CleanupTimeout, "Timed out while cleaning resources: "+string(ref.Name), err)
	}
	s.registry.Remove(e)
	s.logVersions.Debug().Msgf("Removed model: %s version: %s", e.Archive.Name, e.Archive.Version)
	s.discard(e)
	s.logManager.Info().Msgf("Model %s unregistered.", e.Archive.Name)
	s.changed()
	return s.holds()
}

// discard removes what a registration made on disk; a failure is no reason to
// keep the model.
func (s *Service) discard(e *registry.Entry) {
	if err := e.Discard(); err != nil {
		s.logManager.Warn().Err(err).Msgf("Could not remove the files of model %s", e.Archive.Name)
	}
}

// Refuse makes the service refuse new requests and changes from now on, and give
// up the models that are on their way. Health and readiness are false then.
func (s *Service) Refuse() {
	s.stopping.Store(true)
	s.setups.halt()
}

// Close stops every model: new and queued requests are refused at once, those
// that a worker has may finish until ctx ends and then get its cause, if that is
// a fault. It begins with Refuse. The models' files are the archive store's to
// remove. The error joins those of workers that did not end.
func (s *Service) Close(ctx context.Context) error {
	s.Refuse()
	defer s.setups.running.Wait()
	return s.each(func(e *registry.Entry) error {
		s.logServer.Info().Msgf("Unregistering model %s version %s", e.Archive.Name, e.Archive.Version)
		err := e.Pool.Close(ctx)
		s.registry.Remove(e)
		s.logManager.Info().Msgf("Model %s unregistered.", e.Archive.Name)
		return err
	})
}

// each runs step for every model version, all of them beside each other.
func (s *Service) each(step func(*registry.Entry) error) error {
	entries := s.registry.All()
	results := make(chan error, len(entries)) // one per entry: nobody waits to say it
	for _, e := range entries {
		go func() { results <- step(e) }()
	}
	errs := make([]error, 0, len(entries))
	for range entries {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}
