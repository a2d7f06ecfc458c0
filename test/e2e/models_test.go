package e2e

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// modelNeeds says what the handlers of the archives that testdata/models.py makes
// need, where they are those of TorchServe 0.12.
var modelNeeds = map[string][]string{
	"eager": {"torch"}, "script": {"torch"}, "text": {"torch", "captum"},
	"classifier": {"torch", "torchvision", "captum"}, "segmenter": {"torch", "torchvision", "captum"}, "detector": {"torch", "torchvision", "captum"},
}

// modelExchange is a request to one of these models.
type modelExchange struct {
	exchange
	model string
}

// modelExchanges returns what is asked of the models, a picture among it.
func modelExchanges(picture string) []modelExchange {
	ask := func(name, route, model, contentType, body string) modelExchange {
		return modelExchange{model: model, exchange: exchange{name: name, call: e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: "/" + route + "/" + model, Body: body,
			Header: map[string]string{"Content-Type": contentType},
		}}}
	}
	const multipart = "multipart/form-data; boundary=b"
	words := part(`name="data"; filename="x.txt"`, "text/plain", "a fine day")
	target := ask("text with a target", "explanations", "text", multipart, words+part(`name="target"`, "", "1")+"--b--\r\n")
	target.differs = "PYB §6.4: digits become a number"
	return []modelExchange{
		ask("an eager model", "predictions", "eager", "application/json", "[1, 2, 3]"),
		ask("an eager model and too few numbers", "predictions", "eager", "application/json", "[1, 2]"),
		ask("an eager model without insights", "explanations", "eager", "application/json", "[1, 2, 3]"),
		ask("TorchScript", "predictions", "script", "application/json", "[1, 2, 3]"),
		ask("a picture", "predictions", "classifier", "image/png", picture),
		ask("a picture as a part", "predictions", "classifier", multipart, part(`name="data"; filename="p.png"`, "image/png", picture)+"--b--\r\n"),
		ask("a picture in base64", "predictions", "classifier", "text/plain", base64.StdEncoding.EncodeToString([]byte(picture))),
		ask("no picture", "predictions", "classifier", "image/png", "no picture"),
		ask("why this class", "explanations", "classifier", "image/png", picture),
		ask("segments of a picture", "predictions", "segmenter", "image/png", picture),
		ask("objects in a picture", "predictions", "detector", "image/png", picture),
		ask("text", "predictions", "text", "text/plain", "A <b>fine</b> day isn't bad"),
		ask("text as bytes", "predictions", "text", "application/octet-stream", "A fine day"),
		ask("an unknown word", "predictions", "text", "text/plain", "rain"),
		ask("why this text", "explanations", "text", "text/plain", "a fine day"),
		target,
	}
}

// TestOriginalModels serves real models: with the frontend and the worker of
// TorchServe 0.12, with one of them and one of ours, and with ours. All answer as
// the first pair does. One server runs at a time.
//
//nolint:tparallel // as above
func TestOriginalModels(t *testing.T) {
	t.Parallel()
	dir := published(t)
	needJava(t)
	python := filepath.Join(dir, "bin", "python")
	missing := notInstalled(t, python, "torch", "torchvision", "captum")
	archives := makeModels(t, python, missing)
	original := e2etest.Published(dir)
	pairs := []struct {
		name    string
		worker  string // the folder of its package ts; empty: where the server unpacked ours
		options []e2etest.Option
	}{
		{"0.12 alone", home(t, dir), []e2etest.Option{original}},
		{"our worker", e2etest.Backend(t), []e2etest.Option{original, e2etest.Env("TS_MODEL_SERVER_HOME=" + e2etest.Backend(t))}},
		{"our frontend", home(t, dir), []e2etest.Option{e2etest.Args("--python", python), e2etest.Env("TS_MODEL_SERVER_HOME=" + home(t, dir))}},
		{"ours alone", "", []e2etest.Option{e2etest.Args("--python", python)}},
	}
	want := make(map[string]e2etest.Reply)
	for i, pair := range pairs {
		t.Run(pair.name, func(t *testing.T) {
			s := e2etest.Start(t, append(pair.options, e2etest.NoTokens(), e2etest.Patient(), e2etest.Place(archives...),
				e2etest.Env("OMP_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1"))...)
			for _, e := range modelExchanges(picture(t)) {
				ids := "WRK-066 "
				if pair.worker == "" && slices.Contains(modelNeeds[e.model], "captum") {
					ids = "MAR-120 WRK-066 " // these handlers are built in
				}
				t.Run(ids+e.name, func(t *testing.T) {
					skipWithout(t, dir, missing, e.model)
					got := answer(t, s.In(t), e.call)
					switch {
					case i == 0:
						want[e.name] = got
					case e.differs != "" && pair.worker != pairs[0].worker:
						assert.NotEqual(t, want[e.name], got, "no difference any more: %s", e.differs)
					default:
						assert.Equal(t, want[e.name], got)
					}
				})
			}
			assert.True(t, slices.ContainsFunc(s.Workers(), func(p e2etest.Process) bool {
				return slices.Contains(p.Args, filepath.Join(pair.worker, "ts", "model_service_worker.py"))
			}) || pair.worker == "", "%v", s.Workers())
		})
	}
}

// skipWithout skips a test of a model whose handler lacks what it needs.
func skipWithout(t *testing.T, dir string, missing []string, model string) {
	t.Helper()
	for _, need := range modelNeeds[model] {
		if slices.Contains(missing, need) {
			t.Skipf("%s is not installed in %s, and the handler of TorchServe 0.12 needs it", need, dir)
		}
	}
}

// notInstalled returns those of some packages that a Python does not have.
func notInstalled(t *testing.T, python string, packages ...string) []string {
	t.Helper()
	program := "import importlib.util, sys\nprint(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
	out, err := exec.CommandContext(t.Context(), python, append([]string{"-c", program}, packages...)...).Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

// makeModels makes the archives whose handlers have what they need.
func makeModels(t *testing.T, python string, missing []string) []string {
	t.Helper()
	store := t.TempDir()
	words := []string{"-W", "ignore", filepath.Join("testdata", "models.py"), store}
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(modelNeeds)) {
		if !slices.ContainsFunc(modelNeeds[name], func(need string) bool { return slices.Contains(missing, need) }) {
			words, paths = append(words, name), append(paths, filepath.Join(store, name+".mar"))
		}
	}
	if len(paths) == 0 {
		t.Skip("torch is not installed beside TorchServe 0.12")
	}
	out, err := exec.CommandContext(t.Context(), python, words...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return paths
}

// picture returns a PNG file with something to see on it.
func picture(t *testing.T) string {
	t.Helper()
	const width, height = 300, 260
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			canvas.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x * y >> 4), 0xff})
		}
	}
	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, canvas))
	return file.String()
}
