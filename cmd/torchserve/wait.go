package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// waiting is how a command waits for workers.
type waiting struct {
	no    bool
	limit time.Duration
}

// Times of the waiting: there is no event for what happens in the server.
const (
	waitLimit    = 5 * time.Minute
	waitInterval = 200 * time.Millisecond
)

func (w *waiting) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&w.no, "no-wait", false, "do not wait for the workers")
	f.DurationVar(&w.limit, "wait", waitLimit, "how long to wait for the workers, as a `duration` such as 90s")
}

// follow waits until a version has the workers that it should have, and tells
// what happens to each. A worker that fails ends the waiting: the server tries
// again, yet whoever waits should know.
func (w *waiting) follow(ctx context.Context, s *session, ref model.Ref) (client.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	look := time.NewTicker(waitInterval)
	defer look.Stop()
	told := map[string]string{}
	for {
		d, err := describeOne(ctx, s, ref)
		if err != nil && ctx.Err() == nil {
			return d, err
		}
		if err == nil {
			s.tell(told, d)
			if done, err := settled(d); done || err != nil {
				return d, err
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return d, w.late(ctx, ref)
		}
	}
}

// late words the end of a waiting that its limit, or the user, has ended.
func (w *waiting) late(ctx context.Context, ref model.Ref) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err() //nolint:wrapcheck // Ctrl-C
	}
	return hint(fmt.Errorf("the workers of %s are not ready after %v", ref.Name, w.limit),
		"The server goes on trying. How it is: torchserve describe %s; what the workers say: torchserve logs model --model %s", ref.Name, ref.Name)
}

func describeOne(ctx context.Context, s *session, ref model.Ref) (client.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := s.api.Describe(ctx, ref, false)
	switch {
	case err != nil:
		return client.Description{}, err
	case len(d.Versions) == 0:
		return client.Description{}, fmt.Errorf("the server does not describe model %s", ref.Name)
	}
	return d.Versions[0], nil
}

// tell prints the workers whose state has changed.
func (s *session) tell(told map[string]string, d client.Description) {
	for _, worker := range d.Workers {
		if now := state(worker); told[worker.ID] != now {
			told[worker.ID] = now
			s.note("Worker %s: %s", worker.ID, now)
		}
	}
}

// settled reports whether a version has its workers, no more and no less.
func settled(d client.Description) (bool, error) {
	for _, worker := range d.Workers {
		if !worker.Ready() && worker.Error != "" {
			return false, hint(fmt.Errorf("worker %s of model %s did not start:\n%s", worker.ID, d.Name, indent(worker.Error)),
				"The server tries again; all that the worker said: torchserve logs model --model %s\n"+
					"Without it: torchserve unregister %s --version %s", d.Name, d.Name, d.Version)
		}
	}
	if d.GaveUp {
		return false, hint(fmt.Errorf("the server has given up to start the workers of model %s", d.Name),
			"Why: torchserve logs model --model %s. Another try: torchserve scale %s %d", d.Name, d.Name, max(1, d.MinWorkers))
	}
	return d.Ready() >= d.MinWorkers && len(d.Workers) <= d.MaxWorkers, nil
}
