package pool

import (
	"slices"
	"sync"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// tickets admit a job only when an idle worker waits for it (useJobTicket):
// while there are more idle loaded workers than jobs that were accepted and not
// handed over (SCH-D32). The zero value has no idle workers.
type tickets struct {
	mu       sync.Mutex // Protects fields below
	idle     int
	promised []*job.Job // accepted, not handed over; some may need no answer any more
}

// admit promises an idle worker to j, or returns false.
func (t *tickets) admit(j *job.Job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.promised = slices.DeleteFunc(t.promised, func(j *job.Job) bool { return j.Done() || j.Abandoned() })
	if len(t.promised) >= t.idle {
		return false
	}
	t.promised = append(t.promised, j)
	return true
}

// withdraw takes back what j was promised.
func (t *tickets) withdraw(j *job.Job) { t.handOver([]*job.Job{j}, 0) }

// promise notes jobs that were handed over and came back.
func (t *tickets) promise(jobs []*job.Job) {
	t.mu.Lock()
	t.promised = append(t.promised, jobs...)
	t.mu.Unlock()
}

// wait notes a worker that looks for jobs.
func (t *tickets) wait() {
	t.mu.Lock()
	t.idle++
	t.mu.Unlock()
}

// leave notes that a worker has stopped looking, with these jobs.
func (t *tickets) leave(jobs []*job.Job) { t.handOver(jobs, 1) }

func (t *tickets) handOver(jobs []*job.Job, workers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle -= workers
	t.promised = slices.DeleteFunc(t.promised, func(j *job.Job) bool { return slices.Contains(jobs, j) })
}
