package archive

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/gson"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// maxManifest is the size of a manifest, in bytes, beyond which it is not read.
const maxManifest = 4 << 20

const parseFailed = "Failed to parse signature.json."

// manifest is what the frontend reads of model.ManifestFile. A nil pointer
// is an absent key or null.
type manifest struct {
	created         *string
	archiverVersion *string
	runtime         model.Runtime // empty: unknown
	name            *string
	version         *string
	handler         *string
	config          *string
	requirements    *string
	modelIsNull     bool
}

// parseManifest reads a manifest (MAR §2.2). Unknown keys are ignored.
func parseManifest(text []byte) (manifest, error) {
	document, err := gson.Parse(text)
	if err != nil {
		return manifest{}, err
	}
	root, ok := document.(map[string]any)
	if !ok {
		return manifest{}, errors.New("not an object")
	}
	m := manifest{runtime: model.Python}
	body, given := root["model"]
	members, ok := body.(map[string]any)
	switch {
	case given && body == nil:
		m.modelIsNull = true
	case given && !ok:
		return manifest{}, errors.New("model is not an object")
	}
	f := fields{}
	m.created = f.text(root, "createdOn")
	m.archiverVersion = f.text(root, "archiverVersion")
	f.text(root, "description")
	if _, given := root["runtime"]; given {
		m.runtime = knownRuntime(f.text(root, "runtime"))
	}
	m.name = f.text(members, "modelName")
	m.version = f.text(members, "modelVersion")
	m.handler = f.text(members, "handler")
	m.config = f.text(members, "configFile")
	m.requirements = f.text(members, "requirementsFile")
	for _, unused := range []string{"serializedFile", "modelFile", "envelope", "version", "description"} {
		f.text(members, unused)
	}
	return m, f.err
}

// fields reads members that must be texts and keeps the first error. Numbers
// and truth values count as their texts.
type fields struct{ err error }

func (f *fields) text(members map[string]any, name string) *string {
	switch v := members[name].(type) {
	case string:
		return &v
	case json.Number:
		return new(v.String())
	case bool:
		return new(strconv.FormatBool(v))
	case nil:
		return nil
	default:
		f.err = cmp.Or(f.err, fmt.Errorf("%s is not a string", name))
		return nil
	}
}

// knownRuntime is case-sensitive, unlike the one of a request (MAR-023).
func knownRuntime(text *string) model.Runtime {
	if text == nil {
		return ""
	}
	if r, ok := model.ParseRuntime(*text); ok && string(r) == *text {
		return r
	}
	return ""
}

// read fills u.Archive and u.Config from the unpacked files and the request.
func (s *Store) read(r Request, u *Unpacked) error {
	m, err := s.manifest(u.dir())
	if err != nil {
		return err
	}
	u.Archive, err = merge(m, r)
	if err != nil {
		return err
	}
	u.Archive.Dir = u.dir()
	s.warnOutside(u.Archive)
	if u.Archive.ConfigFile, err = u.member("configFile", m.config); err != nil {
		return err
	}
	if u.Archive.Requirements, err = u.member("requirementsFile", m.requirements); err != nil {
		return err
	}
	if u.Archive.ConfigFile != "" {
		u.Config = s.modelConfig(u.Archive.ConfigFile, *m.config)
		if u.Config.Document != nil {
			u.Archive.ConfigJSON = string(yaml11.JSON(u.Config.Document))
		}
	}
	return u.Config.check()
}

// manifest reads the manifest below dir; without one all keys are absent.
func (s *Store) manifest(dir string) (manifest, error) {
	text, err := readFile(filepath.Join(dir, filepath.FromSlash(model.ManifestFile)), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{runtime: model.Python}, nil
	}
	var m manifest
	if err == nil {
		m, err = parseManifest(text)
	}
	if err != nil {
		return manifest{}, fault.Wrap(fault.InvalidModel, parseFailed, err)
	}
	s.warnMissing(m)
	if m.modelIsNull {
		return manifest{}, fault.New(fault.InvalidModel, "Missing Model entry in manifest file.")
	}
	return m, nil
}

func (s *Store) warnMissing(m manifest) {
	const hint = " is not defined. Please upgrade to torch-model-archiver 0.2.0 or higher"
	if m.archiverVersion == nil {
		s.log.Warn().Msg("Model archive version" + hint)
	}
	if m.created == nil {
		s.log.Warn().Msg("Model archive createdOn" + hint)
	}
}

// warnOutside tells of code that is looked for outside the archive: a directory
// before a function is the first that a worker imports from (MAR §7.6).
func (s *Store) warnOutside(a model.Archive) {
	module, _, found := strings.Cut(a.Handler, ":")
	if dir := filepath.Dir(module); found && !filepath.IsLocal(dir) {
		s.log.Warn().Str("model", string(a.Name)).Str("path", dir).Msg("The handler is looked for outside the model archive: " + a.Handler)
	}
}

// merge lays the request over the manifest (MAR §2.3) and validates the result
// (MAR §2.4).
func merge(m manifest, r Request) (model.Archive, error) {
	a := model.Archive{
		URL:      r.URL,
		Name:     cmp.Or(r.Name, model.Name(valueOf(m.name))),
		Version:  model.DefaultVersion,
		Runtime:  cmp.Or(r.Runtime, m.runtime),
		Handler:  cmp.Or(valueOf(m.handler), r.DefaultHandler),
		Envelope: r.Envelope,
	}
	if a.Name == "" && r.DeriveName {
		a.Name = model.DeriveName(r.URL)
	}
	if m.version != nil {
		a.Version = model.Version(*m.version)
	}
	if r.Handler != nil {
		a.Handler = *r.Handler
	}
	switch {
	case a.Name == "":
		return a, fault.New(fault.InvalidModel, "Model name is not defined.")
	case a.Runtime == "":
		return a, fault.New(fault.InvalidModel, "Runtime is not defined or invalid.")
	default:
		return a, nil
	}
}

func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// member returns the path of a file that the manifest names, which must stay
// in the model's directory (MAR-031); it need not exist.
func (u *Unpacked) member(key string, name *string) (string, error) {
	if valueOf(name) == "" {
		return "", nil
	}
	path := filepath.Join(u.dir(), *name)
	_, err := os.Lstat(path)
	if !filepath.IsLocal(*name) || err == nil && !inside(path, u.dir()) {
		return "", fault.New(fault.InvalidModel, "The manifest's "+key+" is outside the model archive: "+*name)
	}
	return path, nil
}
