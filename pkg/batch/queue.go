package batch

import (
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// Queue holds the waiting jobs of one model version.
type Queue struct {
	capacity int

	turn   chan struct{} // holds one token: the collector's turn
	supply supply        // of the collector that has the turn

	mu     sync.Mutex // Protects fields below
	jobs   ring
	waits  Waited
	closed bool
}

// NewQueue returns an empty queue for capacity waiting jobs, 1 and more.
func NewQueue(capacity int) *Queue {
	q := &Queue{
		capacity: max(capacity, 1),
		turn:     make(chan struct{}, 1), // one turn exists
		supply:   newSupply(),
	}
	q.supply.next, q.supply.back = q.next, q.Return
	q.turn <- struct{}{}
	return q
}

// Put appends j. It returns a fault of kind Busy when the queue is full or
// closed; j was then not taken over.
func (q *Queue) Put(j *job.Job) error {
	q.mu.Lock()
	if q.jobs.len() >= q.capacity {
		q.jobs.purge()
	}
	if q.closed || q.jobs.len() >= q.capacity {
		q.mu.Unlock()
		return fault.New(fault.Busy, "")
	}
	q.jobs.push(j)
	q.mu.Unlock()
	q.supply.signal()
	return nil
}

// Return puts jobs that were collected but never sent back to the head, in
// order. It never refuses: the queue may exceed its capacity for a while. Jobs
// whose client has gone are dropped. On a closed queue the jobs are returned to
// the caller, who must answer them.
func (q *Queue) Return(jobs []*job.Job) (refused []*job.Job) {
	back := make([]*job.Job, 0, len(jobs))
	for _, j := range jobs {
		if j.Return() {
			back = append(back, j)
		}
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return back
	}
	q.jobs.unshift(back)
	q.mu.Unlock()
	q.supply.signal()
	return nil
}

// Drain removes and returns all waiting jobs; the caller must answer them.
func (q *Queue) Drain() []*job.Job {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.jobs.drain()
}

// Close refuses everything from now on, ends waiting collectors and returns the
// jobs that were still waiting; the caller must answer them. Closing again
// returns none.
func (q *Queue) Close() []*job.Job {
	q.mu.Lock()
	q.closed = true
	jobs := q.jobs.drain()
	q.mu.Unlock()
	q.supply.signal()
	return jobs
}

// Waiting returns the number of jobs that wait and the places left (0 and
// more).
func (q *Queue) Waiting() (pending, free int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs.purge()
	return q.jobs.len(), max(q.capacity-q.jobs.len(), 0)
}

// Waits returns how long jobs wait for a worker.
func (q *Queue) Waits() Waits {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Waits{q.waits, q.jobs.oldest()}
}

// Oldest returns when the job at the head arrived, or the zero time.
func (q *Queue) Oldest() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.jobs.oldest()
}
