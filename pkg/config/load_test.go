package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/config"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := newSite(t).load()
	t.Run("CFG-001 INF-001 listeners", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "http://127.0.0.1:8080", c.Listen.Inference.String())
		assert.Equal(t, "http://127.0.0.1:8081", c.Listen.Management.String())
		assert.Equal(t, "http://127.0.0.1:8082", c.Listen.Metrics.String())
		assert.Equal(t, config.GRPC{Host: "127.0.0.1", Port: 7070}, c.Listen.GRPCInference)
		assert.Equal(t, config.GRPC{Host: "127.0.0.1", Port: 7071}, c.Listen.GRPCManagement)
		assert.True(t, c.Listen.TLS.SelfSigned())
	})
	t.Run("CFG-001 models and workers", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, config.ModelDefaults{
			StartWorkers: 2, QueueSize: 100,
			Response: 2 * time.Minute, Startup: 2 * time.Minute, Unregister: 2 * time.Minute,
		}, c.Models.Defaults)
		assert.Equal(t, config.Unpack{MaxEntries: 100_000, MaxSize: 64 << 30, MaxRatio: 200}, c.Models.Unpack)
		assert.Equal(t, []time.Duration{24 * time.Hour, 5 * time.Minute}, []time.Duration{c.Models.Fetch.MaxTime, c.Models.Fetch.MaxWait})
		assert.Equal(t, int64(6553500), c.HTTP.MaxRequest)
		assert.Equal(t, int64(6553500), c.Workers.MaxResponse)
		assert.Equal(t, 9000, c.Workers.FirstPort)
		assert.Equal(t, 29500, c.Workers.DistributionPort)
		assert.True(t, c.Workers.LimitImagePixels)
		assert.False(t, c.Workers.TCP)
		assert.Nil(t, c.Workers.HideEnv)
	})
	t.Run("CFG-001 the rest", func(t *testing.T) {
		t.Parallel()
		assert.True(t, c.Security.TokensEnabled())
		assert.Equal(t, time.Hour, c.Security.TokenLifetime)
		assert.Equal(t, 32, c.Security.TokenKeyBytes)
		assert.Equal(t, 400, c.Security.RefusalStatus)
		assert.Equal(t, config.ModelAPI{}, c.Security.ModelAPI)
		assert.Equal(t, config.Metrics{API: true, Mode: config.MetricsLog, System: true, SystemInterval: time.Minute, SystemCommand: []string{}}, c.Metrics)
		assert.Equal(t, 20*time.Second, c.Server.ShutdownGrace)
		assert.True(t, c.Snapshots.Enabled)
		assert.Equal(t, 50, c.Snapshots.Retention)
		assert.Equal(t, "INFO", c.Logs.Level)
		assert.Empty(t, c.Source)
	})
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	t.Run("CFG-011 TS_ variables need enable_envvars_config", func(t *testing.T) {
		t.Parallel()
		s := with(t, "default_workers_per_model=3")
		s.env["TS_DEFAULT_WORKERS_PER_MODEL"] = "5"
		c := s.load()
		assert.Equal(t, 3, c.Models.Defaults.Workers)
		assert.Contains(t, strings.Join(texts(c), "\n"), "TS_DEFAULT_WORKERS_PER_MODEL", "an ignored variable is named")
		s.properties("default_workers_per_model=3", "enable_envvars_config=TRUE")
		assert.Equal(t, 5, s.load().Models.Defaults.Workers)
	})
	t.Run("CFG-012 MGT-010 environment beats command line", func(t *testing.T) {
		t.Parallel()
		s := with(t, "enable_envvars_config=true")
		s.mkdir("other")
		s.src.Flags = config.Flags{
			ModelStore: "store", Models: []string{"a.mar"}, EnableModelAPI: true, DisableTokenAuth: true,
		}
		s.env["TS_MODEL_STORE"] = "other"
		s.env["TS_LOAD_MODELS"] = "b.mar"
		s.env["TS_ENABLE_MODEL_API"] = "false"
		s.env["TS_DISABLE_TOKEN_AUTHORIZATION"] = "false"
		c := s.load()
		assert.Equal(t, s.path("other"), c.Models.Store)
		assert.Equal(t, []config.Initial{{Location: "b.mar"}}, c.Models.Load)
		assert.Equal(t, config.ModelAPI{Refused: true}, c.Security.ModelAPI)
		assert.True(t, c.Security.TokensEnabled())
		assert.Equal(t, s.path("store"), c.Models.WorkflowStore, "the store of the command line, as in 0.12")
	})
	t.Run("CFG-012 command line beats file", func(t *testing.T) {
		t.Parallel()
		s := with(t, "model_store=/nowhere", "load_models=a.mar", "enable_model_api=false", "workflow_store=/nowhere")
		s.src.Flags.Models = []string{"b.mar", "n=c.mar"}
		s.src.Flags.EnableModelAPI = true
		s.src.Flags.WorkflowStore = "store"
		c := s.load()
		assert.Equal(t, s.path("store"), c.Models.Store)
		assert.Equal(t, []config.Initial{{Location: "b.mar"}, {Name: "n", Location: "c.mar"}}, c.Models.Load)
		assert.Equal(t, config.ModelAPI{Enabled: true}, c.Security.ModelAPI)
	})
	t.Run("CFG-013 MAR-047 TS_ALLOWED_URLS needs use_env_allowed_urls", func(t *testing.T) {
		t.Parallel()
		for lines, want := range map[string]string{
			"":                           "(not set)",
			"use_env_allowed_urls=true":  "(not set)",
			"enable_envvars_config=true": "(not set)",
			"enable_envvars_config=true\nuse_env_allowed_urls=True": "https://a/.*",
		} {
			s := with(t, lines)
			s.env["TS_ALLOWED_URLS"] = "https://a/.*"
			assert.Equal(t, want, effective(s.load(), "allowed_urls"), lines)
		}
	})
	t.Run("CFG-014 MET-005 irregular names", func(t *testing.T) {
		t.Parallel()
		s := with(t, "enable_envvars_config=true")
		s.env["TS_TOKEN_EXPIRATION_TIME_MIN"] = "7"
		s.env["TS_TOKEN_EXPIRATION_MIN"] = "8"
		s.env["TS_HEADER_KEY_SEQUENCE_ID"] = "my_id"
		for _, none := range []string{
			"USE_NATIVE_IO", "IO_RATIO", "METRIC_TIME_INTERVAL", "ENABLE_ENVVARS_CONFIG", "USE_ENV_ALLOWED_URLS",
			"MODEL_SNAPSHOT", "MODELS", "VERSION", "SYSTEM_METRICS_CMD", "PYTHON", "VMARGS", "PLUGINS_PATH",
			"TS_HEADER_KEY_SEQUENCE_START", "TS_OPEN_INFERENCE_PROTOCOL",
		} {
			s.env["TS_"+none] = "false"
		}
		c := s.load()
		assert.Equal(t, 7*time.Minute, c.Security.TokenLifetime)
		assert.Equal(t, "my_id", effective(c, "ts_header_key_sequence_id"))
		assert.Len(t, c.Effective(), 4, "these two, the switch and the store: %v", c.Effective())
	})
	t.Run("TOK-030 TS_TOKEN_EXPIRATION_TIME_MIN needs the switch", func(t *testing.T) {
		t.Parallel()
		s := with(t, "")
		s.env["TS_TOKEN_EXPIRATION_TIME_MIN"] = "7"
		assert.Equal(t, time.Hour, s.load().Security.TokenLifetime)
		s.properties("enable_envvars_config=true")
		assert.Equal(t, 7*time.Minute, s.load().Security.TokenLifetime)
		delete(s.env, "TS_TOKEN_EXPIRATION_TIME_MIN")
		s.env["TS_TOKEN_EXPIRATION_MIN"] = "9"
		assert.Equal(t, 9*time.Minute, s.load().Security.TokenLifetime, "D-CFG-7")
	})
	t.Run("CFG-015 GRP-056 INF-051 TS_OPEN_INFERENCE_PROTOCOL", func(t *testing.T) {
		t.Parallel()
		s := with(t, "ts_open_inference_protocol=TRUE")
		assert.True(t, s.load().Listen.OpenInference)
		for _, off := range []string{"true", "", "OIP"} {
			s.env["TS_OPEN_INFERENCE_PROTOCOL"] = off
			assert.False(t, s.load().Listen.OpenInference, off)
		}
		s.properties("")
		s.env["TS_OPEN_INFERENCE_PROTOCOL"] = "oip"
		c := s.load()
		assert.True(t, c.Listen.OpenInference)
		assert.NotContains(t, strings.Join(texts(c), "\n"), "oip")
	})
	t.Run("GRP-004 addresses and ports of gRPC", func(t *testing.T) {
		t.Parallel()
		s := with(t, "enable_envvars_config=true", "grpc_inference_address=0.0.0.0", "grpc_inference_port=1", "grpc_management_address=[::1]", "grpc_management_port=2")
		c := s.load()
		assert.Equal(t, config.GRPC{Host: "0.0.0.0", Port: 1}, c.Listen.GRPCInference)
		assert.Equal(t, config.GRPC{Host: "::1", Port: 2}, c.Listen.GRPCManagement)
		s.env["TS_GRPC_INFERENCE_ADDRESS"], s.env["TS_GRPC_INFERENCE_PORT"] = "localhost", "3"
		s.env["TS_GRPC_MANAGEMENT_ADDRESS"], s.env["TS_GRPC_MANAGEMENT_PORT"] = "10.0.0.1", "4"
		c = s.load()
		assert.Equal(t, config.GRPC{Host: "localhost", Port: 3}, c.Listen.GRPCInference)
		assert.Equal(t, config.GRPC{Host: "10.0.0.1", Port: 4}, c.Listen.GRPCManagement)
	})
	t.Run("MET-004 metric keys", func(t *testing.T) {
		t.Parallel()
		s := with(t, "")
		s.file("m.yaml", "")
		for name, value := range map[string]string{
			"METRICS_MODE": "prometheus", "METRICS_CONFIG": "m.yaml", "MODEL_METRICS_AUTO_DETECT": "true",
			"ENABLE_METRICS_API": "false", "DISABLE_SYSTEM_METRICS": "true", "METRICS_ADDRESS": "http://127.0.0.1:1",
		} {
			s.env["TS_"+name] = value
		}
		c := s.load()
		assert.Equal(t, newSite(t).load().Metrics, c.Metrics)
		assert.Equal(t, 8082, c.Listen.Metrics.Port)
		s.properties("enable_envvars_config=true")
		c = s.load()
		assert.Equal(t, config.Metrics{
			Mode: config.MetricsPrometheus, File: s.path("m.yaml"), AutoDetect: true, SystemInterval: time.Minute, SystemCommand: []string{},
		}, c.Metrics)
		assert.Equal(t, 1, c.Listen.Metrics.Port)
	})
}
