package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/model"
)

func TestValues(t *testing.T) {
	t.Parallel()
	t.Run("CFG-016 workflow_store is the model store", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		assert.Equal(t, s.path("store"), s.load().Models.WorkflowStore)
		s.mkdir("w")
		assert.Equal(t, s.path("w"), s.properties("workflow_store=w").load().Models.WorkflowStore)
	})
	t.Run("CFG-017 DEV-013 DEV-014 number_of_gpu is clamped, whatever its source", func(t *testing.T) {
		t.Parallel()
		for given, want := range map[string]int{"3": 2, "2": 2, "1": 1, "0": 0, "-1": 0} {
			s := with(t, "number_of_gpu="+given)
			s.src.GPUs = 2
			assert.Equal(t, want, s.load().Server.GPUs, given)
			s.properties("enable_envvars_config=true")
			s.env["TS_NUMBER_OF_GPU"] = given
			assert.Equal(t, want, s.load().Server.GPUs, "TS_NUMBER_OF_GPU=%s", given)
		}
		s := newSite(t)
		s.src.GPUs = 2
		assert.Equal(t, 2, s.load().Server.GPUs)
	})
	t.Run("CFG-018 booleans", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]bool{"TRUE": true, "true": true, "true  ": true, "false": false, "yes": false, "1": false, "": false} {
			c := with(t, "install_py_dep_per_model="+text).load()
			assert.Equal(t, want, c.Models.Dependencies.Install, text)
			odd := text == "yes" || text == "1" || text == ""
			assert.Equal(t, odd, strings.Contains(strings.Join(texts(c), "\n"), "neither true nor false"), text)
		}
	})
	t.Run("workers at start", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		assert.Equal(t, 2, s.load().Models.Defaults.StartWorkers, "CPUs")
		s.src.GPUs = 4
		assert.Equal(t, 4, s.load().Models.Defaults.StartWorkers, "GPUs")
		s.properties("default_workers_per_model=7")
		assert.Equal(t, 7, s.load().Models.Defaults.StartWorkers, "the key")
		s.properties("default_workers_per_model=7", "debug=true")
		assert.Equal(t, 1, s.load().Models.Defaults.StartWorkers, "debugging")
	})
	t.Run("locations of logs", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.mkdir("l")
		s.env["LOG_LOCATION"], s.env["METRICS_LOCATION"] = "l", "/m"
		c := s.load()
		assert.Equal(t, s.path("l"), c.Logs.Dir)
		assert.Equal(t, "/m", c.Logs.MetricsDir)
		assert.Equal(t, s.path("l/config"), c.Snapshots.Dir)
		s.env["LOG_LOCATION"], s.env["METRICS_LOCATION"] = "", ""
		c = s.load()
		assert.Equal(t, s.path("logs"), c.Logs.Dir)
		assert.Equal(t, s.path("logs"), c.Logs.MetricsDir)
	})
	t.Run("CFG-050 CFG-051 version is ignored, unknown keys are accepted", func(t *testing.T) {
		t.Parallel()
		c := with(t, "version=9.9", "tsConfigFile=x", "my_key=7").load()
		assert.Equal(t, "(not set)", effective(c, "version"))
		assert.Equal(t, "7", effective(c, "my_key"))
		assert.Contains(t, texts(c), "Unknown key my_key in config.properties is ignored")
	})
	t.Run("MET-003 CFG-044 metrics_mode", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, config.MetricsPrometheus, with(t, "metrics_mode= Prome theus ").load().Metrics.Mode)
		c := with(t, "metrics_mode=foo").load()
		assert.Equal(t, config.MetricsLog, c.Metrics.Mode)
		require.NotEmpty(t, c.Warnings)
		assert.Equal(t, config.Mistake, c.Warnings[0].Level)
		assert.Contains(t, c.Warnings[0].Text, `Configured metrics mode "foo" not supported. Defaulting to "LOG" mode: `)
	})
	t.Run("WRK-051 variables for workers", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{
			"TS_DECODE_INPUT_REQUEST=true", "TS_IPEX_ENABLE=false", "TS_IPEX_GPU_ENABLE=false",
			"TS_REQUEST_SEQUENCE_ID=ts_request_sequence_id", "TS_REQUEST_SEQUENCE_START=ts_request_sequence_start",
			"TS_REQUEST_SEQUENCE_END=ts_request_sequence_end",
		}, newSite(t).load().Workers.Env)
		s := with(t, "decode_input_request=False", "ipex_enable=true", "ts_header_key_sequence_id=i", "ts_header_key_sequence_end=e")
		s.env["TS_REQUEST_SEQUENCE_END"] = "x"
		env := s.load().Workers.Env
		assert.Subset(t, env, []string{"TS_DECODE_INPUT_REQUEST=False", "TS_IPEX_ENABLE=true", "TS_REQUEST_SEQUENCE_ID=i"})
		assert.NotContains(t, env, "TS_REQUEST_SEQUENCE_END=e", "what the workers inherit stands")
		assert.Equal(t, config.SequenceHeaders{ID: "i", Start: "ts_request_sequence_start", End: "e"}, s.load().HTTP.Sequence)
	})
	t.Run("handler, envelope and other texts", func(t *testing.T) {
		t.Parallel()
		c := with(t, "default_service_handler=h.py:f", "service_envelope=kserve", "cors_allowed_origin=*", "cpu_launcher_args=--a  b",
			"keystore_pass= p ", "system_metrics_cmd=a.py --gpu 0", "log_levels=ACCESS_LOG=off, a.b = DEBUG").load()
		assert.Equal(t, "h.py:f", c.Models.Handler)
		assert.Equal(t, "kserve", c.Models.Envelope)
		assert.Equal(t, "*", c.HTTP.CORS.Origin)
		assert.Equal(t, []string{"--a", "", "b"}, c.Workers.CPULauncher.Args)
		assert.Empty(t, with(t, "cpu_launcher_args=x").load().Workers.CPULauncher.Args, "WRK-047: one character is none")
		assert.Equal(t, "p ", c.Listen.TLS.Password)
		assert.Equal(t, []string{"a.py", "--gpu", "0"}, c.Metrics.SystemCommand)
		assert.Equal(t, []config.LoggerLevel{{"ACCESS_LOG", "OFF"}, {"a.b", "DEBUG"}}, c.Logs.Levels)
	})
	t.Run("gRPC ages", func(t *testing.T) {
		t.Parallel()
		c := with(t, "grpc_inference_max_connection_age_ms=5", "grpc_inference_max_connection_age_grace_ms=0",
			"grpc_management_max_connection_age_ms=9223372036854775807", "grpc_management_max_connection_age_grace_ms=70").load()
		assert.Equal(t, config.GRPC{Host: "127.0.0.1", Port: 7070, MaxAge: time.Second, MaxAgeGrace: 1}, c.Listen.GRPCInference)
		assert.Equal(t, config.GRPC{Host: "127.0.0.1", Port: 7071, MaxAgeGrace: 70 * time.Millisecond}, c.Listen.GRPCManagement)
	})
}

func TestModels(t *testing.T) {
	t.Parallel()
	t.Run("CFG-034 CFG-035 load_models", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string][]config.Initial{
			"":                     nil,
			"a.mar, b.mar":         {{Location: "a.mar"}, {Location: "b.mar"}},
			"n=a.mar,,":            {{Name: "n", Location: "a.mar"}},
			"http://h/x.mar?a=b":   {{Location: "http://h/x.mar?a=b"}},
			"n=http://h/x.mar?a=b": {{Name: "n", Location: "http://h/x.mar?a=b"}},
			"/d/x=y.mar":           {{Location: "/d/x=y.mar"}},
		} {
			c := with(t, "load_models="+text).load()
			assert.Equal(t, want, c.Models.Load, text)
			assert.False(t, c.Models.LoadAll, text)
		}
		assert.True(t, with(t, "load_models=ALL").load().Models.LoadAll)
	})
	t.Run("models JSON over several lines", func(t *testing.T) {
		t.Parallel()
		c := with(t, `models={\`, `  "noop": {\`, `    "1.0": {\`, `        "defaultVersion": true,\`, `        "minWorkers": 1,\`,
			`        "maxWorkers": "2",\`, `        "batchSize": 4.9,\`, `        "maxBatchDelay": 100,\`, `        "responseTimeout": 0,\`,
			`        "startupTimeout": -3,\`, `        "runtimeType": "lsp"\`, `    }\`, `  }\`, `}`).load()
		assert.Equal(t, map[string]map[string]config.VersionDefaults{"noop": {"1.0": {
			MinWorkers: 1, MaxWorkers: 2, BatchSize: 4, BatchDelay: 100 * time.Millisecond, Runtime: model.LSP,
		}}}, c.Models.Versions)
		assert.Len(t, c.Warnings, 1, "only that of allowed_urls")
	})
	t.Run("values of models that 0.12 skipped", func(t *testing.T) {
		t.Parallel()
		c := with(t, `models={"m": {"v": {"minWorkers": [1], "batchSize": null, "runtimeType": "java"}}}`).load()
		assert.Equal(t, config.VersionDefaults{}, c.Models.Versions["m"]["v"])
		for _, name := range []string{"minWorkers", "batchSize", "runtimeType"} {
			assert.Contains(t, texts(c), "Invalid value for model: m:v, parameter: "+name)
		}
	})
	t.Run("CFG-040 bad models JSON", func(t *testing.T) {
		t.Parallel()
		assert.Contains(t, with(t, "models={").faults()[0], "Invalid configuration: models: unexpected end of JSON input")
		assert.Contains(t, with(t, `models={"m": {"v": {"batchSize": "x"}}}`).faults()[0], `Invalid configuration: For input string: "x" (models; batchSize of m:v`)
	})
	t.Run("CFG-046 MAR-048 warning about allowed URLs", func(t *testing.T) {
		t.Parallel()
		const text = "Your torchserve instance can access any URL to load models. When deploying to production, make sure to limit the set of allowed_urls in config.properties"
		assert.Contains(t, texts(newSite(t).load()), text)
		assert.Empty(t, with(t, "allowed_urls=.*").load().Warnings)
	})
	t.Run("MAR-046 allowed_urls", func(t *testing.T) {
		t.Parallel()
		c := with(t, `allowed_urls=https://s3.amazonaws.com/.*,file:///tmp/[a-z]+\\.mar`).load()
		require.Len(t, c.Models.Fetch.Allowed, 2)
		matches := func(url string) bool {
			for _, re := range c.Models.Fetch.Allowed {
				if re.MatchString(url) {
					return true
				}
			}
			return false
		}
		assert.True(t, matches("https://S3.amazonaws.com/a.mar"))
		assert.True(t, matches("file:///tmp/abc.mar"))
		assert.False(t, matches("file:///tmp/abc.mar?x"), "whole text")
		assert.False(t, matches("xhttps://s3.amazonaws.com/a.mar"), "whole text")
		assert.False(t, c.Models.Fetch.AllowedByDefault)
	})
	t.Run("allowed_urls that Go reads otherwise than Java", func(t *testing.T) {
		t.Parallel()
		for _, pattern := range []string{`(?!x).*`, `a*+`, `[a-z&&[^b]]`, `[a[b]]`, `(`} {
			assert.Contains(t, with(t, "allowed_urls="+pattern).faults()[0], "allowed_urls", pattern)
		}
		for _, pattern := range []string{`\\[a[b-c]`, `\\Q[[\\E`, `[^\\]&]a&&b`} {
			with(t, "allowed_urls="+pattern).load()
		}
	})
	t.Run("blacklist_env_vars", func(t *testing.T) {
		t.Parallel()
		hide := with(t, "blacklist_env_vars=AWS_.*|.*SECRET.*").load().Workers.HideEnv
		assert.True(t, hide.MatchString("AWS_KEY"))
		assert.True(t, hide.MatchString("MY_SECRET_KEY"))
		assert.False(t, hide.MatchString("aws_key"))
		assert.False(t, hide.MatchString("MY_AWS_KEY"))
		assert.Contains(t, with(t, "blacklist_env_vars=(").faults()[0], "Invalid configuration: ")
	})
}

func TestAllowedURLs(t *testing.T) {
	t.Parallel()
	allowed := with(t, "allowed_urls=https://a/.* , https://b/.*").load().Models.Fetch.Allowed
	require.Len(t, allowed, 2)
	assert.True(t, allowed[0].MatchString("https://a/x.mar"), "blanks around a pattern do not count")
	assert.True(t, allowed[1].MatchString("HTTPS://b/x.mar"))
	assert.False(t, allowed[1].MatchString("x https://b/x.mar"), "a pattern matches the whole URL")
}
