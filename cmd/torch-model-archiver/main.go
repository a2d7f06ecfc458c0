// Command torch-model-archiver makes model archives (reference: model-archive.md
// §10).
package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/cmd/internal/packing"
	"github.com/torchserve-go/torchserve/pkg/archiver"
	"github.com/torchserve-go/torchserve/pkg/argparse"
	"github.com/torchserve-go/torchserve/pkg/model"
)

const usageText = `usage: torch-model-archiver [-h] --model-name MODEL_NAME
                            [--serialized-file SERIALIZED_FILE]
                            [--model-file MODEL_FILE] --handler HANDLER
                            [--extra-files EXTRA_FILES]
                            [--runtime {python,python3,LSP}]
                            [--export-path EXPORT_PATH]
                            [--archive-format {tgz,no-archive,zip-store,default}]
                            [-f] -v VERSION [-r REQUIREMENTS_FILE]
                            [-c CONFIG_FILE] [--keep-tree]
`

const examples = `  # model_store/digits.mar: a handler that reads weights.json of its folder, and its configuration
  torch-model-archiver --model-name digits --version 1.0 --handler handler.py \
      --extra-files weights.json --config-file model-config.yaml --export-path model_store
  # weights for a handler that comes with the server
  torch-model-archiver --model-name resnet -v 1.0 --handler image_classifier --serialized-file resnet18.pt \
      --extra-files index_to_name.json --export-path model_store
  # a package and its data, as the folders that they are; a function of the handler
  torch-model-archiver --model-name text -v 2.1 --handler serve.py:entry --extra-files mypackage,data --keep-tree
  # a folder instead of a file: weights that are large are neither compressed nor unpacked
  torch-model-archiver --model-name llm -v 1.0 --handler vllm_handler -c model-config.yaml --archive-format no-archive`

// grammar is the options of MAR §10.1, and --keep-tree.
//
//nolint:gochecknoglobals // read-only table
var grammar = argparse.Grammar{
	{Spellings: []string{"-h", "--help"}},
	{Spellings: []string{"--model-name"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"--serialized-file"}, Takes: argparse.One},
	{Spellings: []string{"--model-file"}, Takes: argparse.One},
	{Spellings: []string{"--handler"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"--extra-files"}, Takes: argparse.One},
	{Spellings: []string{"--runtime"}, Takes: argparse.One, Choices: []string{"python", "python3", "LSP"}},
	{Spellings: []string{"--export-path"}, Takes: argparse.One},
	{Spellings: []string{"--archive-format"}, Takes: argparse.One, Choices: []string{"tgz", "no-archive", "zip-store", "default"}},
	{Spellings: []string{"-f", "--force"}},
	{Spellings: []string{"-v", "--version"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"-r", "--requirements-file"}, Takes: argparse.One},
	{Spellings: []string{"-c", "--config-file"}, Takes: argparse.One},
	{Spellings: []string{"--keep-tree"}},
}

func main() { newCommand().Main() }

func newCommand() packing.Command {
	var m archiver.Model
	var format, runtime string
	return packing.Command{
		Name:    "torch-model-archiver",
		Usage:   usageText,
		Short:   "Make a model archive: a file, or a folder, that a server can load.",
		Example: examples,
		Grammar: grammar,
		Define: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&m.Name, "model-name", "", "`name` of the model and of the archive")
			f.StringVar(&m.Serialized, "serialized-file", "", "weights: a `file` of TorchScript (.pt), a state dict, ONNX …")
			f.StringVar(&m.Definition, "model-file", "", "Python `file` with the one class of an eager model")
			f.StringVar(&m.Handler, "handler", "", "name of a `handler` that comes with the server, or a Python file, with :function behind it for one of its functions")
			f.StringVar(&runtime, "runtime", "python", "`kind` of the workers: python, python3, LSP")
			f.StringVar(&format, "archive-format", "default", "`form` of the archive: default (.mar), zip-store (.mar, not compressed), tgz (.tar.gz), no-archive (a folder)")
			f.StringVarP(&m.Version, "version", "v", "", "`version` of the model")
			f.StringVarP(&m.Requirements, "requirements-file", "r", "", "requirements.txt, a `file` of what pip is to install for the model")
			f.StringVarP(&m.Config, "config-file", "c", "", "model-config.yaml, a `file` of workers, batching …")
		},
		Pack: func(ctx context.Context, extra string, out archiver.Output) (archiver.Packed, error) {
			m.Extra, m.Format, m.Runtime = extra, archiver.Format(format), model.Runtime(runtime)
			return m.Pack(ctx, out)
		},
	}
}
