package config

import (
	"path/filepath"
	"slices"
)

// Snapshots says whether and where the served set is saved, and what to
// restore now.
type Snapshots struct {
	Enabled   bool   // written, and looked for
	Dir       string // absolute
	Retention int    // files kept of each kind; 0: all
	Lenient   bool   // versions that cannot be restored are skipped
	Restoring bool   // the properties source is a snapshot
	Restored  string // its path, absolute
	State     string // its model_snapshot, JSON
}

func (r *reader) snapshots() Snapshots {
	state, restoring := r.given("model_snapshot")
	s := Snapshots{
		Enabled:   !r.src.Flags.NoConfigSnapshots,
		Dir:       r.canonical(filepath.Join(r.logLocation(), "config")),
		Retention: int(r.int("snapshot_retention")),
		Lenient:   r.bool("snapshot_lenient"),
		Restoring: restoring,
		State:     state,
	}
	if restoring {
		s.Restored = r.canonical(r.source.File)
	}
	return s
}

// Saved returns the properties of a snapshot: what the properties source said,
// in its order, $$NAME$$ not replaced and overruled values included, so that no
// flag or variable outlives its run (D-CLI-15). Only the stores are those in
// use, because the models of the snapshot lie there. Secrets are among it.
func (c Config) Saved() []Property {
	all := slices.DeleteFunc(slices.Clone(c.file), func(p Property) bool { return p.Key == "model_snapshot" })
	for _, key := range []string{"model_store", "workflow_store"} {
		inUse := c.set[key]
		if inUse.Origin != FromFlag && inUse.Origin != FromEnv {
			continue
		}
		all = append(slices.DeleteFunc(all, func(p Property) bool { return p.Key == key }), inUse)
	}
	return all
}
