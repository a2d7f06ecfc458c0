package config

import (
	"os"
	"path/filepath"
	"strings"
)

// python returns the absolute path of the interpreter (CLI §8): --python, else
// the key, else one beside this program, else one on PATH. Links are kept: a
// virtual environment is told by its own path.
func (r *reader) python() string {
	p := r.set["python"]
	if name := strings.TrimSpace(p.Value); name != "" {
		if path := r.executable(name); path != "" {
			return path
		}
		if p.Origin == FromFlag {
			r.refuse("python", "Python executable not found: "+name)
			return ""
		}
		// 0.12 never used the key, so a wrong one did no harm.
		r.lax("python", "Python executable not found: "+name+", looking for another")
	}
	names := []string{"python3", "python"}
	for _, name := range names {
		if path := filepath.Join(filepath.Dir(r.src.Executable), name); r.src.Executable != "" && isExecutable(path) {
			return path
		}
	}
	for _, name := range names {
		if path := r.executable(name); path != "" {
			return path
		}
	}
	r.refuse("python", "Python executable not found: python3")
	return ""
}

// executable finds a program as a shell does: by its path, or else on PATH.
func (r *reader) executable(name string) string {
	if strings.Contains(name, "/") {
		if path := r.abs(name); isExecutable(path) {
			return path
		}
		return ""
	}
	for _, dir := range filepath.SplitList(r.env["PATH"]) {
		if path := r.abs(filepath.Join(dir, name)); isExecutable(path) {
			return path
		}
	}
	return ""
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}
