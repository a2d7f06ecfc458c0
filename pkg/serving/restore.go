package serving

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/registry"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// Journal is told of every change of what is served that a client has ordered.
type Journal interface {
	// Changed is called when a change holds, before its client is answered; it
	// may call served before it returns.
	Changed(served func() []snapshot.Version)
}

// changed reports a change.
func (s *Service) changed() { s.journal.Changed(s.Served) }

// Served returns what a snapshot says about each registered model version.
func (s *Service) Served() []snapshot.Version {
	var all []snapshot.Version
	s.registry.Each(func(e *registry.Entry, isDefault bool) {
		v := snapshot.Version{
			Name: e.Archive.Name, Version: e.Archive.Version, Default: isDefault,
			Archive: archive.StoreName(e.Archive.URL), URL: e.Archive.URL,
			Workers: e.Pool.Workers(),
			Size:    e.Settings.Batching.Size, Delay: e.Settings.Batching.Delay,
			Response: e.Settings.Timeouts.Response, Startup: e.Settings.Timeouts.Startup,
			Runtime: e.Archive.Runtime, ParallelLevel: e.Settings.Devices.Level,
			Handler: e.Handler, AtStartup: e.AtStartup,
		}
		if v.URL == v.Archive {
			v.URL = ""
		}
		all = append(all, v)
	})
	return all
}

// Restorable reports whether the archives of all versions are there, as far as
// that can be known without a look into them.
func (s *Service) Restorable(st snapshot.State) bool {
	return st.Count <= 0 || !slices.ContainsFunc(st.Versions, s.lacks)
}

// lacks reports whether there is no archive of a version.
func (s *Service) lacks(v snapshot.Version) bool {
	return !s.archives.Has(v.Archive) && (v.URL == "" || !s.archives.Has(v.URL))
}

// Restore registers the versions of a snapshot and begins to start their workers,
// without waiting for them. Versions that cannot be restored are logged, and with
// Config.Lenient that is all; else the error, of kind InvalidModel, names them
// all, and no worker was started. When ctx ends it returns at once.
func (s *Service) Restore(ctx context.Context, st snapshot.State) error {
	s.announceRestore(st)
	if st.Count <= 0 {
		s.logSnapshots.Warn().Msg("Model snapshot is empty. Starting TorchServe without initial models.")
		return nil
	}
	restored, lost := s.reviveAll(ctx, st.Versions)
	if len(lost) > 0 && !s.cfg.Lenient && ctx.Err() == nil {
		return fault.New(fault.InvalidModel, strings.Join(lost, "; "))
	}
	for _, r := range restored {
		if ctx.Err() == nil {
			s.resume(ctx, r)
		}
	}
	return nil
}

// reviveAll registers versions, as long as ctx lasts, and says why some of them
// could not be.
func (s *Service) reviveAll(ctx context.Context, versions []snapshot.Version) (restored []revival, lost []string) {
	for _, v := range versions {
		if ctx.Err() != nil {
			break
		}
		r, err := s.revive(ctx, v)
		if err != nil {
			lost = append(lost, unrestored(v, err))
			continue
		}
		restored = append(restored, r)
	}
	return restored, lost
}

// announceRestore logs what 0.12 logs before it restores (CLI §13.4), the snapshot
// on one line. Locations may hold secrets, and are left out.
func (s *Service) announceRestore(st snapshot.State) {
	shown := st
	shown.Versions = slices.Clone(st.Versions)
	for i := range shown.Versions {
		shown.Versions[i].URL = ""
	}
	text, err := shown.JSON()
	var line bytes.Buffer
	if err = errors.Join(err, json.Compact(&line, []byte(text))); err != nil {
		line.WriteString(err.Error()) // it was read from JSON
	}
	s.logSnapshots.Info().Msg("Started restoring models from snapshot " + line.String())
	s.logSnapshots.Info().Msg("Validating snapshot " + st.Name)
	if s.Restorable(st) {
		s.logSnapshots.Info().Msgf("Snapshot %s validated successfully", st.Name)
		return
	}
	for _, v := range st.Versions {
		if s.lacks(v) {
			s.logSnapshots.Error().Msgf("Model archive file for model %s, version %s not found in model store", v.Name, v.Version)
		}
	}
}

var errNoArchive = errors.New("not found in model store")

// unrestored says why a version could not be restored, without its location.
func unrestored(v snapshot.Version, err error) string {
	if errors.Is(err, errNoArchive) {
		return fmt.Sprintf("Model archive file for model :%s, version :%s not found in model store (%s)", v.Name, v.Version, v.Archive)
	}
	why := err.Error()
	if v.URL != "" { // it may hold secrets
		why = strings.ReplaceAll(cmp.Or(fault.Message(err), fault.KindOf(err).String()), v.URL, v.Archive)
	}
	return fmt.Sprintf("model %s, version %s (%s): %s", v.Name, v.Version, v.Archive, why)
}

// revival is a restored version whose workers are still to be started.
type revival struct {
	entry   *registry.Entry
	workers model.Workers
	saved   snapshot.Version
}

// revive registers a version of a snapshot.
func (s *Service) revive(ctx context.Context, v snapshot.Version) (revival, error) {
	if s.lacks(v) {
		return revival{}, errNoArchive
	}
	a := admission{saved: &v, Registration: model.Registration{
		URL: cmp.Or(v.URL, v.Archive), Name: v.Name, Handler: v.Handler, Runtime: v.Runtime,
		BatchSize: &v.Size, BatchDelay: &v.Delay, Response: &v.Response, Startup: &v.Startup,
	}}
	e, want, err := s.enter(ctx, a)
	if err != nil && v.URL != "" && s.archives.Has(v.Archive) { // it cannot be fetched again, and need not be
		a.URL = v.Archive
		e, want, err = s.enter(ctx, a)
	}
	if err == nil {
		if want, err = s.fit(e, want); err != nil {
			err = errors.Join(err, s.rollBack(ctx, e))
		}
	}
	if err != nil && ctx.Err() == nil {
		s.logSnapshots.Error().Msgf("Error while registering model. Details: %v", err)
	}
	return revival{e, want, v}, err
}

// resume makes a restored version the default if it was, and begins to start its
// workers.
func (s *Service) resume(ctx context.Context, r revival) {
	a := r.entry.Archive
	if a.Version != r.saved.Version { // as in 0.12, which did not say so
		s.logSnapshots.Warn().Msgf("Model %s: the archive %s holds version %s in the place of version %s", a.Name, r.saved.Archive, a.Version, r.saved.Version)
	}
	var errs [2]error
	if r.saved.Default {
		errs[0] = s.SetDefault(ctx, model.Ref{Name: a.Name, Version: a.Version})
	}
	_, errs[1] = r.entry.Pool.Scale(ctx, r.workers)
	if err := errors.Join(errs[:]...); err != nil { // nobody has removed it, so the server is about to stop
		s.logSnapshots.Warn().Err(err).Msgf("Model %s is not restored completely", a.Name)
	}
}
