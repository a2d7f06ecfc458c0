package archiver

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// collector finds the files of an archive.
type collector struct {
	files    map[string]entry // by their name in the archive
	warn     func(string)
	keepTree bool
	manifest string      // what only the archiver writes
	target   os.FileInfo // the archive that is being replaced; nil: none
	created  time.Time
}

// file takes a file by its base name. The empty path is none.
func (c *collector) file(file string) error {
	if file == "" {
		return nil
	}
	info, err := stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return refuse("Not a file: %s", file)
	}
	c.put(filepath.Base(file), file, info)
	return nil
}

// stat follows links. Its errors are for the user.
func stat(file string) (os.FileInfo, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("No such file: %s", file)
	case err != nil:
		return nil, refuse("Cannot read %s: %v", file, errors.Unwrap(err))
	default:
		return info, nil
	}
}

// put takes a file, be it in the place of another one.
func (c *collector) put(name, source string, info os.FileInfo) {
	if before, found := c.files[name]; found && !os.SameFile(before.info, info) {
		c.warn(fmt.Sprintf("Two files are named %s: %s is packed, %s is not", name, source, before.source))
	}
	modified := info.ModTime().In(c.created.Location())
	if modified.After(c.created) {
		modified = c.created
	}
	c.files[name] = entry{
		name: name, source: source, size: info.Size(), runs: info.Mode()&0o111 != 0, modified: modified, info: info,
	}
}

// extra takes files, directories and patterns of both, separated by commas (MAR
// §10.4).
func (c *collector) extra(list string) error {
	for element := range strings.SplitSeq(list, ",") {
		element = strings.TrimSpace(element)
		if element == "" {
			continue
		}
		found, err := c.matches(element)
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := c.extraPath(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collector) matches(element string) ([]string, error) {
	if _, err := os.Lstat(element); err == nil || !isPattern(element) {
		return []string{element}, nil
	}
	found, err := glob(element)
	if err == nil && len(found) == 0 {
		c.warn("Given wildcard pattern did not match any file: " + element)
	}
	return found, err
}

func (c *collector) extraPath(file string) error {
	info, err := stat(file)
	switch {
	case err != nil:
		return err
	case c.isTarget(info):
		return nil
	case info.IsDir() && c.keepTree && isLeftOut(filepath.Base(file)):
		c.warn(file + " is not packed: directories of such a name are left out")
		return nil
	case info.IsDir():
		return c.tree(file, c.place(file), []os.FileInfo{info})
	case info.Mode().IsRegular():
		c.put(filepath.Base(file), file, info)
		return nil
	default:
		return refuse("Invalid extra file given %s", file)
	}
}

func (c *collector) isTarget(info os.FileInfo) bool {
	return c.target != nil && os.SameFile(c.target, info)
}

// place returns where in the archive the content of a directory goes: to the
// top, unless trees are kept and the directory has a name of its own.
func (c *collector) place(dir string) string {
	base := filepath.Base(dir)
	if !c.keepTree || !filepath.IsLocal(base) || base == "." {
		return ""
	}
	return base
}

// tree takes the files below a directory; above are those that led to it, itself
// included.
func (c *collector) tree(dir, place string, above []os.FileInfo) error {
	found, err := os.ReadDir(dir)
	if err != nil {
		return refuse("Cannot read %s: %v", dir, errors.Unwrap(err))
	}
	for _, f := range found {
		file, name := filepath.Join(dir, f.Name()), path.Join(place, f.Name())
		info, err := stat(file)
		if err != nil {
			return err
		}
		switch {
		case c.isTarget(info), info.IsDir() && isLeftOut(f.Name()):
			continue
		case name == c.manifest:
			c.warn(file + " is not packed: the archive gets its own")
		case info.Mode().IsRegular():
			c.put(name, file, info)
		case !info.IsDir():
			return refuse("Invalid extra file given %s", file)
		case slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, info) }):
			return refuse("Invalid extra file given %s: it leads back to where it is", file)
		default:
			if err := c.tree(file, name, append(above, info)); err != nil {
				return err
			}
		}
	}
	return nil
}

// isLeftOut reports whether directories of a name are left out.
func isLeftOut(name string) bool {
	return strings.HasPrefix(name, ".") && filepath.IsLocal(name) && name != "." || name == "__pycache__" || name == "__MACOSX"
}

// entries returns the files in order of their names. One of them cannot be where
// another one needs a directory.
func (c *collector) entries() ([]entry, error) {
	all := make([]entry, 0, len(c.files)+1)
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if file, found := c.files[dir]; found {
				return nil, refuse("%s cannot be packed beside %s: %s would be a file and a directory", file.source, c.files[name].source, dir)
			}
		}
		all = append(all, c.files[name])
	}
	return all, nil
}
