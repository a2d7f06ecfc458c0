// Command torchserve starts, stops and is the model server: one binary in the
// place of TorchServe's launcher and its Java process (reference:
// cli-and-snapshots.md).
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/torchserve-go/torchserve/pkg/argparse"
)

// Exit codes of the command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	words, err := grammar.Normalize(args)
	if usage, ok := errors.AsType[*argparse.Error](err); ok {
		_, _ = fmt.Fprintf(stderr, "%storchserve: error: %s\n", usageText, usage.Reason)
		return exitUsage
	}
	code := exitOK
	root := newCommand(stdout, stderr, &code)
	root.SetArgs(words)
	if err := root.Execute(); err != nil {
		_, _ = fmt.Fprintf(stderr, "%storchserve: error: %v\n", usageText, err)
		return exitUsage
	}
	return code
}
