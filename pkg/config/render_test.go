package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/config"
)

func TestBanner(t *testing.T) {
	t.Parallel()
	t.Run("CFG-001 DEV-015 lines and their order", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		want := `
Torchserve version: 0.12.0
TS Home: /home/ts
Current directory: DIR
Temp directory: /tmp
Metrics config path: /home/ts/ts/configs/metrics.yaml
Number of GPUs: 0
Number of CPUs: 2
Max heap size: 6028 M
Python executable: DIR/bin/python3
Config file: N/A
Inference address: http://127.0.0.1:8080
Management address: http://127.0.0.1:8081
Metrics address: http://127.0.0.1:8082
Model Store: DIR/store
Initial Models: N/A
Log dir: DIR/logs
Metrics dir: DIR/logs
Netty threads: 0
Netty client threads: 0
Default workers per model: 2
Blacklist Regex: N/A
Maximum Response Size: 6553500
Maximum Request Size: 6553500
Limit Maximum Image Pixels: true
Prefer direct buffer: false
Allowed Urls: [file://.*|http(s)?://.*]
Custom python dependency for model allowed: false
Enable metrics API: true
Metrics mode: LOG
Disable system metrics: false
Workflow Store: DIR/store
CPP log config: N/A
Model config: N/A
System metrics command: default
Model API enabled: false`
		got := s.load().Banner(config.Host{Version: "0.12.0", Home: "/home/ts", Heap: 6028 << 20})
		assert.Equal(t, strings.ReplaceAll(want, "DIR", s.src.Dir), got)
	})
	t.Run("values", func(t *testing.T) {
		t.Parallel()
		s := with(t, "max_request_size=007", "allowed_urls=a,b", "blacklist_env_vars=A", "models={}", "system_metrics_cmd=x y",
			"enable_metrics_api=FALSE", "keystore_pass=hunter2", "number_of_netty_threads=4", "metrics_mode=Prometheus", "number_of_gpu=1")
		s.src.GPUs = 2
		s.src.Flags.Models = []string{"a", "b"}
		s.src.Flags.EnableModelAPI = true
		got := s.load().Banner(config.Host{})
		for _, line := range []string{
			"Maximum Request Size: 007", "Allowed Urls: [a, b]", "Blacklist Regex: A", "Model config: {}", "System metrics command: x y",
			"Enable metrics API: FALSE", "Netty threads: 4", "Metrics mode: PROMETHEUS", "Initial Models: a,b", "Number of GPUs: 1",
			"Config file: config.properties", "Model API enabled: true",
		} {
			assert.Contains(t, got+"\n", "\n"+line+"\n")
		}
		assert.NotContains(t, got, "hunter2")
	})
}

func TestTable(t *testing.T) {
	t.Parallel()
	names, variables := map[string]bool{}, map[string]bool{}
	for _, k := range config.Keys() {
		assert.False(t, names[k.Name], "two rows of %s", k.Name)
		assert.False(t, k.Variable() != "" && variables[k.Variable()], "two rows of %s", k.Variable())
		names[k.Name], variables[k.Variable()] = true, true
		assert.True(t, strings.HasSuffix(k.Doc, ".") || strings.Contains(k.Doc, ": "), "%s: %s", k.Name, k.Doc)
	}
}

// TestSample proves that the sample says what holds without it: with all its
// values uncommented nothing is different.
func TestSample(t *testing.T) {
	t.Parallel()
	var lines []string
	for line := range strings.Lines(config.Sample()) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.HasPrefix(key, "#") && !strings.Contains(key, " ") && value != "" {
			lines = append(lines, key[1:]+"="+value)
		}
	}
	require.Greater(t, len(lines), 50)
	s := newSite(t)
	plain := s.load()
	full := s.properties(lines...).load()
	assert.Empty(t, full.Warnings)
	assert.False(t, full.Models.Fetch.AllowedByDefault)
	full.Models.Fetch.AllowedByDefault = true
	assert.Equal(t, plain.Models, full.Models)
	assert.Equal(t, plain.Listen, full.Listen)
	assert.Equal(t, plain.HTTP, full.HTTP)
	assert.Equal(t, plain.Workers, full.Workers)
	assert.Equal(t, plain.Metrics, full.Metrics)
	assert.Equal(t, plain.Logs, full.Logs)
	assert.Equal(t, plain.Snapshots, full.Snapshots)
	assert.Equal(t, plain.Server, full.Server)
	full.Security.ModelAPI.Refused = false // an explicit false says more
	assert.Equal(t, plain.Security, full.Security)
}

func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"docs/configuration.md": config.Reference(), "configs/config.properties": config.Sample()} {
		got, err := os.ReadFile(filepath.Join("..", "..", name))
		require.NoError(t, err, "run make generate")
		assert.Equal(t, want, string(got), "run make generate")
	}
}

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "config")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system cleans up what is left
	_, err = config.Load(config.Sources{Dir: dir, CPUs: 1, Flags: config.Flags{ConfigFile: "missing.properties"}})
	fmt.Println(err)
	// Output: --ts-config file not found: missing.properties
}
