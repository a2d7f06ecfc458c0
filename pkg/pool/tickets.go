package pool

import (
	"slices"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// tickets admit a job only when a worker waits for it (useJobTicket): while
// loaded workers would take more jobs than were accepted and not handed over
// (SCH-D32). The zero value has no workers.
type tickets struct {
	mu       sync.Mutex // Protects fields below
	free     map[*slot]int
	total    int        // of free
	promised []*job.Job // accepted, not handed over; some may need no answer any more
}

// admit promises a worker to j, or returns false.
func (t *tickets) admit(j *job.Job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.promised = slices.DeleteFunc(t.promised, func(j *job.Job) bool { return j.Done() || j.Abandoned() })
	if len(t.promised) >= t.total {
		return false
	}
	t.promised = append(t.promised, j)
	return true
}

// withdraw takes back what jobs were promised.
func (t *tickets) withdraw(jobs ...*job.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.promised = slices.DeleteFunc(t.promised, func(j *job.Job) bool { return slices.Contains(jobs, j) })
}

// promise notes jobs that were handed over and came back.
func (t *tickets) promise(jobs []*job.Job) {
	t.mu.Lock()
	t.promised = append(t.promised, jobs...)
	t.mu.Unlock()
}

// offer notes how many jobs a worker would take now.
func (t *tickets) offer(s *slot, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free == nil {
		t.free = make(map[*slot]int)
	}
	t.total += n - t.free[s]
	t.free[s] = n
	if n == 0 {
		delete(t.free, s)
	}
}
