package archiver_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archiver"
)

const goodSpec = "models: {a: {url: a.mar}}\ndag: {pre: [a]}\n"

// workflow is one that can be packed.
func (p *place) workflow(spec string) archiver.Workflow {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(p.path("spec.yaml"), []byte(spec), 0o644))
	return archiver.Workflow{Name: "w", Spec: p.path("spec.yaml"), Handler: p.path("h.py")}
}

func TestWorkflow(t *testing.T) {
	t.Parallel()
	t.Run("WFL-021 a compressed zip file with the manifest at its end", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "x/y", "x.txt")
		w := p.workflow(goodSpec)
		w.Extra = p.path("x") + "," + p.path("*.txt")
		packed, err := w.Pack(t.Context(), p.output())
		require.NoError(t, err)
		assert.Equal(t, p.target("w.war"), packed.Path)
		all := readZip(t, packed.Path)
		for _, f := range all {
			assert.False(t, f.stored)
		}
		assert.Equal(t, []item{
			{name: "h.py", content: "h.py"},
			{name: "spec.yaml", content: goodSpec},
			{name: "x.txt", content: "x.txt"},
			{name: "y", content: "x/y"},
			{name: "WAR-INF/MANIFEST.json", content: `{
  "createdOn": "22/11/2024 12:00:00",
  "workflow": {
    "workflowName": "w",
    "specFile": "spec.yaml",
    "handler": "h.py"
  },
  "archiverVersion": "0.2.15"
}`},
		}, contents(all))
		assert.Empty(t, p.said)
	})
	t.Run("WFL-023 no handler", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		w := p.workflow("models: {a: {url: a.mar}}\ndag: {a: []}\n")
		w.Handler = ""
		packed, err := w.Pack(t.Context(), p.output())
		require.NoError(t, err)
		all := readZip(t, packed.Path)
		assert.Equal(t, []string{"spec.yaml", "WAR-INF/MANIFEST.json"}, names(packed))
		assert.NotContains(t, all[1].content, "handler")
		assert.Empty(t, p.said)
	})
	t.Run("of lists the first one counts", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "more.py")
		w := p.workflow(goodSpec)
		w.Handler += "," + p.path("more.py")
		packed, err := w.Pack(t.Context(), p.output())
		require.NoError(t, err)
		assert.Equal(t, []string{"h.py", "more.py", "spec.yaml", "WAR-INF/MANIFEST.json"}, names(packed))
		assert.Contains(t, readZip(t, packed.Path)[3].content, `"handler": "h.py"`)
	})
	t.Run("WFL-022 over one that is there", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		w := p.workflow(goodSpec)
		_, err := w.Pack(t.Context(), p.output())
		require.NoError(t, err)
		out := p.output()
		out.Force = true
		_, err = w.Pack(t.Context(), out)
		require.NoError(t, err)
		assert.Equal(t, []string{"Overwriting " + p.target("w.war") + " ..."}, p.said)
	})
}

func TestWorkflowChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *archiver.Workflow, out *archiver.Output)
		want   string
	}{
		"WFL-020 a name": {
			func(w *archiver.Workflow, _ *archiver.Output) { w.Name = "a b" },
			"Workflow name contains special characters.\nThe allowed regular expression filter for workflow name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$",
		},
		"WFL-020 no export path": {
			func(_ *archiver.Workflow, out *archiver.Output) { out.Dir += "/new" },
			"Given export-path OUT/new is not a directory. Point to a valid export-path directory.",
		},
		"WFL-020 it is there": {
			func(w *archiver.Workflow, _ *archiver.Output) { w.Name = "there" },
			"OUT/there.war already exists.\nPlease specify --force/-f option to overwrite the workflow archive output file.\nSee -h/--help for more details.",
		},
		"no specification": {func(w *archiver.Workflow, _ *archiver.Output) { w.Spec = "nowhere.yaml" }, "No such file: nowhere.yaml"},
		"an empty path":    {func(w *archiver.Workflow, _ *archiver.Output) { w.Spec = "" }, "Cannot read : no such file or directory"},
		"no handler":       {func(w *archiver.Workflow, _ *archiver.Output) { w.Handler = "nowhere.py" }, "No such file: nowhere.py"},
		"no extra file":    {func(w *archiver.Workflow, _ *archiver.Output) { w.Extra = "nowhere" }, "No such file: nowhere"},
		"nothing can be written": {
			func(_ *archiver.Workflow, out *archiver.Output) { out.Dir = "/proc" },
			"Failed to save the workflow-archive to workflow-path \"/proc\". Check the file permissions and retry.\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			require.NoError(t, os.WriteFile(p.target("there.war"), nil, 0o644))
			w, out := p.workflow(goodSpec), p.output()
			c.change(&w, &out)
			err := p.unchanged(func() error {
				_, err := w.Pack(t.Context(), out)
				return err
			})
			assert.Contains(t, p.shown(err.Error()), c.want)
		})
	}
}

// TestSpecifications is about what is said of a specification that a server
// would refuse. It is packed all the same.
func TestSpecifications(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec    string
		handler bool
		said    []string
	}{
		"good":                         {"models: {batch-size: 2, a: {url: a, max-workers: 2}}\ndag: {a: [null, ' ', b], b: null}", true, nil},
		"functions alone":              {"dag: {1: [2]}", true, nil},
		"no YAML":                      {"a: [", true, []string{"it is no YAML: "}},
		"nothing":                      {"", true, []string{"it must be a mapping"}},
		"no graph":                     {"models: {}", true, []string{"dag must be a mapping"}},
		"models that are none":         {"models: [a]\ndag: {a: []}", true, []string{"models must be a mapping"}},
		"successors that are no list":  {"dag: {a: b}", true, []string{"dag.a must be a list"}},
		"a model that is none":         {"models: {a: a.mar}\ndag: {a: []}", true, []string{"models.a must be a mapping"}},
		"a model without archive":      {"models: {a: {batch-size: 1}}\ndag: {a: []}", true, []string{"models.a has no url"}},
		"a model that is not used":     {"models: {b: {}}\ndag: {a: []}", true, nil},
		"a number that is none":        {"models: {batch-size: '1', a: {url: a, timeout-ms: 1.5}}\ndag: {a: []}", true, []string{"models.batch-size must be an integer", "models.a.timeout-ms must be an integer"}},
		"a function without a handler": {"models: {a: {url: a}}\ndag: {a: [f]}", false, []string{"f is no model, so it must be a function of a --handler"}},
		"a loop":                       {"dag: {a: [a]}", true, []string{"dag.a leads to itself"}},
		"two starts":                   {"dag: {a: [c], b: [c]}", true, []string{"dag must have one node without predecessor, not 2"}},
		"no start":                     {"dag: {a: [b], b: [a]}", true, []string{"dag must have one node without predecessor, not 0"}},
		"a cycle":                      {"dag: {a: [b], b: [c], c: [b]}", true, []string{"dag has a cycle"}},
		"an edge twice":                {"dag: {a: [b, b]}", true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			w := p.workflow(c.spec)
			if !c.handler {
				w.Handler = ""
			}
			_, err := w.Pack(t.Context(), p.output())
			require.NoError(t, err)
			require.Len(t, p.said, len(c.said), "%q", p.said)
			for i, said := range c.said {
				assert.Contains(t, p.said[i], "Workflow specification "+w.Spec+": "+said)
			}
		})
	}
}
