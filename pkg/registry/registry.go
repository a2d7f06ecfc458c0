package registry

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

// Entry is one registered model version. It is not changed after Add.
type Entry struct {
	Archive   model.Archive
	Settings  model.Settings
	Pool      *pool.Pool
	Handler   *string      // as the registration gave it; nil: the archive's
	AtStartup bool         // loaded by load_models or --models
	Discard   func() error // removes what the registration made on disk
}

// Registry maps names and versions to entries. The zero value is not usable:
// see New.
type Registry struct {
	mu      sync.RWMutex // Protects fields below
	models  map[model.Name]*versions
	claimed map[model.Ref]bool // about to be entered
}

// versions are the entries of one name; there is always at least one.
type versions struct {
	entries   map[model.Version]*Entry
	preferred model.Version // the default version
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{models: map[model.Name]*versions{}, claimed: map[model.Ref]bool{}}
}

// Claim keeps others from claiming a name and version that is not entered, until
// release is called: it is about to be, and that takes its time. The kind of its
// error is Conflict.
func (r *Registry) Claim(name model.Name, version model.Version) (release func(), err error) {
	ref := model.Ref{Name: name, Version: version}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed[ref] || r.has(ref) {
		return nil, taken(ref)
	}
	r.claimed[ref] = true
	return func() {
		r.mu.Lock()
		delete(r.claimed, ref)
		r.mu.Unlock()
	}, nil
}

func (r *Registry) has(ref model.Ref) bool {
	vs, ok := r.models[ref.Name]
	return ok && vs.entries[ref.Version] != nil
}

func taken(ref model.Ref) error {
	return fault.New(fault.Conflict, fmt.Sprintf("Model version %s is already registered for model %s", ref.Version, ref.Name))
}

// Add enters e under its archive's name and version and reports whether it is
// the default of its name. On Conflict nothing was changed.
func (r *Registry) Add(e *Entry) (isDefault bool, err error) {
	a := e.Archive
	r.mu.Lock()
	defer r.mu.Unlock()
	if ref := (model.Ref{Name: a.Name, Version: a.Version}); r.has(ref) {
		return false, taken(ref)
	}
	vs, ok := r.models[a.Name]
	if !ok {
		vs = &versions{entries: map[model.Version]*Entry{}, preferred: a.Version}
		r.models[a.Name] = vs
	}
	vs.entries[a.Version] = e
	return vs.preferred == a.Version, nil
}

// Find returns the entry that ref names, the default version if it names none.
// Errors are of kind ModelNotFound or VersionNotFound, in 0.12's words.
func (r *Registry) Find(ref model.Ref) (*Entry, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.find(ref)
}

func (r *Registry) find(ref model.Ref) (*Entry, error) {
	vs, ok := r.models[ref.Name]
	if !ok {
		return nil, fault.New(fault.ModelNotFound, "Model not found: "+string(ref.Name))
	}
	version := ref.Version
	if version == "" {
		version = vs.preferred
	}
	e, ok := vs.entries[version]
	if !ok {
		return nil, fault.New(fault.VersionNotFound,
			fmt.Sprintf("Model version: %s does not exist for model: %s", version, ref.Name))
	}
	return e, nil
}

// Removable returns the entry that ref names if it may be removed: the default
// version only as the last one of its name (kind DefaultVersion otherwise).
func (r *Registry) Removable(ref model.Ref) (*Entry, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, err := r.find(ref)
	if err != nil {
		return nil, err
	}
	vs := r.models[ref.Name]
	if vs.preferred == e.Archive.Version && len(vs.entries) > 1 {
		return nil, fault.New(fault.DefaultVersion, "Cannot remove default version for model "+string(ref.Name))
	}
	return e, nil
}

// Remove takes e out of the registry, if it is still the entry of its name and
// version. Should it be the default of others that came meanwhile, the lowest
// of them takes its place.
func (r *Registry) Remove(e *Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	vs, ok := r.models[e.Archive.Name]
	if !ok || vs.entries[e.Archive.Version] != e {
		return
	}
	delete(vs.entries, e.Archive.Version)
	if len(vs.entries) == 0 {
		delete(r.models, e.Archive.Name)
		return
	}
	if vs.preferred == e.Archive.Version {
		vs.preferred = vs.sorted()[0].Archive.Version
	}
}

// SetDefault makes a version the default of its name. The kinds are those of
// Find; the text for an unknown version differs, as in 0.12 (MGT-056).
func (r *Registry) SetDefault(name model.Name, version model.Version) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	vs, ok := r.models[name]
	if !ok {
		return fault.New(fault.ModelNotFound, "Model not found: "+string(name))
	}
	if _, ok := vs.entries[version]; !ok {
		return fault.New(fault.VersionNotFound,
			fmt.Sprintf("Model version %s does not exist for model %s", version, name))
	}
	vs.preferred = version
	return nil
}

// Versions returns every entry of a name, ascending by version, and the default
// version. The kind of its error is ModelNotFound.
func (r *Registry) Versions(name model.Name) ([]*Entry, model.Version, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	vs, ok := r.models[name]
	if !ok {
		return nil, "", fault.New(fault.ModelNotFound, "Model not found: "+string(name))
	}
	return vs.sorted(), vs.preferred, nil
}

// Defaults returns the entry of each name's default version, ascending by name.
func (r *Registry) Defaults() []*Entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*Entry, 0, len(r.models))
	for _, name := range slices.Sorted(maps.Keys(r.models)) {
		vs := r.models[name]
		all = append(all, vs.entries[vs.preferred])
	}
	return all
}

// All returns every entry, ascending by name, the default version of a name
// after its others: the order in which 0.12 stops them (CLI §12.2).
func (r *Registry) All() []*Entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []*Entry
	for _, name := range slices.Sorted(maps.Keys(r.models)) {
		vs := r.models[name]
		for _, e := range vs.sorted() {
			if e.Archive.Version != vs.preferred {
				all = append(all, e)
			}
		}
		all = append(all, vs.entries[vs.preferred])
	}
	return all
}

// Each calls visit for every entry, ascending by name and version, and says
// whether it is the default of its name. Nothing changes meanwhile: visit must
// not call the registry.
func (r *Registry) Each(visit func(e *Entry, isDefault bool)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(r.models)) {
		vs := r.models[name]
		for _, e := range vs.sorted() {
			visit(e, e.Archive.Version == vs.preferred)
		}
	}
}

func (v *versions) sorted() []*Entry {
	return slices.SortedFunc(maps.Values(v.entries), func(a, b *Entry) int {
		return model.CompareVersions(a.Archive.Version, b.Archive.Version)
	})
}
