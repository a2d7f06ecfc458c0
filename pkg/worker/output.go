package worker

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// maxLine is the longest line in bytes that is logged, with the mark of a line
// that was cut (WRK-D26, LOG-025).
const (
	maxLine   = 1 << 20
	truncated = " …[truncated]"
	cutAt     = maxLine - len(truncated)
)

// readyMark is the text that ends the line by which a worker says that it
// listens; as in 0.12 the final dot may be any character.
const readyMark = "Torch worker started"

// output reads the standard streams of one process, line by line: markers and
// metric lines are interpreted, the rest is logged (WRK §12).
type output struct {
	ready    func()            // a rank says that it listens
	metric   func(line string) // a metric line, prefix removed
	ranks    int               // whose output it is; 0: one process'
	indirect bool              // a launcher's, too, which ends with a traceback of its own

	mu   sync.Mutex // Protects fields below
	pid  int        // as the worker says; 0: not yet
	tail []string   // the last lines, for the error of a failed start
}

// read logs every line of r at the given level until the stream ends.
func (o *output) read(r io.Reader, log zerolog.Logger, level zerolog.Level) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine+1)
	lines.Split(splitLines())
	for lines.Scan() {
		line := strings.ToValidUTF8(lines.Text(), "\uFFFD")
		text, metric, ok := cutMetric(line)
		if text != "" || !ok {
			o.notice(text)
			log.WithLevel(level).Msg(text)
		}
		if ok {
			o.metric(metric)
		}
	}
}

// cutMetric returns what a line says before its metric, and the metric, if it has
// one: a marked metric may stand behind text that was not ended.
func cutMetric(line string) (before, metric string, ok bool) {
	if before, metric, ok = strings.Cut(line, ownMark+metricMark); ok {
		return before, metric, true
	}
	if metric, ok = strings.CutPrefix(strings.TrimPrefix(line, levelMark), metricMark); ok {
		return "", metric, true
	}
	return line, "", false
}

func pidText(line string) (pid int, ok bool) {
	digits, ok := strings.CutPrefix(strings.TrimPrefix(line, levelMark), "[PID]")
	if !ok || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	pid, err := strconv.Atoi(digits)
	return pid, err == nil
}

// A metric line begins with metricMark; levelMark may stand before a marker,
// because C++ workers log them. ownMark stands before the metrics of our own
// Python package, which is told to put it there: nobody prints it by chance.
const (
	metricMark = "[METRICS]"
	levelMark  = "INFO > "
	ownMark    = "\x1e"
)

// What is kept for the error of a failed start: lines per rank, and bytes of each.
const (
	tailLines = 40
	tailWidth = 1000
)

func (o *output) notice(line string) {
	if n := len(line); n > len(readyMark) && line[n-1-len(readyMark):n-1] == readyMark {
		o.ready()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if pid, ok := pidText(line); ok {
		o.pid = pid
	}
	if len(o.tail) == tailLines*max(o.ranks, 1) {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	if len(line) > tailWidth {
		line = strings.ToValidUTF8(line[:tailWidth], "") + truncated
	}
	o.tail = append(o.tail, line)
}

// deathNotice is the line with which a Python worker ends, after the cause.
const deathNotice = "Backend worker process died."

// lastWords returns the last traceback of the output, or its last lines. Below a
// launcher it is the first one: when one process has failed the others fail, too.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := max(len(o.tail)-5, 0)
	for i, line := range slices.Backward(o.tail) {
		if strings.HasPrefix(line, "Traceback ") {
			from = i
			if !o.indirect {
				break
			}
		}
	}
	words := o.tail[from:]
	if i := slices.Index(words, deathNotice); i >= 0 {
		words = words[:i] // what follows says nothing about the cause
	}
	return strings.Join(words, "\n")
}

// loadNotice begins the line with which a Python worker begins to load its model.
const loadNotice = "model_name: "

// sinceLoad tells in a sentence what the worker has printed while it loaded its
// model, in as many lines as its last words have.
func (o *output) sinceLoad() string {
	words := o.lastWords()
	if at := strings.LastIndex("\n"+words, "\n"+loadNotice); at >= 0 {
		_, words, _ = strings.Cut(words[at:], "\n")
	}
	if words == "" {
		return "It has printed nothing meanwhile."
	}
	return "Its last words:\n" + words
}

// processID returns the pid that the worker printed, or 0.
func (o *output) processID() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pid
}

// splitLines splits at LF, CR, CRLF, U+0085, U+2028 and U+2029, and cuts lines
// that are too long. The returned function keeps state for one stream.
func splitLines() bufio.SplitFunc {
	afterCR := false
	return func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		skip := 0
		if afterCR && len(data) > 0 {
			afterCR = false
			if data[0] == '\n' {
				skip, data = 1, data[1:]
			}
		}
		end, width := lineEnd(data)
		switch {
		case end >= 0 && end <= cutAt:
			afterCR = data[end] == '\r'
			return skip + end + width, data[:end:end], nil
		case len(data) > cutAt:
			return skip + cutAt, append(bytes.Clone(data[:cutAt]), truncated...), nil
		case atEOF && len(data) > 0:
			return skip + len(data), data, nil
		default:
			return skip, nil, nil
		}
	}
}

// lineEnd returns the position and width in bytes of the first line end, or -1.
func lineEnd(data []byte) (at, width int) {
	at = -1
	for _, end := range lineEnds {
		if i := bytes.Index(data, end); i >= 0 {
			at, width, data = i, len(end), data[:i]
		}
	}
	return at, width
}

// lineEnds are the bytes that end a line, the most frequent first.
//
//nolint:gochecknoglobals // read-only table
var lineEnds = [][]byte{[]byte("\n"), []byte("\r"), []byte("\u0085"), []byte("\u2028"), []byte("\u2029")}
