package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// localFile is the properties file of the working directory.
const localFile = "config.properties"

// readSource finds and reads the properties source (section 2). Without one
// the result is empty.
func (r *reader) readSource() []property {
	path, named := r.namedFile()
	if named {
		r.source = Source{Kind: NamedSource, File: path}
		if path == "" { // an empty TS_CONFIG_FILE: nothing at all is read
			r.source.Kind = NoSource
			return nil
		}
		if !isFile(r.abs(path)) {
			r.exact("--ts-config file not found: " + path)
			return nil
		}
		return r.readFile(path)
	}
	local := isFile(r.abs(localFile))
	if !r.src.Flags.NoConfigSnapshots {
		if found, ok := r.newestSnapshot(r.abs(filepath.Join(r.logLocation(), "config"))); ok {
			r.source = Source{Kind: SnapshotSource, File: found.path}
			if local {
				r.warn(Warning{Level: Warn, Text: "Restoring from snapshot " + found.path + ", " + localFile + " is ignored"})
			}
			return found.properties
		}
	}
	if !local {
		return nil
	}
	r.source = Source{Kind: LocalSource, File: localFile}
	return r.readFile(localFile)
}

// namedFile returns the file that somebody asked for.
func (r *reader) namedFile() (string, bool) {
	if path, ok := r.env["TS_CONFIG_FILE"]; ok {
		return path, true
	}
	return r.src.Flags.ConfigFile, r.src.Flags.ConfigFile != ""
}

func (r *reader) readFile(path string) []property {
	data, err := os.ReadFile(r.abs(path))
	if err != nil {
		r.fault(Fault{Message: "Unable to read configuration file", Rule: reason(err), Where: path})
		return nil
	}
	all, err := parseProperties(data)
	if err != nil {
		r.fault(Fault{Message: err.Error(), Where: path})
	}
	return all
}

// snapshotName is the form of the names of snapshots; others are foreign
// files (D-CLI-14).
var snapshotName = regexp.MustCompile(`^\d{17}-(startup|snapshot|shutdown)\.cfg$`)

// saved is a snapshot in the snapshot folder.
type saved struct {
	path       string
	written    time.Time // according to the name, local time
	created    time.Time // according to the content, if it says so, else the name
	properties []property
}

// sameHour is how far apart the names of two snapshots may be for their
// content to decide which is newer: clocks are set back (D-CLI-23).
const sameHour = time.Hour

// newestSnapshot returns the newest usable snapshot of a folder. Those that
// cannot be read are skipped with a warning (D-CLI-21).
func (r *reader) newestSnapshot(dir string) (saved, bool) {
	files := listSnapshots(dir)
	for len(files) > 0 {
		n := 1
		for n < len(files) && files[0].written.Sub(files[n].written) < sameHour {
			n++
		}
		if best, ok := r.latest(files[:n]); ok {
			return best, true
		}
		files = files[n:]
	}
	return saved{}, false
}

// latest returns the usable file that was created last. The others are not read
// as a whole: with a thousand models that takes its time.
func (r *reader) latest(files []saved) (saved, bool) {
	for i := range files {
		files[i].created = creation(files[i])
	}
	slices.SortStableFunc(files, func(a, b saved) int { return b.created.Compare(a.created) })
	for _, s := range files {
		err := s.read()
		if err == nil {
			return s, true
		}
		r.warn(Warning{Level: Warn, Text: "Skipping snapshot " + s.path + ": " + reason(err)})
	}
	return saved{}, false
}

// createdForm is what a snapshot says about its time, in ms since 1970.
var createdForm = regexp.MustCompile(`"created"\\?: ?(\d{1,18})`)

// creation looks for the time in the text of a snapshot.
func creation(s saved) time.Time {
	data, _ := os.ReadFile(s.path) // why not is said by who needs it
	if m := createdForm.FindSubmatch(data); m != nil {
		ms, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits
		return time.UnixMilli(ms)
	}
	return s.written
}

// listSnapshots returns the snapshots of a folder, unread, newest name first.
func listSnapshots(dir string) []saved {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no folder yet
	}
	var files []saved
	for _, e := range entries {
		if e.IsDir() || !snapshotName.MatchString(e.Name()) {
			continue
		}
		stamp := e.Name()[:14] + "." + e.Name()[14:17]
		written, err := time.ParseInLocation("20060102150405.000", stamp, time.Local)
		if err != nil {
			continue // 17 digits that are no time
		}
		files = append(files, saved{path: filepath.Join(dir, e.Name()), written: written})
	}
	slices.SortStableFunc(files, func(a, b saved) int {
		return cmp.Or(b.written.Compare(a.written), cmp.Compare(b.path, a.path))
	})
	return files
}

var errNoState = errors.New("no valid model_snapshot")

func (s *saved) read() error {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	if s.properties, err = parseProperties(data); err != nil {
		return err
	}
	i := slices.IndexFunc(s.properties, func(p property) bool { return p.key == "model_snapshot" })
	var state struct{} // what is in it is pkg/snapshot's
	if i < 0 || json.Unmarshal([]byte(s.properties[i].value), &state) != nil {
		return errNoState
	}
	return nil
}

// isFile reports whether path leads to a regular file: reading a device or a
// pipe might never end.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// reason is the text of an error without the path, which is named beside it.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
