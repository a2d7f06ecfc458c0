package serving_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// TestEveryStep lets a registration from a URL fail at each of its steps: nothing
// is left, the same call fails in the same way, and when what was wrong has been
// mended it succeeds.
func TestEveryStep(t *testing.T) {
	t.Parallel()
	good := source{}.mar(t)
	slip := source{}.files(t)
	slip["../evil"] = ""
	broken := source{}.files(t)
	broken["MAR-INF/MANIFEST.json"] = "{"
	for name, c := range map[string]struct {
		served  []byte // nil: 404
		kind    fault.Kind
		message string // URL stands for the URL
	}{
		"the download":            {nil, fault.Download, "Failed to download archive from: URL"},
		"the kind of the file":    {[]byte("<html>"), fault.InvalidModel, "Failed to read model archive: noop.mar"},
		"the unpacking":           {packed(t, slip), fault.Internal, "Failed to save model: URL"},
		"the manifest":            {packed(t, broken), fault.InvalidModel, "Failed to parse signature.json."},
		"the name":                {source{name: "-"}.mar(t), fault.InvalidModel, "Model name is not defined."},
		"the model config":        {source{yaml: "asyncCommunication: true\ncontinuousBatching: true\n"}.mar(t), fault.InvalidModel, "asyncCommunication cannot be combined with continuousBatching or sequenceBatching."},
		"the number of workers":   {source{yaml: "minWorkers: 5000\nmaxWorkers: 5000\n"}.mar(t), fault.BadRequest, "A model can have at most 4096 workers, not 5000."},
		"the version":             {source{version: "taken"}.mar(t), fault.Conflict, "Model version taken is already registered for model noop"},
		"the devices":             {source{yaml: "deviceType: gpu\nparallelType: tp\nparallelLevel: 2\n"}.mar(t), fault.WorkerStart, "No enough gpu devices for model:noop parallelLevel:2"},
		"the load":                {source{handler: workertest.Unloadable}.mar(t), fault.Worker, "Failed to start workers for model noop version: 1.0"},
		"the memory for the load": {source{handler: workertest.Exhausts}.mar(t), fault.Worker, "Failed to start workers for model noop version: 1.0"},
	} {
		t.Run("MAR-069 MGT-025 MGT-037 "+name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(cfg *serving.Config) { cfg.Devices = 1 })
			f.put("taken.mar", source{version: "taken"})
			f.registered(model.Registration{URL: "taken.mar"})
			before := f.unpacked()
			content := atomic.Pointer[[]byte]{}
			content.Store(&c.served)
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body := *content.Load(); body != nil {
					_, _ = w.Write(body) // the client is looked at
					return
				}
				http.NotFound(w, r)
			}))
			t.Cleanup(web.Close)
			call := model.Registration{URL: web.URL + "/noop.mar", Workers: new(1), Synchronous: true}
			for range 2 {
				_, err := f.Register(t.Context(), call)
				f.fails(err, c.kind, strings.ReplaceAll(c.message, "URL", call.URL))
				all, err := f.DescribeAll("noop")
				require.NoError(t, err)
				assert.Len(t, all, 1)
				assert.Equal(t, before, f.unpacked())
				assert.Equal(t, []string{"taken.mar"}, f.stored())
			}
			content.Store(&good)
			f.registered(call)
			assert.Equal(t, "hello", f.predict(noop("1.0"), "hello"))
			require.NoError(t, f.Unregister(t.Context(), noop("1.0")))
			assert.Equal(t, before, f.unpacked())
			assert.Equal(t, []string{"taken.mar"}, f.stored())
		})
	}
}
