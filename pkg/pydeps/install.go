package pydeps

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Launch says how Python is started for a model.
type Launch interface {
	// Interpreter returns the program to run, or why it cannot be run; with
	// UseVenv the one of the model's environment, once that is made.
	Interpreter(a model.Archive, s model.Settings) (string, error)
	Environment(a model.Archive, extra ...string) []string
	// Packages returns the directory where the model's own packages belong.
	Packages(a model.Archive) string
}

// Config says what is installed. It is not changed after New.
type Config struct {
	Requirements bool          // install_py_dep_per_model
	Limit        time.Duration // for all that is installed for one model
	Home         string        // directory that contains the package ts
	Launch       Launch
	Log          zerolog.Logger
}

// Installer installs the dependencies of models.
type Installer struct{ cfg Config }

// New returns an Installer.
func New(cfg Config) *Installer { return &Installer{cfg} }

// Install makes what a model needs, if it needs anything, and blocks until that is
// done. The caller removes the model's directory after an error, which is a fault:
// ModelSetup when it cannot be made or takes too long, with the end of the output in
// Details; Internal when Python cannot be started. When ctx ended it is the cause of
// that.
func (i *Installer) Install(ctx context.Context, a model.Archive, s model.Settings) error {
	if a.Runtime == model.LSP {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, i.cfg.Limit, errLate)
	defer cancel()
	if s.UseVenv {
		if err := i.makeVenv(ctx, a, s); err != nil {
			return err
		}
	}
	if i.cfg.Requirements && a.Requirements != "" {
		return i.installRequirements(ctx, a, s)
	}
	return nil
}

var errLate = errors.New("the time is over (install_py_dep_timeout_sec)")

func (i *Installer) makeVenv(ctx context.Context, a model.Archive, s model.Settings) error {
	s.UseVenv = false // there is none yet
	python, err := i.cfg.Launch.Interpreter(a, s)
	if err != nil {
		return unstarted(a, err)
	}
	venv := filepath.Join(i.cfg.Launch.Packages(a), "venv")
	script := filepath.Join(i.cfg.Home, "ts", "utils", "setup_model_venv.py")
	o, err := i.run(ctx, a, python, script, venv)
	if err != nil {
		return i.failed(ctx, o, unmade{
			archive: a, err: err,
			message: fmt.Sprintf("Virtual environment creation failed for model %s", a.Name),
			logged:  fmt.Sprintf("Virtual environment creation for model %s at %s failed:", a.Name, venv),
		})
	}
	i.cfg.Log.Info().Msgf("Created virtual environment for model %s: %s", a.Name, venv)
	return nil
}

func (i *Installer) installRequirements(ctx context.Context, a model.Archive, s model.Settings) error {
	python, err := i.cfg.Launch.Interpreter(a, s)
	if err != nil {
		return unstarted(a, err)
	}
	args := []string{"-m", "pip", "install", "-U"}
	if s.UseVenv {
		args = append(args, "--upgrade-strategy", "only-if-needed")
	} else {
		args = append(args, "-t", i.cfg.Launch.Packages(a))
	}
	o, err := i.run(ctx, a, python, append(args, "-r", a.Requirements)...)
	if err != nil {
		message := fmt.Sprintf("Custom pip package installation failed for model %s", a.Name)
		return i.failed(ctx, o, unmade{archive: a, err: err, message: message, logged: message + ":"})
	}
	i.cfg.Log.Info().Msgf("Installed custom pip packages for model %s", a.Name)
	return nil
}

// run runs Python for a model.
func (i *Installer) run(ctx context.Context, a model.Archive, python string, args ...string) (*output, error) {
	a.Handler = "" // its place in PYTHONPATH is for workers
	o := &output{line: func(text string) {
		i.cfg.Log.Info().Msgf("Dependencies of model %s: %s", a.Name, text)
	}}
	return o, program{
		args: append([]string{python}, args...), dir: i.cfg.Launch.Packages(a), env: i.cfg.Launch.Environment(a),
	}.run(ctx, o)
}

// unmade says what could not be made, and why.
type unmade struct {
	archive model.Archive
	err     error
	message string // for the client
	logged  string // stands before the output in the log
}

// failed logs what could not be made, unless nobody wants it any more, and returns
// the fault.
func (i *Installer) failed(ctx context.Context, o *output, u unmade) error {
	var start *startError
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errLate):
		o.say(fmt.Sprintf("ended after %v: %v", i.cfg.Limit, cause))
	case cause != nil:
		return cause
	case errors.As(u.err, &start):
		return unstarted(u.archive, u.err)
	}
	tail := o.tail()
	i.cfg.Log.Error().Str(zerolog.ErrorFieldName, tail).Msg(u.logged)
	return &fault.Error{
		Op: "install dependencies", Kind: fault.ModelSetup, Subject: u.archive.ID(), Message: u.message, Details: tail, Err: u.err,
	}
}

// unstarted is the fault of a Python that cannot be started, in 0.12's words.
func unstarted(a model.Archive, cause error) error {
	return &fault.Error{
		Op: "install dependencies", Kind: fault.Internal, Subject: a.ID(), Message: "Failed to save model: " + a.URL, Err: cause,
	}
}
