package logging

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

// layout is how an entry looks in one destination.
type layout uint8

const (
	full layout = iota
	short
	object // one JSON object per line
)

// Formats of the date: the layouts' own is local time without zone.
const (
	stampFormat  = "2006-01-02T15:04:05,000"
	objectFormat = "2006-01-02T15:04:05.000Z07:00"
)

// entry is one event on its way to the destinations, which copy what they
// need. Its buffers are used again.
type entry struct {
	at      time.Time
	level   zerolog.Level
	thread  string
	logger  string
	stamp   []byte // at in stampFormat
	body    []byte // the text with its line feed
	members []byte // the event as zerolog wrote it; nil: body is the message
}

// size is an upper bound of the length in bytes of e in the text layouts.
func (e *entry) size() int { return len(e.body) + len(e.thread) + len(e.logger) + 64 }

// append appends e to dst.
func (l layout) append(dst []byte, e *entry) []byte {
	if l == object {
		return appendObject(dst, e)
	}
	dst = append(dst, e.stamp...)
	if l == full {
		dst = append(dst, levelText(e.level)...)
		dst = append(dst, e.thread...)
		dst = append(dst, ' ')
		dst = append(dst, e.logger...)
	}
	dst = append(dst, " - "...)
	return append(dst, e.body...)
}

// levelText returns a level as the full layout shows it, padded to five
// characters. An event without a level is an INFO.
func levelText(l zerolog.Level) string {
	switch l {
	case zerolog.TraceLevel:
		return " [TRACE] "
	case zerolog.DebugLevel:
		return " [DEBUG] "
	case zerolog.WarnLevel:
		return " [WARN ] "
	case zerolog.ErrorLevel:
		return " [ERROR] "
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return " [FATAL] "
	default:
		return " [INFO ] "
	}
}

// appendObject appends e as a JSON object with the keys of LOG §11.2; the
// fields of the event keep their names.
func appendObject(dst []byte, e *entry) []byte {
	dst = append(dst, `{"@timestamp":"`...)
	dst = e.at.AppendFormat(dst, objectFormat)
	dst = append(dst, `","log.level":"`...)
	dst = append(dst, strings.Trim(levelText(e.level), " []")...)
	dst = append(dst, `","process.thread.name":`...)
	dst = appendQuoted(dst, []byte(e.thread))
	dst = append(dst, `,"log.logger":`...)
	dst = appendQuoted(dst, []byte(e.logger))
	if e.members == nil {
		dst = append(dst, `,"message":`...)
		dst = appendQuoted(dst, bytes.TrimSuffix(e.body, []byte{'\n'}))
	}
	for m, rest, ok := nextMember(e.members); ok; m, rest, ok = nextMember(rest) {
		switch string(m.key) {
		case zerolog.LevelFieldName, zerolog.TimestampFieldName:
			continue
		case zerolog.ErrorFieldName:
			dst = append(dst, `,"error.message":`...)
			dst = visible.AppendWith(dst, appendRedacted(nil, m.value), visible.AppendJSON)
			continue
		}
		dst = append(dst, ',', '"')
		dst = visible.AppendWith(dst, m.key, visible.AppendJSON)
		dst = append(dst, '"', ':')
		dst = visible.AppendWith(dst, m.value, visible.AppendJSON) // those that zerolog leaves as they are
	}
	return append(dst, '}', '\n')
}

// appendQuoted appends text as a JSON string; malformed UTF-8 is replaced.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		r, width := utf8.DecodeRune(text)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case visible.Control(r):
			dst = visible.AppendJSON(dst, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
		text = text[width:]
	}
	return append(dst, '"')
}
