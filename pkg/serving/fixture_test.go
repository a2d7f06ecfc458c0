package serving_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/registry"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestMain(m *testing.M) {
	workertest.Main()
	goleak.VerifyTestMain(m)
}

// fixture is a service with a model store, real pools and fake workers.
type fixture struct {
	*serving.Service
	t     *testing.T
	store string // model store
	work  string // directory of unpacked models
	log   *lines
	saved *journal

	installs func(ctx context.Context, a model.Archive, s model.Settings) error // nil: nothing is to be installed
}

// Install is what the service has installed for a model.
func (f *fixture) Install(ctx context.Context, a model.Archive, s model.Settings) error {
	if f.installs == nil {
		return nil
	}
	return f.installs(ctx, a, s)
}

// newFixture makes a service; change edits its configuration. It is closed, and
// its models are gone, when the test ends.
func newFixture(t *testing.T, change func(*serving.Config)) *fixture {
	t.Helper()
	store := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.Mkdir(store, 0o700))
	return newFixtureAt(t, store, change)
}

// newFixtureAt makes a service with a model store that is there.
func newFixtureAt(t *testing.T, store string, change func(*serving.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: store, work: filepath.Join(t.TempDir(), "models"), log: &lines{}, saved: &journal{}}
	cfg := serving.Config{
		Defaults: serving.Defaults{
			StartWorkers: 1, QueueSize: model.DefaultQueueSize, Response: model.DefaultResponse, Startup: model.DefaultStartup,
		},
		UnregisterLimit: time.Minute,
	}
	if change != nil {
		change(&cfg)
	}
	archives := archive.New(archive.Config{
		ModelStore: f.store, WorkDir: f.work, Log: zerolog.Nop(), Devices: cfg.Devices,
		AllowedURLs: []*regexp.Regexp{regexp.MustCompile(`\Ahttp://.*\z`)},
		Limits:      archive.Limits{Entries: 1000, Bytes: 1 << 20, Ratio: 200},
	})
	f.Service = serving.New(cfg, serving.Deps{
		Archives: archives, Dependencies: f, Registry: registry.New(), NewPool: pools(t, cfg.Devices), Journal: f.saved,
		Usage: func(gpu int) string { return "usage of " + strconv.Itoa(gpu) },
		Log:   func(name string) zerolog.Logger { return zerolog.New(f.log).With().Str("logger", name).Logger() },
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel() // nothing in flight is worth a wait
		assert.NoError(t, f.Close(ctx))
		assert.NoError(t, archives.Close())
		assert.Empty(t, f.unpacked(), "unpacked models")
	})
	return f
}

// pools makes pools of fake workers, without a pause before a restart being
// worth a wait in any test here. Where there are devices, the workers of a pool
// get them one after the other.
func pools(t *testing.T, devices int) func(model.Archive, model.Settings) *pool.Pool {
	t.Helper()
	launch := workertest.Launch(t)
	launch.Python = workertest.Python(t)
	var mu sync.Mutex
	next := 9000
	return func(a model.Archive, s model.Settings) *pool.Pool {
		quiet := func(string, string) zerolog.Logger { return zerolog.Nop() }
		gpu, step := 0, max(s.Devices.Level, 1)
		return pool.New(pool.Config{
			Archive: a, Settings: s, StopLimit: time.Minute, Log: quiet,
			Assign: func() pool.Slot {
				mu.Lock()
				defer mu.Unlock()
				next += step
				place := pool.Slot{Port: next, GPU: -1}
				if s.Devices.Count(devices) > 0 {
					place.GPU = gpu
					gpu += step
				}
				return place
			},
			NewWorker: func(place pool.Slot) pool.Worker {
				return worker.New(worker.Config{
					Port: place.Port, GPU: place.GPU, Archive: a, Settings: s, Launch: launch,
					MaxResponse: 1 << 20, StopLimit: time.Minute, Metrics: worker.NoMetrics{}, Log: quiet,
				})
			},
		})
	}
}

// source is what a model is made of; the zero value is model noop of version
// 1.0, whose workers echo.
type source struct {
	name    string // "-": none
	version string
	handler string // a behaviour of workertest
	runtime string // empty: python
	yaml    string // model-config.yaml; empty: none
	script  workertest.Script
}

func (s source) files(t testing.TB) map[string]string {
	t.Helper()
	type object map[string]any
	m := object{"handler": cmp.Or(s.handler, workertest.Echoes), "modelVersion": cmp.Or(s.version, "1.0")}
	if s.name != "-" {
		m["modelName"] = cmp.Or(s.name, "noop")
	}
	files := map[string]string{"noop.py": "# the fake worker does not read it\n"}
	if s.yaml != "" {
		m["configFile"] = "model-config.yaml"
		files["model-config.yaml"] = s.yaml
	}
	manifest, err := json.Marshal(object{"runtime": cmp.Or(s.runtime, "python"), "model": m})
	require.NoError(t, err)
	files["MAR-INF/MANIFEST.json"] = string(manifest)
	if len(s.script.Infer) > 0 || s.script.Load.Do != "" || s.script.Load.Gate || s.script.Boot.Do != "" {
		script, err := json.Marshal(s.script)
		require.NoError(t, err)
		files[workertest.ScriptFile] = string(script)
	}
	return files
}

// mar is the archive of s.
func (s source) mar(t testing.TB) []byte {
	t.Helper()
	return packed(t, s.files(t))
}

// packed is an archive of files.
func packed(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// put writes the archive of s into the store.
func (f *fixture) put(name string, s source) {
	f.t.Helper()
	f.file(name, string(s.mar(f.t)))
}

// file writes a file into the store.
func (f *fixture) file(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.store, name)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(f.t, os.WriteFile(path, []byte(text), 0o600))
}

// directory makes a model that is served in place.
func (f *fixture) directory(name string, s source) (path string) {
	f.t.Helper()
	for file, text := range s.files(f.t) {
		f.file(filepath.Join(name, file), text)
	}
	return filepath.Join(f.store, name)
}

// gated makes a directory model whose workers wait at the gate before they
// load.
func (f *fixture) gated(name string, load workertest.Action) *workertest.Gate {
	f.t.Helper()
	load.Gate = true
	dir := f.directory(name, source{script: workertest.Script{Load: load}})
	return workertest.NewGate(f.t, model.Archive{Dir: dir})
}

// stored are the names in the model store, without those of the store's own.
func (f *fixture) stored() []string {
	f.t.Helper()
	return visible(f.t, f.store)
}

// unpacked are the directories of models.
func (f *fixture) unpacked() []string {
	f.t.Helper()
	return visible(f.t, f.work)
}

func visible(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	names := []string{}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// registered registers what must be good.
func (f *fixture) registered(r model.Registration) model.Registered {
	f.t.Helper()
	done, err := f.Register(f.t.Context(), r)
	require.NoError(f.t, err)
	return done
}

// described returns the status of what must be there.
func (f *fixture) described(ref model.Ref) model.Status {
	f.t.Helper()
	s, err := f.Describe(ref)
	require.NoError(f.t, err)
	return s
}

// gone checks that nothing of a model is left.
func (f *fixture) gone(name model.Name) {
	f.t.Helper()
	_, err := f.Describe(model.Ref{Name: name})
	f.fails(err, fault.ModelNotFound, "Model not found: "+string(name))
	assert.Empty(f.t, f.unpacked(), "unpacked models")
}

// fails checks kind and message of an error.
func (f *fixture) fails(err error, k fault.Kind, message string) {
	f.t.Helper()
	require.Error(f.t, err)
	assert.Equal(f.t, k, fault.KindOf(err), "%v", err)
	assert.Equal(f.t, message, fault.Message(err))
}

// submit queues a prediction that the model must take.
func (f *fixture) submit(ref model.Ref, body string) (*job.Job, *job.Stream) {
	f.t.Helper()
	j, s := newJob(ref, body)
	require.NoError(f.t, f.Submit(f.t.Context(), j))
	return j, s
}

// predict returns what the model says to body; it waits for a worker.
func (f *fixture) predict(ref model.Ref, body string) string {
	f.t.Helper()
	_, s := f.submit(ref, body)
	return string(workertest.Reply(f.t, s).Body)
}

func newJob(ref model.Ref, body string) (*job.Job, *job.Stream) {
	s := job.NewStream()
	return &job.Job{
		ID: "r1", Ref: ref, Sink: s, Created: time.Now(),
		Request: job.Request{Parameters: []job.Parameter{{Name: "body", Value: []byte(body)}}},
	}, s
}

// noop names a version of the model of an archive that says nothing else.
func noop(version model.Version) model.Ref { return model.Ref{Name: "noop", Version: version} }

// journal keeps what was served after each change.
type journal struct {
	mu  sync.Mutex
	all [][]snapshot.Version
}

// Changed takes what is served.
func (j *journal) Changed(served func() []snapshot.Version) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, served())
}

// take returns what was served after each change since it was last called.
func (j *journal) take() [][]snapshot.Version {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.all
	j.all = nil
	return all
}

// lines keeps the lines of a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends a line.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// of returns "logger message" of the lines of a level, in order.
func (l *lines) of(t testing.TB, level string) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for line := range strings.Lines(l.text.String()) {
		var e struct{ Level, Logger, Message string }
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		if e.Level == level {
			all = append(all, e.Logger+" "+e.Message)
		}
	}
	return all
}
