package worker

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeldLines(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "held")
	for name, c := range map[string]struct{ content, want string }{
		"one line":              {"\x06\x00\x00\x00a\nleft over", "a\n"},
		"nothing":               {"\x04\x00\x00\x00left over", ""},
		"not begun":             {strings.Repeat("\x00", heldSize), ""},
		"half a head":           {"\x06\x00", ""},
		"an end behind its end": {"\x07\x00\x00\x00a\n", ""},
		"an absurd end":         {"\xff\xff\xff\xffa\n", ""},
		"empty":                 {"", ""},
		"far too long":          {"\x01\x40\x00\x00" + strings.Repeat("a", 2*heldSize), ""},
	} {
		require.NoError(t, os.WriteFile(file, []byte(c.content), 0o600))
		assert.Equal(t, c.want, string(heldLines(file)), name)
	}
	t.Run("what is no file", func(t *testing.T) {
		t.Parallel()
		pipe, link := file+".pipe", file+".link"
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
		require.NoError(t, os.WriteFile(file, []byte("\x06\x00\x00\x00a\n"), 0o600))
		require.NoError(t, os.Symlink(file, link))
		for _, path := range []string{pipe, link, filepath.Dir(file), file + ".none"} {
			assert.Empty(t, heldLines(path), path)
		}
	})
}
