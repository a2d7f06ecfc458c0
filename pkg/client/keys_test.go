package client_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/client"
)

func TestReadKeys(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 1, 25, 2, 33, 14, 104490000, time.UTC)
	for name, c := range map[string]struct {
		text string
		want map[client.Kind]client.Key
	}{
		"of a server": {
			`{"management":{"key":"m","expiration time":"2026-01-25T02:33:14.104490Z"},"inference":{"key":"i","expiration time":"2026-01-25T02:33:14.104490Z"},"API":{"key":"a"}}`,
			map[client.Kind]client.Key{client.Management: {"m", end}, client.Inference: {"i", end}, client.API: {Text: "a"}},
		},
		"from outside, with lists": {
			`{"management":{"key":["m","m2"]},"inference":{"key":[]}}`,
			map[client.Kind]client.Key{client.Management: {Text: "m"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client.ReadKeys(strings.NewReader(c.text))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "s3cr3t", "a wrong type": `{"API":"s3cr3t"}`, "half": `{"API":{"key":"s3cr3t`, "a time that is none": `{"API":{"key":"a","expiration time":"s3cr3t"}}`,
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			_, err := client.ReadKeys(strings.NewReader(text))
			require.EqualError(t, err, "not in the form of key_file.json")
		})
	}
	_, err := client.ReadKeys(iotest.ErrReader(io.ErrUnexpectedEOF))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestKey(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := client.Key{Text: "s3cr3t", Expires: now}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		assert.Equal(t, "REDACTED", fmt.Sprintf(verb, k), verb)
	}
	assert.False(t, k.Expired(now))
	assert.True(t, k.Expired(now.Add(time.Second)))
	assert.False(t, client.Key{}.Expired(now), "a key without an end")
}

func FuzzReadKeys(f *testing.F) {
	f.Add(`{"inference":{"key":["a"]}}`)
	f.Add(`{"API":{"key":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := client.ReadKeys(strings.NewReader(text))
		if err != nil {
			assert.Nil(t, keys)
		}
	})
}
