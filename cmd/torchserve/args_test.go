package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/argparse"
)

// words splits a line at blanks; a tilde stands for a blank within a word.
func words(line string) []string {
	all := strings.Fields(line)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "~", " ")
	}
	return all
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, want string }{
		{"nothing", "", ""},
		{"flag", "--foreground", "--foreground"},
		{"value behind a blank", "--ts-config f", "--ts-config=f"},
		{"value behind an equals sign", "--ts-config=f", "--ts-config=f"},
		{"value with an equals sign", "--models=a=b.mar", "--models=a=b.mar"},
		{"empty value", "--ts-config=", "--ts-config="},
		{"short name", "-v", "--version"},
		{"CLI-001 a short name twice behind one dash", "-vv", "--version"},
		{"CLI-050 short names behind one dash", "-vh", "--help"},
		{"aliases", "--ncs --dt --ppath p", "--no-config-snapshots --disable-token-auth --plugins-path=p"},
		{"CLI-004 prefixes", "--fore --model-st d --ver", "--foreground --model-store=d --version"},
		{"CLI-004 prefix with value", "--model-st=d", "--model-store=d"},
		{"CLI-004 prefix that is a whole name", "--no-config-snapshots --model-store d", "--no-config-snapshots --model-store=d"},
		{"CLI-005 several values", "--models a b c --ncs", "--models=a --models=b --models=c --no-config-snapshots"},
		{"CLI-005 the last one wins", "--models a b --ncs --models c", "--no-config-snapshots --models=c"},
		{"CLI-005 also of single values", "--ts-config a --ts-config b", "--ts-config=b"},
		{"an action twice", "--stop --stop", "--stop"},
		{"dash as value", "--ts-config -", "--ts-config=-"},
		{"negative number as value", "--ts-config -1 --log-config -.5", "--ts-config=-1 --log-config=-.5"},
		{"blank in a value with a dash", "--ts-config -a~b", "--ts-config=-a~b"},
		{"help ends the reading", "--start -h --nonsense", "--help"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := grammar.Normalize(words(tt.line))
			require.NoError(t, err)
			assert.Equal(t, words(tt.want), append([]string{}, got...))
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, reason string }{
		{"CLI-003 two actions", "--start --stop", "argument --stop: not allowed with argument --start"},
		{"CLI-003 actions by prefix", "--sta --ver", "argument -v/--version: not allowed with argument --start"},
		{"CLI-003 unknown words together", "--x y --ncs z", "unrecognized arguments: --x y z"},
		{"CLI-003 models without value", "--models --ncs", "argument --models: expected at least one argument"},
		{"CLI-003 option with a blank is no value", "--ts-config --models=a~b", "argument --ts-config: expected one argument"},
		{"CLI-003 option without value", "--python", "argument --python: expected one argument"},
		{"CLI-003 all behind a double dash", "--ncs -- --start x", "unrecognized arguments: -- --start x"},
		{"CLI-003 a single dash before a long name", "-start", "unrecognized arguments: -start"},
		{"CLI-003 a short name with a value", "-v1", "argument -v/--version: ignored explicit argument '1'"},
		{"CLI-003 help with a value", "-vh1", "argument -h/--help: ignored explicit argument '1'"},
		{"CLI-003 short names are no value", "--ts-config -vh", "argument --ts-config: expected one argument"},
		{"flag with a value", "--dt=1", "argument --disable-token-auth/--dt: ignored explicit argument '1'"},
		{"CLI-004 ambiguous", "--mode", "ambiguous option: --mode could match --model-store, --models"},
		{"CLI-004 ambiguous with a value", "--mode=a", "ambiguous option: --mode=a could match --model-store, --models"},
		{"CLI-004 ambiguous aliases", "--n", "ambiguous option: --n could match --no-config-snapshots, --ncs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := grammar.Normalize(words(tt.line))
			var usage *argparse.Error
			require.ErrorAs(t, err, &usage)
			assert.Equal(t, tt.reason, usage.Reason)
		})
	}
}
