package worker

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// maxLine is the longest line in bytes that is read from a worker's output in
// one piece (WRK-D26, LOG-025).
const maxLine = 1 << 20

const truncated = " …[truncated]"

//nolint:gochecknoglobals // compiled once, read only
var pidLine = regexp.MustCompile(`^(?:INFO > )?\[PID\](\d+)$`)

// readyMark is the text that ends the line by which a worker says that it
// listens; as in 0.12 the final dot may be any character.
const readyMark = "Torch worker started"

// output reads the standard streams of one process, line by line: markers and
// metric lines are interpreted, the rest is logged (WRK §12).
type output struct {
	ready  func()            // a rank says that it listens
	metric func(line string) // a metric line, prefix removed

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
		if metric, ok := metricText(line); ok {
			o.metric(metric)
			continue
		}
		o.notice(line)
		log.WithLevel(level).Msg(line)
	}
}

func metricText(line string) (string, bool) {
	line, _ = strings.CutPrefix(line, "INFO > ")
	return strings.CutPrefix(line, "[METRICS]")
}

// tailLines is the number of lines kept for the error of a failed start.
const tailLines = 40

func (o *output) notice(line string) {
	if n := len(line); n > len(readyMark) && line[n-1-len(readyMark):n-1] == readyMark {
		o.ready()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := pidLine.FindStringSubmatch(line); m != nil {
		if pid, err := strconv.Atoi(m[1]); err == nil {
			o.pid = pid
		}
	}
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, line)
}

// lastWords returns the last traceback of the output, or its last lines.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := max(len(o.tail)-5, 0)
	for i := len(o.tail) - 1; i >= 0; i-- {
		if strings.HasPrefix(o.tail[i], "Traceback ") {
			from = i
			break
		}
	}
	return strings.Join(o.tail[from:], "\n")
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
		case end >= 0 && end <= maxLine:
			afterCR = data[end] == '\r'
			return skip + end + width, data[:end:end], nil
		case len(data) > maxLine-len(truncated):
			cut := bytes.Clone(data)
			return skip + len(data), append(cut, truncated...), nil
		case atEOF && len(data) > 0:
			return skip + len(data), data, nil
		default:
			return skip, nil, nil
		}
	}
}

// lineEnd returns the position and width in bytes of the first line end, or -1.
func lineEnd(data []byte) (at, width int) {
	for i, b := range data {
		switch b {
		case '\n', '\r':
			return i, 1
		case 0xC2:
			if i+1 < len(data) && data[i+1] == 0x85 {
				return i, 2
			}
		case 0xE2:
			if i+2 < len(data) && data[i+1] == 0x80 && (data[i+2] == 0xA8 || data[i+2] == 0xA9) {
				return i, 3
			}
		}
	}
	return -1, 0
}
