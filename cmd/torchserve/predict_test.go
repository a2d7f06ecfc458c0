package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func canceled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// echoing answers with the media type and the body of a request.
func echoing(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Header.Get("Content-Type")+" "+r.Header.Get("X-A")+" ")
	_, _ = io.Copy(w, r.Body)
}

func TestPredict(t *testing.T) {
	t.Parallel()
	s := serveRoutes(t, map[string]http.HandlerFunc{
		"POST /predictions/m": echoing, "POST /predictions/m/2": echoing, "POST /explanations/m": echoing,
		"POST /predictions/half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half of it")
		},
	})
	s.stdin = "from standard input"
	dir := t.TempDir()
	text, document := put(t, dir, "a.txt", "text"), put(t, dir, "b.JSON", `{"a":1}`)
	for name, c := range map[string]struct {
		args []string
		want result
	}{
		"a text":         {[]string{"m", "-d", "hello"}, result{exitOK, "application/octet-stream  hello", ""}},
		"an empty text":  {[]string{"m", "-d", ""}, result{exitOK, "application/octet-stream  ", ""}},
		"a text of JSON": {[]string{"m", "-d", ` [1, 2]`}, result{exitOK, "application/json   [1, 2]", ""}},
		"half of JSON":   {[]string{"m", "-d", "[1, 2"}, result{exitOK, "application/octet-stream  [1, 2", ""}},
		"a file":         {[]string{"m", text}, result{exitOK, "application/octet-stream  text", ""}},
		"a file of JSON": {[]string{"m", document}, result{exitOK, `application/json  {"a":1}`, ""}},
		"standard input": {[]string{"m"}, result{exitOK, "application/octet-stream  from standard input", ""}},
		"a version":      {[]string{"m", "--version", "2", "-d", "x"}, result{exitOK, "application/octet-stream  x", ""}},
		"an explanation": {[]string{"m", "--explain", "-d", "x"}, result{exitOK, "application/octet-stream  x", ""}},
		"headers":        {[]string{"m", "-d", "x", "--header", "content-type: a/b", "--header", "x-a:1:2"}, result{exitOK, "a/b 1:2 x", ""}},
		"half of an answer": {[]string{"half", "-d", "x"}, result{
			exitFailed, "half of it", "torchserve: error: POST " + s.base + "/predictions/half: the answer broke off: unexpected EOF\n",
		}},
		"a folder": {[]string{"m", dir}, result{exitFailed, "", "torchserve: error: input: " + dir + " is a folder\n"}},
		"several files, and one that is not there": {[]string{"m", text, filepath.Join(dir, "none"), document}, result{
			exitFailed, "==> " + text + " <==\napplication/octet-stream  text\n==> " + filepath.Join(dir, "none") + " <==\n==> " + document + " <==\napplication/json  {\"a\":1}\n",
			"torchserve: error: input: open " + filepath.Join(dir, "none") + ": no such file or directory\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, s.call(t, append([]string{"predict"}, c.args...)...))
		})
	}
	t.Run("a file of the system, which has no size", func(t *testing.T) {
		t.Parallel()
		content, err := os.ReadFile("/proc/version")
		if err != nil {
			t.Skip("there is none here")
		}
		assert.Equal(t, result{exitOK, "application/octet-stream  " + string(content), ""}, s.call(t, "predict", "m", "/proc/version"))
	})
	t.Run("an answer for a file", func(t *testing.T) {
		t.Parallel()
		output := filepath.Join(t.TempDir(), "out")
		assert.Equal(t, result{exitOK, "", ""}, s.call(t, "predict", "m", "-d", "x", "-o", output))
		content, err := os.ReadFile(output)
		require.NoError(t, err)
		assert.Equal(t, "application/octet-stream  x", string(content))
	})
}

func TestScreen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for text, fine := range map[string]bool{
		"text\twith\r\nlines ü": true, "\x89PNG\r\n\x1a\n": false, "\x1b]0;title\a": false, "\x00": false, "csi in one character: \u009b2J": false,
	} {
		_, err := (&screen{to: &out, person: true}).Write([]byte(text))
		assert.Equal(t, fine, err == nil, "%q", text)
		_, err = (&screen{to: io.Discard}).Write([]byte(text))
		require.NoError(t, err, "not a terminal")
	}
	assert.Equal(t, "text\twith\r\nlines ü", out.String())
}
