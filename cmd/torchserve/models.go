package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

func (c *caller) modelsCommand() *cobra.Command {
	var asJSON bool
	cmd := c.command(&cobra.Command{
		Use:     "models",
		Short:   "List the registered models",
		Example: "  torchserve models\n  torchserve models --json",
		Args:    operands(),
	}, func(ctx context.Context, s *session, _ []string) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		all, err := s.api.List(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return s.document(map[string]any{"models": all})
		}
		if len(all) == 0 {
			s.note("No model is registered.")
			return nil
		}
		rows := [][]string{{"MODEL", "ARCHIVE"}}
		for _, m := range all {
			rows = append(rows, []string{string(m.Name), m.URL})
		}
		return s.table(rows)
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the server's JSON")
	return cmd
}

func (c *caller) describeCommand() *cobra.Command {
	var asJSON, customized bool
	var version string
	cmd := c.command(&cobra.Command{
		Use:               "describe MODEL",
		Short:             "Show a model, its workers and its queue",
		Example:           "  torchserve describe digits\n  torchserve describe digits --version all --json",
		Args:              operands("MODEL"),
		ValidArgsFunction: c.completeModel,
	}, func(ctx context.Context, s *session, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		d, err := s.api.Describe(ctx, ref(args[0], version), customized)
		if err != nil {
			return err
		}
		if asJSON {
			return s.raw(d.JSON)
		}
		for i, v := range d.Versions {
			if i > 0 {
				s.say("")
			}
			if err := s.describe(v); err != nil {
				return err
			}
		}
		return nil
	})
	cmd.Flags().StringVar(&version, "version", "", "`version`, or all; default: the one that clients get")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the server's JSON")
	cmd.Flags().BoolVar(&customized, "customized", false, "ask the model's handler, too (in the JSON: customizedMetadata)")
	return cmd
}

func ref(name, version string) model.Ref {
	return model.Ref{Name: model.Name(name), Version: model.Version(version)}
}

// describe prints one version.
func (c *caller) describe(d client.Description) error {
	workers := fmt.Sprintf("%d ready, %d to %d wanted", d.Ready(), d.MinWorkers, d.MaxWorkers)
	if d.GaveUp {
		workers += "; gave up, scale the model to try again"
	}
	err := c.table([][]string{
		{"Model", string(d.Name)},
		{"Version", string(d.Version)},
		{"Archive", d.URL},
		{"Workers", workers},
		{"Queue", fmt.Sprintf("%d waiting, room for %d more", d.Queue.Pending, d.Queue.Remaining)},
		{"Batch", fmt.Sprintf("%d, after %d ms", d.BatchSize, d.BatchDelay)},
		{"Time-outs", fmt.Sprintf("%d s for an answer, %d s for a start", d.Response, d.Startup)},
	})
	if err != nil || len(d.Workers) == 0 {
		return err
	}
	c.say("")
	rows := [][]string{{"WORKER", "STATUS", "PID", "MEMORY", "STARTED", "GPU"}}
	for _, w := range d.Workers {
		gpu := ""
		if w.GPU {
			gpu = w.GPUUsage
		}
		rows = append(rows, []string{w.ID, state(w), count(w.PID), size(w.Memory), moment(w.Created), gpu})
	}
	if err := c.table(rows); err != nil {
		return err
	}
	for _, w := range d.Workers {
		if w.Error != "" {
			c.say("\nWorker %s:\n%s", w.ID, indent(w.Error))
		}
	}
	return nil
}

// state is the state of a worker in a word.
func state(w client.Worker) string {
	switch {
	case w.Ready():
		return "ready"
	case w.Error != "":
		return "failed"
	default:
		return "loading"
	}
}

// count prints a number that is there.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// size prints a number of bytes.
func size(n int64) string {
	const unit = 1024
	switch {
	case n == 0:
		return ""
	case n < unit:
		return strconv.FormatInt(n, 10) + " B"
	}
	value, units := float64(n)/unit, "KMGTPE"
	for value >= unit && len(units) > 1 {
		value, units = value/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, units[0])
}

// moment prints a time of day as people here read it.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// indent sets a text of others apart.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
