package archiver

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ matches, others string }{
		"*.txt":    {"a.txt .txt", "a.txtx"},
		`a\*`:      {`a\b a\`, "ab a*"},
		"[ab]?":    {"ax bx", "cx a"},
		"[!ab]":    {"c ^ !", "a b"},
		"[^a]":     {"^ a", "b"},
		"[]a]":     {"] a", "b"},
		"[!]a]":    {"b", "] a"},
		"[a-c]":    {"a b c", "- d"},
		"[-a]":     {"- a", "b"},
		"[a-]":     {"- a", "b"},
		"[!-]":     {"a", "-"},
		"[a":       {"[a", "a"},
		"[]":       {"[]", "["},
		"[!]":      {"[!]", "a"},
		"[[]x":     {"[x", "x"},
		"[!a][!a]": {"bc", "ab ba"},
	} {
		for name := range strings.FieldsSeq(c.matches) {
			matched, err := filepath.Match(translate(pattern), name)
			require.NoError(t, err)
			assert.True(t, matched, "%s %s", pattern, name)
		}
		for name := range strings.FieldsSeq(c.others) {
			matched, err := filepath.Match(translate(pattern), name)
			require.NoError(t, err)
			assert.False(t, matched, "%s %s", pattern, name)
		}
	}
}

// FuzzTranslate checks that patterns are understood, but for ranges that make no
// sense and what is no text.
func FuzzTranslate(f *testing.F) {
	f.Add("*.txt")
	f.Add(`[!a-]\[]`)
	f.Fuzz(func(t *testing.T, pattern string) {
		_, err := filepath.Match(translate(pattern), "name")
		assert.True(t, err == nil || strings.Contains(pattern, "-") || !utf8.ValidString(pattern), "%q: %v", translate(pattern), err)
		isPattern(pattern)
	})
}
