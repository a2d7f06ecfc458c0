package archiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Workflow describes a workflow archive, as the options of
// torch-workflow-archiver do. Files are paths.
type Workflow struct {
	Name    string
	Spec    string // YAML file
	Handler string // Python file of the function nodes; empty: none
	Extra   string // as in Model
}

// Pack makes the archive, a zip file <name>.war, as Model.Pack does. It warns of
// a specification that a server would refuse.
func (w Workflow) Pack(ctx context.Context, out Output) (Packed, error) {
	o := order{Output: out, kind: "workflow", name: w.Name, suffix: ".war", manifest: workflowManifestFile, format: Default}
	if err := o.check(); err != nil {
		return Packed{}, err
	}
	c := o.collector()
	specs, handlers := strings.Split(w.Spec, ","), strings.Split(w.Handler, ",")
	for _, file := range append(specs, handlers...) { // compat(0.12): they may be lists (WFL §2)
		if err := c.file(file); err != nil {
			return Packed{}, err
		}
	}
	if err := c.extra(w.Extra); err != nil {
		return Packed{}, err
	}
	text, err := os.ReadFile(specs[0])
	if err != nil { // none was named, or it cannot be opened
		return Packed{}, refuse("Cannot read %s: %v", specs[0], errors.Unwrap(err))
	}
	for _, fault := range specFaults(text, w.Handler != "") {
		o.Warn(fmt.Sprintf("Workflow specification %s: %s", specs[0], fault))
	}
	var manifest workflowManifest
	manifest.CreatedOn = createdOn(o.Created)
	manifest.Workflow.Name = w.Name
	manifest.Workflow.Spec = base(specs[0])
	manifest.Workflow.Handler = base(handlers[0])
	manifest.ArchiverVersion = workflowVersion
	written, err := encode(manifest)
	if err != nil {
		return Packed{}, err
	}
	return o.write(ctx, c, written)
}
