// Command torchserve starts, stops and is the model server: one binary in the
// place of TorchServe's launcher and its Java process (reference:
// cli-and-snapshots.md).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

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
	code := exitOK
	root := newCommand(stdout, stderr, &code)
	if len(args) > 0 && isSubcommand(args[0]) { // 0.12 has no words without a dash
		return call(root, args, stderr)
	}
	words, err := grammar.Normalize(args)
	if usage, ok := errors.AsType[*argparse.Error](err); ok {
		_, _ = fmt.Fprintf(stderr, "%storchserve: error: %s\n", usageText, usage.Reason)
		return exitUsage
	}
	root.SetArgs(words)
	if err := root.Execute(); err != nil {
		_, _ = fmt.Fprintf(stderr, "%storchserve: error: %v\n", usageText, err)
		return exitUsage
	}
	return code
}

// call runs one of the commands that talk to a running server. SIGINT and SIGTERM
// end it.
func call(root *cobra.Command, args []string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return report(cmd, err, stderr)
}
