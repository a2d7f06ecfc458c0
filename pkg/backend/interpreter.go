package backend

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// The oldest Python that workers run on.
const (
	oldestMajor = 3
	oldestMinor = 8
)

// askLimit bounds the time that an interpreter has to say which one it is.
const askLimit = 30 * time.Second

// question is understood by every Python, also by those that are too old.
const question = "import sys; print('%d %d %s' % (sys.version_info[0], sys.version_info[1], sys.executable))"

// Interpreters finds out, once for each, what the Python interpreters are that
// workers shall run on. The zero value is ready; it is safe for concurrent use.
type Interpreters struct {
	Environ []string // what they are asked in; nil: the environment of this process

	mu    sync.Mutex // Protects fields below
	known map[string]func() (string, error)
}

// Resolve returns the program behind name, which may be a launcher like those
// of pyenv: workers start faster without it. The first call for a name runs it
// and blocks until it has answered; others wait for that. The error says what to
// do about an interpreter that cannot be used.
func (i *Interpreters) Resolve(name string) (string, error) {
	i.mu.Lock()
	ask, ok := i.known[name]
	if !ok {
		ask = sync.OnceValues(func() (string, error) { return i.resolve(name) })
		if i.known == nil {
			i.known = map[string]func() (string, error){}
		}
		i.known[name] = ask
	}
	i.mu.Unlock()
	return ask()
}

func (i *Interpreters) resolve(name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit) // shared by all who wait
	defer cancel()
	cmd := exec.CommandContext(ctx, name, "-I", "-c", question)
	cmd.Env = i.Environ
	out, err := cmd.Output()
	if err != nil {
		return "", unusable(name, fmt.Errorf("it does not run: %w", err))
	}
	words := strings.SplitN(strings.TrimSpace(string(out)), " ", 3)
	if len(words) != 3 {
		return "", unusable(name, errors.New("it is no Python"))
	}
	major, errMajor := strconv.Atoi(words[0])
	minor, errMinor := strconv.Atoi(words[1])
	if errMajor != nil || errMinor != nil {
		return "", unusable(name, errors.New("it is no Python"))
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return "", unusable(name, fmt.Errorf("its version %d.%d is too old: workers need Python %d.%d or newer", major, minor, oldestMajor, oldestMinor))
	}
	if !filepath.IsAbs(words[2]) { // an embedded interpreter may not know itself
		return name, nil
	}
	return words[2], nil
}

func unusable(name string, cause error) error {
	return &fault.Error{
		Op: "use the Python interpreter", Kind: fault.WorkerStart, Subject: name, Err: cause,
		Hint: "name another one with --python or the key python",
	}
}
