package config

import "path/filepath"

// Snapshots says whether and where the served set is saved, and what to
// restore now.
type Snapshots struct {
	Enabled   bool   // written, and looked for
	Dir       string // absolute
	Retention int    // files kept of each kind; 0: all
	Lenient   bool   // versions that cannot be restored are skipped
	Restoring bool   // the properties source is a snapshot
	State     string // its model_snapshot, JSON
}

func (r *reader) snapshots() Snapshots {
	state, restoring := r.given("model_snapshot")
	return Snapshots{
		Enabled:   !r.src.Flags.NoConfigSnapshots,
		Dir:       filepath.Join(r.canonical(r.logLocation()), "config"),
		Retention: int(r.int("snapshot_retention")),
		Lenient:   r.bool("snapshot_lenient"),
		Restoring: restoring,
		State:     state,
	}
}
