package server_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/server"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// snapshotSite is a site with a model noop, whose servers take snapshots.
func snapshotSite(t *testing.T, lines ...string) *site {
	t.Helper()
	s := newSite(t, lines...)
	s.flags.NoConfigSnapshots = false
	s.put("noop", workertest.Script{})
	return s
}

var timeOfName = regexp.MustCompile(`^\d{17}-`)

// kinds are the snapshots that there are, oldest first, without their times.
func (s *site) kinds() []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.path("logs/config"))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(s.t, err)
	}
	all := []string{}
	for _, e := range entries {
		if !e.IsDir() {
			require.Regexp(s.t, timeOfName, e.Name())
			all = append(all, timeOfName.ReplaceAllString(e.Name(), ""))
		}
	}
	return all
}

// last returns the path and the text of the newest snapshot.
func (s *site) last() (path, text string) {
	s.t.Helper()
	all, err := filepath.Glob(s.path("logs/config/*.cfg"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, all)
	content, err := os.ReadFile(all[len(all)-1])
	require.NoError(s.t, err)
	return all[len(all)-1], string(content)
}

// started runs the server until it says so.
func (s *site) started() *running {
	s.t.Helper()
	r := s.run()
	s.out.await(s.t, "Model server started.")
	return r
}

// fails returns the error of a start, which leaves nothing behind.
func (s *site) fails() error {
	s.t.Helper()
	cfg, before := s.config(), s.tree()
	err := server.Run(s.t.Context(), cfg, s.deps)
	assert.Equal(s.t, before, s.tree(), "files")
	assert.Empty(s.t, s.kinds(), "snapshots")
	return err
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	t.Run("CLI-032 CLI-036 MGT-068 they are taken, and restored by the next start", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t, "load_models=noop", "queue=7")
		r := s.started()
		assert.Equal(t, []string{"startup.cfg"}, s.kinds())
		for _, c := range [][2]string{
			{http.MethodPost, "/models?url=noop&model_name=other&initial_workers=1"},
			{http.MethodPut, "/models/other?min_worker=1&max_worker=3"},
			{http.MethodPut, "/models/other/1.0/set-default"},
			{http.MethodDelete, "/models/noop"},
		} {
			before := len(s.kinds())
			a := r.call("Management", c[0], c[1], "")
			require.Less(t, a.status, 300, a.body)
			assert.Len(t, s.kinds(), before+1, c[1])
		}
		assert.Equal(t, http.StatusNotFound, r.call("Management", http.MethodDelete, "/models/noop", "").status)
		r.stopped()
		assert.Equal(t, []string{"startup.cfg", "snapshot.cfg", "snapshot.cfg", "snapshot.cfg", "snapshot.cfg", "shutdown.cfg"}, s.kinds())

		path, _ := s.last()
		again := &site{t: t, dir: s.dir, deps: s.deps, out: &output{}, flags: s.flags, lines: []string{"inference_address=nonsense"}}
		again.deps.Stdout = again.out
		r = again.started()
		again.out.inOrder(t, "Restoring from snapshot "+path+", config.properties is ignored", " Loading snapshot serializer plugin...",
			"Config file: "+path, "Started restoring models from snapshot {", "Validating snapshot "+filepath.Base(path),
			"Snapshot "+filepath.Base(path)+" validated successfully", "Model other loaded.", "Inference API bind to: ", "Model server started.")
		a := r.call("Management", http.MethodGet, "/models/other", "")
		assert.Contains(t, a.body, `"maxWorkers": 3`)
		assert.Equal(t, http.StatusNotFound, r.call("Management", http.MethodGet, "/models/noop", "").status)
		assert.Equal(t, "hello", r.call("Inference", http.MethodPost, "/predictions/other", "hello").body)
		_, text := s.last()
		assert.Contains(t, text, "\nqueue=7\n")
		r.stopped()
	})
	t.Run("CLI-033 none without", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.flags.NoConfigSnapshots = true
		r := s.started()
		require.Equal(t, http.StatusOK, r.call("Management", http.MethodPost, "/models?url=noop", "").status)
		r.stopped()
		assert.Empty(t, s.kinds())
		assert.NoDirExists(t, s.path("logs/config"))
	})
	t.Run("CLI-038 one that somebody names is restored all the same", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.flags.NoConfigSnapshots = true
		s.file("a.cfg", `model_snapshot={"modelCount": 1, "models": {"noop": {"1.0": {"defaultVersion": true, "marName": "noop", `+
			`"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100}}}}`+"\n"+strings.Join(s.lines, "\n"))
		s.flags.ConfigFile = "a.cfg"
		r := s.started()
		assert.Equal(t, "hello", r.call("Inference", http.MethodPost, "/predictions/noop", "hello").body)
		r.stopped()
		assert.Empty(t, s.kinds())
	})
	t.Run("D-CLI-18 models of the command line in the place of none", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.file("a.cfg", `model_snapshot={"modelCount": 0}`+"\n"+strings.Join(s.lines, "\n"))
		s.flags.ConfigFile, s.flags.Models = "a.cfg", []string{"noop"}
		r := s.started()
		assert.Equal(t, http.StatusOK, r.call("Management", http.MethodGet, "/models/noop", "").status)
		s.out.inOrder(t, "Model snapshot is empty. Starting TorchServe without initial models.", "Loading initial models: noop")
	})
	t.Run("D-CLI-15 D-CLI-19 CLI-042 what they hold", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t, "keystore_pass=in=the file", "enable_envvars_config=true", "disable_token_authorization=false")
		s.flags.EnableModelAPI, s.flags.DisableTokenAuth, s.flags.Models = true, false, []string{"noop"}
		s.deps.Environ = append(s.deps.Environ, "TS_JOB_QUEUE_SIZE=77", "TS_SERVICE_ENVELOPE=body")
		r := s.started()
		keys := []string{r.key("management"), r.key("inference"), r.key("API")}
		r.stopped()
		_, text := s.last()
		assert.Contains(t, text, `keystore_pass=in\=the file`+"\n")
		assert.Contains(t, text, "disable_token_authorization=false\n")
		assert.Contains(t, text, "model_store=store\n")
		for _, not := range append(keys, "job_queue_size", "service_envelope", "load_models", "version=", "python=/", "number_of_gpu") {
			assert.NotContains(t, text, not)
		}
	})
	t.Run("a folder that cannot be made is told, and nothing else happens", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.file("logs/config", "a file in its place")
		r := s.started()
		assert.Equal(t, http.StatusOK, r.call("Management", http.MethodPost, "/models?url=noop", "").status)
		r.stopped()
		assert.Equal(t, 3, strings.Count(s.out.String(), "Error while saving snapshot to file "))
		assert.Contains(t, s.out.String(), "move it with LOG_LOCATION, or start with --ncs")
	})
}

// TestReadBack: pkg/config reads what pkg/snapshot writes.
func TestReadBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := []snapshot.Property{
		{Key: "python", Value: "bin/python3"},
		{Key: "a key:=#!\\", Value: "  two blanks, a tab\t, a line\n, \r\f\x00\x7f"},
		{Key: "é中😀", Value: `C:\models\u00e9 = é中😀 # ! \`},
		{Key: "empty", Value: ""},
	}
	state := snapshot.State{Name: "20260101000000000-startup.cfg", Created: time.Now(), Versions: []snapshot.Version{{
		Name: "é中😀\n=<'\u2028", Version: `1"\`, Archive: "a b.mar", Runtime: model.Python, Size: 1, Handler: new(""), URL: "https://h/?a=b&c",
	}}}
	require.NoError(t, snapshot.NewFolder(snapshot.FolderConfig{Dir: s.dir}).Save(state, want))
	s.flags.ConfigFile = state.Name
	cfg := s.config()
	var got []snapshot.Property
	for _, p := range cfg.Saved() {
		if p.Key != "model_store" {
			got = append(got, snapshot.Property{Key: p.Key, Value: p.Value})
		}
	}
	assert.Equal(t, want, got)
	read, err := snapshot.Parse(cfg.Snapshots.State)
	require.NoError(t, err)
	assert.Equal(t, state.Versions, read.Versions)
}

// TestNoSnapshots: a start that was not completed leaves the snapshots alone.
func TestNoSnapshots(t *testing.T) {
	t.Parallel()
	t.Run("CLI-041 D-CLI-12 an address that is taken", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t, "inference_address="+taken(t))
		require.ErrorContains(t, s.fails(), "Failed to bind to address")
	})
	t.Run("D-CLI-12 a start that its command gives up", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.deps.Accepted = func() error { return errors.New("no") }
		require.Error(t, s.fails())
	})
	t.Run("D-CLI-12 a stop before the listeners answer", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t, "load_models=noop")
		ctx, cancel := context.WithCancel(t.Context())
		s.deps.Accepted = func() error { cancel(); return nil }
		require.NoError(t, server.Run(ctx, s.config(), s.deps))
		assert.Empty(t, s.kinds())
	})
	const one = `{"defaultVersion": true, "marName": "MODEL", "minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 1}`
	of := func(archives ...string) string {
		var all []string
		for _, a := range archives {
			all = append(all, `"`+a+`": {"1.0": `+strings.Replace(one, "MODEL", a, 1)+`}`)
		}
		return `model_snapshot={"modelCount": 2, "models": {` + strings.Join(all, ", ") + `}}`
	}
	t.Run("CLI-040 an archive that is missing, while the command still waits", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.file("store/damaged.mar", "no archive")
		s.file("a.cfg", of("gone.mar", "damaged.mar", "noop")+"\n"+strings.Join(s.lines, "\n"))
		s.flags.ConfigFile = "a.cfg"
		s.deps.Accepted = func() error { return errors.New("too late") }
		err := s.fails()
		assert.ErrorContains(t, err, "restore snapshot: "+s.path("a.cfg")+": ")
		assert.ErrorContains(t, err, "(gone.mar)")
		assert.ErrorContains(t, err, "(damaged.mar)")
		assert.ErrorContains(t, err, "put these archives into "+s.path("store")+", or set snapshot_lenient=true")
	})
	t.Run("CLI-040 an archive that is damaged", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.file("store/damaged.mar", "no archive")
		s.file("a.cfg", of("damaged.mar", "noop")+"\n"+strings.Join(s.lines, "\n"))
		s.flags.ConfigFile = "a.cfg"
		require.ErrorContains(t, s.fails(), "(damaged.mar)")
		assert.NotContains(t, s.out.String(), "API bind to")
	})
	t.Run("CLI-040 snapshot_lenient=true starts without it", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t, "snapshot_lenient=true")
		s.file("a.cfg", of("gone.mar", "noop")+"\n"+strings.Join(s.lines, "\n"))
		s.flags.ConfigFile = "a.cfg"
		r := s.started()
		assert.Contains(t, s.out.String(), "Model archive file for model gone.mar, version 1.0 not found in model store")
		assert.Equal(t, "hello", r.call("Inference", http.MethodPost, "/predictions/noop", "hello").body)
	})
	t.Run("a snapshot that says nothing", func(t *testing.T) {
		t.Parallel()
		s := snapshotSite(t)
		s.file("a.cfg", "model_snapshot=\n")
		s.flags.ConfigFile = "a.cfg"
		require.ErrorContains(t, s.fails(), "model_snapshot is no valid JSON")
	})
}
