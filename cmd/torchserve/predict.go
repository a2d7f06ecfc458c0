package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Media types that bodies are sent as, if nobody says otherwise. They decide what
// the handler gets: the bytes, as from curl -T, or what the JSON says (INF §6.1).
const (
	mediaBytes = "application/octet-stream"
	mediaJSON  = "application/json"
)

// prediction is the command predict, with its options.
type prediction struct {
	text, version, output string
	headers               []string
	explain, hasText      bool
	ref                   model.Ref
	named                 bool // answers stand below the names of their files
	answer                lasting
}

func (c *caller) predictCommand() *cobra.Command {
	var p prediction
	cmd := &cobra.Command{
		Use:   "predict MODEL [FILE|-]...",
		Short: "Ask a model",
		Long: "Ask a model, once for each file, and print what it answers while it answers.\n\n" +
			"The handler gets the bytes as they are, and of files named .json and texts that are a JSON object or list what\n" +
			"they say (Content-Type: application/json); --header 'Content-Type: ...' changes that. Without a file or text,\n" +
			"standard input is sent.",
		Example: "  torchserve predict digits digit-3.png --timeout 10s\n" +
			"  torchserve predict echo -d '{\"a\": 1}'\n" +
			"  torchserve predict resize photo.jpg --header 'Content-Type: image/jpeg' -o small.jpg",
		Args:              operands("MODEL", "[FILE]..."),
		ValidArgsFunction: c.completeModelThenFile,
	}
	cmd = c.command(cmd, func(ctx context.Context, s *session, args []string) error {
		p.ref, p.hasText = ref(args[0], p.version), cmd.Flags().Changed("data")
		return p.run(ctx, s, args[1:])
	})
	f := cmd.Flags()
	f.StringVarP(&p.text, "data", "d", "", "`text` to send in the place of a file")
	f.StringVar(&p.version, "version", "", "`version`; default: the one that clients get")
	f.StringArrayVar(&p.headers, "header", nil, "`'Name: value'` of a header to send; may be repeated")
	f.BoolVar(&p.explain, "explain", false, "ask for an explanation in the place of a prediction")
	f.StringVarP(&p.output, "output", "o", "", "`file` to write the answer to")
	p.answer.define(cmd)
	return cmd
}

func (p *prediction) run(ctx context.Context, s *session, files []string) error {
	header, err := p.header()
	if err != nil {
		return err
	}
	switch {
	case p.hasText && len(files) > 0:
		return usagef("--data and a file: one request has one body")
	case p.output != "" && len(files) > 1:
		return usagef("--output takes one answer, there are %d files", len(files))
	case p.hasText:
		return p.ask(ctx, s, input{strings.NewReader(p.text), int64(len(p.text)), textMedia(p.text)}, header)
	case len(files) == 0 && isTerminal(s.stdin):
		return usagef("nothing to send: name a file, or - for standard input, or give a text with --data")
	case len(files) == 0:
		files = []string{"-"}
	}
	p.named = len(files) > 1
	var failed bool
	for _, name := range files {
		if p.named {
			s.say("==> %s <==", name)
		}
		err := p.askFile(ctx, s, name, header)
		switch {
		case !p.named || ctx.Err() != nil:
			return err
		case err != nil:
			failed = true
			_ = report(nil, s.explain(ctx, err), s.stderr) // the other files may do better
		}
	}
	if failed {
		return &exitError{exitFailed}
	}
	return nil
}

// header reads the headers of the command line.
func (p *prediction) header() (http.Header, error) {
	h := http.Header{}
	for _, text := range p.headers {
		name, value, ok := strings.Cut(text, ":")
		name = strings.TrimSpace(name)
		switch {
		case !ok || name == "" || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n"):
			return nil, usagef("--header %q is not of the form 'Name: value'", text)
		case strings.EqualFold(name, "Authorization"):
			return nil, usagef("--header Authorization: keys do not belong on a command line, which everybody here can see: use --key-file")
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return h, nil
}

// input is a body to send.
type input struct {
	io.Reader

	length int64 // -1: unknown
	media  string
}

func textMedia(text string) string {
	text = strings.TrimSpace(text)
	if text != "" && strings.ContainsAny(text[:1], "{[") && json.Valid([]byte(text)) {
		return mediaJSON
	}
	return mediaBytes
}

func (p *prediction) askFile(ctx context.Context, s *session, name string, header http.Header) error {
	if name == "-" {
		return p.ask(ctx, s, input{s.stdin, -1, mediaBytes}, header)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	in := input{f, -1, mediaBytes}
	switch info, err := f.Stat(); {
	case err == nil && info.IsDir():
		return fmt.Errorf("input: %s is a folder", name)
	case err == nil && info.Mode().IsRegular() && info.Size() > 0: // files of the system have content without a size
		in.length = info.Size()
	}
	if strings.EqualFold(filepath.Ext(name), ".json") {
		in.media = mediaJSON
	}
	return p.ask(ctx, s, in, header)
}

// ask sends one body and prints or saves the answer.
func (p *prediction) ask(ctx context.Context, s *session, in input, header http.Header) error {
	header = header.Clone()
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", in.media)
	}
	return p.answer.run(ctx, s, s.inference, func(ctx context.Context, answered func()) error {
		answer, err := s.api.Predict(ctx, client.Prediction{
			Ref: p.ref, Explain: p.explain, Header: header, Body: in.Reader, Length: in.length,
		})
		if err != nil {
			return err
		}
		defer answer.Body.Close() //nolint:errcheck // only read
		answered()
		return p.pass(s, answer)
	})
}

// pass passes an answer on, as it comes.
func (p *prediction) pass(s *session, answer *client.Answer) error {
	if p.output != "" {
		return save(p.output, answer.Body)
	}
	shown := &screen{to: s.stdout, person: isTerminal(s.stdout)}
	if _, err := io.Copy(shown, answer.Body); err != nil {
		return err //nolint:wrapcheck // worded by both ends
	}
	if (shown.person || p.named) && shown.last != '\n' {
		s.say("")
	}
	return nil
}

// save writes an answer to a file. What broke off stays, as with other tools, and
// the exit code says so.
func save(path string, answer io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	_, err = io.Copy(f, answer)
	return errors.Join(err, f.Close())
}

// screen writes an answer as it comes; to a person at a terminal only what does it
// no harm.
type screen struct {
	to     io.Writer
	person bool
	last   byte // what it ends with
}

var errBinary = errors.New("the answer is binary")

func (w *screen) Write(b []byte) (int, error) {
	if w.person && bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return 0, hint(errBinary, "It is not shown on a terminal: -o FILE saves it.")
	}
	if len(b) > 0 {
		w.last = b[len(b)-1]
	}
	return w.to.Write(b) //nolint:wrapcheck // a writer like any other
}
