package archiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"
)

// workflowManifestFile is the manifest of a workflow archive.
const workflowManifestFile = "WAR-INF/MANIFEST.json"

// The archivers of 0.12 by their versions, which the manifests name.
const (
	modelVersion    = "0.12.0"
	workflowVersion = "0.2.15"
)

// modelManifest is MAR-INF/MANIFEST.json; the order of its keys is 0.12's (MAR
// §10.6).
type modelManifest struct {
	CreatedOn string `json:"createdOn"`
	Runtime   string `json:"runtime"`
	Model     struct {
		Name           string `json:"modelName"`
		SerializedFile string `json:"serializedFile,omitempty"`
		Handler        string `json:"handler,omitempty"`
		ModelFile      string `json:"modelFile,omitempty"`
		Version        string `json:"modelVersion,omitempty"`
		Requirements   string `json:"requirementsFile,omitempty"`
		Config         string `json:"configFile,omitempty"`
	} `json:"model"`
	ArchiverVersion string `json:"archiverVersion"`
}

// workflowManifest is WAR-INF/MANIFEST.json (WFL §2).
type workflowManifest struct {
	CreatedOn string `json:"createdOn"`
	Workflow  struct {
		Name    string `json:"workflowName"`
		Spec    string `json:"specFile"`
		Handler string `json:"handler,omitempty"`
	} `json:"workflow"`
	ArchiverVersion string `json:"archiverVersion"`
}

func createdOn(t time.Time) string { return t.Format("02/01/2006 15:04:05") }

// base returns the last component of a path; that of the empty path is empty.
func base(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// encode writes a manifest as Python's json does: two blanks of indentation,
// nothing but ASCII, no line break at the end.
func encode(manifest any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(manifest); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	var out strings.Builder
	for _, r := range strings.TrimSuffix(text.String(), "\n") {
		if r < 0x7f {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return []byte(out.String()), nil
}
