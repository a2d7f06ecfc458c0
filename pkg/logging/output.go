package logging

import (
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Sizes in bytes and times of a destination's buffer.
const (
	maxPending = 8 << 20  // waiting lines: some seconds of the busiest access log
	errorRoom  = 1 << 20  // beyond it, for errors only
	flushSize  = 64 << 10 // so much ends a pause
	keptSize   = 1 << 20  // a larger buffer is not kept for the next time

	// pause is the time between two writes in which lines gather. The first
	// line after a quiet time is written at once.
	pause = 20 * time.Millisecond
)

// output is one destination: a buffer that anybody may fill and a goroutine
// that empties it.
type output struct {
	name   string // for messages: a path, or "the console"
	to     io.Writer
	closer io.Closer // of to; nil: to stays open
	layout layout
	now    func() time.Time
	report func(name string, err error)

	ready  chan struct{} // holds one token: there are lines
	urgent chan struct{} // holds one token: do not pause

	mu      sync.Mutex // Protects fields below
	pending []byte
	lost    int // lines that did not fit since the last write

	spare   []byte // the other buffer; run's own
	failing bool   // the last write failed; run's own
}

// add copies e into the buffer, or counts it as lost. It does nothing on nil.
func (o *output) add(e *entry) {
	if o == nil {
		return
	}
	limit := maxPending
	loud := e.level >= zerolog.ErrorLevel && e.level < zerolog.NoLevel
	if loud {
		limit += errorRoom
	}
	o.mu.Lock()
	before := len(o.pending)
	if before+e.size() > limit {
		o.lost++
		o.mu.Unlock()
		return
	}
	o.pending = o.layout.append(o.pending, e)
	after := len(o.pending)
	o.mu.Unlock()
	o.wake(before, after, loud)
}

// addRaw copies a bare line into the buffer; it may use the room for errors.
func (o *output) addRaw(line string) {
	if o == nil {
		return
	}
	o.mu.Lock()
	before := len(o.pending)
	if before+len(line) < maxPending+errorRoom {
		o.pending = append(o.pending, line...)
		o.pending = append(o.pending, '\n')
	}
	after := len(o.pending)
	o.mu.Unlock()
	o.wake(before, after, true)
}

// wake tells run about a buffer that has grown.
func (o *output) wake(before, after int, loud bool) {
	if before == 0 {
		signal(o.ready)
	}
	if loud || (before < flushSize && after >= flushSize) {
		signal(o.urgent)
	}
}

func signal(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default: // it is there already
	}
}

// run writes lines until stop is closed and the buffer is empty, and closes
// the destination.
func (o *output) run(stop <-chan struct{}) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-o.ready:
		case <-stop:
			o.flush()
			o.close()
			return
		}
		o.flush()
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-o.urgent:
		case <-stop:
		}
	}
}

// flush writes what is in the buffer.
func (o *output) flush() {
	o.mu.Lock()
	batch, lost := o.pending, o.lost
	o.pending, o.lost = o.spare[:0], 0
	o.mu.Unlock()
	if lost > 0 {
		batch = o.appendLoss(batch, lost)
	}
	if len(batch) > 0 {
		_, err := o.to.Write(batch)
		if err != nil && !o.failing {
			o.report(o.name, err)
		}
		o.failing = err != nil
	}
	o.spare = nil
	if cap(batch) <= keptSize {
		o.spare = batch
	}
}

func (o *output) close() {
	if o.closer == nil {
		return
	}
	if err := o.closer.Close(); err != nil && !o.failing {
		o.report(o.name, err)
	}
}

// appendLoss appends the line that stands for lost ones.
func (o *output) appendLoss(dst []byte, lost int) []byte {
	at := o.now()
	return o.layout.append(dst, &entry{
		at: at, level: zerolog.WarnLevel, thread: "log", logger: loggingName,
		stamp: at.AppendFormat(nil, stampFormat),
		body:  []byte(strconv.Itoa(lost) + " lines were lost here: they came faster than " + o.name + " takes them\n"),
	})
}
