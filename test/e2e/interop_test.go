package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// published returns the environment in which TorchServe 0.12 is installed, which
// make names in TORCHSERVE_ORIGINAL.
func published(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TORCHSERVE_ORIGINAL")
	if _, err := os.Stat(filepath.Join(dir, "ready")); err != nil {
		t.Skip("TorchServe 0.12 is not installed here; `make environments` does it")
	}
	return dir
}

// needJava skips a test whose servers are those of 0.12.
func needJava(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("the frontend of TorchServe 0.12 needs Java 17, which is not on PATH")
	}
}

// home returns the folder in which an environment has its package ts.
func home(t *testing.T, dir string) string {
	t.Helper()
	homes, err := filepath.Glob(filepath.Join(dir, "lib", "python3*", "site-packages"))
	require.NoError(t, err)
	require.Len(t, homes, 1)
	return homes[0]
}

// both lets a lab serve the handler made from BaseHandler as well, and log the
// metrics of both.
func both() e2etest.Option {
	return func(s *e2etest.Site) {
		e2etest.Serve(e2etest.Archive{Name: "basic", Handler: basicHandler})(s)
		e2etest.Properties("model_metrics_auto_detect=true")(s)
	}
}

// modes lets a lab serve the handlers for the modes that 0.12 has.
func modes(t *testing.T) e2etest.Option {
	t.Helper()
	var all []e2etest.Archive
	for name, config := range modeConfigs {
		handler, err := modeHandlers.ReadFile("testdata/modes/" + name + ".py")
		require.NoError(t, err)
		all = append(all, e2etest.Archive{Name: name, Handler: string(handler), Config: config})
	}
	return e2etest.Serve(all...)
}

// TestOriginalWorker has the server drive the worker of TorchServe 0.12: its
// clients see what they see of ours.
//
//nolint:tparallel // the sub-tests share one worker, which some of them end
func TestOriginalWorker(t *testing.T) {
	t.Parallel()
	dir := published(t)
	original := newLab(t, both(), e2etest.Patient(), e2etest.Env("TS_MODEL_SERVER_HOME="+home(t, dir)), e2etest.Args("--python", filepath.Join(dir, "bin", "python")))
	original.worksFrom(t, home(t, dir))
	compare(t, newLab(t, both()), original)
}

// TestOriginalFrontend has the frontend of TorchServe 0.12 drive our worker: its
// clients see what they see of its own.
//
//nolint:tparallel // as above
func TestOriginalFrontend(t *testing.T) {
	t.Parallel()
	dir := published(t)
	needJava(t)
	own := newLab(t, both(), modes(t), e2etest.Published(dir))
	own.worksFrom(t, home(t, dir))
	ours := newLab(t, both(), modes(t), e2etest.Published(dir), e2etest.Env("TS_MODEL_SERVER_HOME="+e2etest.Backend(t), "PYTHONDONTWRITEBYTECODE=1"))
	ours.worksFrom(t, e2etest.Backend(t))
	for _, l := range []lab{ours, own} {
		for model := range modeConfigs { // 0.12 loses what comes before an asynchronous worker is there
			l.Await("a worker of "+model, func() bool { return l.describe(t, model).Workers[0].Status == "READY" })
		}
	}
	alike(t, ours, own, modeExchanges())
	t.Run("WRK-066 requests that a worker has in its hands at once", func(t *testing.T) {
		for _, l := range []lab{ours.In(t), own.In(t)} {
			ask := func(body string) e2etest.Call {
				return e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/predictions/asynchronous", Body: body}
			}
			waiting := l.begin(t, ask("wait"))
			l.awaitHeld(t, "asynchronous")
			assert.Contains(t, l.Do(ask("say")).Body, `"verb": "say"`)
			waiting.unanswered()
			l.Do(ask("wake"))
			assert.Contains(t, waiting.answer().Body, `"verb": "wait"`)
		}
	})
	compare(t, ours, own)
}

// worksFrom checks that the workers are those of a package ts.
func (l lab) worksFrom(t *testing.T, home string) {
	t.Helper()
	require.Equal(t, "hello", l.In(t).ask("echo", "hello").Body)
	assert.Equal(t, filepath.Join(home, "ts", "model_service_worker.py"), l.In(t).world(t, "lab").Argv[0])
}

// compare asks two servers the same.
func compare(t *testing.T, ours, original lab) {
	t.Helper()
	alike(t, ours, original, exchanges())
	t.Run("WRK-066 metrics", func(t *testing.T) {
		want, got := original.In(t).metricLines(t), ours.In(t).metricLines(t)
		assert.Contains(t, want, "SeenOne.Count:1.0|#Kind:mine,ModelName:lab,Level:Model|#hostname:,requestID:,timestamp:")
		assert.Equal(t, want, got)
	})
	for _, verb := range []string{
		"stream/one/two", "stream/empty/one/empty", "stream/one/fail", "stream/one/die", "stop/last/one/last", "stop/none/all", "big/3000000",
	} {
		t.Run("WRK-066 pieces of "+verb, func(t *testing.T) {
			assert.Equal(t, original.In(t).pieces(t, verb), ours.In(t).pieces(t, verb))
		})
	}
	for _, l := range []lab{ours, original} {
		l.model(t, "pair", "batch_size=2&max_batch_delay=20000")
	}
	for _, verbs := range [][2]string{
		{"echo", "kind/dict"},
		{"status/404", "echo"},
		{"content/text/x", "echo"},
		{"fail/value", "echo"},
		{"fail/prediction/422", "echo"},
		{"return/short", "return/short"},
		{"return/set", "return/set"},
		{"stream/a/b", "stream/a/b"},
	} {
		t.Run("WRK-066 a batch of "+verbs[0]+" and "+verbs[1], func(t *testing.T) {
			assert.Equal(t, original.pair(t, verbs), ours.pair(t, verbs))
		})
	}
	alike(t, ours, original, deadlyExchanges())
}

func alike(t *testing.T, ours, original lab, all []exchange) {
	t.Helper()
	for _, e := range all {
		t.Run("WRK-066 "+e.name, func(t *testing.T) {
			got, want := answer(t, ours.In(t).Server, e.call), answer(t, original.In(t).Server, e.call)
			if e.differs != "" {
				assert.NotEqual(t, want, got, "no difference any more: %s", e.differs)
				return
			}
			assert.Equal(t, want, got)
		})
	}
}

// pieces is what arrives of a stream.
type pieces struct {
	Header   []string
	Chunks   []string
	Complete bool
}

// pieces asks the lab and reads its answer piece by piece.
func (l lab) pieces(t *testing.T, verb string) pieces {
	t.Helper()
	c := l.conversation(t, post(path("lab", verb), "last"))
	var got pieces
	head := c.head()
	for line := range strings.Lines(strings.ToLower(head)) {
		if !strings.HasPrefix(line, "x-request-id:") {
			got.Header = append(got.Header, line)
		}
	}
	slices.Sort(got.Header)
	if !strings.Contains(strings.ToLower(head), "transfer-encoding: chunked") {
		return got
	}
	for !got.Complete {
		if _, err := c.Peek(1); err != nil {
			return got // broken off, properly or by a reset
		}
		chunk := c.chunk()
		got.Complete = chunk == ""
		got.Chunks = append(got.Chunks, chunk)
	}
	return got
}

// ofOneRequest is what differs between two requests anyway.
var ofOneRequest = regexp.MustCompile(`"id": "[0-9a-f-]{36}"`)

// answer makes a call and returns its answer without what differs between servers
// and requests anyway.
func answer(t *testing.T, s *e2etest.Server, c e2etest.Call) e2etest.Reply {
	t.Helper()
	reply := s.Do(c)
	delete(reply.Header, "X-Request-Id")
	if c.To == e2etest.Management && reply.Status/100 == 2 {
		var all []described
		reply.JSON(t, &all)
		require.Len(t, all, 1)
		reply.Body = string(all[0].Customized)
		delete(reply.Header, "Content-Length")
	}
	reply.Body = strings.ReplaceAll(reply.Body, s.Address(e2etest.Inference), "HOST")
	reply.Body = ofOneRequest.ReplaceAllString(reply.Body, `"id": "ID"`)
	return reply
}

// pair returns the answers of one batch.
func (l lab) pair(t *testing.T, verbs [2]string) (answers [2]e2etest.Reply) {
	t.Helper()
	var both [2]*pending
	for i, verb := range verbs {
		both[i] = l.beginAsk(t, "pair", verb, "body")
	}
	for i, p := range both {
		answers[i] = p.answer()
		delete(answers[i].Header, "X-Request-Id")
	}
	return answers
}

// ofOneMetric is what differs between two lines of metrics anyway: the time of the
// log, the time that was measured, host, requests, and the time of the sample.
var ofOneMetric = regexp.MustCompile(`^\S+ - |((?:Prediction|Handler)Time\.ms:)[0-9.]+|(hostname:|requestID:|timestamp:)[^,]+`)

// metricLines returns the metrics that the log has of the lab, between the first
// request for some and one that this makes.
func (l lab) metricLines(t *testing.T) []string {
	t.Helper()
	const file, first, last = "model_metrics.log", "Seen.Count", "Own.things"
	asked := len(lines(l.Logs(file), last))
	require.Equal(t, "measured", l.ask("measure", "").Body)
	l.Await("the last metric", func() bool { return len(lines(l.Logs(file), last)) > asked })
	var all []string
	for _, line := range lines(l.Logs(file)) {
		if !strings.Contains(line, "ModelName:basic") {
			all = append(all, ofOneMetric.ReplaceAllString(line, "$1$2"))
		}
	}
	starts := func(prefix string) func(string) bool {
		return func(line string) bool { return strings.HasPrefix(line, prefix) }
	}
	all = all[slices.IndexFunc(all, starts(first)):]
	slices.Reverse(all)
	return all[slices.IndexFunc(all, starts(last)):]
}
