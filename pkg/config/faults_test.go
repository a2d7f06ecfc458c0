package config_test

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	limit := len(syscall.RawSockaddrUnix{}.Path) - 1
	long := strings.Repeat("x", limit)
	for name, c := range map[string]struct{ line, want string }{
		"CFG-019 number":             {"job_queue_size=abc", `For input string: "abc" (job_queue_size; an integer from 1 to 2147483647; config.properties)`},
		"CFG-019 empty number":       {"max_request_size=", `For input string: "" (max_request_size; an integer from 0 to 2147483647; config.properties)`},
		"CFG-019 out of range":       {"grpc_inference_port=70000", "grpc_inference_port: 70000 is out of range (grpc_inference_port; an integer from 0 to 65535; config.properties)"},
		"CFG-006 escape":             {`a=\u00g9`, `Malformed \uxxxx encoding. (config.properties)`},
		"CFG-008 variable":           {"a=x$$FOO$$", "Invalid Environment Variable FOO (a; config.properties)"},
		"CFG-021 INF-004 address":    {"inference_address=127.0.0.1:8080", "Invalid binding address: 127.0.0.1:8080 (inference_address; config.properties)"},
		"CFG-021 path":               {"metrics_address=http://127.0.0.1:8080/", "Invalid binding address: http://127.0.0.1:8080/ (metrics_address; config.properties)"},
		"port of an address":         {"management_address=http://a:65536", "Invalid port number: http://a:65536 (management_address; config.properties)"},
		"age":                        {"grpc_inference_max_connection_age_ms=0", "max connection age must be positive: 0 (grpc_inference_max_connection_age_ms; config.properties)"},
		"age that is no number":      {"grpc_inference_max_connection_age_ms=x", `For input string: "x" (grpc_inference_max_connection_age_ms; an integer of at least -9223372036854775808; config.properties)`},
		"grace":                      {"grpc_management_max_connection_age_grace_ms=-1", "max connection age grace must be non-negative: -1 (grpc_management_max_connection_age_grace_ms; config.properties)"},
		"threads":                    {"netty_client_threads=-1", "nThreads: -1 (expected: > 0) (netty_client_threads; config.properties)"},
		"interval":                   {"metric_time_interval=0", "metric_time_interval: 0 is out of range (metric_time_interval; an integer from 1 to 2147483647; config.properties)"},
		"lifetime":                   {"token_expiration_min=Infinity", "token_expiration_min is out of range (token_expiration_min; config.properties)"},
		"gRPC without certificates":  {"enable_grpc_ssl=true", "enable_grpc_ssl requires certificate_file and private_key_file (enable_grpc_ssl; config.properties)"},
		"CFG-045 metrics_config":     {"metrics_config=m.yaml", "Failed to load metrics configuration: %s/m.yaml: no such file or directory (metrics_config; config.properties)"},
		"key files that are missing": {"token_keys_file=k", "token_keys_file: not found: %s/k (token_keys_file; config.properties)"},
		"choice":                     {"token_refusal_status=403", "token_refusal_status: 403 (token_refusal_status; one of 400, 401; config.properties)"},
		"CFG-023 socket path":        {"metrics_address=unix:/" + long, "Failed to bind to address: unix:/" + long + ": the path has more than " + strconv.Itoa(limit) + " bytes (metrics_address; config.properties)"},
		"D-CFG-13 native endpoint":   {"native_plugins=model-ready,pong", "native_plugins: unknown endpoint pong (native_plugins; one of sagemaker-ping, execution-parameters, model-ready; config.properties)"},
		"level of a logger":          {"log_levels=a=LOUD", "log_levels: a=LOUD is not logger=LEVEL (log_levels; config.properties)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := with(t, c.line)
			want := "Invalid configuration: " + strings.ReplaceAll(c.want, "%s", s.src.Dir)
			assert.Equal(t, []string{want}, s.faults())
		})
	}
	t.Run("CFG-019 all faults at once", func(t *testing.T) {
		t.Parallel()
		lines := with(t, "job_queue_size=a", "initial_worker_port=b", "inference_address=c").faults()
		assert.Len(t, lines, 3)
	})
	t.Run("a secret is in no message", func(t *testing.T) {
		t.Parallel()
		s := with(t, "keystore_pass=hunter2", "keystore=$$NO$$", "my_password=hunter2", "inference_address=https://a", "strict_parameters=true")
		assert.NotContains(t, strings.Join(s.faults(), "\n"), "hunter2")
	})
	t.Run("strict_parameters refuses what 0.12 let pass", func(t *testing.T) {
		t.Parallel()
		lines := with(t, "strict_parameters=true", "async_logging=2", "my_key=7", "metrics_mode=foo").faults()
		assert.Len(t, lines, 3)
		assert.Contains(t, strings.Join(lines, "\n"), "async_logging=2 is neither true nor false")
		with(t, "strict_parameters=true").load()
	})
	t.Run("hosts that cannot be resolved", func(t *testing.T) {
		t.Parallel()
		s := with(t, "inference_address=http://gone:1", "grpc_inference_address=gone", "management_address=http://here:1")
		s.src.Resolve = func(host string) error {
			if host == "gone" {
				return errors.New("no such host")
			}
			return nil
		}
		assert.Equal(t, []string{
			"Invalid configuration: Failed to resolve address: http://gone:1 (inference_address; config.properties)",
			"Invalid configuration: Failed to resolve address: gone (grpc_inference_address; config.properties)",
		}, s.faults())
	})
}
