package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestLasting calls a server that takes requests and does not answer, as one does
// that was halted by SIGSTOP.
func TestLasting(t *testing.T) {
	t.Parallel()
	halted := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then net/http looks whether the client is still there
		<-r.Context().Done()
	}
	s := serveRoutes(t, map[string]http.HandlerFunc{
		"POST /models": halted, "DELETE /models/m": halted, "PUT /models/m": halted, "POST /predictions/m": halted,
		"POST /predictions/half": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			halted(w, r)
		},
	})
	s.silence = time.Millisecond
	const (
		advice = "The server did not answer in time: torchserve status, torchserve logs.\n"
		unsure = "The server may do it all the same: torchserve models\n"
		late   = "torchserve: error: not done after 500ms (--timeout): "
	)
	waiting := "Still waiting for the server at " + s.base + "; Ctrl-C gives up"
	for line, want := range map[string]string{
		"unregister m":            waiting + ", the request may still take effect\n" + unsure + late + "DELETE " + s.base + "/models/m: context deadline exceeded\n" + advice,
		"register a.mar":          "Registering a.mar …\n" + waiting + ", the request may still take effect\n" + unsure + late + "POST " + s.base + "/models: context deadline exceeded\n" + advice,
		"scale m 1":               waiting + ", the request may still take effect\n" + unsure + late + "PUT " + s.base + "/models/m: context deadline exceeded\n" + advice,
		"scale m 1 --synchronous": waiting + ", the request may still take effect\n" + unsure + late + "PUT " + s.base + "/models/m: context deadline exceeded\n" + advice,
		"predict m -d x":          waiting + "\n" + late + "POST " + s.base + "/predictions/m: context deadline exceeded\n" + advice,
		"predict half -d x":       late + "POST " + s.base + "/predictions/half: the answer broke off: context deadline exceeded\n" + advice,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			got := s.call(t, append(strings.Fields(line), "--timeout", "500ms")...)
			if strings.HasPrefix(line, "predict half") { // on a slow machine its answer may begin late
				got.stderr = strings.TrimPrefix(got.stderr, waiting+"\n")
			}
			assert.Equal(t, result{exitFailed, "", want}, got)
		})
	}
	t.Run("an answer in time", func(t *testing.T) {
		t.Parallel()
		s := serveRoutes(t, map[string]http.HandlerFunc{"DELETE /models/m": says(200, `{"status":"gone"}`)})
		s.silence = time.Hour
		assert.Equal(t, result{exitOK, "gone\n", ""}, s.call(t, "unregister", "m", "--timeout", "1h"))
	})
	t.Run("nothing is sent", func(t *testing.T) {
		t.Parallel()
		const refusal = "torchserve unregister: error: --timeout is a duration of 0 and more\nHelp: torchserve unregister --help\n"
		assert.Equal(t, result{exitUsage, "", refusal}, s.call(t, "unregister", "m", "--timeout", "-1s"))
		got := s.call(t, "unregister", "m", "--key-file", "nowhere")
		assert.Equal(t, exitFailed, got.code)
		assert.NotContains(t, got.stderr, unsure)
	})
	t.Run("whoever asked gives up", func(t *testing.T) {
		t.Parallel()
		session, notes, _ := shelf(t)
		ctx, cancel := canceled(t)
		defer cancel()
		err := (&lasting{changes: true, limit: time.Hour}).change(ctx, session, func(ctx context.Context) error { return ctx.Err() })
		assert.Equal(t, context.Canceled, err, "which is not printed")
		assert.Equal(t, unsure, notes.String())
	})
}
