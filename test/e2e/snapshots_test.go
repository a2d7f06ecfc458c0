package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// otherHandler answers in another way than e2etest.Echo.
const otherHandler = `
def shout(data, context):
    if data is None:
        return None
    return [bytes(row.get("body") or row.get("data") or b"").upper() for row in data]
`

// echoArchive is an archive that has a second handler.
func echoArchive(name, version, config string) e2etest.Archive {
	return e2etest.Archive{
		Name: name, Version: version, Handler: e2etest.Echo, Config: config,
		Files: map[string]string{"other.py": otherHandler},
	}
}

// snapshots are the names of a site's snapshots, oldest first.
func snapshots(t *testing.T, s *e2etest.Site) []string {
	t.Helper()
	var all []string
	for _, path := range glob(t, s, "*.cfg") {
		all = append(all, filepath.Base(path))
	}
	return all
}

func glob(t *testing.T, s *e2etest.Site, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(s.Path(filepath.Join("logs", "config", pattern)))
	require.NoError(t, err)
	return all
}

// kinds are the snapshots without their times.
func kinds(t *testing.T, s *e2etest.Site) []string {
	t.Helper()
	var all []string
	for _, name := range snapshots(t, s) {
		require.Regexp(t, `^\d{17}-`, name)
		all = append(all, name[18:])
	}
	return all
}

// settled describes all versions of models, without what is of one run.
func settled(t *testing.T, s *e2etest.Server, models ...string) []described {
	t.Helper()
	var all []described
	for _, name := range models {
		var versions []described
		s.Manage(http.MethodGet, "/models/"+name+"/all").JSON(t, &versions)
		for _, d := range versions {
			assert.GreaterOrEqual(t, len(d.Workers), d.Min, name)
			d.Workers, d.AtStartup = nil, false
			all = append(all, d)
		}
		all = append(all, described{Version: describe(t, s, name).Version, Name: "default of " + name})
	}
	return all
}

// manage makes calls that must succeed.
func manage(t *testing.T, s *e2etest.Server, calls ...string) {
	t.Helper()
	for _, c := range calls {
		method, path, _ := strings.Cut(c, " ")
		reply := s.Manage(method, path)
		require.Equal(t, http.StatusOK, reply.Status, "%s: %s", c, reply.Body)
	}
}

// TestSnapshots follows a site from start to start.
//
//nolint:tparallel // one scenario, step by step
func TestSnapshots(t *testing.T) {
	t.Parallel()
	site := e2etest.NewSite(t, e2etest.Shelve(echoArchive("echo", "1.0", "")))
	start := []string{"--start", "--foreground", "--model-store", "model_store"}
	var before []described
	t.Run("CLI-032 MGT-068 one file for each change", func(t *testing.T) {
		s := site.In(t).Start(append(start, "--disable-token-auth", "--enable-model-api", "--models", "echo.mar")...)
		assert.Equal(t, []string{"startup.cfg"}, kinds(t, s.Site))
		manage(t, s,
			"POST /models?url=echo.mar&model_name=shout&handler=other:shout&initial_workers=1&synchronous=true&batch_size=2&max_batch_delay=3",
			"PUT /models/echo?min_worker=1&max_worker=3&synchronous=true",
			"PUT /models/echo/1.0/set-default",
			"POST /models?url=echo.mar&model_name=gone",
			"DELETE /models/gone",
		)
		assert.Equal(t, []string{"startup.cfg", "snapshot.cfg", "snapshot.cfg", "snapshot.cfg", "snapshot.cfg", "snapshot.cfg"}, kinds(t, s.Site))
		assert.Equal(t, "HELLO", s.Predict("shout", "hello").Body)
		before = settled(t, s, "echo", "shout")
		for _, path := range snapshots(t, s.Site) {
			assert.Equal(t, os.FileMode(0o600), s.Mode(filepath.Join("logs", "config", path)), "CLI-043")
		}
		s.Kill()
	})
	t.Run("CLI-036 CLI-039 CLI-042 CLI-044 CLI-045 the next start", func(t *testing.T) {
		newest := snapshots(t, site)[5]
		text := site.Read(filepath.Join("logs", "config", newest))
		damaged := "99991231000000000-snapshot.cfg"
		site.Write(filepath.Join("logs", "config", damaged), text[:len(text)-20])
		site.Write(filepath.Join("logs", "config", "99991231000000000-notes.cfg"), "x")
		s := site.In(t).Start("--start", "--foreground")
		out := s.Stdout.String()
		assert.Contains(t, out, "Skipping snapshot "+s.Path(filepath.Join("logs", "config", damaged)), "CLI-044")
		assert.Contains(t, out, "Restoring from snapshot "+s.Path(filepath.Join("logs", "config", newest))+", config.properties is ignored", "CLI-036")
		assert.Equal(t, http.StatusBadRequest, s.Get(e2etest.Inference, "/ping", "").Status, "CLI-042")
		s.AwaitReady()
		assert.Equal(t, before, settled(t, s, "echo", "shout"))
		assert.Equal(t, "HELLO", s.Predict("shout", "hello").Body, "CLI-045")
		assert.Equal(t, 0, s.Stop())
		names := snapshots(t, s.Site)
		assert.Equal(t, "shutdown.cfg", names[len(names)-1][18:], "its name is later than that of the damaged one")
	})
	t.Run("CLI-040 an archive that is missing", func(t *testing.T) {
		s := site.In(t)
		count := len(snapshots(t, s))
		require.NoError(t, os.Rename(filepath.Join(s.Store, "echo.mar"), filepath.Join(s.Store, "away.mar")))
		for _, words := range [][]string{{"--start"}, {"--start", "--foreground"}} {
			got := s.Run(words...)
			assert.Equal(t, 1, got.Code)
			assert.Contains(t, got.Stderr, "Model archive file for model :echo, version :1.0 not found in model store (echo.mar); "+
				"Model archive file for model :shout, version :1.0 not found in model store (echo.mar)")
			assert.Contains(t, got.Stderr, "snapshot_lenient=true")
		}
		assert.Len(t, snapshots(t, s), count, "CLI-041")
	})
}

// TestOriginalSnapshots has ours and TorchServe 0.12 restore what the other has
// written.
//
//nolint:tparallel // one scenario, step by step
func TestOriginalSnapshots(t *testing.T) {
	t.Parallel()
	dir := published(t)
	needJava(t)
	ours := e2etest.NewSite(t, e2etest.Shelve(
		echoArchive("echo", "1.0", "responseTimeout: 50\n"),
		e2etest.Archive{Name: "wide", Handler: e2etest.Echo, Config: "parallelType: custom\nparallelLevel: 2\ndeviceType: cpu\n"},
	))
	second := echoArchive("echo", "2.0", "minWorkers: 1\nmaxWorkers: 2\n")
	second.Form = e2etest.Folder
	require.NoError(t, os.Mkdir(filepath.Join(ours.Store, "second"), 0o755))
	second.Write(t, filepath.Join(ours.Store, "second"))
	require.NoError(t, os.Rename(filepath.Join(ours.Store, "second", "echo"), filepath.Join(ours.Store, "echo2")))
	require.NoError(t, os.Remove(filepath.Join(ours.Store, "second")))
	theirs := e2etest.NewSite(t, e2etest.Beside(ours), e2etest.Published(dir))
	all := []string{"echo", "wide", "%C3%A9%3D%27%3C"}

	s := ours.Start("--start", "--foreground", "--model-store", ours.Store, "--models", "echo.mar", "--disable-token-auth", "--enable-model-api")
	manage(t, s,
		"POST /models?url=echo2&initial_workers=1&synchronous=true&batch_size=5&max_batch_delay=44",
		"PUT /models/echo/1.0?min_worker=2&max_worker=3&synchronous=true",
		"PUT /models/echo/2.0/set-default",
		"POST /models?url=wide.mar&initial_workers=0&response_timeout=7&startup_timeout=8",
		"POST /models?url=echo.mar&model_name="+all[2]+"&initial_workers=0&handler=other:shout&batch_size=3&response_timeout=9",
	)
	want := settled(t, s, all...)
	s.Stop()

	// last returns the newest snapshot of a site, as a file to start with.
	last := func(s *e2etest.Site) []string {
		names := snapshots(t, s)
		return []string{"--start", "--foreground", "--disable-token-auth", "--enable-model-api", "--ts-config", s.Path(filepath.Join("logs", "config", names[len(names)-1]))}
	}
	t.Run("CLI-034 CLI-035 0.12 restores ours", func(t *testing.T) {
		s := theirs.In(t).Start(last(ours)...)
		assert.Equal(t, want, settled(t, s, all...))
		s.Await("a worker", func() bool { return describe(t, s, "echo").Workers[0].Status == "READY" }) // it loses what comes earlier
		assert.Equal(t, "hello", s.Predict("echo", "hello").Body)
		manage(t, s, "PUT /models/echo/1.0?min_worker=1&max_worker=4&synchronous=true")
		want = settled(t, s, all...)
		s.Stop()
	})
	t.Run("CLI-035 ours restores what 0.12 has written", func(t *testing.T) {
		s := ours.In(t).Start(last(theirs)...)
		assert.Equal(t, want, settled(t, s, all...))
		s.AwaitReady()
		assert.Equal(t, "hello", s.Predict("echo", "hello").Body)
		s.Stop()
	})
}
