// Package packing is what the commands of the archivers have in common: how they
// read their command line, what they say, and how they end.
package packing

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/archiver"
	"github.com/torchserve-go/torchserve/pkg/argparse"
)

// Exit codes of the commands.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it for SIGINT
)

// options are those that both commands have.
type options struct {
	extraFiles string
	exportPath string
	here       bool // no export path is given
	force      bool
	keepTree   bool
}

// Command is the command of an archiver.
type Command struct {
	Name    string
	Usage   string // what stands above the text of a usage error
	Short   string
	Example string
	Grammar argparse.Grammar
	// Define adds the options of the command before those that both have.
	Define func(cmd *cobra.Command)
	// Pack makes the archive that the options describe.
	Pack func(ctx context.Context, extra string, out archiver.Output) (archiver.Packed, error)
}

// Main runs the command and ends the process.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := c.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run executes a command line and returns its exit code. Cancelling ctx
// interrupts it.
func (c Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	words, err := c.Grammar.Normalize(args)
	if err != nil {
		return c.usageError(stderr, err)
	}
	var in options
	code := exitOK
	cmd := &cobra.Command{
		Use:               c.Name,
		Short:             c.Short,
		Example:           c.Example,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Run: func(cmd *cobra.Command, _ []string) {
			in.here = !cmd.Flags().Changed("export-path")
			code = c.pack(ctx, in, stdout, stderr)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetArgs(words)
	cmd.Flags().SortFlags = false
	c.Define(cmd)
	in.define(cmd)
	if err := cmd.Execute(); err != nil {
		return c.usageError(stderr, err)
	}
	return code
}

func (c Command) usageError(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "%s%s: error: %v\n", c.Usage, c.Name, err)
	return exitUsage
}

func (in *options) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&in.extraFiles, "extra-files", "", "more files, directories and patterns of both, separated by commas: `a.json,dir,*.txt`")
	f.StringVar(&in.exportPath, "export-path", "", "`directory` of the archive (default: the working directory)")
	f.BoolVarP(&in.force, "force", "f", false, "replace an archive that is there")
	f.BoolVar(&in.keepTree, "keep-tree", false, "pack a directory of --extra-files under its name; without this its content goes to the top of the archive")
}

// pack makes the archive and says what is in it.
func (c Command) pack(ctx context.Context, in options, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		_, _ = fmt.Fprintf(stderr, "ERROR - %v\n", err)
		return exitFailed
	}
	out := archiver.Output{Dir: in.exportPath, Force: in.force, KeepTree: in.keepTree}
	out.Warn = func(text string) { _, _ = fmt.Fprintf(stderr, "WARNING - %s\n", text) }
	var err error
	if in.here {
		if out.Dir, err = os.Getwd(); err != nil {
			return fail(fmt.Errorf("working directory: %w", err))
		}
	}
	if out.Created, err = created(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return fail(err)
	}
	packed, err := c.Pack(ctx, in.extraFiles, out)
	switch {
	case err != nil && ctx.Err() != nil:
		_, _ = fmt.Fprintln(stderr, "ERROR - Interrupted; nothing was changed.")
		return exitInterrupted
	case err != nil:
		return fail(err)
	}
	list(stdout, packed)
	return exitOK
}

// created returns the time that an archive is given: now, or that of
// https://reproducible-builds.org/specs/source-date-epoch/, in UTC.
func created(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s is no number of seconds", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// list says what was packed. It goes to standard output, where 0.12 says
// nothing: scripts look for warnings and errors on the other one.
func list(stdout io.Writer, packed archiver.Packed) {
	width := 0
	for _, f := range packed.Files {
		width = max(width, len(strconv.FormatInt(f.Size, 10)))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d files, %d bytes\n", packed.Path, len(packed.Files), packed.Size)
	for _, f := range packed.Files {
		fmt.Fprintf(&text, "  %*d  %s\n", width, f.Size, f.Name)
	}
	_, _ = io.WriteString(stdout, text.String()) // a closed terminal must not change the exit code
}
