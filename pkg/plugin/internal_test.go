package plugin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func FuzzReadService(f *testing.F) {
	f.Add("org.pytorch.serve.plugins.endpoint.Token\n")
	f.Add("# comment\r\n\r\n  a.b.C # d\n\te\n#")
	f.Add("\x00\xff\n")
	f.Add(strings.Repeat("x", maxLine))
	f.Fuzz(func(t *testing.T, text string) {
		names, err := readService(strings.NewReader(text))
		if err != nil {
			assert.Greater(t, len(text), maxLine-1, "only what is too long is refused")
			return
		}
		assert.LessOrEqual(t, len(names), strings.Count(text, "\n")+1)
		for _, name := range names {
			assert.NotEmpty(t, name)
			assert.NotContains(t, name, "#")
			assert.NotContains(t, name, "\n")
			assert.Equal(t, strings.TrimSpace(name), name)
			assert.Contains(t, text, name)
		}
	})
}
