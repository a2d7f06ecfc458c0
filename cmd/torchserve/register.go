package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// registration is the command register, with its options.
type registration struct {
	name, handler, runtime          string
	batchSize, batchDelay, workers  int
	responseTimeout, startupTimeout int
	s3SSEKMS, synchronous, force    bool
	wait                            waiting
	answer                          lasting
	given                           func(option string) bool
}

func (c *caller) registerCommand() *cobra.Command {
	r := registration{answer: lasting{changes: true}}
	cmd := c.command(&cobra.Command{
		Use:   "register ARCHIVE",
		Short: "Register a model from an archive: a file, a name in the model store, or a URL",
		Long: "Register a model from an archive, and wait for its workers.\n\n" +
			"ARCHIVE is a file, which is copied into the model store if it does not lie there, a name in the model store,\n" +
			"or a URL that the server may fetch (allowed_urls). The server must allow it: --enable-model-api.",
		Example: "  torchserve register digits.mar --initial-workers 1\n" +
			"  torchserve register https://example.com/resnet.mar --name resnet --batch-size 8 --max-batch-delay 20",
		Args: operands("ARCHIVE"),
	}, func(ctx context.Context, s *session, args []string) error { return r.run(ctx, s, args[0]) })
	f := cmd.Flags()
	f.StringVar(&r.name, "name", "", "`name` of the model (model_name; default: as the archive says)")
	f.StringVar(&r.handler, "handler", "", "`handler` in the place of the archive's")
	f.StringVar(&r.runtime, "runtime", "", "`runtime` in the place of the archive's: python, python3 or LSP")
	f.IntVar(&r.workers, "initial-workers", 0, "workers to start (default: default_workers_per_model of the server, which may be none)")
	f.IntVar(&r.batchSize, "batch-size", 0, "largest batch")
	f.IntVar(&r.batchDelay, "max-batch-delay", 0, "how long a batch waits for more requests, in `ms`")
	f.IntVar(&r.responseTimeout, "response-timeout", 0, "time for an answer of the model, in `seconds`")
	f.IntVar(&r.startupTimeout, "startup-timeout", 0, "time for the start of a worker, in `seconds`")
	f.BoolVar(&r.s3SSEKMS, "s3-sse-kms", false, "the archive lies in S3, encrypted by KMS")
	f.BoolVar(&r.synchronous, "synchronous", false, "let the server wait, and take the model back if a worker does not start")
	f.BoolVar(&r.force, "force", false, "replace another file of the same name in the model store")
	r.wait.define(cmd)
	r.answer.define(cmd)
	r.given = f.Changed
	return cmd
}

func (r *registration) run(ctx context.Context, s *session, archive string) error {
	if s.here() && !s.cfg.Security.ModelAPI.Enabled {
		return hint(errModelAPI, "%s", s.aboutModelAPI())
	}
	if _, err := s.key(client.Management); err != nil { // before anything is copied
		return err
	}
	url, undo, err := s.shelve(ctx, archive, r.force)
	if err != nil {
		return err
	}
	s.note("Registering %s …", shown(url))
	var done client.Change
	err = r.answer.change(ctx, s, func(ctx context.Context) (err error) {
		done, err = s.api.Register(ctx, r.parameters(url))
		return err
	})
	if refused(err) { // else the archive stays: a model without it would keep the server from starting again
		undo()
	}
	if err != nil {
		return err
	}
	if done.Ref.Name == "" { // a server that does not say
		done.Ref = ref(r.name, "")
	}
	if !done.Pending || r.wait.no || done.Ref.Name == "" {
		s.answered(done.Text, nil)
		return s.mention(ctx, done.Ref)
	}
	d, err := r.wait.follow(ctx, s, done.Ref)
	if err == nil {
		s.say("Model %s %s is registered; workers ready: %d", d.Name, d.Version, d.Ready())
	}
	return err
}

// refused reports whether a call has surely changed nothing.
func refused(err error) bool {
	_, answered := errors.AsType[*client.AnswerError](err)
	_, unreachable := errors.AsType[*client.UnreachableError](err)
	_, unsent := errors.AsType[*usageError](err)
	return answered || unreachable || unsent || untrusted(err)
}

// mention says what a model without workers needs.
func (s *session) mention(ctx context.Context, ref model.Ref) error {
	if ref.Name == "" {
		return nil
	}
	d, err := describeOne(ctx, s, ref)
	if err == nil && d.MaxWorkers == 0 {
		s.note("It has no worker yet: torchserve scale %s 1", ref.Name)
	}
	return err
}

var errModelAPI = errors.New("the server does not let clients register models")

// parameters returns what the options say.
func (r *registration) parameters(url string) model.Registration {
	m := model.Registration{
		URL: url, Name: model.Name(r.name), Runtime: model.Runtime(r.runtime), S3SSEKMS: r.s3SSEKMS, Synchronous: r.synchronous,
	}
	if r.given("handler") {
		m.Handler = &r.handler
	}
	number := func(option string, n int) *int {
		if !r.given(option) {
			return nil
		}
		return &n
	}
	span := func(option string, n int, unit time.Duration) *time.Duration {
		if !r.given(option) {
			return nil
		}
		d := time.Duration(n) * unit
		return &d
	}
	m.BatchSize, m.Workers = number("batch-size", r.batchSize), number("initial-workers", r.workers)
	m.BatchDelay = span("max-batch-delay", r.batchDelay, time.Millisecond)
	m.Response = span("response-timeout", r.responseTimeout, time.Second)
	m.Startup = span("startup-timeout", r.startupTimeout, time.Second)
	return m
}

// shown is a location without what may be a secret in it.
func shown(location string) string {
	location, _, _ = strings.Cut(location, "?")
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok {
		return location
	}
	host, path, slash := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	if !slash {
		return scheme + "://" + host
	}
	return scheme + "://" + host + "/" + path
}
