package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// LogName is the logger name of 0.12 for what concerns snapshots.
const LogName = "org.pytorch.serve.snapshot.SnapshotManager"

// ErrExists says that there is a snapshot of this name already.
var ErrExists = errors.New("there is one of that name")

// Serializer keeps snapshots: 0.12's extension point of that name. A Folder is
// the one that is built in. The third operation, finding the last snapshot, is
// pkg/config's: that snapshot is the source of the configuration.
type Serializer interface {
	// Save keeps a snapshot; when it returns nil the snapshot outlives a crash.
	// It returns ErrExists, and changes nothing, if the name is taken. It is
	// called by several goroutines at a time.
	Save(s State, properties []Property) error
	// Parse reads the value of the property model_snapshot.
	Parse(text string) (State, error)
}

// FolderConfig describes a Folder. It is not changed after NewFolder.
type FolderConfig struct {
	Dir       string // absolute; made with mode 0700 when it is needed
	Retention int    // files kept of each kind; 0: all
	InUse     string // path of a file that is kept whatever its age; empty: none
	Log       zerolog.Logger
}

// Folder keeps snapshots as files with mode 0600 (D-CLI-19). It is safe for
// concurrent use.
type Folder struct {
	cfg FolderConfig

	mu    sync.Mutex // Protects fields below
	known texts
}

// NewFolder returns a Folder; it touches no file.
func NewFolder(cfg FolderConfig) *Folder { return &Folder{cfg: cfg, known: texts{}} }

const (
	// unfinished is where files are written. A directory, because a file with
	// such a name keeps 0.12 from starting.
	unfinished = ".unfinished"

	ownerOnly   fs.FileMode = 0o600
	ownerEnters fs.FileMode = 0o700
)

// Parse reads the value of the property model_snapshot.
func (f *Folder) Parse(text string) (State, error) { return Parse(text) }

// Save writes a file and removes those that are too old.
func (f *Folder) Save(s State, properties []Property) error {
	state, err := f.state(s)
	if err != nil {
		return err
	}
	path := filepath.Join(f.cfg.Dir, s.Name)
	if _, err := os.Lstat(path); err == nil {
		return ErrExists
	}
	if err := f.write(path, encode(s.Created, properties), "model_snapshot=", state, "\n"); err != nil {
		return err
	}
	if err := f.prune(); err != nil {
		f.cfg.Log.Warn().Err(err).Msg("Old snapshots could not be removed")
	}
	return nil
}

// state returns the value of model_snapshot, as it stands in a file.
func (f *Folder) state(s State) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) > 2*len(s.Versions) { // most are of versions that are no more
		f.known = texts{}
	}
	return s.write(f.known, func(text string) string { return escape(text, false) })
}

// write puts a text into a new file, which is there as a whole or not at all.
func (f *Folder) write(path string, text ...string) error {
	dir := filepath.Join(f.cfg.Dir, unfinished)
	if err := os.MkdirAll(dir, ownerEnters); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	err = errors.Join(fill(file, text), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDir(f.cfg.Dir)
}

func fill(file *os.File, text []string) error {
	if err := file.Chmod(ownerOnly); err != nil { // a strict umask takes too much
		return err
	}
	for _, part := range text {
		if _, err := file.WriteString(part); err != nil {
			return err
		}
	}
	return file.Sync()
}

// syncDir makes a new name outlive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // some file systems cannot, and need not
	return d.Close()
}

// form is that of the names of snapshots; other files are foreign (D-CLI-14).
// pkg/config finds them by the same one.
var form = regexp.MustCompile(`^(\d{17})-(startup|snapshot|shutdown)\.cfg$`)

// names returns the names of all snapshots, the oldest first.
func (f *Folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.cfg.Dir) // sorted
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []string
	for _, e := range entries {
		if !e.IsDir() && form.MatchString(e.Name()) {
			all = append(all, e.Name())
		}
	}
	return all, err
}

// Newest returns the time in the greatest name, as if it were UTC; the zero time
// if there is none.
func (f *Folder) Newest() time.Time {
	all, _ := f.names() // what cannot be read cannot be written either, which is said then
	for _, name := range slices.Backward(all) {
		if at, err := time.Parse(nameTime, name[:14]+"."+name[14:17]); err == nil {
			return at
		}
	}
	return time.Time{}
}

// abandoned is the age of an unfinished file that nobody is writing any more.
const abandoned = time.Hour

// prune removes the oldest files of each kind above the retention, and what
// servers that were killed have left unfinished.
func (f *Folder) prune() error {
	errs := []error{f.sweep()}
	if f.cfg.Retention == 0 {
		return errors.Join(errs...)
	}
	all, err := f.names()
	if err != nil {
		return err
	}
	kept := map[string]int{}
	for _, name := range slices.Backward(all) {
		kind := form.FindStringSubmatch(name)[2]
		path := filepath.Join(f.cfg.Dir, name)
		kept[kind]++
		if kept[kind] > f.cfg.Retention && path != f.cfg.InUse {
			errs = append(errs, ignoreMissing(os.Remove(path)))
		}
	}
	return errors.Join(errs...)
}

func (f *Folder) sweep() error {
	dir := filepath.Join(f.cfg.Dir, unfinished)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < abandoned {
			continue // gone, or young
		}
		errs = append(errs, ignoreMissing(os.Remove(filepath.Join(dir, e.Name()))))
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
