package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
)

// renewal is the answer of token in the form for machines.
type renewal struct {
	Kind    client.Kind `json:"type"`
	File    string      `json:"file"`
	Expires *time.Time  `json:"expires,omitempty"`
	Key     string      `json:"key,omitempty"`
}

func (c *caller) tokenCommand() *cobra.Command {
	var show, asJSON bool
	cmd := c.command(&cobra.Command{
		Use:   "token inference|management",
		Short: "Renew a key",
		Long: "Renew a key: the server writes a new one to its key file, and the old one is dead at once.\n\n" +
			"The key is printed with --show only, alone on standard output.",
		Example:   "  torchserve token inference\n  KEY=$(torchserve token inference --show)",
		Args:      operands("inference|management"),
		ValidArgs: []string{string(client.Inference), string(client.Management)},
	}, func(ctx context.Context, s *session, args []string) error {
		kind := client.Kind(args[0])
		if kind != client.Inference && kind != client.Management {
			return usagef("there is no key of the kind %s: inference or management", args[0])
		}
		r, err := s.renew(ctx, kind)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("The %s key is new. It is in %s and expires %s.", kind, r.File, r.end())
		switch {
		case asJSON && !show:
			r.Key = ""
			return s.document(r)
		case asJSON:
			return s.document(r)
		case show:
			s.note("%s", text)
			s.say("%s", r.Key)
		default:
			s.say("%s", text)
		}
		return nil
	})
	cmd.Flags().BoolVar(&show, "show", false, "print the new key")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: type, file, expires, and with --show the key")
	return cmd
}

// renew renews a key, and reads it from the file to which the server has written
// it by then.
func (s *session) renew(ctx context.Context, kind client.Kind) (renewal, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.here() && !s.cfg.Security.TokensEnabled() {
		return renewal{}, fmt.Errorf("the server asks for no keys: %s", s.cfg.Security.TokensDisabledBy)
	}
	before, err := s.keys()
	if err != nil {
		return renewal{}, err
	}
	if before[client.API].Text == "" {
		return renewal{}, hint(fmt.Errorf("no API key, with which keys are renewed (key file: %q)", s.keyFile), "--key-file names the key file of the server.")
	}
	if err := s.api.Renew(ctx, kind); err != nil {
		return renewal{}, err
	}
	after, err := s.keys()
	if err != nil {
		return renewal{}, err
	}
	key := after[kind]
	if key.Text == before[kind].Text {
		return renewal{}, hint(fmt.Errorf("the %s key is renewed, and not in %s", kind, s.keyFile), "The server has written it to its own key file.")
	}
	r := renewal{Kind: kind, File: s.keyFile, Key: key.Text}
	if !key.Expires.IsZero() {
		r.Expires = &key.Expires
	}
	return r, nil
}

func (r renewal) end() string {
	if r.Expires == nil {
		return "never"
	}
	return moment(*r.Expires)
}
