package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// FuzzEvent logs any text as message, error and field, and expects encoding/json
// to read the same from zerolog's bytes as this package does, and nothing that
// looks like another event.
func FuzzEvent(f *testing.F) {
	f.Add("plain", "key")
	f.Add("a\"\\\n\x00\xff\u2028é😀", "b c")
	f.Fuzz(func(t *testing.T, text, key string) {
		var out bytes.Buffer
		log := zerolog.New(&out)
		log.Info().Msg(text)
		var event struct{ Message string }
		require.NoError(t, json.Unmarshal(out.Bytes(), &event))
		assert.Equal(t, event.Message+"\n", string(appendBody(nil, out.Bytes(), keptLines|keptOthers)))
		shown := appendBody(nil, out.Bytes(), 0)
		if !strings.HasPrefix(text, "\n") {
			assert.Equal(t, strings.ReplaceAll(visible.String(event.Message), `\x09`, "\t")+"\n", string(shown))
		}

		out.Reset()
		log.Info().Err(errors.New(text)).Str("key", text).Msg(text)
		shown = appendBody(nil, out.Bytes(), 0)
		assert.NotContains(t, strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' || !visible.Control(r) {
				return -1
			}
			return '!'
		}, string(shown)), "!", "%q", shown)
		assert.NotRegexp(t, `\n\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}`, string(shown[1:]))

		out.Reset()
		log.Info().Str(key, text).Any("x", map[string]string{key: text}).Msg("m")
		line := appendObject(nil, &entry{thread: text, logger: key, members: out.Bytes()})
		assert.True(t, json.Valid(line), "%s", line)
		assert.Equal(t, string(line), visible.String(string(line[:len(line)-1]))+"\n")
		line = appendObject(nil, &entry{body: []byte(text)})
		assert.True(t, json.Valid(line), "%s", line)
	})
}

// FuzzBody feeds what zerolog never writes: it must do no harm.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"level":"info","message":"\ud83d\ude00\u00e9\ud83d"}`, `{"message":"\u00"}`, `{"message":"\`, `{"a":{"b":"]`, `{"a":]}`, `{"message":"`,
		`{"error":"\ud83d\u0041\/"}`, `{"`, `{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		body := appendBody(nil, p, keptLines)
		assert.LessOrEqual(t, len(body), 4*len(p)+2)
		object := appendObject(nil, &entry{members: p})
		assert.LessOrEqual(t, len(object), 6*len(p)+200)
	})
}

func TestEscapes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"\ud83d\ude00"`: "😀", `"\u00e9\u2028"`: "é\u2028", `"\ud83d"`: "\uFFFD", `"\ud83d\u0041"`: "\uFFFDA", `"\/"`: "/",
		`12.5`: "12.5", `null`: "null", `"`: `"`, `""`: "",
	} {
		assert.Equal(t, want, string(appendText(nil, []byte(text), keptOthers)), text)
	}
}
