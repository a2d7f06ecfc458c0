package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// published returns the environment in which TorchServe 0.12 is installed, where
// `make bench` puts it.
func published(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	dir := filepath.Join(cache, "torchserve-go", "torchserve-0.12.0")
	if _, err := os.Stat(filepath.Join(dir, "ready")); err != nil {
		t.Skip("TorchServe 0.12 is not installed: `make bench` does it")
	}
	return dir
}

// TestOriginalWorker has the server drive the worker of TorchServe 0.12: its
// clients see what they see of ours.
//
//nolint:tparallel // the sub-tests share one worker, which some of them end
func TestOriginalWorker(t *testing.T) {
	t.Parallel()
	dir := published(t)
	homes, err := filepath.Glob(filepath.Join(dir, "lib", "python3*", "site-packages"))
	require.NoError(t, err)
	require.Len(t, homes, 1)
	ours := newLab(t)
	original := newLab(t, e2etest.Env("TS_MODEL_SERVER_HOME="+homes[0]), e2etest.Args("--python", filepath.Join(dir, "bin", "python")))
	require.Equal(t, "hello", original.ask("echo", "hello").Body)
	for _, w := range original.Workers() {
		assert.Contains(t, w.Args, filepath.Join(homes[0], "ts", "model_service_worker.py"))
	}
	for _, verb := range []string{
		"echo", "batch", "kind/dict", "kind/list", "kind/str", "kind/bytes", "kind/bytearray", "kind/none", "kind/true",
		"kind/nan", "kind/empty", "status/201", "status/404", "status/204", "big/3000000", "big/7000000",
		"stream/a/b", "stream/empty/a/empty", "fail/prediction", "fail/prediction/404", "fail/prediction/413",
		"fail/memory", "fail/cuda", "fail/value", "return/str", "return/none", "return/short", "return/long", "return/set", "return/dict",
		"say", "exit/3", "kill", "echo",
	} {
		t.Run(verb, func(t *testing.T) {
			want, got := ours.In(t).ask(verb, "body"), original.In(t).ask(verb, "body")
			assert.Equal(t, want.Status, got.Status)
			assert.Equal(t, want.Body, got.Body)
			for _, answer := range []e2etest.Reply{want, got} {
				delete(answer.Header, "X-Request-Id")
			}
			assert.Equal(t, want.Header, got.Header)
		})
	}
	t.Run("customized describe", func(t *testing.T) {
		for _, l := range []lab{ours, original} {
			reply := l.In(t).Manage(http.MethodGet, "/models/lab?customized=true")
			assert.Equal(t, http.StatusOK, reply.Status)
			assert.Contains(t, reply.Body, "\"customizedMetadata\": {\n      \"given\": [\n        {}\n      ],\n      \"model\": \"lab\"\n    }")
		}
	})
}
