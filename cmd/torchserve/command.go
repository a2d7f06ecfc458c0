package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/config"
)

// version is the release of TorchServe that this server stands in for; clients
// and scripts compare it (CLI §5).
const version = "0.12.0"

const usageText = `usage: torchserve [-h] [-v | --start | --stop] [--ts-config TS_CONFIG]
                  [--model-store MODEL_STORE]
                  [--workflow-store WORKFLOW_STORE]
                  [--models MODEL_PATH1 MODEL_NAME=MODEL_PATH2... [MODEL_PATH1 MODEL_NAME=MODEL_PATH2... ...]]
                  [--log-config LOG_CONFIG] [--cpp-log-config CPP_LOG_CONFIG]
                  [--foreground] [--no-config-snapshots]
                  [--plugins-path PLUGINS_PATH] [--disable-token-auth]
                  [--enable-model-api] [--python PYTHON]
`

const examples = `  # serve two archives of the folder model_store, in the background
  torchserve --start --ncs --model-store model_store --models digits.mar resnet=resnet-18.mar
  # the same in the foreground, as in a container, with a configuration file
  torchserve --foreground --model-store model_store --models all --ts-config config.properties
  # keys to call it with are in key_file.json
  torchserve --stop

  # ask the running server, which is found with its keys
  torchserve status
  torchserve predict digits digit-3.png
  torchserve register resnet-18.mar --initial-workers 1
  torchserve logs -f --model resnet-18`

// invocation is a parsed command line.
type invocation struct {
	flags      config.Flags
	version    bool
	stop       bool
	foreground bool
}

// newCommand returns the command; the exit code of its run goes to code.
func newCommand(stdout, stderr io.Writer, code *int) *cobra.Command {
	var in invocation
	cmd := &cobra.Command{
		Use:           "torchserve",
		Short:         "Serve PyTorch and other Python models over REST.",
		Example:       examples,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		Run: func(cmd *cobra.Command, _ []string) {
			l := launcher{stdout: stdout, stderr: stderr, pids: newPidFile(os.Getenv)}
			*code = l.run(cmd.Context(), in)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	in.define(cmd)
	addCommands(cmd, &caller{
		stdin: os.Stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv,
		pids: func() pidFile { return newPidFile(os.Getenv) }, silence: silence,
	})
	return cmd
}

// addCommands adds those that talk to a running server. Their options are their
// own, and those above theirs alone.
func addCommands(root *cobra.Command, c *caller) {
	const calls, others = "calls", "others"
	root.AddGroup(&cobra.Group{ID: calls, Title: "Commands that talk to a running server:"}, &cobra.Group{ID: others, Title: "Other commands:"})
	root.SetHelpCommandGroupID(others)
	root.SetCompletionCommandGroupID(others)
	for _, cmd := range c.commands() {
		cmd.GroupID = calls
		cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%v", err) })
		root.AddCommand(cmd)
	}
}

func (in *invocation) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&in.version, "version", "v", false, "print the version and exit")
	f.Bool("start", false, "start the server (what happens without any action, too)")
	f.BoolVar(&in.stop, "stop", false, "stop the server; with --foreground wait for its end, up to 60 s")
	f.BoolVar(&in.foreground, "foreground", false, "stay in the foreground until the server ends")
	f.StringVar(&in.flags.ConfigFile, "ts-config", "", "`file` in the syntax of Java properties, such as config.properties")
	f.StringVar(&in.flags.ModelStore, "model-store", "", "`folder` of the model archives; mandatory unless the configuration names it")
	f.StringVar(&in.flags.WorkflowStore, "workflow-store", "", "`folder` of the workflow archives (default: the model store)")
	f.StringArrayVar(&in.flags.Models, "models", nil, "models to load: `[name=]location` ..., or all; a location is an archive or folder of the model store, or a URL")
	f.StringVar(&in.flags.LogConfig, "log-config", "", "log4j2 configuration `file`")
	f.StringVar(&in.flags.CPPLogConfig, "cpp-log-config", "", "log configuration `file` of C++ workers")
	f.BoolVar(&in.flags.NoConfigSnapshots, "no-config-snapshots", false, "neither write nor restore configuration snapshots (also --ncs)")
	f.StringVar(&in.flags.PluginsPath, "plugins-path", "", "`folder`, file or pattern of plugins (also --ppath)")
	f.BoolVar(&in.flags.DisableTokenAuth, "disable-token-auth", false, "serve without keys (also --dt)")
	f.BoolVar(&in.flags.EnableModelAPI, "enable-model-api", false, "let clients register and unregister models")
	f.StringVar(&in.flags.Python, "python", "", "Python interpreter of the workers, `path` or name (default: python3)")
}

func (l *launcher) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.stdout, format+"\n", args...) // a closed terminal must not end the server
}
