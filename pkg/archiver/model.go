package archiver

import (
	"context"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Format is the form of a model archive.
type Format string

// The formats.
const (
	Default   Format = "default"    // <name>.mar, a zip file
	ZipStore  Format = "zip-store"  // the same without compression
	Tgz       Format = "tgz"        // <name>.tar.gz, with all files in a directory <name>
	NoArchive Format = "no-archive" // <name>, a directory
)

// Model describes a model archive, as the options of torch-model-archiver do.
// Files are paths; the empty path is none.
type Model struct {
	Name         string
	Version      string        // empty: the manifest names none
	Handler      string        // built-in name, file, or file with or without .py and with :function behind it
	Runtime      model.Runtime // empty: python
	Serialized   string        // weights
	Definition   string        // Python file of an eager model
	Extra        string        // files, directories and patterns of both, separated by commas
	Requirements string
	Config       string // model-config.yaml
	Format       Format // empty: Default
}

// Pack makes the archive. What it refuses and why is in the words of 0.12, for
// the user of the command; whatever happens, the archive is complete or as it
// was. Cancelling ctx ends it soon, with an error that says so.
func (m Model) Pack(ctx context.Context, out Output) (Packed, error) {
	o := order{
		Output: out, kind: "model", name: m.Name, suffix: ".mar", makeDir: true, manifest: model.ManifestFile, format: m.Format,
	}
	switch m.Format {
	case "":
		o.format = Default
	case Tgz:
		o.suffix = ".tar.gz"
	case NoArchive:
		o.suffix = ""
	case Default, ZipStore:
	default:
		return Packed{}, refuse("Unknown archive format: %s", m.Format)
	}
	if err := o.check(); err != nil {
		return Packed{}, err
	}
	c := o.collector()
	if err := m.collect(c); err != nil {
		return Packed{}, err
	}
	manifest, err := m.manifest(o)
	if err != nil {
		return Packed{}, err
	}
	return o.write(ctx, c, manifest)
}

// collect takes the files in the order of 0.12: of equal names the last one
// counts (MAR §10.3).
func (m Model) collect(c *collector) error {
	for _, file := range []string{m.Definition, m.Serialized, m.handlerFile()} {
		if err := c.file(file); err != nil {
			return err
		}
	}
	if err := c.extra(m.Extra); err != nil {
		return err
	}
	for _, file := range []string{m.Requirements, m.Config} {
		if err := c.file(file); err != nil {
			return err
		}
	}
	return nil
}

func (m Model) manifest(o order) ([]byte, error) {
	var manifest modelManifest
	manifest.CreatedOn = createdOn(o.Created)
	manifest.Runtime = string(m.Runtime)
	if m.Runtime == "" {
		manifest.Runtime = string(model.Python)
	}
	manifest.Model.Name = m.Name
	manifest.Model.SerializedFile = base(m.Serialized)
	manifest.Model.Handler = base(m.Handler)
	manifest.Model.ModelFile = base(m.Definition)
	manifest.Model.Version = m.Version
	manifest.Model.Requirements = base(m.Requirements)
	manifest.Model.Config = base(m.Config)
	manifest.ArchiverVersion = modelVersion
	return encode(manifest)
}

// builtIn are the handlers that come with the server, by the names that 0.12's
// archiver knows.
//
//nolint:gochecknoglobals // read-only table
var builtIn = []string{
	"base_handler", "text_classifier", "image_classifier", "object_detector", "image_segmenter", "dali_image_classifier", "vllm_handler", "trt_llm_handler",
}

// builtInUnknown are those that it does not know: it wants a file, and so a file
// of the name is packed where there is one.
//
//nolint:gochecknoglobals // read-only table
var builtInUnknown = []string{"vision_handler", "text_handler", "densenet_handler", "dali_handler"}

// builtInCPP are those of the C++ worker.
//
//nolint:gochecknoglobals // read-only table
var builtInCPP = []string{"BaseHandler", "TorchScriptHandler"}

// handlerFile returns the file of the handler; empty: it comes with the server
// (MAR §10.3).
func (m Model) handlerFile() string {
	known, suffix := builtIn, ".py"
	if m.Runtime == model.LSP {
		known, suffix = builtInCPP, librarySuffix()
	}
	if m.Handler == "" || slices.Contains(known, m.Handler) {
		return ""
	}
	dir, file := path.Split(m.Handler)
	file, _, _ = strings.Cut(file, ":")
	file = dir + strings.TrimSuffix(file, suffix) + suffix
	if _, err := os.Stat(file); err != nil && m.Runtime != model.LSP && slices.Contains(builtInUnknown, m.Handler) {
		return ""
	}
	return file
}

// librarySuffix is that of the files of C++ handlers.
func librarySuffix() string {
	if runtime.GOOS == "darwin" {
		return ".dylib"
	}
	return ".so"
}
