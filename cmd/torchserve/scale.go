package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

func (c *caller) scaleCommand() *cobra.Command {
	var version string
	var most int
	var synchronous bool
	var wait waiting
	answer := lasting{changes: true}
	cmd := c.command(&cobra.Command{
		Use:               "scale MODEL WORKERS",
		Short:             "Change the number of a model's workers",
		Example:           "  torchserve scale digits 2\n  torchserve scale digits 1 --max 4\n  torchserve scale digits 0",
		Args:              operands("MODEL", "WORKERS"),
		ValidArgsFunction: c.completeModel,
	}, func(ctx context.Context, s *session, args []string) error {
		least, err := strconv.ParseInt(args[1], 10, 32)
		switch {
		case err != nil || least < 0:
			return usagef("WORKERS is a number of 0 and more, not %s", args[1])
		case most != 0 && most < int(least):
			return usagef("--max %d is less than WORKERS, %d", most, least)
		}
		workers := model.Workers{Min: int(least), Max: max(most, int(least))}
		r := ref(args[0], version)
		var done client.Change
		err = answer.change(ctx, s, func(ctx context.Context) (err error) {
			done, err = s.scale(ctx, r, model.Scaling{Workers: workers, Synchronous: synchronous})
			return err
		})
		if err != nil || !done.Pending || wait.no {
			s.answered(done.Text, err)
			return err
		}
		d, err := wait.follow(ctx, s, r)
		if err == nil {
			s.say("Model %s %s; workers ready: %d", d.Name, d.Version, d.Ready())
		}
		return err
	})
	f := cmd.Flags()
	f.StringVar(&version, "version", "", "`version`; default: the one that clients get")
	f.IntVar(&most, "max", 0, "at most so many workers, for models that scale automatically (max_worker; default: WORKERS)")
	f.BoolVar(&synchronous, "synchronous", false, "let the server wait, and answer when the workers are there")
	wait.define(cmd)
	answer.define(cmd)
	return cmd
}

// scale orders workers; only the synchronous order takes its time.
func (s *session) scale(ctx context.Context, r model.Ref, want model.Scaling) (client.Change, error) {
	if !want.Synchronous {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return s.api.Scale(ctx, r, want)
}

// answered prints what the server said to a call that worked.
func (c *caller) answered(text string, err error) {
	if err == nil {
		c.say("%s", text)
	}
}

func (c *caller) setDefaultCommand() *cobra.Command {
	return c.command(&cobra.Command{
		Use:               "set-default MODEL VERSION",
		Short:             "Choose the version for clients that name none",
		Example:           "  torchserve set-default digits 2.0",
		Args:              operands("MODEL", "VERSION"),
		ValidArgsFunction: c.completeModel,
	}, func(ctx context.Context, s *session, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		text, err := s.api.SetDefault(ctx, ref(args[0], args[1]))
		s.answered(text, err)
		return err
	})
}

func (c *caller) unregisterCommand() *cobra.Command {
	var version string
	answer := lasting{changes: true}
	cmd := c.command(&cobra.Command{
		Use:               "unregister MODEL",
		Short:             "Remove a model; its archive stays",
		Example:           "  torchserve unregister digits\n  torchserve unregister digits --version 1.0 --timeout 30s",
		Args:              operands("MODEL"),
		ValidArgsFunction: c.completeModel,
	}, func(ctx context.Context, s *session, args []string) error {
		return answer.change(ctx, s, func(ctx context.Context) error {
			text, err := s.api.Unregister(ctx, ref(args[0], version))
			s.answered(text, err)
			return err
		})
	})
	cmd.Flags().StringVar(&version, "version", "", "`version`; default: the one that clients get")
	answer.define(cmd)
	return cmd
}
