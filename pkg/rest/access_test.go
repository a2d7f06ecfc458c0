package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
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
	for want, l := range map[string]rest.AccessLine{
		`/127.0.0.1:53514 "POST /models?url=noop.mar HTTP/1.1" 405 0`: {
			Remote: "127.0.0.1:53514", Method: "POST", Target: "/models?url=noop.mar", Protocol: "HTTP/1.1", Status: 405, Duration: 999 * time.Microsecond,
		},
		`127.0.0.1 "GET /ping HTTP/1.1" 200 12`: {
			Remote: "@", Method: "GET", Target: "/ping", Protocol: "HTTP/1.1", Status: 200, Duration: 12 * time.Millisecond,
		},
		`/[0:0:0:0:0:0:0:1]:40312 "GET /ping HTTP/1.1" 200 0`: {
			Remote: "[::1]:40312", Method: "GET", Target: "/ping", Protocol: "HTTP/1.1", Status: 200,
		},
		`/1.2.3.4:5 "GET /\x0Aforged\x7F HTTP/1.1" 200 0`: {
			Remote: "1.2.3.4:5", Method: "GET", Target: "/\nforged\x7f", Protocol: "HTTP/1.1", Status: 200,
		},
	} {
		t.Run("INF-140 LOG-013 "+want, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, want, l.String())
		})
	}
	t.Run("INF-140 LOG-014 the target is raw, secrets are not in it", func(t *testing.T) {
		t.Parallel()
		for target, want := range map[string]string{
			"/models/a%2Fb/?x=%41": "/models/a%2Fb/?x=%41",
			"/models?url=https%3A%2F%2Fb%2Fx.mar%3FX-Amz-Signature%3Dabc%26X-Amz-Date%3D1&initial_workers=1": "/models?url=https%3A%2F%2Fb%2Fx.mar%3FX-Amz-Signature%3D%2A%2A%2A%26X-Amz-Date%3D1&initial_workers=1",
			"/models?url=https://b/x.mar?A=1&X-Amz-Signature=abc&x-amz-credential=k&X-Amz-Security-Token=t":  "/models?url=https://b/x.mar?A=1&X-Amz-Signature=***&x-amz-credential=***&X-Amz-Security-Token=***",
			"/models?url=https://b/x.mar?sig=abc": "/models?url=https%3A%2F%2Fb%2Fx.mar%3Fsig%3D%2A%2A%2A",
			"/models?Signature=abc;sig=d":         "/models?Signature=***;sig=***",
			"/models?url=http://u:p@h/x.mar":      "/models?url=http%3A%2F%2F%2A%2A%2A%40h%2Fx.mar",
			"/models?url=http%3A%2F%2Fu:p%40h":    "/models?url=http%3A%2F%2F%2A%2A%2A%40h",
			"/models?url=a@b.mar&design=1":        "/models?url=a@b.mar&design=1",
		} {
			l := &lines{}
			call(t, rest.Management(config(), rest.Deps{Models: &models{}, Access: l.add}), request{target: target})
			require.Len(t, l.list(), 1)
			assert.Equal(t, want, l.list()[0].Target)
		}
	})
}

func FuzzRedaction(f *testing.F) {
	for _, seed := range []string{"X-Amz-Signature", "a=b&sig", "url=http://h?x=y&Signature"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, before string) {
		const key = "verysecret"
		if strings.ContainsAny(before, " #\r\n\t\x00") || strings.Contains(key, before) {
			t.Skip("not a target")
		}
		l := &lines{}
		r := request{method: "GET", target: "/x"}.http(t)
		r.RequestURI = "/models?" + before + "&sig=" + key
		rest.Metrics(config(), rest.Deps{Access: l.add}).ServeHTTP(discardWriter{http.Header{}}, r)
		all := l.list()
		require.Len(t, all, 1)
		assert.False(t, slices.ContainsFunc(all, func(l rest.AccessLine) bool { return strings.Contains(l.Target, key) }))
	})
}
