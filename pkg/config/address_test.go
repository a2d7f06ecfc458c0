package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/config"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		role config.Role
		want config.Address
		show string
	}{
		"plain":                  {"http://127.0.0.1:8080", config.Inference, config.Address{Scheme: "http", Host: "127.0.0.1", Port: 8080}, "http://127.0.0.1:8080"},
		"any case":               {"HTTPS://LocalHost:1", config.Inference, config.Address{Scheme: "https", Host: "LocalHost", Port: 1}, "https://LocalHost:1"},
		"CFG-020 inference":      {"http://h", config.Inference, config.Address{Scheme: "http", Host: "h", Port: 80}, "http://h:80"},
		"CFG-020 inference TLS":  {"https://h", config.Inference, config.Address{Scheme: "https", Host: "h", Port: 443}, "https://h:443"},
		"CFG-020 management":     {"http://h", config.Management, config.Address{Scheme: "http", Host: "h", Port: 8081}, "http://h:8081"},
		"CFG-020 management TLS": {"https://h", config.Management, config.Address{Scheme: "https", Host: "h", Port: 8444}, "https://h:8444"},
		"CFG-020 metrics":        {"http://h", config.MetricsRole, config.Address{Scheme: "http", Host: "h", Port: 8082}, "http://h:8082"},
		"CFG-020 metrics TLS":    {"https://h", config.MetricsRole, config.Address{Scheme: "https", Host: "h", Port: 8445}, "https://h:8445"},
		"CFG-022 IPv6":           {"http://[::1]:8080", config.Inference, config.Address{Scheme: "http", Host: "::1", Port: 8080}, "http://[::1]:8080"},
		"CFG-022 IPv6, no port":  {"https://[fe80::1%eth0]", config.Inference, config.Address{Scheme: "https", Host: "fe80::1%eth0", Port: 443}, "https://[fe80::1%eth0]:443"},
		"the highest port":       {"http://h:65535", config.Inference, config.Address{Scheme: "http", Host: "h", Port: 65535}, "http://h:65535"},
		"any port":               {"http://h:0", config.Inference, config.Address{Scheme: "http", Host: "h"}, "http://h:0"},
		"Unix socket":            {"unix:/tmp/x y.sock", config.MetricsRole, config.Address{Scheme: "unix", Path: "/tmp/x y.sock"}, "unix:/tmp/x y.sock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.ParseAddress(c.text, c.role)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.show, got.String())
		})
	}
	for text, want := range map[string]string{
		"127.0.0.1:8080":          "Invalid binding address: 127.0.0.1:8080",
		"http://127.0.0.1:8080/":  "Invalid binding address: http://127.0.0.1:8080/",
		"http://h:80/x":           "Invalid binding address: http://h:80/x",
		"x http://h":              "Invalid binding address: x http://h",
		"http://":                 "Invalid binding address: http://",
		"http://h:":               "Invalid binding address: http://h:",
		"http://::1":              "Invalid binding address: http://::1",
		"http://[:::1]":           "Invalid binding address: http://[:::1]",
		"unix:x":                  "Invalid binding address: unix:x",
		"unix:":                   "Invalid binding address: unix:",
		"":                        "Invalid binding address: ",
		"http://h:65536":          "Invalid port number: http://h:65536",
		"http://h:99999999999999": "Invalid port number: http://h:99999999999999",
	} {
		t.Run("CFG-021 INF-004 "+text, func(t *testing.T) {
			t.Parallel()
			_, err := config.ParseAddress(text, config.Inference)
			assert.EqualError(t, err, want)
		})
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	parse := func(text string) config.Address {
		a, err := config.ParseAddress(text, config.Inference)
		require.NoError(t, err)
		return a
	}
	assert.True(t, parse("http://h:1").Same(parse("https://h:1")))
	assert.False(t, parse("http://127.0.0.1:1").Same(parse("http://localhost:1")))
	assert.False(t, parse("http://h:1").Same(parse("http://h:2")))
	assert.True(t, parse("unix:/a").Same(parse("UNIX:/a")))
	assert.False(t, parse("unix:/a").Same(parse("unix:/b")))
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"http://127.0.0.9": true, "http://localhost": true, "http://[::1]": true, "unix:/a": true,
		"http://0.0.0.0": false, "http://10.0.0.1": false, "http://example.org": false, "http://[::]": false,
	} {
		a, err := config.ParseAddress(text, config.Inference)
		require.NoError(t, err)
		assert.Equal(t, want, a.Loopback(), text)
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:8080", "https://[::1]", "unix:/a", "http://h:65536", "HTTP://h:007", "http://[::1%a]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := config.ParseAddress(text, config.Management)
		if err != nil {
			return
		}
		again, err := config.ParseAddress(a.String(), config.Inference)
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
