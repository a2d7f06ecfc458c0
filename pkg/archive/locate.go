package archive

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// Texts that clients read.
const (
	noStore      = "Model store has not been configured."
	emptyURL     = "empty url"
	relativePath = "Relative path is not allowed in url: "
	notFoundText = "Model not found at: "
	saveFailed   = "Failed to save model: "
)

// check applies the rules that need no look at any file and returns the last
// component of the location, which is empty for a directory with a trailing
// slash.
func (s *Store) check(location string) (base string, err error) {
	switch {
	case s.cfg.ModelStore == "":
		return "", fault.New(fault.ModelNotFound, noStore)
	case location == "":
		return "", fault.New(fault.ModelNotFound, emptyURL)
	case climbs(location):
		return "", fault.New(fault.ModelNotFound, relativePath+location)
	case looksLikeURL(location) && !s.allowed(location):
		return "", notAllowed(location)
	}
	base = baseName(location)
	if base == "." || base == downloadsDir || base == "" && hasScheme(location) {
		return "", notFound(location)
	}
	return base, nil
}

// climbs reports whether location holds "..", also in escaped form: the host
// or the file system would undo the escapes after the pattern was matched.
func climbs(location string) bool {
	if strings.Contains(location, "..") {
		return true
	}
	if !hasScheme(location) {
		return false
	}
	u, err := url.Parse(location)
	return err == nil && strings.Contains(u.Path, "..")
}

// local finds an archive by name: a file of the store, then a directory. A bare
// name means the store before the working directory, a path means what it says
// (decisions.md, "directories outside the store").
func (s *Store) local(ctx context.Context, location, base string) (place, error) {
	path := filepath.Join(s.cfg.ModelStore, base)
	info, err := os.Stat(path)
	exists := base != "" && err == nil
	switch {
	case exists && info.Mode().IsRegular():
		s.warnRenamed(location, path)
		claim, err := s.shelf.claim(ctx, base)
		return place{path: path, claim: claim}, err
	case exists && info.IsDir() && base == location:
		return place{path: path, isDir: true}, nil
	}
	if p, err := s.directory(location); err == nil {
		return p, nil
	}
	if exists && info.IsDir() {
		return place{path: path, isDir: true}, nil
	}
	return place{}, notFound(location)
}

// Has reports whether Open would look into an archive for this location: whether
// it is there, or a URL that may be fetched.
func (s *Store) Has(location string) bool {
	base, err := s.check(location)
	if err != nil {
		return false
	}
	if hasScheme(location) {
		return true
	}
	if _, err := os.Stat(filepath.Join(s.cfg.ModelStore, base)); err == nil && base != "" {
		return true
	}
	_, err = s.directory(location)
	return err == nil
}

// warnRenamed tells when an absolute path stands for the file of that name in
// the store.
func (s *Store) warnRenamed(location, path string) {
	if filepath.IsAbs(location) && filepath.Clean(location) != path {
		s.log.Warn().Str("url", location).Str("path", path).
			Msg("A path outside the model store stands for the file of that name in the store")
	}
}

// directory finds a directory by its path, absolute or relative to the working
// directory.
func (s *Store) directory(location string) (place, error) {
	path, err := filepath.Abs(location)
	if err != nil || !isDir(path) || s.reserved(path) {
		return place{}, notFound(location)
	}
	if inside(path, s.cfg.ModelStore) {
		return place{path: path, isDir: true}, nil
	}
	if !s.allowed("file://"+path) && !s.allowed("file://"+path+"/") {
		s.log.Warn().Str("path", path).
			Msg("A directory outside the model store is refused: allowed_urls does not admit it as a file:// URL")
		return place{}, notFound(location)
	}
	s.log.Warn().Str("path", path).Msg("Serving a directory outside the model store")
	return place{path: path, isDir: true}, nil
}

// reserved reports whether path is the store, the working directory or the
// root: none of them is ever a model.
func (s *Store) reserved(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true
	}
	return slices.ContainsFunc([]string{s.cfg.ModelStore, ".", "/"}, func(other string) bool {
		o, err := os.Stat(other)
		return err == nil && os.SameFile(info, o)
	})
}

// inside reports whether path lies below dir after links were followed; both
// must exist.
func inside(path, dir string) bool {
	p, errP := filepath.EvalSymlinks(path)
	d, errD := filepath.EvalSymlinks(dir)
	if errP != nil || errD != nil {
		return false
	}
	rel, err := filepath.Rel(d, p)
	return err == nil && rel != "." && filepath.IsLocal(rel)
}

func isDir(path string) bool {
	info, err := os.Stat(path) //nolint:gosec // the callers judge the path
	return err == nil && info.IsDir()
}

func notFound(location string) error {
	return fault.New(fault.ModelNotFound, notFoundText+location)
}

func saveError(location string, cause error) error {
	return &fault.Error{Kind: fault.Internal, Message: saveFailed + location, Details: details(cause), Err: cause}
}

// List returns the names of the archives in the store for load_models=all:
// directories, and files that end in .mar, .model, .tar.gz, .tgz or .zip;
// hidden entries are left out (MAR-078). Its errors have the text that 0.12
// logs as a warning.
func (s *Store) List() ([]string, error) {
	if s.cfg.ModelStore == "" {
		return nil, fault.New(fault.ModelNotFound, "Model store is not configured.")
	}
	entries, err := os.ReadDir(s.cfg.ModelStore)
	if err != nil {
		return nil, fault.Wrap(fault.ModelNotFound, "Model store path is not found: "+s.cfg.ModelStore, err)
	}
	var names []string
	for _, e := range entries {
		if s.listed(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Path returns where an archive of this name lies in the store, or would.
func (s *Store) Path(name string) string { return filepath.Join(s.cfg.ModelStore, name) }

func (s *Store) listed(name string) bool {
	info, err := os.Stat(filepath.Join(s.cfg.ModelStore, name))
	if err != nil || strings.HasPrefix(name, ".") {
		return false
	}
	isArchive := slices.ContainsFunc([]string{".mar", ".model", ".tar.gz", ".tgz", ".zip"}, func(suffix string) bool {
		return strings.HasSuffix(name, suffix)
	})
	return info.IsDir() || isArchive && info.Mode().IsRegular()
}
