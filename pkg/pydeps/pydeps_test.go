package pydeps_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
	"github.com/torchserve-go/torchserve/pkg/pydeps"
)

// launch starts this program in the place of Python.
type launch struct {
	program string // empty: none can be started
	err     error
}

func (l launch) Interpreter(a model.Archive, s model.Settings) (string, error) {
	if s.UseVenv {
		return filepath.Join(l.Packages(a), "venv", "bin", "python"), l.err
	}
	return l.program, l.err
}

func (launch) Environment(a model.Archive, _ ...string) []string {
	return []string{"HANDLER=" + a.Handler, "PATH=" + os.Getenv("PATH")}
}

func (launch) Packages(a model.Archive) string {
	if holder, ok := strings.CutSuffix(a.Dir, "/link"); ok {
		return holder
	}
	return a.Dir
}

// site is a model whose dependencies are to be installed.
type site struct {
	t   *testing.T
	cfg pydeps.Config
	a   model.Archive
	s   model.Settings
	log bytes.Buffer
}

// newSite makes a model with a requirements file; change edits it.
func newSite(t *testing.T, requirements string, change func(*site)) *site {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	s := &site{
		t:   t,
		cfg: pydeps.Config{Requirements: true, Limit: time.Minute, Home: "/home", Launch: launch{program: program}},
		a: model.Archive{
			URL: "m.mar", Dir: dir, Name: "m", Version: "1.0", Handler: "h.py:f", Runtime: model.Python,
			Requirements: filepath.Join(dir, "requirements.txt"),
		},
	}
	s.cfg.Log = zerolog.New(&s.log)
	s.file("requirements.txt", requirements)
	if change != nil {
		change(s)
	}
	return s
}

func (s *site) file(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.a.Dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o600))
}

// venv gives the model an environment, which the script seems to have made.
func (s *site) venv() {
	s.t.Helper()
	s.s.UseVenv = true
	program, err := os.Executable()
	require.NoError(s.t, err)
	bin := filepath.Join(s.a.Dir, "venv", "bin")
	require.NoError(s.t, os.MkdirAll(bin, 0o700))
	require.NoError(s.t, os.Symlink(program, filepath.Join(bin, "python")))
}

func (s *site) install() error { return pydeps.New(s.cfg).Install(s.t.Context(), s.a, s.s) }

// runs returns how Python was run in a directory.
func (s *site) runs(dir string) (all []run) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, runs))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(s.t, err)
	}
	for line := range strings.Lines(string(text)) {
		var r run
		require.NoError(s.t, json.Unmarshal([]byte(line), &r))
		all = append(all, r)
	}
	return all
}

// logged returns the messages of a level, each with the error below it, as the log
// shows it.
func (s *site) logged(level string) (all []string) {
	s.t.Helper()
	for lines := bufio.NewScanner(&s.log); lines.Scan(); {
		var e struct{ Level, Message, Error string }
		require.NoError(s.t, json.Unmarshal(lines.Bytes(), &e))
		if e.Level == level {
			all = append(all, strings.TrimSuffix(e.Message+"\n"+e.Error, "\n"))
		}
	}
	return all
}

// awaitWaiting blocks until a program waits to be interrupted, and returns what it
// has to say.
func (s *site) awaitWaiting() (text string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		content, err := os.ReadFile(filepath.Join(s.a.Dir, "waits"))
		text = string(content)
		return err == nil
	}, time.Minute, time.Millisecond)
	return text
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	const pip = "-m pip install -U"
	t.Run("MAR-130 into the model's directory", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "print 2\n", nil)
		require.NoError(t, s.install())
		all := s.runs(s.a.Dir)
		require.Len(t, all, 1)
		assert.Equal(t, strings.Fields(pip+" -t "+s.a.Dir+" -r "+s.a.Requirements), all[0].Args[1:])
		assert.Equal(t, s.a.Dir, all[0].Dir)
		assert.Contains(t, all[0].Environ, "HANDLER=", "the handler's part of PYTHONPATH is for workers")
		assert.Equal(t, []string{
			"Dependencies of model m: line 0", "Dependencies of model m: line 1", "Installed custom pip packages for model m",
		}, s.logged("info"))
	})
	t.Run("MAR-130 beside the link to a directory that is served in place", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "", nil)
		holder := t.TempDir()
		s.a.Dir = filepath.Join(holder, "link")
		require.NoError(t, s.install())
		all := s.runs(holder)
		require.Len(t, all, 1)
		assert.Equal(t, strings.Fields(pip+" -t "+holder+" -r "+s.a.Requirements), all[0].Args[1:])
	})
	for name, change := range map[string]func(*site){
		"MAR-130 not unless it is configured": func(s *site) { s.cfg.Requirements = false },
		"not without a requirements file":     func(s *site) { s.a.Requirements = "" },
		"not for C++ workers":                 func(s *site) { s.a.Runtime = model.LSP },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "exit 1\n", change)
			require.NoError(t, s.install())
			assert.Empty(t, s.runs(s.a.Dir))
			assert.Zero(t, s.log.Len())
		})
	}
	t.Run("MAR-131 a failure", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "print 1\nsay ERROR: No matching distribution\nexit 1\n", nil)
		err := s.install()
		assert.Equal(t, fault.ModelSetup, fault.KindOf(err))
		assert.Equal(t, "Custom pip package installation failed for model m", fault.Message(err))
		assert.Equal(t, "line 0\nERROR: No matching distribution", fault.Details(err))
		assert.Equal(t, []string{"Custom pip package installation failed for model m:\nline 0\nERROR: No matching distribution"}, s.logged("error"))
	})
	t.Run("MAR-131 a file that is missing", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "", nil)
		require.NoError(t, os.Remove(s.a.Requirements))
		err := s.install()
		assert.Equal(t, "Custom pip package installation failed for model m", fault.Message(err))
		assert.Contains(t, fault.Details(err), "Could not open requirements file")
	})
	for name, l := range map[string]launch{
		"no interpreter":                {err: errors.New("no Python")},
		"one that cannot be started":    {program: "/nowhere/python"},
		"one that is no program at all": {program: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, venv := range []bool{false, true} {
				s := newSite(t, "", func(s *site) { s.cfg.Launch, s.s.UseVenv = l, venv })
				err := s.install()
				assert.Equal(t, fault.Internal, fault.KindOf(err))
				assert.Equal(t, "Failed to save model: m.mar", fault.Message(err))
			}
		})
	}
}

func TestVenv(t *testing.T) {
	t.Parallel()
	t.Run("MAR-133 before the packages, which go into it", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "", (*site).venv)
		require.NoError(t, s.install())
		venv := filepath.Join(s.a.Dir, "venv")
		all := s.runs(s.a.Dir)
		require.Len(t, all, 2)
		assert.Equal(t, []string{"/home/ts/utils/setup_model_venv.py", venv}, all[0].Args[1:])
		assert.NotEqual(t, venv+"/bin/python", all[0].Args[0])
		assert.Equal(t, strings.Fields(venv+"/bin/python -m pip install -U --upgrade-strategy only-if-needed -r "+s.a.Requirements), all[1].Args)
		assert.Equal(t, s.a.Dir, all[1].Dir)
		assert.Equal(t, []string{"Created virtual environment for model m: " + venv, "Installed custom pip packages for model m"}, s.logged("info"))
	})
	t.Run("MAR-133 whether there is anything to install or not", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "", (*site).venv)
		s.cfg.Requirements = false
		require.NoError(t, s.install())
		assert.Len(t, s.runs(s.a.Dir), 1)
	})
	t.Run("MAR-133 a failure", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "", (*site).venv)
		s.file("venv.txt", "say no ensurepip\nexit 1\n")
		err := s.install()
		assert.Equal(t, fault.ModelSetup, fault.KindOf(err))
		assert.Equal(t, "Virtual environment creation failed for model m", fault.Message(err))
		assert.Equal(t, "no ensurepip", fault.Details(err))
		assert.Equal(t, []string{"Virtual environment creation for model m at " + s.a.Dir + "/venv failed:\nno ensurepip"}, s.logged("error"))
		assert.Len(t, s.runs(s.a.Dir), 1)
	})
}

func TestOutput(t *testing.T) {
	t.Parallel()
	t.Run("MAR-132 however much there is, the end is kept", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "print 100000\nexit 1\n", nil)
		words := strings.Split(fault.Details(s.install()), "\n")
		assert.Len(t, words, 40)
		assert.Equal(t, "line 99999", words[39])
		assert.Len(t, s.logged("info"), 100000)
	})
	for name, c := range map[string]struct{ say, want string }{
		"progress is a line each":         {`say 1%\r2%\r\n3%\n`, "1%\n2%\n3%"},
		"long lines are cut":              {`say \x\n`, strings.Repeat("x", 1000) + "\n" + strings.Repeat("x", 1000) + "\n" + strings.Repeat("x", 500)},
		"no passwords of URLs":            {`say Looking in https://user:secret@host/x, http://token@h/ and https://host/`, "Looking in https://****@host/x, http://****@h/ and https://host/"},
		"text, whatever the program says": {"say a\xffb", "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.say+"\nexit 1\n", nil)
			assert.Equal(t, c.want, fault.Details(s.install()))
		})
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	// begin begins to install, and returns how to end that and what comes of it.
	begin := func(t *testing.T, s *site) (end context.CancelCauseFunc, ended <-chan error) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		outcome := make(chan error, 1)
		go func() { outcome <- pydeps.New(s.cfg).Install(ctx, s.a, s.s) }()
		t.Cleanup(func() { cancel(nil) })
		return cancel, outcome
	}
	t.Run("the program is interrupted when nobody wants it any more", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "wait\n", nil)
		end, ended := begin(t, s)
		s.awaitWaiting()
		gone := errors.New("gone")
		end(gone)
		assert.Equal(t, gone, <-ended)
		assert.Equal(t, []string{"Dependencies of model m: cleaned up"}, s.logged("info"))
		assert.Empty(t, s.logged("error"))
	})
	t.Run("it is killed with what it has started when that does not help", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "stay\n", nil)
		end, ended := begin(t, s)
		child, err := strconv.Atoi(s.awaitWaiting())
		require.NoError(t, err)
		end(nil)
		assert.ErrorIs(t, <-ended, context.Canceled)
		assertEnded(t, child)
	})
	t.Run("what it leaves behind is killed, in whatever session", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("the environment of processes cannot be read here")
		}
		s := newSite(t, "leave\n", nil)
		require.NoError(t, s.install())
		child, err := strconv.Atoi(s.awaitWaiting())
		require.NoError(t, err)
		assertEnded(t, child)
	})
	t.Run("and when it takes too long", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "wait\n", func(s *site) { s.cfg.Limit = time.Millisecond })
		err := s.install()
		assert.Equal(t, fault.ModelSetup, fault.KindOf(err))
		assert.Equal(t, "Custom pip package installation failed for model m", fault.Message(err))
		assert.Contains(t, fault.Details(err), "ended after 1ms: the time is over (install_py_dep_timeout_sec)")
	})
}

// assertEnded waits for the end of a process that is nobody's child here.
func assertEnded(t *testing.T, pid int) {
	t.Helper()
	assert.Eventually(t, func() bool { return procgrouptest.Ended(pid) }, time.Minute, time.Millisecond)
}
