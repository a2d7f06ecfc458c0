package e2etest

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Echo is a handler that answers with the bodies it gets.
const Echo = `
def handle(data, context):
    if data is None:
        return None
    return [bytes(row.get("body") or row.get("data") or b"") for row in data]
`

// Form is how an archive lies in the model store.
type Form uint8

// The forms.
const (
	Mar    Form = iota // NAME.mar, a zip file
	TarGz              // NAME.tar.gz, loaded as NAME
	Folder             // NAME, unpacked
)

// Archive is a model archive to be made. Its handler is handler.py.
type Archive struct {
	Name    string
	Version string            // "1.0" if empty
	Handler string            // Python source
	Config  string            // model-config.yaml; empty: none
	Needs   string            // requirements.txt; empty: none
	Files   map[string]string // more of them, or others in the place of those, by path
	Form    Form
}

// Location is the archive's name in the model store.
func (a Archive) Location() string {
	switch a.Form {
	case TarGz:
		return a.Name + ".tar.gz"
	case Folder:
		return a.Name
	default:
		return a.Name + ".mar"
	}
}

// Write makes the archive in the folder store and returns its Location.
func (a Archive) Write(t testing.TB, store string) string {
	t.Helper()
	target := filepath.Join(store, a.Location())
	files := a.files(t)
	if a.Form == Folder {
		for name, content := range files {
			file := filepath.Join(target, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
		}
		return a.Location()
	}
	f, err := os.Create(target)
	require.NoError(t, err)
	if a.Form == TarGz {
		packTar(t, f, a.Name, files)
	} else {
		packZip(t, f, files)
	}
	require.NoError(t, f.Close())
	return a.Location()
}

// files returns the content of all files of the archive, by path.
func (a Archive) files(t testing.TB) map[string]string {
	t.Helper()
	version := a.Version
	if version == "" {
		version = "1.0"
	}
	model := map[string]string{"modelName": a.Name, "modelVersion": version, "handler": "handler.py"}
	files := map[string]string{"handler.py": a.Handler}
	if a.Config != "" {
		model["configFile"] = "model-config.yaml"
		files["model-config.yaml"] = a.Config
	}
	if a.Needs != "" {
		model["requirementsFile"] = "requirements.txt"
		files["requirements.txt"] = a.Needs
	}
	manifest, err := json.Marshal(map[string]any{
		"createdOn": "24/11/2025 00:00:00", "runtime": "python", "archiverVersion": "0.12.0", "model": model,
	})
	require.NoError(t, err)
	files["MAR-INF/MANIFEST.json"] = string(manifest)
	maps.Copy(files, a.Files)
	return files
}

func packZip(t testing.TB, w io.Writer, files map[string]string) {
	t.Helper()
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entry, err := z.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(entry, files[name])
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
}

// packTar puts the files into a folder, as torch-model-archiver does.
func packTar(t testing.TB, w io.Writer, folder string, files map[string]string) {
	t.Helper()
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: path.Join(folder, name), Mode: 0o644, Size: int64(len(files[name]))}
		require.NoError(t, archive.WriteHeader(header))
		_, err := io.WriteString(archive, files[name])
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, compressed.Close())
}
