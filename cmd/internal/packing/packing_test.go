package packing_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/cmd/internal/packing"
	"github.com/torchserve-go/torchserve/pkg/archiver"
	"github.com/torchserve-go/torchserve/pkg/argparse"
)

type said struct {
	code           int
	stdout, stderr string
}

// run executes a command line of a command whose archive is made by pack.
func run(ctx context.Context, line string, pack func(string, archiver.Output) (archiver.Packed, error)) said {
	c := packing.Command{
		Name: "packer", Usage: "usage: packer\n", Short: "Packs.", Example: "  packer -f",
		Grammar: argparse.Grammar{
			{Spellings: []string{"-h", "--help"}},
			{Spellings: []string{"--extra-files"}, Takes: argparse.One},
			{Spellings: []string{"--export-path"}, Takes: argparse.One},
			{Spellings: []string{"-f", "--force"}},
			{Spellings: []string{"--keep-tree"}},
		},
		Define: func(*cobra.Command) {},
		Pack: func(_ context.Context, extra string, out archiver.Output) (archiver.Packed, error) {
			return pack(extra, out)
		},
	}
	var stdout, stderr strings.Builder
	code := c.Run(ctx, strings.Fields(line), &stdout, &stderr)
	return said{code, stdout.String(), stderr.String()}
}

func TestRun(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	t.Chdir(dir)
	t.Run("a usage error", func(t *testing.T) {
		got := run(t.Context(), "--ex=a,b", nil)
		assert.Equal(t, said{2, "", "usage: packer\npacker: error: ambiguous option: --ex=a,b could match --extra-files, --export-path\n"}, got)
	})
	t.Run("options, warnings, and what was packed", func(t *testing.T) {
		got := run(t.Context(), "--ext=a,b -f --keep --exp=out/", func(extra string, out archiver.Output) (archiver.Packed, error) {
			assert.Equal(t, "a,b", extra)
			out.Warn("beware")
			out.Warn = nil
			assert.Equal(t, archiver.Output{Dir: "out/", Force: true, KeepTree: true, Created: time.Unix(1700000000, 0).UTC()}, out)
			return archiver.Packed{Path: "out/x", Size: 1234, Files: []archiver.File{{Name: "a", Size: 5}, {Name: "b", Size: 1000}}}, nil
		})
		assert.Equal(t, said{0, "out/x: 2 files, 1234 bytes\n     5  a\n  1000  b\n", "WARNING - beware\n"}, got)
	})
	t.Run("without an export path", func(t *testing.T) {
		run(t.Context(), "", func(_ string, out archiver.Output) (archiver.Packed, error) {
			assert.Equal(t, dir, out.Dir)
			return archiver.Packed{}, nil
		})
	})
	refusal := func(string, archiver.Output) (archiver.Packed, error) {
		return archiver.Packed{}, errors.New("no\nway")
	}
	t.Run("a refusal", func(t *testing.T) {
		assert.Equal(t, said{1, "", "ERROR - no\nway\n"}, run(t.Context(), "", refusal))
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Equal(t, said{130, "", "ERROR - Interrupted; nothing was changed.\n"}, run(ctx, "", refusal))
	})
	t.Run("help", func(t *testing.T) {
		got := run(t.Context(), "-h", nil)
		assert.Contains(t, got.stdout, "Examples:\n  packer -f\n")
		assert.Zero(t, got.code)
	})
	t.Run("a time that is none", func(t *testing.T) {
		t.Setenv("SOURCE_DATE_EPOCH", "today")
		assert.Equal(t, said{1, "", "ERROR - SOURCE_DATE_EPOCH=today is no number of seconds\n"}, run(t.Context(), "", refusal))
	})
}
