package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// logFiles are the logs by the short names that people may use.
//
//nolint:gochecknoglobals // read-only table
var logFiles = map[string]string{
	"ts":            "ts_log.log",
	"access":        "access_log.log",
	"model":         "model_log.log",
	"ts_metrics":    "ts_metrics.log",
	"model_metrics": "model_metrics.log",
}

// logNames are their names in the order of the help.
const logNames = "ts, access, model, ts_metrics, model_metrics"

func (c *caller) logsCommand() *cobra.Command {
	var follow bool
	var lines int
	var name string
	cmd := &cobra.Command{
		Use:   "logs [LOG]",
		Short: "Show the log of the server here",
		Long: "Show the last lines of a log of the server here: " + logNames + ".\n\n" +
			"Without a running server it is that of the last one in this folder.",
		Example:   "  torchserve logs\n  torchserve logs -f --model digits\n  torchserve logs model -n 100",
		Args:      operands("[LOG]"),
		ValidArgs: strings.Split(logNames, ", "),
		RunE: func(cmd *cobra.Command, args []string) error {
			log := "ts"
			if len(args) > 0 {
				log = args[0]
			}
			file, ok := logFiles[strings.TrimSuffix(strings.TrimSuffix(log, ".log"), "_log")]
			if !ok {
				return usagef("there is no log %s: %s", log, logNames)
			}
			if lines < 0 {
				return usagef("--lines is a number of 0 and more")
			}
			path, err := c.logFile(file)
			if err != nil {
				return err
			}
			return c.logs(cmd.Context(), &tail{path: path, lines: lines, keep: aboutModel(name)}, follow)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	f.IntVarP(&lines, "lines", "n", 10, "`number` of lines to begin with")
	f.StringVar(&name, "model", "", "only lines about this `model`")
	_ = cmd.RegisterFlagCompletionFunc("model", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return c.completeModel(cmd, nil, begun)
	}) // fails for an option that there is not
	return cmd
}

func (c *caller) logs(ctx context.Context, t *tail, follow bool) error {
	err := t.begin(c.stdout)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return hint(err, "Without a running server, logs are looked for in logs of this folder, or in LOG_LOCATION.")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer t.close()
	if !follow {
		return nil
	}
	return t.follow(ctx, c.stdout)
}

// logFile returns the path of a log file: of the server that runs here, else of
// this folder.
func (c *caller) logFile(file string) (string, error) {
	metrics := strings.HasSuffix(file, "metrics.log")
	t, err := c.find()
	switch {
	case errors.Is(err, errNotRunning):
		dir := c.getenv("LOG_LOCATION")
		if metrics {
			dir = c.getenv("METRICS_LOCATION")
		}
		return filepath.Join(cmp.Or(dir, "logs"), file), nil
	case err != nil:
		return "", err
	case !t.here():
		return "", hint(errors.New("logs are read where the server runs"), "Unset %s and %s, or run this command there.", addressVariable, managementVariable)
	case metrics:
		return filepath.Join(t.cfg.Logs.MetricsDir, file), nil
	default:
		return filepath.Join(t.cfg.Logs.Dir, file), nil
	}
}

// aboutModel returns what tells the lines about a model: of its workers, of
// requests to it, and of its metrics. The empty name takes all lines.
func aboutModel(name string) func(line string) bool {
	if name == "" {
		return func(string) bool { return true }
	}
	quoted := regexp.QuoteMeta(name)
	about := regexp.MustCompile(`\bW-\d+-` + quoted + `_[^ _"]+[ "]|/` + quoted + `[/?: "]|(?i:model_?name):` + quoted + `[,|]|\b(?i:model) "?` + quoted + `\b`)
	return about.MatchString
}
