package logging

import (
	"bytes"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// LineLog writes finished lines to one logger. It is for those who log several
// lines per request: they pass the destinations together, past zerolog.
type LineLog struct {
	logs         *Logs
	own          *output
	name, thread string
	silent       bool
}

// Lines returns the way for finished lines to the logger with this name and
// thread text.
func (l *Logs) Lines(name, thread string) *LineLog {
	return &LineLog{logs: l, own: l.own[name], name: name, thread: visible.String(thread), silent: l.levels.of(name) > zerolog.InfoLevel}
}

// Log logs each line of text as an event of its own, with level INFO. Lines end
// with a line feed; what follows the last one is left out. The caller has seen
// to it that no value brings line feeds of its own. It never blocks and keeps
// nothing of text.
func (l *LineLog) Log(text []byte) {
	if l.silent {
		return
	}
	e := l.logs.take(zerolog.InfoLevel, l.name, l.thread)
	body := e.body
	l.own.addLines(e, text)
	l.logs.server.addLines(e, text)
	l.logs.console.addLines(e, text)
	e.body = body // the lines are the caller's
	l.logs.give(e)
}

// addLines copies each line of text into the buffer as an event like e, or
// counts it as lost. It does nothing on nil.
func (o *output) addLines(e *entry, text []byte) {
	if o == nil {
		return
	}
	o.mu.Lock()
	before := len(o.pending)
	for end := bytes.IndexByte(text, '\n'); end >= 0; end = bytes.IndexByte(text, '\n') {
		e.body, text = text[:end+1], text[end+1:]
		if len(o.pending)+e.size() > maxPending {
			o.lost++
			continue
		}
		o.pending = o.layout.append(o.pending, e)
	}
	after := len(o.pending)
	o.mu.Unlock()
	if after > before {
		o.wake(before, after, false)
	}
}
