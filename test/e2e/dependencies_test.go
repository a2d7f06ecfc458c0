package e2e

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/greeter.py
var greeterHandler string

// greeter is an archive whose handler needs the package greet.
func greeter(name, needs string) e2etest.Archive {
	return e2etest.Archive{Name: name, Handler: greeterHandler, Needs: needs}
}

// wheel is a version of the package greet as pip installs it; its name is
// wheelName's.
func wheel(t *testing.T, version string) string {
	t.Helper()
	info := "greet-" + version + ".dist-info/"
	files := map[string]string{
		"greet.py":        fmt.Sprintf("WORD = %q\n", "hello "+version),
		info + "METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: " + version + "\n",
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: e2e\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	record := ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		record += name + ",,\n"
	}
	files[info+"RECORD"] = record + info + "RECORD,,\n"
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := z.Create(name)
		require.NoError(t, err)
		_, err = f.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.String()
}

func wheelName(version string) string { return "greet-" + version + "-py3-none-any.whl" }

// withWheels starts a server that installs dependencies, from a folder that its
// environment names.
func withWheels(t *testing.T, options ...e2etest.Option) lab {
	t.Helper()
	wheels := put(t, t.TempDir(), map[string]string{wheelName("1.0"): wheel(t, "1.0"), wheelName("2.0"): wheel(t, "2.0")})
	return newLab(t, append(options,
		e2etest.Properties("install_py_dep_per_model=true"),
		e2etest.Env("PIP_NO_INDEX=1", "PIP_FIND_LINKS="+wheels, "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_CACHE_DIR=1"))...)
}

// greeting is the answer of a greeter.
type greeting struct {
	Word, File, Prefix, Model string
	PID                       int
}

func (l lab) greeting(t *testing.T, model string) (g greeting) {
	t.Helper()
	l.In(t).Predict(model, "x").JSON(t, &g)
	return g
}

// unpacked returns the names of the directories of models.
func (l lab) unpacked(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(names(t, filepath.Join(l.Temp, "models")), func(name string) bool { return strings.HasPrefix(name, ".") })
}

// installing reports whether pip runs.
func (l lab) installing() bool {
	return slices.ContainsFunc(l.Processes(), func(p e2etest.Process) bool { return slices.Contains(p.Args, "pip") })
}

// registered registers an archive with a worker; it must work.
func (l lab) registered(t *testing.T, a e2etest.Archive) {
	t.Helper()
	register(t, l.Server, "initial_workers=1&url="+a.Write(t, l.Store))
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	t.Run("MAR-130 each model has its own version of a package", func(t *testing.T) {
		t.Parallel()
		enclosed := greeter("enclosed", wheelName("1.0")+"\n")
		enclosed.Files = map[string]string{wheelName("1.0"): wheel(t, "1.0")}
		l := withWheels(t, e2etest.Serve(enclosed, greeter("latest", "greet\n")))
		l.AwaitReady()
		old := l.greeting(t, "enclosed")
		assert.Equal(t, "hello 1.0", old.Word)
		assert.Equal(t, old.Model+"/greet.py", old.File)
		assert.Equal(t, "hello 2.0", l.greeting(t, "latest").Word)
		l.AwaitLog("ts_log.log", "Installed custom pip packages for model latest")
		l.AwaitLog("ts_log.log", "Dependencies of model latest: Successfully installed greet-2.0")

		require.NoError(t, syscall.Kill(old.PID, syscall.SIGKILL))
		l.Await("the worker is replaced", func() bool {
			w := l.describe(t, "enclosed").Workers[0]
			return w.Status == "READY" && w.PID != old.PID
		})
		assert.Equal(t, "hello 1.0", l.greeting(t, "enclosed").Word)
		assert.Equal(t, http.StatusOK, l.Manage(http.MethodDelete, "/models/enclosed/1.0").Status)
		_, err := os.Stat(old.Model)
		assert.ErrorIs(t, err, os.ErrNotExist)
		assert.Equal(t, 0, l.Stop())
		assert.Empty(t, l.unpacked(t))
	})
	t.Run("MAR-130 not unless it is configured", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		reply := l.Manage(http.MethodPost, "/models?initial_workers=1&url="+greeter("needy", "greet\n").Write(t, l.Store))
		assert.Equal(t, http.StatusInternalServerError, reply.Status)
		assert.Contains(t, reply.Body, "No module named 'greet'")
	})

	l := withWheels(t)
	t.Run("MAR-130 a directory that is served in place stays as it is", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		a := greeter("inplace", "greet==1.0\n")
		a.Form = e2etest.Folder
		l.registered(t, a)
		g := l.greeting(t, "inplace")
		assert.Equal(t, "hello 1.0", g.Word)
		assert.Equal(t, filepath.Dir(g.Model)+"/greet.py", g.File)
		assert.ElementsMatch(t, []string{"MAR-INF", "handler.py", "requirements.txt"},
			slices.DeleteFunc(names(t, filepath.Join(l.Store, "inplace")), func(name string) bool { return name == "__pycache__" }))
	})
	t.Run("MAR-131 what cannot be installed leaves nothing", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		location := greeter("impossible", "greet==3.0\n").Write(t, l.Store)
		for range 2 {
			reply := l.Manage(http.MethodPost, "/models?initial_workers=1&url="+location)
			assertFailure(t, reply, 400, "ModelException", "Custom pip package installation failed for model impossible")
			assert.Contains(t, reply.Body, "No matching distribution found for greet==3.0", "the details")
			assert.Equal(t, http.StatusNotFound, l.Manage(http.MethodGet, "/models/impossible").Status)
		}
		l.AwaitLog("ts_log.log", "[ERROR] main org.pytorch.serve.wlm.ModelManager - Custom pip package installation failed for model impossible:\n")
		l.registered(t, greeter("impossible", "greet==2.0\n"))
		assert.Equal(t, "hello 2.0", l.greeting(t, "impossible").Word)
	})
	t.Run("MAR-132 a pip that says a lot", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		long := "--find-links /nowhere/" + strings.Repeat("x", 500)
		needs := ""
		for i := range 300 { // each is worth a warning
			needs += fmt.Sprintf("%s%d\n", long, i)
		}
		l.registered(t, greeter("talkative", needs+"greet==1.0\n"))
		assert.Equal(t, "hello 1.0", l.greeting(t, "talkative").Word)
		l.Await("all of it in the log", func() bool {
			return len(lines(l.Logs("ts_log.log"), "Dependencies of model talkative: WARNING: ")) >= 300
		})
	})
	t.Run("MAR-133 WRK-052 an environment of its own", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		a := greeter("venv", "greet==1.0\n")
		a.Config = "useVenv: true\n"
		l.registered(t, a)
		g := l.greeting(t, "venv")
		assert.Equal(t, "hello 1.0", g.Word)
		assert.Equal(t, g.Model+"/venv", g.Prefix)
		assert.True(t, strings.HasPrefix(g.File, g.Prefix+"/lib/python3"), g.File)
		inherited, err := filepath.Glob(g.Prefix + "/lib/python3*/site-packages/inherited-site-packages.pth")
		require.NoError(t, err)
		assert.Len(t, inherited, 1)
		assert.Contains(t, l.Manage(http.MethodGet, "/models/venv").Body, `"useVenv": true`)

		require.NoError(t, syscall.Kill(g.PID, syscall.SIGKILL))
		l.Await("the worker is replaced", func() bool {
			w := l.describe(t, "venv").Workers[0]
			return w.Status == "READY" && w.PID != g.PID
		})
		assert.Equal(t, g.Prefix, l.greeting(t, "venv").Prefix)
		assert.Equal(t, http.StatusOK, l.Manage(http.MethodDelete, "/models/venv/1.0").Status)
		_, err = os.Stat(g.Model)
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("MAR-133 the runtime python3 has none", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		a := greeter("python3", "greet==1.0\n")
		a.Config = "useVenv: true\n"
		register(t, l.Server, "runtime=python3&initial_workers=1&url="+a.Write(t, l.Store))
		g := l.greeting(t, "python3")
		assert.Equal(t, g.Model+"/greet.py", g.File)
		assert.Contains(t, l.Manage(http.MethodGet, "/models/python3").Body, `"useVenv": false`)
	})
}

// silentIndex is a server that tells of each request and answers none.
func silentIndex(t *testing.T) (address string, asked <-chan struct{}) {
	t.Helper()
	requests := make(chan struct{}, 10) // more than pip asks
	index := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(index.Close)
	return index.URL, requests
}

// TestInstallationEnds has pip wait for a package index that does not answer.
//
//nolint:tparallel // one scenario, step by step
func TestInstallationEnds(t *testing.T) {
	t.Parallel()
	index, asked := silentIndex(t)
	l := withWheels(t)
	location := greeter("waiting", "--find-links "+index+"\ngreet==3.0\n").Write(t, l.Store)
	call := e2etest.Call{Method: http.MethodPost, To: e2etest.Management, Path: "/models?initial_workers=1&url=" + location}
	before := l.unpacked(t)

	t.Run("with the client", func(t *testing.T) {
		p := l.begin(t, call)
		<-asked
		assert.True(t, l.installing())
		assertFailure(t, l.Manage(http.MethodPost, call.Path), 409, "ConflictStatusException", "Model version 1.0 is already registered for model waiting")
		assert.Equal(t, "x", l.ask("echo", "x").Body, "others are served meanwhile")
		p.end()
		l.Await("pip has ended", func() bool { return !l.installing() })
		l.Await("its model is gone", func() bool { return slices.Equal(before, l.unpacked(t)) })
	})
	t.Run("with the server", func(t *testing.T) {
		p := l.begin(t, call)
		<-asked
		l.Signal(syscall.SIGTERM)
		assertFailure(t, p.answer(), 503, "ServiceUnavailableException", "The server is stopping")
		assert.Equal(t, 0, l.Wait())
		assert.False(t, l.installing())
		assert.Empty(t, l.unpacked(t))
	})
}

// TestInstallationOfKilled has pip wait for programs that it started, when the server
// is killed.
func TestInstallationOfKilled(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here, which pip starts")
	}
	index, asked := silentIndex(t)
	l := withWheels(t)
	p := l.begin(t, e2etest.Call{
		Method: http.MethodPost, To: e2etest.Management,
		Path: "/models?url=" + greeter("cloning", "git+"+index+"/greet.git\n").Write(t, l.Store),
	})
	<-asked
	isGit := func(p e2etest.Process) bool {
		return len(p.Args) > 0 && strings.HasPrefix(filepath.Base(p.Args[0]), "git")
	}
	require.True(t, slices.ContainsFunc(l.Processes(), isGit))
	l.Kill()
	l.Await("WRK-D28 nothing is left", func() bool { return len(l.Processes()) == 0 })
	<-p.done
	assert.Error(t, p.err)
}
