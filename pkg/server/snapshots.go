package server

import (
	"context"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/logging"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// openSnapshots makes the journal of changes, and reads the snapshot that the
// configuration came from, if it is one.
func (s *Server) openSnapshots(context.Context) error {
	c := s.cfg.Snapshots
	plugins := s.logs.Logger(logging.PluginsManager, logging.MainThread)
	plugins.Info().Msg(" Loading snapshot serializer plugin...")
	log := s.logs.Logger(snapshot.LogName, logging.MainThread)
	folder := snapshot.NewFolder(snapshot.FolderConfig{
		Dir: c.Dir, Retention: c.Retention, InUse: c.Restored, Log: log,
	})
	journal := snapshot.JournalConfig{
		Properties: s.properties(), Log: log,
		Remedy: "see that " + c.Dir + " can be written and has room, move it with LOG_LOCATION, or start with --ncs",
	}
	if c.Enabled {
		journal.Serializer, journal.Newest = folder, folder.Newest()
	}
	s.journal = snapshot.NewJournal(journal)
	if !c.Restoring {
		return nil
	}
	state, err := folder.Parse(c.State)
	if err != nil {
		return err //nolint:wrapcheck // names the key
	}
	s.saved = &state
	return nil
}

// properties are those that every snapshot holds.
func (s *Server) properties() []snapshot.Property {
	saved := s.cfg.Saved()
	all := make([]snapshot.Property, 0, len(saved))
	for _, p := range saved {
		all = append(all, snapshot.Property{Key: p.Key, Value: p.Value})
	}
	return all
}

// examine fails if the snapshot cannot be restored for sure, while the command
// that starts the server still waits for it.
func (s *Server) examine(ctx context.Context) error {
	if s.saved == nil || s.cfg.Snapshots.Lenient || s.service.Restorable(*s.saved) {
		return nil
	}
	return s.restore(ctx)
}

// restore registers the models of the snapshot, if there is one.
func (s *Server) restore(ctx context.Context) error {
	if s.saved == nil {
		return nil
	}
	if err := s.service.Restore(ctx, *s.saved); err != nil {
		return &fault.Error{
			Op: "restore snapshot", Subject: s.cfg.Snapshots.Restored, Err: err,
			Hint: "put these archives into " + s.cfg.Models.Store + ", or set snapshot_lenient=true in the snapshot to start without them" +
				", or start with another file as --ts-config, or with --ncs",
		}
	}
	return nil
}

var (
	_ serving.Journal     = (*snapshot.Journal)(nil)
	_ snapshot.Serializer = (*snapshot.Folder)(nil)
)
