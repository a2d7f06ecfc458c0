package argparse_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/argparse"
)

// grammar has an option of each kind. What the command torchserve makes of its
// own is tested there.
var grammar = argparse.Grammar{
	{Spellings: []string{"-h", "--help"}},
	{Spellings: []string{"--model-name"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"--model-file"}, Takes: argparse.One},
	{Spellings: []string{"-v", "--version"}, Takes: argparse.One, Required: true},
	{Spellings: []string{"--archive-format"}, Takes: argparse.One, Choices: []string{"tgz", "default"}},
	{Spellings: []string{"-f", "--force"}},
	{Spellings: []string{"--start"}, Action: true},
	{Spellings: []string{"--stop"}, Action: true},
	{Spellings: []string{"--models"}, Takes: argparse.Many},
}

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
	t.Run("nothing stays nothing", func(t *testing.T) {
		t.Parallel()
		got, err := argparse.Grammar{}.Normalize(nil)
		require.NoError(t, err)
		assert.Equal(t, []string{}, got)
	})
	for name, c := range map[string]struct{ line, want string }{
		"names and values":                       {"--model-name m -v 1", "--model-name=m --version=1"},
		"a value behind a short name":            {"--model-name m -v1", "--model-name=m --version=1"},
		"a value behind an equals sign":          {"--model-name=m -v=1", "--model-name=m --version=1"},
		"a value that is a short name":           {"--model-name m -vh", "--model-name=m --version=h"},
		"short names behind one dash":            {"--model-name m -fv1", "--model-name=m --force --version=1"},
		"short names behind one dash, and value": {"--model-name m -fv 1", "--model-name=m --force --version=1"},
		"a choice":                               {"--archive-f tgz --model-n m -v 1", "--archive-format=tgz --model-name=m --version=1"},
		"the last one wins":                      {"--model-name m -v 1 --model-name n", "--version=1 --model-name=n"},
		"help, and nothing of what is needed":    {"--model-file f -h", "--help"},
		"many values":                            {"-v 1 --model-name m --models a b", "--version=1 --model-name=m --models=a --models=b"},
		"a value with a blank and a dash":        {"-v 1 --model-name -a~b", "--version=1 --model-name=-a~b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := grammar.Normalize(words(c.line))
			require.NoError(t, err)
			assert.Equal(t, words(c.want), got)
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	t.Parallel()
	const complete = "--model-name m -v 1 "
	for name, c := range map[string]struct{ line, reason string }{
		"nothing":                        {"", "the following arguments are required: --model-name, -v/--version"},
		"one is missing":                 {"-v 1 unknown", "the following arguments are required: --model-name"},
		"not a choice":                   {complete + "--archive-format foo", "argument --archive-format: invalid choice: 'foo' (choose from 'tgz', 'default')"},
		"a choice that is empty":         {complete + "--archive-format=", "argument --archive-format: invalid choice: '' (choose from 'tgz', 'default')"},
		"an argument":                    {complete + "-f more", "unrecognized arguments: more"},
		"a value that nobody takes":      {complete + "--force=1", "argument -f/--force: ignored explicit argument '1'"},
		"the same behind a short name":   {complete + "-f1", "argument -f/--force: ignored explicit argument '1'"},
		"an ambiguous prefix":            {complete + "--m x", "ambiguous option: --m could match --model-name, --model-file, --models"},
		"two actions":                    {complete + "--start --stop", "argument --stop: not allowed with argument --start"},
		"no value":                       {"-v 1 --model-name", "argument --model-name: expected one argument"},
		"no value before another option": {"-v --model-name m", "argument -v/--version: expected one argument"},
		"none of many":                   {complete + "--models", "argument --models: expected at least one argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := grammar.Normalize(words(c.line))
			var usage *argparse.Error
			require.ErrorAs(t, err, &usage)
			assert.Equal(t, c.reason, usage.Reason)
		})
	}
}

// FuzzNormalize checks that what is normalized stays as it is when read again.
func FuzzNormalize(f *testing.F) {
	f.Add("--start --models a b --model-name=x -v1")
	f.Add("--mode=x -v -1 - -- --=")
	f.Add("-fv1 --model-n m --archive-format tgz")
	f.Fuzz(func(t *testing.T, line string) {
		once, err := grammar.Normalize(words(line))
		if err != nil {
			return
		}
		twice, err := grammar.Normalize(once)
		require.NoError(t, err)
		assert.ElementsMatch(t, lastOfEach(once), twice)
	})
}

// lastOfEach keeps of a repeated option only the last word, as Normalize does.
func lastOfEach(all []string) []string {
	var kept []string
	for i, word := range all {
		name, _, _ := strings.Cut(word, "=")
		repeated := false
		for _, later := range all[i+1:] {
			repeated = repeated || strings.HasPrefix(later, name+"=")
		}
		if !repeated {
			kept = append(kept, word)
		}
	}
	return kept
}
