package worker

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// split returns the lines of a stream.
func split(t *testing.T, r io.Reader) []string {
	t.Helper()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine+1)
	lines.Split(splitLines())
	all := []string{}
	for lines.Scan() {
		all = append(all, lines.Text())
	}
	require.NoError(t, lines.Err())
	return all
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"LOG-024 LF":                    {"a\nb\n", []string{"a", "b"}},
		"LOG-024 CRLF":                  {"a\r\nb\r\n", []string{"a", "b"}},
		"LOG-024 CR, a progress bar":    {"10%\r20%\r30%\n", []string{"10%", "20%", "30%"}},
		"LOG-024 CR and an empty line":  {"a\r\n\r\nb\r\r", []string{"a", "", "b", ""}},
		"LOG-024 other ends of Unicode": {"a\u0085b\u2028c\u2029d", []string{"a", "b", "c", "d"}},
		"half of such an end is text":   {"a\xc2\xe2\x80b\xe2", []string{"a\xc2\xe2\x80b\xe2"}},
		"no end at the end":             {"a\nb", []string{"a", "b"}},
		"nothing":                       {"", []string{}},
		"LOG-024 bytes that are no text": {
			"\xff\x00\x01\n\x80\n", []string{"\xff\x00\x01", "\x80"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, split(t, strings.NewReader(c.text)))
			assert.Equal(t, c.want, split(t, iotest.OneByteReader(strings.NewReader(c.text))), "one byte at a time")
		})
	}
	t.Run("LOG-025 a line above 1 MiB is cut and marked, its rest is a new one", func(t *testing.T) {
		text := strings.Repeat("x", maxLine) + "yy\nnext\n"
		got := split(t, strings.NewReader(text))
		require.Len(t, got, 3)
		assert.Equal(t, maxLine, len(got[0]))
		assert.True(t, strings.HasSuffix(got[0], " …[truncated]"))
		assert.True(t, strings.HasSuffix(got[1], "yy"))
		assert.Equal(t, "next", got[2])
		assert.Equal(t, maxLine+2, len(strings.TrimSuffix(got[0], truncated))+len(got[1]), "nothing is lost")
	})
}

func FuzzLines(f *testing.F) {
	f.Add("a\r\nb\rc\u0085d\u2028e\u2029f", 1)
	f.Add("\r\n\r\n\xc2", 2)
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = min(max(size, 1), 4096)
		got := split(t, &pieces{text: text, size: size})
		assert.Equal(t, split(t, strings.NewReader(text)), got, "however it arrives")
		for _, line := range got {
			at, _ := lineEnd([]byte(line))
			assert.Negative(t, at)
		}
	})
}

// pieces reads text in pieces of a size.
type pieces struct {
	text string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.text)
	p.text = p.text[n:]
	return n, nil
}

// reads feeds an output and returns it, what it logged, and its marks.
func reads(text string) (o *output, logged string, ready int, metrics []string) {
	var log bytes.Buffer
	o = &output{ready: func() { ready++ }, metric: func(l string) { metrics = append(metrics, l) }}
	o.read(strings.NewReader(text), zerolog.New(&log), zerolog.WarnLevel)
	return o, log.String(), ready, metrics
}

func TestMarkers(t *testing.T) {
	t.Run("ready", func(t *testing.T) {
		for line, want := range map[string]int{
			"Torch worker started.":                        1,
			"[INFO ] whatever Torch worker started.":       1,
			"Torch worker started!":                        1, // any character, as 0.12
			"Torch worker started":                         0,
			"Torch worker started. Really":                 0,
			"[METRICS]Torch worker started.":               0,
			"Torch worker started.\nTorch worker started.": 2,
		} {
			_, _, ready, _ := reads(line + "\n")
			assert.Equal(t, want, ready, line)
		}
	})
	t.Run("pid, the last one wins", func(t *testing.T) {
		for text, want := range map[string]int{
			"[PID]12": 12, "INFO > [PID]13": 13, "[PID]1\n[PID]2": 2, "x [PID]12": 0, "[PID]": 0, "[PID]-1": 0, "[PID]12 ": 0, "[PID]99999999999999999999": 0,
		} {
			o, _, _, _ := reads(text + "\n")
			assert.Equal(t, want, o.processID(), text)
		}
	})
	t.Run("metric lines are handed on and not logged", func(t *testing.T) {
		_, logged, _, metrics := reads("[METRICS]a\nINFO > [METRICS]b\nnot [METRICS]c\n")
		assert.Equal(t, []string{"a", "b"}, metrics)
		assert.Equal(t, `{"level":"warn","message":"not [METRICS]c"}`+"\n", logged)
	})
	t.Run("a marked one may follow a text without a line end", func(t *testing.T) {
		_, logged, _, metrics := reads(ownMark + "[METRICS]a\n50 %" + ownMark + "[METRICS]b\nmore\n\n" + ownMark + "\n")
		assert.Equal(t, []string{"a", "b"}, metrics)
		assert.Equal(t, `{"level":"warn","message":"50 %"}
{"level":"warn","message":"more"}
{"level":"warn"}
{"level":"warn","message":"\u001e"}
`, logged)
	})
}

func TestLastWords(t *testing.T) {
	t.Run("the last traceback", func(t *testing.T) {
		o, _, _, _ := reads("a\nTraceback (most recent call last):\nfirst\nTraceback (most recent call last):\nsecond\nKeyError\n")
		assert.Equal(t, "Traceback (most recent call last):\nsecond\nKeyError", o.lastWords())
	})
	t.Run("of ranks the first traceback, to the end of the first rank", func(t *testing.T) {
		o, _, _, _ := reads("")
		o.ranks, o.indirect = 2, true
		o.read(strings.NewReader("a\nTraceback (most recent call last):\nfirst\nTraceback (most recent call last):\nsecond\nKeyError\n"+
			deathNotice+"\nTraceback (most recent call last):\nbroken pipe\n"+deathNotice+"\n"), zerolog.Nop(), zerolog.InfoLevel)
		assert.Equal(t, "Traceback (most recent call last):\nfirst\nTraceback (most recent call last):\nsecond\nKeyError", o.lastWords())
	})
	t.Run("else the last lines", func(t *testing.T) {
		o, _, _, _ := reads("1\n2\n3\n4\n5\n6\n7\n")
		assert.Equal(t, "3\n4\n5\n6\n7", o.lastWords())
	})
	t.Run("of bounded size, and text", func(t *testing.T) {
		o, _, _, _ := reads("Traceback of \n" + strings.Repeat(strings.Repeat("ß", 5000)+"\n", 2*tailLines))
		assert.LessOrEqual(t, len(o.lastWords()), tailLines*(tailWidth+len(truncated)+1))
		assert.True(t, utf8.ValidString(o.lastWords()))
	})
	t.Run("nothing", func(t *testing.T) {
		o, _, _, _ := reads("")
		assert.Empty(t, o.lastWords())
	})
}

func TestSinceLoad(t *testing.T) {
	const silent = "It has printed nothing meanwhile."
	start := "Torch worker started.\nConnection accepted: x.\nmodel_name: m, batchSize: 1\n"
	for name, c := range map[string]struct{ said, want string }{
		"nothing":                   {start, silent},
		"by two ranks":              {start + start, silent},
		"lines":                     {start + "1 of 9\n2 of 9\n", "Its last words:\n1 of 9\n2 of 9"},
		"more than the last words":  {start + "1\n2\n3\n4\n5\n6\n", "Its last words:\n2\n3\n4\n5\n6"},
		"a traceback":               {start + "a\nTraceback (most recent call last):\nKeyError\n", "Its last words:\nTraceback (most recent call last):\nKeyError"},
		"by one that does not load": {"booting\n", "Its last words:\nbooting"},
		"nothing at all":            {"", silent},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, _, _ := reads(c.said)
			assert.Equal(t, c.want, o.sinceLoad())
		})
	}
}

func BenchmarkOutput(b *testing.B) {
	text := strings.Repeat("2024-01-01 12:00:00 a line as handlers print it, not long\n", 1000)
	o := &output{ready: func() {}, metric: func(string) {}}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		o.read(strings.NewReader(text), zerolog.Nop(), zerolog.InfoLevel)
	}
}
