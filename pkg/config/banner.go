package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Host is what the start-up dump says beside the configuration. Home is the
// directory that holds the package ts in use; Heap is in bytes.
type Host struct {
	Version string
	Home    string
	Heap    int64
}

// Banner returns the start-up dump (section 13): one log message that begins
// with an empty line. No secrets are in it.
func (c Config) Banner(h Host) string {
	var b strings.Builder
	for _, line := range c.bannerLines(h) {
		b.WriteString("\n" + line[0] + ": " + line[1])
	}
	return b.String()
}

func (c Config) bannerLines(h Host) [][2]string {
	return [][2]string{
		{"Torchserve version", h.Version},
		{"TS Home", h.Home},
		{"Current directory", c.Server.Dir},
		{"Temp directory", c.Server.TempDir},
		{"Metrics config path", cmp.Or(c.Metrics.File, filepath.Join(h.Home, "ts", "configs", "metrics.yaml"))},
		{"Number of GPUs", strconv.Itoa(c.Server.GPUs)},
		{"Number of CPUs", strconv.Itoa(c.Server.CPUs)},
		{"Max heap size", fmt.Sprintf("%d M", h.Heap>>20)},
		{"Python executable", c.Workers.Python},
		{"Config file", cmp.Or(c.Source.File, notAvailable)},
		{"Inference address", c.Listen.Inference.String()},
		{"Management address", c.Listen.Management.String()},
		{"Metrics address", c.Listen.Metrics.String()},
		{"Model Store", cmp.Or(c.Models.Store, notAvailable)},
		{"Initial Models", c.shown("load_models")},
		{"Log dir", c.Logs.Dir},
		{"Metrics dir", c.Logs.MetricsDir},
		{"Netty threads", c.shown("number_of_netty_threads")},
		{"Netty client threads", c.shown("netty_client_threads")},
		{"Default workers per model", strconv.Itoa(c.Models.Defaults.StartWorkers)},
		{"Blacklist Regex", c.shown("blacklist_env_vars")},
		{"Maximum Response Size", c.shown("max_response_size")},
		{"Maximum Request Size", c.shown("max_request_size")},
		{"Limit Maximum Image Pixels", c.shown("limit_max_image_pixels")},
		{"Prefer direct buffer", c.shown("prefer_direct_buffer")},
		{"Allowed Urls", "[" + strings.ReplaceAll(c.shown("allowed_urls"), ",", ", ") + "]"},
		{"Custom python dependency for model allowed", strconv.FormatBool(c.Models.Dependencies.Install)},
		{"Enable metrics API", c.shown("enable_metrics_api")},
		{"Metrics mode", string(c.Metrics.Mode)},
		{"Disable system metrics", strconv.FormatBool(!c.Metrics.System)},
		{"Workflow Store", cmp.Or(c.Models.WorkflowStore, notAvailable)},
		{"CPP log config", cmp.Or(c.Workers.CPPLogConfig, notAvailable)},
		{"Model config", c.shown("models")},
		{"System metrics command", cmp.Or(c.set["system_metrics_cmd"].Value, "default")},
		{"Model API enabled", strconv.FormatBool(c.Security.ModelAPI.Enabled)},
	}
}

const notAvailable = "N/A"

// shown is the text of a key as its source or its default spells it.
func (c Config) shown(key string) string {
	if p, ok := c.set[key]; ok && p.Value != "" {
		return p.Value
	}
	row, _ := Lookup(key) // a key without a row has no default
	return cmp.Or(row.Default, notAvailable)
}
