package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// exitNotRunning is what status ends with when there is no server, as systemctl
// does.
const exitNotRunning = 3

// overview is what status tells, in the form for machines.
type overview struct {
	Running   bool              `json:"running"`
	Ready     bool              `json:"ready"`
	Version   string            `json:"version,omitempty"`
	PID       int               `json:"pid,omitempty"`
	Since     *time.Time        `json:"since,omitempty"`
	Directory string            `json:"directory,omitempty"`
	Addresses map[string]string `json:"addresses,omitempty"`
	Models    []modelOverview   `json:"models"`
	Error     string            `json:"error,omitempty"` // why it is not all there
}

type modelOverview struct {
	Name       model.Name    `json:"name"`
	Version    model.Version `json:"version"`
	Ready      int           `json:"workersReady"`
	MinWorkers int           `json:"workersMin"`
	MaxWorkers int           `json:"workersMax"`
	Queued     int           `json:"queued"`
	Running    *int          `json:"running,omitempty"` // nil: not known
	GaveUp     bool          `json:"gaveUp,omitempty"`
}

func (c *caller) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the server runs and is ready",
		Long: "Say whether the server runs and is ready, since when, where, and how its models are.\n\n" +
			"Exit code 0: every model has its workers; 1: not; 3: no server runs.",
		Example: "  torchserve status\n  torchserve status --json",
		Args:    operands(),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := c.connect()
		if errors.Is(err, errNotRunning) {
			if asJSON {
				_ = c.document(overview{Models: []modelOverview{}}) // the exit code says it, too
			} else {
				_ = report(cmd, err, c.stderr)
			}
			return &exitError{exitNotRunning}
		}
		if err != nil {
			return err
		}
		return s.status(cmd.Context(), asJSON)
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (s *session) status(ctx context.Context, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o, err := s.overview(ctx)
	if asJSON {
		if err != nil {
			o.Error = err.Error()
		}
		if err := s.document(o); err != nil {
			return err
		}
	} else if err := s.show(o); err != nil {
		return err
	}
	switch {
	case err != nil && !asJSON:
		return s.explain(ctx, err)
	case err != nil || !o.Ready:
		return &exitError{exitFailed}
	default:
		return nil
	}
}

// overview asks for everything; with an error it holds what is known without.
func (s *session) overview(ctx context.Context) (overview, error) {
	o := overview{
		Running: s.here(), PID: s.pid, Directory: s.cfg.Server.Dir, Models: []modelOverview{},
		Addresses: map[string]string{"inference": s.inference.String(), "management": s.management.String()},
	}
	if !s.since.IsZero() {
		o.Since = &s.since
	}
	var err error
	if o.Ready, err = s.api.Ready(ctx); err != nil {
		return o, err
	}
	o.Running = true
	if o.Version, err = s.api.Version(ctx); err != nil {
		return o, err
	}
	figures, err := s.api.Figures(ctx)
	if err == nil { // the metrics may be off, or elsewhere
		o.Addresses["metrics"] = s.metrics.String()
		if o.Since == nil && !figures.Started.IsZero() {
			o.Since = &figures.Started
		}
	}
	o.Models, err = s.modelOverviews(ctx, figures.Models)
	return o, err
}

func (s *session) modelOverviews(ctx context.Context, figures map[model.Ref]client.ModelFigures) ([]modelOverview, error) {
	all, err := s.api.List(ctx)
	if err != nil {
		return nil, err
	}
	models := []modelOverview{}
	for _, m := range all {
		d, err := s.api.Describe(ctx, model.Ref{Name: m.Name, Version: client.AllVersions}, false)
		if refusal, ok := errors.AsType[*client.AnswerError](err); ok && refusal.Type == "ModelNotFoundException" {
			continue // unregistered meanwhile
		}
		if err != nil {
			return models, err
		}
		for _, v := range d.Versions {
			one := modelOverview{
				Name: v.Name, Version: v.Version, Ready: v.Ready(), MinWorkers: v.MinWorkers, MaxWorkers: v.MaxWorkers,
				Queued: v.Queue.Pending, GaveUp: v.GaveUp,
			}
			if f, ok := figures[model.Ref{Name: v.Name, Version: v.Version}]; ok {
				one.Running = &f.Running
			}
			models = append(models, one)
		}
	}
	return models, nil
}

// show prints the overview for a person.
func (s *session) show(o overview) error {
	health := "not ready"
	switch {
	case !o.Running:
		health = "not reached"
	case o.Ready:
		health = "ready"
	}
	rows := [][]string{{"Server", health}}
	add := func(title, text string) {
		if text != "" {
			rows = append(rows, []string{title, text})
		}
	}
	add("Version", o.Version)
	if o.Since != nil {
		add("Since", fmt.Sprintf("%s (%v)", moment(*o.Since), time.Since(*o.Since).Round(time.Second)))
	}
	if o.PID != 0 {
		add("Process", fmt.Sprintf("%d in %s", o.PID, o.Directory))
	}
	add("Inference", o.Addresses["inference"])
	add("Management", o.Addresses["management"])
	add("Metrics", o.Addresses["metrics"])
	if err := s.table(rows); err != nil || len(o.Models) == 0 {
		return err
	}
	s.say("")
	rows = [][]string{{"MODEL", "VERSION", "WORKERS", "RUNNING", "WAITING"}}
	for _, m := range o.Models {
		workers := fmt.Sprintf("%d/%d", m.Ready, m.MinWorkers)
		if m.GaveUp {
			workers += " gave up"
		}
		running := "?"
		if m.Running != nil {
			running = strconv.Itoa(*m.Running)
		}
		rows = append(rows, []string{string(m.Name), string(m.Version), workers, running, strconv.Itoa(m.Queued)})
	}
	return s.table(rows)
}
