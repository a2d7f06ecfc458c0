package visible_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", ""},
		"none":                {`plain "é" \x1b 漢字 😀 10%`, `plain "é" \x1b 漢字 😀 10%`},
		"of ASCII":            {"a\x00\t\n\r\x1b[m\x1f\x7fz", `a\x00\x09\x0a\x0d\x1b[m\x1f\x7fz`},
		"of Latin-1":          {"\u0080\u0085\u009b2J\u009f\u00a0", `\x80\x85\x9b2J\x9f` + "\u00a0"},
		"separators":          {"a\u2028b\u2029\u2027", `a\u2028b\u2029` + "\u2027"},
		"bytes of no UTF-8":   {"\x9b2J\xffé\xc3", `\x9b2J` + "\xffé\xc3"},
		"a cut character":     {"\xe2\x80", "\xe2" + `\x80`},
		"the replacement one": {"\ufffd", "\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, visible.String(c.text))
			assert.Equal(t, "<"+c.want, string(visible.Append([]byte("<"), []byte(c.text))))
		})
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("a\u009b\x9b\n\u2028é")
	f.Fuzz(func(t *testing.T, text string) {
		shown := visible.String(text)
		assert.Equal(t, shown, visible.String(shown), "shown once")
		assert.Equal(t, -1, strings.IndexFunc(shown, visible.Control))
		if !utf8.ValidString(text) {
			return
		}
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		var again string
		require.NoError(t, json.Unmarshal(visible.AppendWith(nil, quoted, visible.AppendJSON), &again))
		assert.Equal(t, text, again)
	})
}

func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations of the process
	dst, text := make([]byte, 0, 100), "/predictions/größe?a=1"
	assert.Zero(t, testing.AllocsPerRun(100, func() { dst = visible.Append(dst[:0], text) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { dst = visible.Append(dst[:0], dst[:cap(dst)][:len(text)]) }))
}

func BenchmarkAppend(b *testing.B) {
	dst, text := make([]byte, 0, 100), "/predictions/resnet18?a=1&b=2"
	b.ReportAllocs()
	for b.Loop() {
		dst = visible.Append(dst[:0], text)
	}
}
