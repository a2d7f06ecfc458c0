package main

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	first  = "2026-01-01T00:00:00,001 [INFO ] main o.p.Server - first\n"
	second = "2026-01-01T00:00:00,002 [ERROR] W-9000-m_1.0-stdout MODEL_LOG - second\njava.lang.Oops\n  at line\n"
	third  = "2026-01-01T00:00:00,003 [INFO ] W-9001-m_2_1.0-stdout MODEL_LOG - third\n"
)

func TestTailBegins(t *testing.T) {
	t.Parallel()
	path := put(t, t.TempDir(), "ts_log.log", "  rolled\n"+first+second+third+"half a li")
	for name, c := range map[string]struct {
		lines int
		model string
		want  string
	}{
		"all":                    {10, "", "  rolled\n" + first + second + third},
		"some":                   {2, "", "  at line\n" + third},
		"none":                   {0, "", ""},
		"of a model":             {10, "m", second},
		"of one with its prefix": {10, "m_2", third},
		"of nobody":              {10, "n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			tail := tail{path: path, lines: c.lines, keep: aboutModel(c.model)}
			require.NoError(t, tail.begin(&out))
			tail.close()
			assert.Equal(t, c.want, out.String())
		})
	}
}

func TestAboutModel(t *testing.T) {
	t.Parallel()
	about := aboutModel("m.v")
	for line, want := range map[string]bool{
		`2024 [INFO ] W-9000-m.v_1.0 org.pytorch.serve.wlm.WorkerThread - x`:  true,
		`2024 [INFO ] W-9000-m.v_1.0-stdout MODEL_LOG - x`:                    true,
		`2024 - /127.0.0.1:1 "POST /predictions/m.v HTTP/1.1" 200 1`:          true,
		`2024 - /127.0.0.1:1 "PUT /models/m.v?min_worker=1 HTTP/1.1" 200 1`:   true,
		`2024 - PredictionTime.ms:1|#ModelName:m.v,Level:Model|#hostname:h,1`: true,
		`2024 - ts_inference_requests_total.Count:1.0|#model_name:m.v,x:y|`:   true,
		`2024 [DEBUG] main o.p.s.w.ModelManager - Model m.v loaded.`:          true,
		`{"process.thread.name":"W-9000-m.v_1.0-stdout","message":"x"}`:       true,
		`2024 [INFO ] W-9000-mxv_1.0 x - y`:                                   false,
		`2024 [INFO ] W-9000-m.v.w_1.0 x - y`:                                 false,
		`2024 - /127.0.0.1:1 "POST /predictions/m.v2 HTTP/1.1" 200 1`:         false,
	} {
		assert.Equal(t, want, about(line), line)
	}
}

// TestTailFollows has a log rolled as pkg/logging does, cut, and made anew.
func TestTailFollows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "ts_log.log")
	tail := &tail{path: path, lines: 10, keep: aboutModel("")}
	require.Error(t, tail.begin(io.Discard), "there is none yet")
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1) // of follow
	go func() { done <- tail.follow(ctx, in) }()
	expect := func(text string) {
		t.Helper()
		got := make([]byte, len(text))
		_, err := io.ReadFull(out, got)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	log, err := os.Create(path)
	require.NoError(t, err)
	add := func(text string) {
		t.Helper()
		_, err := log.WriteString(text)
		require.NoError(t, err)
	}
	add(first + "2026-01-01T00:00:01 half")
	expect(first)
	add(" of it\n")
	expect("2026-01-01T00:00:01 half of it\n")

	add("2026-01-01T00:00:02 the last one of this file\n")
	aside := filepath.Join(dir, "ts_log.01-Jan.log")
	require.NoError(t, os.Rename(path, aside))
	require.NoError(t, log.Close())
	log, err = os.Create(path)
	require.NoError(t, err)
	add(third)
	expect("2026-01-01T00:00:02 the last one of this file\n" + third)
	compress(t, aside)

	require.NoError(t, log.Truncate(0))
	_, err = log.Seek(0, io.SeekStart)
	require.NoError(t, err)
	add("2026-01-01 cut\n")
	expect("2026-01-01 cut\n")
	require.NoError(t, log.Close())
	cancel()
	require.NoError(t, <-done)
	tail.close()
}

// compress does what pkg/logging does in the background.
func compress(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path + ".gz")
	require.NoError(t, err)
	require.NoError(t, gzip.NewWriter(f).Close())
	require.NoError(t, f.Close())
	require.NoError(t, os.Remove(path))
}

func TestLogsWithoutServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "ts_log.log", first)
	put(t, dir, "model_log.log", second)
	p := place{env: map[string]string{"LOG_LOCATION": dir, "METRICS_LOCATION": filepath.Join(dir, "none")}}
	assert.Equal(t, result{exitOK, first, ""}, p.call(t, "logs"))
	assert.Equal(t, result{exitOK, second, ""}, p.call(t, "logs", "model_log.log"))
	got := p.call(t, "logs", "ts_metrics")
	assert.Equal(t, exitFailed, got.code)
	assert.Contains(t, got.stderr, "no such file or directory\nWithout a running server, logs are looked for in logs of this folder, or in LOG_LOCATION.\n")
	p.env[addressVariable] = "http://h"
	assert.Contains(t, p.call(t, "logs").stderr, "torchserve: error: logs are read where the server runs\n")
}
