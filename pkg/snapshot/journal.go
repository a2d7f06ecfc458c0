package snapshot

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// kind is the occasion of a snapshot, by the word in its name.
type kind string

const (
	startup  kind = "startup"
	change   kind = "snapshot"
	shutdown kind = "shutdown"
)

// JournalConfig describes a Journal. It is not changed after NewJournal.
type JournalConfig struct {
	Serializer Serializer // nil: nothing is saved
	Properties []Property // of every snapshot
	Newest     time.Time  // in the name of the newest snapshot there is, as if it were UTC
	Remedy     string     // for the log: what to do when a snapshot cannot be saved
	Log        zerolog.Logger
}

// Journal has snapshots saved between its opening and its closing. What goes
// wrong is logged: no change fails for it. It is safe for concurrent use.
type Journal struct {
	cfg JournalConfig

	mu    sync.Mutex // Protects fields below
	phase phase
	last  stamp
}

type phase uint8

const (
	unopened phase = iota
	open
	closed
)

// NewJournal returns a journal that is not opened yet.
func NewJournal(cfg JournalConfig) *Journal {
	at := cfg.Newest
	return &Journal{cfg: cfg, last: stamp{
		wall:    at,
		created: time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.Local),
	}}
}

// Open saves the snapshot of a start that was completed; from now on changes are
// saved. served returns all registered versions; it must not call the journal.
// All three methods block until their file is written.
func (j *Journal) Open(served func() []Version) { j.record(startup, unopened, open, served) }

// Changed saves a snapshot after a change. Before Open and after Close it does
// nothing.
func (j *Journal) Changed(served func() []Version) { j.record(change, open, open, served) }

// Close saves the last snapshot of a journal that was opened, and none after it.
func (j *Journal) Close(served func() []Version) { j.record(shutdown, open, closed, served) }

// record saves a snapshot if the journal is in the phase from.
func (j *Journal) record(k kind, from, to phase, served func() []Version) {
	if j.cfg.Serializer == nil {
		return
	}
	j.mu.Lock()
	if j.phase != from {
		j.mu.Unlock()
		return
	}
	j.phase = to
	j.last = j.last.next(time.Now())
	s := State{Name: j.last.name(k), Created: j.last.created, Versions: served()}
	j.mu.Unlock()

	err := j.cfg.Serializer.Save(s, j.cfg.Properties)
	switch {
	case errors.Is(err, ErrExists):
		j.cfg.Log.Error().Msgf("Snapshot %s already exists. Not saving the sanpshot.", s.Name) // compat(0.12): CLI §13.2
	case err != nil:
		j.cfg.Log.Error().Msgf("Error while saving snapshot to file %s: %v (%s)", s.Name, err, j.cfg.Remedy)
	}
}

// stamp is the time of a snapshot: what the clock on the wall shows, as if it
// were UTC, for its name, and the instant. Readers take the greatest for the
// newest, so both only go forward, even when the clock is set back, by hand or
// at the end of summer (D-CLI-23).
type stamp struct{ wall, created time.Time }

// nameTime is the layout of the time in a name; the dot is left out there.
const nameTime = "20060102150405.000"

func (s stamp) next(now time.Time) stamp {
	wall := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), now.Second(), now.Nanosecond(), time.UTC)
	return stamp{wall: later(s.wall, wall), created: later(s.created, now)}
}

// later returns t, or the first millisecond after s.
func later(s, t time.Time) time.Time {
	const step = time.Millisecond
	if first := s.Add(step); t.Truncate(step).Before(first) {
		return first
	}
	return t.Truncate(step)
}

func (s stamp) name(k kind) string {
	return strings.Replace(s.wall.Format(nameTime), ".", "", 1) + "-" + string(k) + ".cfg"
}
