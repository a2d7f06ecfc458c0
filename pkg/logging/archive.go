package logging

import (
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	compressed = ".gz"
	unfinished = ".tmp"
)

// rolledName is what follows the stem of a file that was rolled: .10-Jun.log
// or .10-Jun.2.log, compressed or not.
var rolledName = regexp.MustCompile(`^\.\d\d-[A-Z][a-z]{2}(\.\d+)?\.log(\.gz)?$`)

// archiver compresses rolled files and removes old archives, in the background.
type archiver struct {
	paths  []string      // of the log files
	rolled chan struct{} // holds one token: there is something to do
	keep   int           // archives per file; 0: all
	maxAge time.Duration // 0: any
	now    func() time.Time
	report func(path string, err error)
}

// run works until stop is closed. It begins with what an earlier process left.
func (a *archiver) run(stop <-chan struct{}) {
	failing := map[string]bool{}
	for {
		for _, path := range a.paths {
			err := a.tidy(path, stop)
			if errors.Is(err, errStopped) {
				return
			}
			if err != nil && !failing[path] {
				a.report(path, err)
			}
			failing[path] = err != nil
		}
		select {
		case <-a.rolled:
		case <-stop:
			return
		}
	}
}

// tidy compresses the rolled files of the log file path, oldest first, and
// applies the limits to its archives.
func (a *archiver) tidy(path string, stop <-chan struct{}) error {
	rolled, archives, err := listRolled(path)
	if err != nil {
		return err
	}
	for _, r := range rolled {
		if err := compress(r.path, stop); err != nil {
			return err
		}
		archives = append(archives, aged{r.path + compressed, r.last})
	}
	var failures []error
	for i, r := range archives {
		many := a.keep > 0 && i < len(archives)-a.keep
		old := a.maxAge > 0 && a.now().Sub(r.last) > a.maxAge
		if many || old {
			failures = append(failures, os.Remove(r.path))
		}
	}
	return errors.Join(failures...)
}

// aged is a file and the time of its last line.
type aged struct {
	path string
	last time.Time
}

// listRolled returns the rolled files of the log file path and its archives,
// both oldest first.
func listRolled(path string) (rolled, archives []aged, err error) {
	dir, base := filepath.Split(strings.TrimSuffix(path, suffix))
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), base)
		if !ok || !rolledName.MatchString(rest) {
			continue
		}
		about, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, nil, err
		}
		found := aged{filepath.Join(dir, e.Name()), about.ModTime()}
		if strings.HasSuffix(rest, compressed) {
			archives = append(archives, found)
		} else {
			rolled = append(rolled, found)
		}
	}
	byAge := func(a, b aged) int { return cmp.Or(a.last.Compare(b.last), cmp.Compare(a.path, b.path)) }
	slices.SortFunc(rolled, byAge)
	slices.SortFunc(archives, byAge)
	return rolled, archives, nil
}

var errStopped = errors.New("stopped")

// compress replaces the file path by path.gz. Until that is complete it has
// another name; when stop is closed meanwhile, path stays for the next start.
func compress(path string, stop <-chan struct{}) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	about, err := from.Stat()
	if err != nil {
		return err
	}
	partial := path + compressed + unfinished
	to, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // as the log itself
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(partial) // the first error says more
		}
	}()
	pack, err := gzip.NewWriterLevel(to, gzip.BestSpeed) // it competes with the requests
	if err != nil {
		return err
	}
	_, err = io.Copy(pack, untilStopped{from, stop})
	err = errors.Join(err, pack.Close(), to.Close())
	if err != nil {
		return err
	}
	if err := os.Chtimes(partial, about.ModTime(), about.ModTime()); err != nil {
		return err
	}
	if err := os.Rename(partial, path+compressed); err != nil {
		return err
	}
	return os.Remove(path)
}

// untilStopped reads until stop is closed.
type untilStopped struct {
	r    io.Reader
	stop <-chan struct{}
}

func (u untilStopped) Read(p []byte) (int, error) {
	select {
	case <-u.stop:
		return 0, errStopped
	default:
		return u.r.Read(p)
	}
}
