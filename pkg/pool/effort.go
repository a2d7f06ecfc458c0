package pool

import (
	"sync"
	"time"
)

// effort measures the work of all workers together. A worker that does one batch
// after the other works while it has one; a worker that takes jobs as they come
// does a part of what it could for each of them.
type effort struct {
	each int // jobs that a worker may have as they come; 0: it has batches

	mu   sync.Mutex // Protects fields below
	sum  time.Duration
	runs int // jobs, or workers, now
	last time.Time
}

// places returns how many jobs a worker may have that takes them as they come; 0
// for one that has batches.
func (p *Pool) places() int {
	switch set := p.cfg.Settings; {
	case set.Async:
		return max(set.AsyncLimit, 1)
	case set.Sequence.Continuous:
		return p.most(p.limits())
	default:
		return 0
	}
}

// change notes that so many more jobs are in work, and workers have some.
func (e *effort) change(jobs, workers int) {
	n := workers
	if e.each > 0 {
		n = jobs
	}
	if n == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(time.Now())
	e.runs += n
}

// done returns how long workers have worked until now.
func (e *effort) done(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(now)
	return e.sum / time.Duration(max(e.each, 1))
}

func (e *effort) advance(now time.Time) {
	e.sum += time.Duration(e.runs) * now.Sub(e.last)
	e.last = now
}
