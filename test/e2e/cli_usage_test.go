package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	site := e2etest.NewSite(t)
	for _, words := range [][]string{{"--version"}, {"-v"}, {"--ver"}, {"--version", "--foreground", "--models", "a"}} {
		t.Run("CLI-001 "+strings.Join(words, " "), func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, e2etest.Result{Stdout: "TorchServe Version is 0.12.0\n"}, site.In(t).Run(words...))
		})
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	site := e2etest.NewSite(t)
	tests := []struct{ name, line, reason string }{
		{"CLI-003 two actions", "--start --stop", "argument --stop: not allowed with argument --start"},
		{"CLI-003 version is an action", "--stop -v", "argument -v/--version: not allowed with argument --stop"},
		{"CLI-003 unknown option", "--nonsense --version", "unrecognized arguments: --nonsense"},
		{"CLI-003 all unknown words", "--nonsense of mine", "unrecognized arguments: --nonsense of mine"},
		{"CLI-003 no positional arguments", "start", "unrecognized arguments: start"},
		{"CLI-003 models without value", "--models", "argument --models: expected at least one argument"},
		{"CLI-003 models before an option", "--models --start", "argument --models: expected at least one argument"},
		{"CLI-003 option without its value", "--ts-config --ncs", "argument --ts-config: expected one argument"},
		{"CLI-003 value nobody takes", "--ncs=true", "argument --no-config-snapshots/--ncs: ignored explicit argument 'true'"},
		{"CLI-004 ambiguous prefix", "--mode x", "ambiguous option: --mode could match --model-store, --models"},
		{"CLI-004 ambiguous prefix with a value", "--mode=x", "ambiguous option: --mode=x could match --model-store, --models"},
		{"CLI-004 ambiguous action", "--st", "ambiguous option: --st could match --start, --stop"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := site.In(t).Run(strings.Fields(tt.line)...)
			assert.Equal(t, 2, got.Code)
			assert.Empty(t, got.Stdout)
			assert.True(t, strings.HasPrefix(got.Stderr, "usage: torchserve [-h]"), "%s", got.Stderr)
			assert.True(t, strings.HasSuffix(got.Stderr, "\ntorchserve: error: "+tt.reason+"\n"), "%s", got.Stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	site := e2etest.NewSite(t)
	for _, word := range []string{"-h", "--help", "--he"} {
		t.Run("CLI-050 "+word, func(t *testing.T) {
			t.Parallel()
			got := site.In(t).Run("--foreground", word, "--nonsense")
			assert.Zero(t, got.Code)
			assert.Empty(t, got.Stderr)
			for _, option := range []string{
				"-h", "--help", "-v", "--version", "--start", "--stop", "--ts-config", "--model-store", "--workflow-store",
				"--models", "--log-config", "--cpp-log-config", "--foreground", "--no-config-snapshots", "--ncs",
				"--plugins-path", "--ppath", "--disable-token-auth", "--dt", "--enable-model-api", "--python",
			} {
				assert.Contains(t, got.Stdout, option)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	models := []e2etest.Archive{{Name: "a", Handler: e2etest.Echo}, {Name: "b", Handler: e2etest.Echo}}
	shelf := e2etest.Shelve(models...)

	start := func(t *testing.T, words ...string) []string {
		t.Helper()
		site := e2etest.NewSite(t, shelf, e2etest.Properties("default_workers_per_model=0"))
		s := site.Start(append([]string{"--ncs", "--dt"}, words...)...)
		var list struct{ Models []struct{ ModelName string } }
		s.Manage("GET", "/models").JSON(t, &list)
		var names []string
		for _, m := range list.Models {
			names = append(names, m.ModelName)
		}
		return names
	}
	tests := []struct {
		name, line string
		models     []string
	}{
		{"CLI-002 no action starts", "--foreground --model-store model_store", nil},
		{"CLI-004 prefixes", "--star --fore --model-st model_store --models a.mar", []string{"a"}},
		{"CLI-005 several values", "--foreground --model-store model_store --models a.mar b.mar", []string{"a", "b"}},
		{"CLI-005 the last one wins", "--models a.mar --foreground --model-store model_store --models b.mar", []string{"b"}},
		{"CLI-005 other options too", "--model-store nowhere --foreground --model-store=model_store --models=a.mar", []string{"a"}},
		{"CLI-005 names", "--foreground --model-store model_store --models x=a.mar y=b.mar", []string{"x", "y"}},
		{"CLI-005 all", "--foreground --model-store model_store --models all", []string{"a", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.models, start(t, strings.Fields(tt.line)...))
		})
	}
}
