// Command torch-workflow-archiver makes workflow archives (reference:
// workflows.md §2).
package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/cmd/internal/packing"
	"github.com/torchserve-go/torchserve/pkg/archiver"
	"github.com/torchserve-go/torchserve/pkg/argparse"
)

const usageText = `usage: torch-workflow-archiver [-h] --workflow-name WORKFLOW_NAME --spec-file
                               SPEC_FILE [--handler HANDLER]
                               [--export-path EXPORT_PATH] [-f]
                               [--extra-files EXTRA_FILES] [--keep-tree]
`

const examples = `  # wf_store/dog_breed.war: models and functions between them
  torch-workflow-archiver --workflow-name dog_breed --spec-file workflow.yaml --handler functions.py --export-path wf_store
  # models alone, over the archive that is there
  torch-workflow-archiver -f --workflow-name chain --spec-file workflow.yaml --export-path wf_store`

// grammar is the options of WFL §2, and --keep-tree.
//
//nolint:gochecknoglobals // read-only table
var grammar = argparse.Grammar{
	{Spellings: []string{"-h", "--help"}},
	{Spellings: []string{"--workflow-name"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"--spec-file"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"--handler"}, Takes: argparse.One},
	{Spellings: []string{"--export-path"}, Takes: argparse.One},
	{Spellings: []string{"-f", "--force"}},
	{Spellings: []string{"--extra-files"}, Takes: argparse.One},
	{Spellings: []string{"--keep-tree"}},
}

func main() { newCommand().Main() }

func newCommand() packing.Command {
	var w archiver.Workflow
	return packing.Command{
		Name:    "torch-workflow-archiver",
		Usage:   usageText,
		Short:   "Make a workflow archive: models joined in a graph, and the functions between them.",
		Example: examples,
		Grammar: grammar,
		Define: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&w.Name, "workflow-name", "", "`name` of the workflow and of the archive")
			f.StringVar(&w.Spec, "spec-file", "", "YAML `file` of the models and of the graph")
			f.StringVar(&w.Handler, "handler", "", "Python `file` of the functions")
		},
		Pack: func(ctx context.Context, extra string, out archiver.Output) (archiver.Packed, error) {
			w.Extra = extra
			return w.Pack(ctx, out)
		},
	}
}
