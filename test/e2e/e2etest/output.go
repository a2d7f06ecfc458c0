package e2etest

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
)

// errEnded says that an output ended before a text appeared in it.
var errEnded = errors.New("the output has ended")

// Output is what the program prints on one of its streams. It may be used by many
// goroutines.
type Output struct {
	reader *os.File
	ended  chan struct{} // closed when nothing can follow

	mu    sync.Mutex // Protects fields below
	text  []byte
	grown chan struct{} // closed, and replaced, when text grows
}

func newOutput(reader *os.File) *Output {
	return &Output{reader: reader, ended: make(chan struct{}), grown: make(chan struct{})}
}

// fill reads until the last writer has gone, or Close.
func (o *Output) fill() {
	defer close(o.ended)
	buffer := make([]byte, 32<<10)
	for {
		n, err := o.reader.Read(buffer)
		o.mu.Lock()
		o.text = append(o.text, buffer[:n]...)
		close(o.grown)
		o.grown = make(chan struct{})
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// String returns what was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// Await blocks until text appears in the output.
func (o *Output) Await(ctx context.Context, text string) error {
	for {
		o.mu.Lock()
		found, grown := strings.Contains(string(o.text), text), o.grown
		o.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-grown:
		case <-o.ended:
			if strings.Contains(o.String(), text) {
				return nil
			}
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close closes the reading end, as a terminal does that goes away.
func (o *Output) Close() { _ = o.reader.Close() } // nothing is lost by a failure
