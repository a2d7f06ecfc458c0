package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// TestContext is about what a handler reads from its context, and sets in it.
func TestContext(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("PYB-038 each request of a batch has its own id, and before any there is none", func(t *testing.T) {
		t.Parallel()
		l.model(t, "ids", "batch_size=2&max_batch_delay=20000")
		both := []*pending{l.beginAsk(t, "ids", "seen", "1"), l.beginAsk(t, "ids", "seen", "2")}
		for _, p := range both {
			reply := p.answer()
			var got seen
			reply.JSON(t, &got)
			assert.Equal(t, 2, got.Size)
			assert.Equal(t, reply.Header.Get("X-Request-Id"), got.ID)
			assert.Equal(t, map[string]any{"id": nil, "ids": nil}, got.Early)
		}
	})
	t.Run("PYB-052 PYB-053 what is set for one answer is not there for the next", func(t *testing.T) {
		t.Parallel()
		set := l.In(t).Do(e2etest.Call{
			Method: http.MethodPost, To: e2etest.Inference, Path: path("lab", "headers"), Body: `{"x-one": "1"}`,
			Header: map[string]string{"Content-Type": "application/json"},
		})
		assert.Equal(t, "1", set.Header.Get("X-One"))
		typed := l.In(t).ask("content/image/png", "")
		assert.Equal(t, "image/png", typed.Header.Get("Content-Type"))
		assert.Equal(t, "with content type image/png", typed.Body)
		missing := l.In(t).ask("status/404", "not here")
		assert.Equal(t, http.StatusNotFound, missing.Status)
		assert.Equal(t, "not here", missing.Body)
		assert.True(t, missing.Close)
		plain := l.In(t).ask("seen", "")
		assert.Equal(t, http.StatusOK, plain.Status)
		for _, name := range []string{"X-One", "Content-Type"} {
			assert.NotContains(t, plain.Header, name)
		}
		var got seen
		plain.JSON(t, &got)
		assert.Equal(t, []any{[]any{200.0, nil}, map[string]any{}}, got.Answer)
	})
	t.Run("PYB-104 what is printed is in the log while the handler is at work", func(t *testing.T) {
		t.Parallel()
		l.model(t, "muttering", "")
		p := l.beginAsk(t, "muttering", "mutter/muttering", "a word")
		l.awaitHeld(t, "muttering")
		l.In(t).AwaitLog("model_log.log", "-muttering_1.0-stdout MODEL_LOG - muttered a word\n")
		p.unanswered()
		l.open(t, "muttering")
		assert.Equal(t, "a word", p.answer().Body)
	})
}

// TestSequenceNames is about the headers by which clients name sequences.
func TestSequenceNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		properties []string
		want       []any
		header     string
	}{
		"PYB-039 unless they are configured": {
			nil, []any{"ts_request_sequence_id", "ts_request_sequence_start", "ts_request_sequence_end", "s-1"}, "ts_request_sequence_id",
		},
		"PYB-039 as they are configured": {
			[]string{"ts_header_key_sequence_id=my_id", "ts_header_key_sequence_start=my-start", "ts_header_key_sequence_end=My-End"},
			[]any{"my_id", "my-start", "My-End", "s-1"},
			"MY_ID",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, e2etest.Properties(c.properties...))
			got := l.look(t, e2etest.Call{Header: map[string]string{c.header: "s-1"}})
			assert.Equal(t, c.want, got.Sequence)
			assert.Nil(t, l.look(t, e2etest.Call{}).Sequence[3])
		})
	}
}

// TestPieces is about answers that handlers give piece by piece.
func TestPieces(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const streams = "ts_stream_next: "
	t.Run("PYB-086 three pieces and the list at the end", func(t *testing.T) {
		t.Parallel()
		got := l.pieces(t, "stream/one/two/three")
		assert.Contains(t, got.Header, streams+"true\r\n")
		assert.Equal(t, []string{"one", "two", "three", "last", ""}, got.Chunks)
		assert.True(t, got.Complete)
	})
	for verb, c := range map[string]struct {
		want   string // the header's value at the client
		chunks []string
	}{
		"stop/last/one/last": {"true", []string{"one", "last", ""}},
		"stop/none/all":      {"", nil},
		"stop/true/all":      {"", nil}, // INF-D16: a first piece that is the last is an ordinary answer
	} {
		t.Run("PYB-088 criteria: "+verb, func(t *testing.T) {
			t.Parallel()
			got := l.pieces(t, verb)
			if c.want != "" {
				assert.Contains(t, got.Header, streams+c.want+"\r\n")
			} else {
				assert.NotContains(t, strings.Join(got.Header, ""), streams)
			}
			assert.Equal(t, c.chunks, got.Chunks)
			if c.chunks == nil {
				assert.Equal(t, "all", l.In(t).ask(verb, "").Body)
			}
		})
	}
}

// TestMadeFromBaseHandler serves a handler made from BaseHandler that needs no
// torch.
func TestMadeFromBaseHandler(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Serve(e2etest.Archive{Name: "basic", Handler: basicHandler}))
	s.AwaitReady()
	t.Run("the steps", func(t *testing.T) {
		t.Parallel()
		s := s.In(t)
		assert.JSONEq(t, `{"processed": {"inferred": "x"}}`, s.Predict("basic", "x").Body)
		explained := s.Do(e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: "/explanations/basic", Body: "x"})
		assert.JSONEq(t, `{"prepared": ["x"], "inputs": "x", "target": 0}`, explained.Body)
	})
	for said, want := range map[string]string{
		"":           "{}", // as 0.12: null is no object, and a description that is none is empty
		`{"a": [1]}`: `{"a": [1]}`,
		`[1]`:        "{}",
		`"text"`:     "{}",
	} {
		t.Run("PYB-067 it describes itself by "+fmt.Sprintf("%q", said), func(t *testing.T) {
			t.Parallel()
			call := e2etest.Call{To: e2etest.Management, Path: "/models/basic?customized=true"}
			if said != "" {
				call.Header = map[string]string{"X-Describe": said}
			}
			reply := s.In(t).Do(call)
			require.Equal(t, http.StatusOK, reply.Status)
			var all []described
			reply.JSON(t, &all)
			require.Len(t, all, 1)
			assert.JSONEq(t, want, string(all[0].Customized))
		})
	}
}

// TestHome has the server use another package ts than its own.
func TestHome(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	require.NoError(t, os.CopyFS(home, os.DirFS(e2etest.Backend(t))))
	file := filepath.Join(home, "ts", "configs", "metrics.yaml")
	definitions, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := strings.Replace(string(definitions), "Requests2XX", "Answers2XX", 1)
	require.NotEqual(t, string(definitions), changed)
	require.NoError(t, os.WriteFile(file, []byte(changed), 0o600))
	l := newLab(t, e2etest.Properties("metrics_mode=prometheus"), e2etest.Env("TS_MODEL_SERVER_HOME="+home))
	t.Run("MET-001 the definitions of metrics are those of the home", func(t *testing.T) {
		t.Parallel()
		assert.Contains(t, l.world(t, "lab").Argv, file)
		exposed := l.In(t).Get(e2etest.Metrics, "/metrics", "").Body
		assert.Contains(t, exposed, "TYPE Answers2XX")
		assert.NotContains(t, exposed, "TYPE Requests2XX")
	})
}

// TestMetricsApart has metrics exposed instead of logged.
func TestMetricsApart(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("metrics_mode=prometheus", "model_metrics_auto_detect=true"))
	t.Run("MET-015 nothing is written to the files of metrics", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		require.Equal(t, "measured", l.ask("measure", "").Body)
		l.Await("the metrics", func() bool {
			return strings.Contains(l.Get(e2etest.Metrics, "/metrics", "").Body, "SeenOne{Kind=\"mine\"")
		})
		for _, file := range []string{"ts_metrics.log", "model_metrics.log"} {
			assert.True(t, l.Exists(filepath.Join("logs", file)), file)
			assert.Empty(t, l.Logs(file), file)
		}
	})
}
