package serving

import (
	"slices"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/registry"
)

// Describe returns the status of the model version that ref names, the default
// one if it names none. Errors are of kind ModelNotFound or VersionNotFound.
func (s *Service) Describe(ref model.Ref) (model.Status, error) {
	e, err := s.registry.Find(ref)
	if err != nil {
		return model.Status{}, err
	}
	_, preferred, err := s.registry.Versions(e.Archive.Name)
	if err != nil { // removed meanwhile
		return model.Status{}, err
	}
	return s.status(e, preferred), nil
}

// DescribeAll returns the status of every version of a model, ascending. The
// kind of its error is ModelNotFound.
func (s *Service) DescribeAll(name model.Name) ([]model.Status, error) {
	entries, preferred, err := s.registry.Versions(name)
	if err != nil {
		return nil, err
	}
	all := make([]model.Status, 0, len(entries))
	for _, e := range entries {
		all = append(all, s.status(e, preferred))
	}
	return all, nil
}

func (s *Service) status(e *registry.Entry, preferred model.Version) model.Status {
	st := e.Pool.Status()
	st.Default = e.Archive.Version == preferred
	st.LoadedAtStartup = e.AtStartup
	for i := range st.Workers {
		if w := &st.Workers[i]; w.GPU >= 0 {
			w.Usage = s.usage(device(st.Settings.Devices, w.GPU))
		}
	}
	return st
}

// device returns the first accelerator of a worker: the number of one with a
// parallel level is a place in the list of its model's devices (SCH §16).
func device(d model.Devices, gpu int) int {
	if d.Level > 0 && gpu < len(d.IDs) {
		return d.IDs[gpu]
	}
	return gpu
}

// List returns the models with the URL of their default version, ascending by
// name.
func (s *Service) List() []model.Listed {
	entries := s.registry.Defaults()
	all := make([]model.Listed, 0, len(entries))
	for _, e := range entries {
		all = append(all, model.Listed{Name: e.Archive.Name, URL: e.Archive.URL})
	}
	return all
}

// Healthy reports what /ping says: the default version of every model has its
// minimum of healthy workers, where loading and recovering ones count (INF
// §13), and the server is not stopping.
func (s *Service) Healthy() bool {
	return s.everyDefault(func(e *registry.Entry) bool { return e.Pool.Healthy() })
}

// Ready reports what /readyz says: the default version of every model has its
// minimum of loaded workers, and the server is not stopping.
func (s *Service) Ready() bool {
	return s.everyDefault(func(e *registry.Entry) bool { return e.Pool.Ready() })
}

func (s *Service) everyDefault(holds func(*registry.Entry) bool) bool {
	if s.stopping.Load() {
		return false
	}
	for _, e := range s.registry.Defaults() {
		if !holds(e) {
			return false
		}
	}
	return true
}

// Loaded reports whether the default version of a model has a loaded worker.
// The kind of its error is ModelNotFound.
func (s *Service) Loaded(name model.Name) (bool, error) {
	e, err := s.registry.Find(model.Ref{Name: name})
	if err != nil {
		return false, err
	}
	return e.Pool.Loaded(), nil
}

// AnyLoaded reports whether the default version of a model has a loaded worker.
func (s *Service) AnyLoaded() bool {
	return slices.ContainsFunc(s.registry.Defaults(), func(e *registry.Entry) bool { return e.Pool.Loaded() })
}

// AllLoaded reports whether there are models and the default version of each
// has a loaded worker.
func (s *Service) AllLoaded() bool {
	all := s.registry.Defaults()
	return len(all) > 0 && !slices.ContainsFunc(all, func(e *registry.Entry) bool { return !e.Pool.Loaded() })
}
