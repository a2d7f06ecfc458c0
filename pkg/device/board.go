package device

import (
	"cmp"
	"strings"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Board shows how many workers have each accelerator. It is safe for concurrent
// use, as are the Seats that it makes.
type Board struct {
	set Set

	mu   sync.Mutex // Protects fields below, and those of all seats
	load []int      // workers per device
	turn int        // device that the next worker gets of those that are equal
}

// NewBoard returns a board without workers.
func NewBoard(s Set) *Board { return &Board{set: s, load: make([]int, len(s.All))} }

// Place is what a worker gets: the number of a device for its handler, and the
// variables that tell its process what it sees.
type Place struct {
	GPU int // -1: none
	Env []string
}

// Seats are the places of the workers of one model version. Those of a model that
// has chosen its devices are compared by its own workers alone; those of a model
// without a choice by all workers, and it shares its turn with others like it;
// slices by its own workers, then by all.
type Seats struct {
	board      *Board
	all        []seat // none: on the CPU
	own, every bool   // whose workers are counted
	turn       *int
}

// seat is one place: a device, or as many as the parallel level says.
type seat struct {
	place   Place
	devices []int
	workers int // of this model
}

// Seats returns the places that a model has. Its devices must exist.
func (b *Board) Seats(d model.Devices) *Seats {
	devices := make([]int, d.Count(len(b.set.All)))
	for i := range devices {
		devices[i] = i
		if d.IDs != nil {
			devices[i] = d.IDs[i]
		}
	}
	s := &Seats{board: b, own: d.IDs != nil || d.Level > 0, every: d.IDs == nil || d.Level > 0, turn: &b.turn}
	if s.own {
		s.turn = new(int)
	}
	if d.Level == 0 {
		for i, device := range devices {
			s.all = append(s.all, seat{place: Place{GPU: device}, devices: devices[i : i+1]})
		}
		return s
	}
	for at := 0; at+d.Level <= len(devices); at += d.Level {
		slice := devices[at : at+d.Level]
		s.all = append(s.all, seat{place: Place{GPU: at, Env: b.sees(slice)}, devices: slice})
	}
	return s
}

// sees returns the variable by which a process sees these devices only, named as
// in the server's own list (SCH-D58).
func (b *Board) sees(devices []int) []string {
	if b.set.Variable == "" {
		return nil
	}
	marks := make([]string, len(devices))
	for i, device := range devices {
		marks[i] = b.set.All[device].Mark
	}
	return []string{b.set.Variable + "=" + strings.Join(marks, ",")}
}

// Take returns the place for a new worker: the one with the fewest workers, in
// turn where several have as few (SCH-D57).
func (s *Seats) Take() Place {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	if len(s.all) == 0 {
		return Place{GPU: -1}
	}
	best := *s.turn
	for i := range s.all {
		if at := (*s.turn + i) % len(s.all); s.compare(at, best) < 0 {
			best = at
		}
	}
	*s.turn = (best + 1) % len(s.all)
	s.count(best, 1)
	return s.all[best].place
}

// Leave gives back the place of a worker that got this number.
func (s *Seats) Leave(gpu int) {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	left := -1
	for at := range s.all {
		if s.all[at].place.GPU == gpu && (left < 0 || s.all[at].workers > s.all[left].workers) {
			left = at
		}
	}
	if left >= 0 {
		s.count(left, -1)
	}
}

func (s *Seats) count(at, n int) {
	s.all[at].workers += n
	for _, device := range s.all[at].devices {
		s.board.load[device] += n
	}
}

// compare says which of two places is the better one for the next worker.
func (s *Seats) compare(a, b int) int {
	if s.own {
		if by := cmp.Compare(s.all[a].workers, s.all[b].workers); by != 0 || !s.every {
			return by
		}
	}
	return cmp.Compare(s.load(a), s.load(b))
}

// load counts the workers of all models on the devices of a place.
func (s *Seats) load(at int) (n int) {
	for _, device := range s.all[at].devices {
		n += s.board.load[device]
	}
	return n
}
