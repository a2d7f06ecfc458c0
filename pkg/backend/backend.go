package backend

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed all:ts all:model_archiver
var sources embed.FS

// Unpack writes the Python packages to dir/<hash>, where the hash is that of
// their content, and returns that path: the home of workers. A complete copy that
// is there already is used as it is; a damaged one is replaced. A copy appears
// by a rename, so nobody ever sees half of one, and servers of different
// versions may share dir, which is made if it is missing.
func Unpack(dir string) (home string, err error) {
	files, err := packageFiles(sources)
	if err != nil {
		return "", fmt.Errorf("read embedded Python packages: %w", err)
	}
	home = filepath.Join(dir, contentHash(files))
	if complete(home, files) {
		return home, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("unpack Python packages: %w", err)
	}
	made, err := os.MkdirTemp(dir, ".unpack-")
	if err != nil {
		return "", fmt.Errorf("unpack Python packages: %w", err)
	}
	err = write(made, files)
	if err == nil {
		err = install(made, home, files)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("unpack Python packages: %w", err), os.RemoveAll(made))
	}
	return home, nil
}

// file is one file of the packages; name is slash-separated and begins with that of the package.
type file struct {
	name    string
	content []byte
}

// packageFiles lists the packages in order of names, without what Python left
// behind where the binary was built.
func packageFiles(sources fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(sources, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "__pycache__":
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) == ".pyc":
			return nil
		}
		content, err := fs.ReadFile(sources, name)
		files = append(files, file{name: name, content: content})
		return err
	})
	return files, err
}

// contentHash names a copy; 16 digits are plenty to tell versions apart.
func contentHash(files []file) string {
	all := sha256.New()
	for _, f := range files {
		all.Write(fmt.Appendf(nil, "%s %d\n", f.name, len(f.content)))
		all.Write(f.content)
	}
	return hex.EncodeToString(all.Sum(nil))[:16]
}

// complete reports whether home holds every file as it should be. A cleaner of
// temporary directories may have taken some away.
func complete(home string, files []file) bool {
	for _, f := range files {
		found, err := os.ReadFile(filepath.Join(home, filepath.FromSlash(f.name)))
		if err != nil || !bytes.Equal(found, f.content) {
			return false
		}
	}
	return true
}

func write(dir string, files []file) error {
	for _, f := range files {
		target := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(target, f.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// install moves a complete copy to its name. Where a damaged copy is in the way
// it is moved aside first; where another server was faster, its copy is used.
func install(made, home string, files []file) error {
	err := os.Rename(made, home)
	if err == nil {
		return nil
	}
	if complete(home, files) {
		return os.RemoveAll(made)
	}
	aside := strings.TrimSuffix(made, string(filepath.Separator)) + ".old"
	if moved := os.Rename(home, aside); moved != nil {
		return errors.Join(err, moved)
	}
	if err := os.Rename(made, home); err != nil && !complete(home, files) {
		return err
	}
	return errors.Join(os.RemoveAll(made), os.RemoveAll(aside))
}
