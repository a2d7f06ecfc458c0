package server

import (
	"sync"

	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/device"
)

// places hands out what each worker has for itself: numbers, of which each is
// used once, but for fixed ones (WRK §9.2, §9.7), and devices.
type places struct {
	board *device.Board
	fixed bool

	mu       sync.Mutex // Protects fields below
	single   numbers
	parallel numbers // as many for a worker as its parallel level says
}

// numbers are those from first that were handed out, up to next.
type numbers struct{ first, next int }

func newPlaces(c config.Workers, devices device.Set) *places {
	return &places{
		board:    device.NewBoard(devices),
		fixed:    c.Debug,
		single:   numbers{c.FirstPort, c.FirstPort},
		parallel: numbers{c.DistributionPort, c.DistributionPort},
	}
}

// number returns the number of a new worker, which may also use those that follow,
// as many as its parallel level says: each rank has its own.
func (p *places) number(level int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine, others := &p.single, &p.parallel
	if level > 0 {
		mine, others = others, mine
	}
	width := max(level, 1)
	if mine.next < others.next && others.first < mine.next+width {
		mine.next = others.next // they were configured to begin close to each other
	}
	n := mine.next
	if !p.fixed {
		mine.next += width
	}
	return n
}
