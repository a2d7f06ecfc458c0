package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tool is a vendor's command that was found.
type tool struct {
	path    string
	environ []string
}

// What a tool may take: time to answer, time to close its output after that,
// and bytes of output.
const (
	askLimit   = 10 * time.Second
	closeLimit = time.Second
	maxOutput  = 4 << 20
)

// ask runs the tool and returns what it prints. The error names the command and
// what the tool said about its failure.
func (t tool) ask(ctx context.Context, args []string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var out, complaint capped
	cmd := exec.CommandContext(limited, t.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = t.environ, &out, &complaint, closeLimit
	err := cmd.Run()
	text := out.text.String()
	if errors.Is(err, exec.ErrWaitDelay) && limited.Err() == nil {
		err = nil // it has ended; something that it left has not
	}
	switch {
	case err != nil && limited.Err() != nil:
		err = fmt.Errorf("no answer within %v", askLimit)
	case err != nil:
		said := strings.TrimSpace(complaint.text.String() + "\n" + text)
		said, _, _ = strings.Cut(said, "\n")
		err = fmt.Errorf("%w: %s", err, said)
	case strings.TrimSpace(text) == "":
		err = errors.New("no output")
	}
	return text, t.context(args, err)
}

// context adds the command to an error.
func (t tool) context(args []string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", t.path, strings.Join(args, " "), err)
}

// capped keeps the beginning of what is written to it, and takes the rest.
type capped struct{ text bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	c.text.Write(p[:min(len(p), maxOutput-c.text.Len())])
	return len(p), nil
}

// find returns the path of a program in one of the folders of path, or "".
func find(path, name string) string {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// lookup returns the value of a variable in environ, and whether it is set.
func lookup(environ []string, name string) (value string, ok bool) {
	if name == "" {
		return "", false
	}
	for _, setting := range environ {
		if v, found := strings.CutPrefix(setting, name+"="); found {
			value, ok = v, true // the last one counts
		}
	}
	return value, ok
}
