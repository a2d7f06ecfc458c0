package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
)

// patience bounds the calls that a server answers at once.
const patience = 30 * time.Second

// caller is what the commands that talk to a running server have in common.
type caller struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	pids           func() pidFile // where servers of this environment leave their number
	silence        time.Duration  // after which a call that lasts says that it does; 0: never

	to destination
}

// destination is what the options say about the server.
type destination struct {
	address    string
	management string
	keyFile    string
	insecure   bool
}

// session is one command on its way, with the server that it talks to.
type session struct {
	*caller
	target

	api *client.Client
}

// commands returns all of them.
func (c *caller) commands() []*cobra.Command {
	all := []*cobra.Command{
		c.statusCommand(), c.modelsCommand(), c.describeCommand(),
		c.registerCommand(), c.scaleCommand(), c.setDefaultCommand(), c.unregisterCommand(),
		c.predictCommand(), c.tokenCommand(), c.logsCommand(),
	}
	for _, cmd := range all {
		if cmd.Name() != "logs" { // which reads files
			c.reaching(cmd)
		}
	}
	return all
}

// command completes cmd: it finds the server, runs, and explains what went wrong.
func (c *caller) command(cmd *cobra.Command, run func(context.Context, *session, []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := c.connect()
		if err != nil {
			return err
		}
		return s.explain(cmd.Context(), run(cmd.Context(), s, args))
	}
	return cmd
}

// reaching adds the options that say where the server is, below those of cmd.
func (c *caller) reaching(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&c.to.address, "address", "", "inference `URL` of a server elsewhere, as in config.properties (or TORCHSERVE_ADDRESS)")
	f.StringVar(&c.to.management, "management-address", "", "its management `URL`; default: port 8081 there (or TORCHSERVE_MANAGEMENT_ADDRESS)")
	f.StringVar(&c.to.keyFile, "key-file", "", "`file` with the keys; default: that of the server here (or TORCHSERVE_KEY_FILE)")
	f.BoolVar(&c.to.insecure, "insecure", false, "accept any TLS certificate")
}

// connect finds the server.
func (c *caller) connect() (*session, error) {
	t, err := c.find()
	if err != nil {
		return nil, err
	}
	api, err := t.client(c.to.insecure)
	if err != nil {
		return nil, err
	}
	return &session{caller: c, target: t, api: api}, nil
}

// say prints a line of the command's result.
func (c *caller) say(format string, args ...any) {
	_, _ = fmt.Fprintln(c.stdout, plain(fmt.Sprintf(format, args...))) // who closed it does not read
}

// note prints a line about what goes on.
func (c *caller) note(format string, args ...any) {
	_, _ = fmt.Fprintln(c.stderr, plain(fmt.Sprintf(format, args...))) // the same
}

// document prints v as JSON, in the server's own form.
func (c *caller) document(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("make JSON: %w", err)
	}
	return c.raw(b.Bytes())
}

func (c *caller) raw(text []byte) error {
	if _, err := c.stdout.Write(text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// table prints rows below their titles. An empty cell is a dash.
func (c *caller) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	oneLine := strings.NewReplacer("\n", "?", "\t", "?")
	for _, row := range rows {
		for i := range row {
			row[i] = cmp.Or(oneLine.Replace(plain(row[i])), "-")
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t")) // Flush has the error
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// plain takes out of a text what would move the cursor of a terminal, but for the
// ends of lines: names and messages are others'.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '?'
		}
		return r
	}, text)
}

// operands accepts the words that are named: one in brackets may be missing, and
// a last one with dots may be repeated.
func operands(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		for i, name := range names {
			if i >= len(args) && !strings.HasPrefix(name, "[") {
				return usagef("missing %s", name)
			}
		}
		if len(args) > len(names) && (len(names) == 0 || !strings.HasSuffix(names[len(names)-1], "...")) {
			return usagef("unexpected argument: %s", args[len(names)])
		}
		return nil
	}
}

// usageError is a command line of one of these commands that makes no sense.
type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// hintedError is an error together with what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// hint adds advice to an error; nil stays nil.
func hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintedError{err, fmt.Sprintf(format, args...)}
}

// exitError ends a command whose output has said it all.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// report prints why a command failed and returns its exit code.
func report(cmd *cobra.Command, err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if usage, ok := errors.AsType[*usageError](err); ok {
		_, _ = fmt.Fprintf(stderr, "%s: error: %s\nHelp: %s --help\n", cmd.CommandPath(), plain(usage.reason), cmd.CommandPath())
		return exitUsage
	}
	if errors.Is(err, context.Canceled) { // Ctrl-C
		return exitFailed
	}
	_, _ = fmt.Fprintf(stderr, "torchserve: error: %s\n", plain(err.Error()))
	if hinted, ok := errors.AsType[*hintedError](err); ok {
		_, _ = fmt.Fprintln(stderr, plain(hinted.hint))
	}
	return exitFailed
}
