package device

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Usage is how busy an accelerator is. What its tool does not tell is 0.
type Usage struct {
	Busy   float64 // of the time, in percent
	Memory float64 // of its memory, or of the time that memory was used, in percent
	Used   int64   // of its memory, in MiB
}

// fresh is how long figures are taken for those of now.
const fresh = time.Second

// Gauge says how busy the accelerators of a set are. It is safe for concurrent
// use.
type Gauge struct {
	set Set

	mu   sync.Mutex // Protects fields below
	last *reading   // nil: none yet
}

// reading is one run of the tool.
type reading struct {
	ended   atomic.Pointer[time.Time] // nil: it still runs
	figures func() (map[string]Usage, error)
}

// NewGauge returns a Gauge; it runs nothing yet.
func NewGauge(s Set) *Gauge { return &Gauge{set: s} }

// Text returns how busy accelerator n of the set is, in the words of 0.12. It
// blocks until the vendor's tool has answered, ten seconds at most, unless that
// was asked within the last second; everybody who asks meanwhile shares the
// answer.
func (g *Gauge) Text(n int) (string, error) {
	if n < 0 || n >= len(g.set.All) {
		return "", fmt.Errorf("there is no accelerator %d", n)
	}
	all, err := g.read()
	if err != nil {
		return "", err
	}
	id := g.set.All[n].ID
	u := all[id]
	return fmt.Sprintf("gpuId::%s utilization.gpu::%s %% utilization.memory::%s %% memory.used::%s MiB",
		id, grouped(u.Busy), grouped(u.Memory), grouped(float64(u.Used))), nil
}

func (g *Gauge) read() (map[string]Usage, error) {
	g.mu.Lock()
	if g.last == nil || g.last.isStale() {
		r := &reading{}
		r.figures = sync.OnceValues(func() (map[string]Usage, error) {
			all, err := g.set.usage()
			r.ended.Store(new(time.Now()))
			return all, err
		})
		g.last = r
	}
	r := g.last
	g.mu.Unlock()
	return r.figures()
}

func (r *reading) isStale() bool {
	ended := r.ended.Load()
	return ended != nil && time.Since(*ended) > fresh
}

// usage asks how busy the devices are.
func (s Set) usage() (map[string]Usage, error) {
	switch {
	case s.vendor == nil:
		return nil, errors.New("nobody knows how busy the accelerators are")
	case s.vendor.busy == nil:
		return map[string]Usage{}, nil
	}
	text, err := s.tool.ask(context.Background(), s.vendor.busy) // shared by all who wait
	if err != nil {
		return nil, err
	}
	all, err := s.vendor.gauges(text)
	return all, s.tool.context(s.vendor.busy, err)
}

// grouped formats a number as English readers expect it, with at most three
// decimals.
func grouped(f float64) string {
	text := strconv.FormatFloat(f, 'f', 3, 64)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	text, negative := strings.CutPrefix(text, "-")
	whole, decimals, _ := strings.Cut(text, ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if decimals != "" {
		whole += "." + decimals
	}
	if negative && whole != "0" {
		whole = "-" + whole
	}
	return whole
}
