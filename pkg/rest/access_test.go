package rest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	ask := func(p *predictor, headers ...string) (string, string) {
		w := call(t, inference(p), request{target: "/predictions/m", headers: headers})
		return w.Header().Get("X-Request-Id"), p.job().ID
	}
	t.Run("INF-099 the answer, the job and the log have one id", func(t *testing.T) {
		t.Parallel()
		answered, worked := ask(replying(job.Reply{Headers: []job.Header{{Name: "x-request-id", Value: "forged"}}}))
		assert.Equal(t, answered, worked)
		assert.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$", answered)
	})
	t.Run("INF-099 an incoming id is kept, as decided", func(t *testing.T) {
		t.Parallel()
		answered, worked := ask(&predictor{}, "X-Request-Id: trace 42")
		assert.Equal(t, "trace 42", answered)
		assert.Equal(t, "trace 42", worked)
	})
	for name, id := range map[string]string{
		"too long": strings.Repeat("x", 129), "control characters": "a\tb", "not ASCII": "\u00fc", "empty": "",
	} {
		t.Run("INF-099 an id that is not kept: "+name, func(t *testing.T) {
			t.Parallel()
			answered, _ := ask(&predictor{}, "X-Request-Id: "+id)
			assert.Len(t, answered, 36)
		})
	}
	t.Run("two requests at a time never have the same id", func(t *testing.T) {
		t.Parallel()
		var inner string
		p := &predictor{}
		h := inference(p)
		p.answer = func(j *job.Job) error {
			p.answer = nil
			inner = call(t, h, request{target: "/predictions/m", headers: []string{"X-Request-Id: same"}}).Header().Get("X-Request-Id")
			deliver(j, job.Reply{})
			return nil
		}
		w := call(t, h, request{target: "/predictions/m", headers: []string{"X-Request-Id: same"}})
		assert.Equal(t, "same", w.Header().Get("X-Request-Id"))
		assert.Len(t, inner, 36)
		again := call(t, h, request{target: "/predictions/m", headers: []string{"X-Request-Id: same"}})
		assert.Equal(t, "same", again.Header().Get("X-Request-Id"))
	})
}

func TestAccessLine(t *testing.T) {
	t.Parallel()
	const target = "/models/a%2Fb/?url=https://u:p@h/x.mar?X-Amz-Signature=abc&x=%41"
	t.Run("INF-140 the target is raw, with its query", func(t *testing.T) {
		t.Parallel()
		l := &lines{}
		call(t, rest.Management(config(), rest.Deps{Models: &models{}, Access: l.add}), request{method: "BREW", target: target})
		require.Len(t, l.list(), 1)
		line := l.list()[0]
		assert.GreaterOrEqual(t, line.Elapsed, time.Duration(0))
		line.Elapsed = 0
		assert.Equal(t, rest.AccessLine{
			Remote: "192.0.2.1:1234", Method: "BREW", URI: target, Protocol: "HTTP/1.1", Status: 405,
		}, line)
	})
	t.Run("the time is that of the answer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := &lines{}
			p := &predictor{answer: func(j *job.Job) error {
				<-time.NewTimer(3 * time.Second).C
				deliver(j, job.Reply{})
				return nil
			}}
			h := rest.Inference(config(), rest.Deps{Predictor: p, Access: l.add})
			call(t, h, request{target: "/predictions/m"})
			require.Len(t, l.list(), 1)
			assert.Equal(t, 3*time.Second, l.list()[0].Elapsed)
		})
	})
}
