package archiver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Output says where an archive goes, and how it is made.
type Output struct {
	Dir      string            // export path; empty: the working directory
	Force    bool              // what is there already is replaced
	KeepTree bool              // directories among the extra files keep their name; 0.12 packs their content only
	Created  time.Time         // no file of the archive is younger; zero: now
	Warn     func(text string) // gets what the user should know, in the order of events; nil: nobody does
}

// Packed is an archive that was made.
type Packed struct {
	Path  string // as messages show it: below Output.Dir as that was given
	Size  int64  // bytes; those of its files if it is a directory
	Files []File // in the order of the archive
}

// File is a file in an archive.
type File struct {
	Name string // slash-separated
	Size int64  // bytes
}

// refusal is an error in the words of 0.12, with its cause if that is not
// obvious.
type refusal struct {
	text  string
	cause error
}

func (r *refusal) Error() string {
	if r.cause == nil {
		return r.text
	}
	return r.text + "\n" + r.cause.Error()
}

func (r *refusal) Unwrap() error { return r.cause }

func refuse(format string, args ...any) error { return &refusal{text: fmt.Sprintf(format, args...)} }

// order is an archive that is to be made.
type order struct {
	Output
	kind     string // model or workflow: the word in messages
	name     string
	suffix   string // of the target
	makeDir  bool   // a missing export path is made
	manifest string // its name in the archive
	format   Format
}

// nameRule is what names consist of. 0.12 accepts a line break at the end, too.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_\-.]*$`)

// check refuses what must not be written, before anything is read (MAR §10.2,
// WFL §2).
func (o *order) check() error {
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Created.IsZero() {
		o.Created = time.Now()
	}
	if !nameRule.MatchString(o.name) {
		return refuse("%s name contains special characters.\nThe allowed regular expression filter for %s name is: %v",
			strings.ToUpper(o.kind[:1])+o.kind[1:], o.kind, nameRule)
	}
	if err := o.checkDir(); err != nil {
		return err
	}
	return o.checkTarget()
}

func (o *order) checkDir() error {
	info, err := os.Stat(o.dir())
	switch {
	case err == nil && info.IsDir():
		return nil
	case errors.Is(err, fs.ErrNotExist) && o.makeDir:
		o.Warn(fmt.Sprintf("Export directory (%s) does not exist. Creating...", o.Dir))
		return nil
	default:
		return refuse("Given export-path %s is not a directory. Point to a valid export-path directory.", o.Dir)
	}
}

// checkTarget refuses a target that is there, unless it may be replaced.
func (o *order) checkTarget() error {
	target := o.target()
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return o.unsaved(err)
	}
	if !o.Force {
		return refuse("%s already exists.\nPlease specify --force/-f option to overwrite the %s archive output file.\nSee -h/--help for more details.",
			target, o.kind)
	}
	if o.format != NoArchive && info.IsDir() {
		return refuse("%s is a directory. Move it away and retry.", target)
	}
	if o.format == NoArchive && !isModel(target) {
		return refuse("%s is not the directory of a model: it has no %s. Move it away and retry.", target, o.manifest)
	}
	o.Warn(fmt.Sprintf("Overwriting %s ...", target))
	return nil
}

// isModel reports whether a directory can be replaced without harm to anything
// but a model.
func isModel(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, filepath.FromSlash(model.ManifestFile)))
	return err == nil || len(entries) == 0
}

// dir returns the export path as the system wants it.
func (o *order) dir() string {
	if o.Dir == "" {
		return "."
	}
	return o.Dir
}

// target returns the path of the archive as Python joins it: messages show it.
func (o *order) target() string {
	if o.Dir == "" || strings.HasSuffix(o.Dir, "/") {
		return o.Dir + o.name + o.suffix
	}
	return o.Dir + "/" + o.name + o.suffix
}

// collector returns an empty one for the files of the archive.
func (o *order) collector() *collector {
	c := &collector{files: map[string]entry{}, warn: o.Warn, keepTree: o.KeepTree, manifest: o.manifest, created: o.Created}
	if info, err := os.Stat(o.target()); err == nil {
		c.target = info
	}
	return c
}

// write makes the archive of what c has and a manifest.
func (o *order) write(ctx context.Context, c *collector, manifest []byte) (Packed, error) {
	entries, err := c.entries()
	if err != nil {
		return Packed{}, err
	}
	entries = append(entries, entry{name: o.manifest, content: manifest, size: int64(len(manifest)), modified: o.Created})
	packed := Packed{Path: o.target()}
	packed.Size, err = o.save(ctx, entries)
	if err != nil {
		return Packed{}, o.unsaved(err)
	}
	for _, e := range entries {
		packed.Files = append(packed.Files, File{Name: e.name, Size: e.size})
	}
	return packed, nil
}

// unsaved words the failure to write an archive.
func (o *order) unsaved(err error) error {
	_, unread := errors.AsType[*readError](err)
	_, refused := errors.AsType[*refusal](err)
	switch {
	case refused:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("make %s: %w", o.target(), err)
	case unread:
		return &refusal{fmt.Sprintf("Failed to convert %s to the %s-archive.", o.name, o.kind), err}
	default:
		return &refusal{fmt.Sprintf("Failed to save the %[1]s-archive to %[1]s-path \"%[2]s\". Check the file permissions and retry.", o.kind, o.Dir), err}
	}
}
