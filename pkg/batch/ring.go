package batch

import (
	"slices"
	"time"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// ring is a growing circular buffer of jobs. The zero value is empty.
type ring struct {
	slots []*job.Job
	head  int
	n     int
}

func (r *ring) len() int { return r.n }

// at returns the slot of the i-th job, 0 being the head.
func (r *ring) at(i int) **job.Job { return &r.slots[(r.head+i)%len(r.slots)] }

func (r *ring) peek() *job.Job {
	if r.n == 0 {
		return nil
	}
	return *r.at(0)
}

func (r *ring) push(j *job.Job) {
	r.grow(1)
	*r.at(r.n) = j
	r.n++
}

// unshift puts jobs before the head, in their order.
func (r *ring) unshift(jobs []*job.Job) {
	r.grow(len(jobs))
	for _, j := range slices.Backward(jobs) {
		r.head = (r.head - 1 + len(r.slots)) % len(r.slots)
		r.n++
		*r.at(0) = j
	}
}

func (r *ring) shift() {
	*r.at(0) = nil // do not keep an answered request alive
	r.head = (r.head + 1) % len(r.slots)
	r.n--
}

func (r *ring) drain() []*job.Job {
	all := make([]*job.Job, 0, r.n)
	for i := range r.n {
		all = append(all, *r.at(i))
	}
	*r = ring{}
	return all
}

// purge drops the jobs that need no answer.
func (r *ring) purge() {
	kept := 0
	for i := range r.n {
		j := *r.at(i)
		if j.Done() {
			continue
		}
		*r.at(kept) = j
		kept++
	}
	for i := kept; i < r.n; i++ {
		*r.at(i) = nil
	}
	r.n = kept
}

// oldest returns when the first job that needs an answer arrived, or the zero
// time.
func (r *ring) oldest() time.Time {
	r.purge()
	if head := r.peek(); head != nil {
		return head.Created
	}
	return time.Time{}
}

// grow makes room for k more jobs.
func (r *ring) grow(k int) {
	if r.n+k <= len(r.slots) {
		return
	}
	slots := make([]*job.Job, max(16, 2*len(r.slots), r.n+k))
	for i := range r.n {
		slots[i] = *r.at(i)
	}
	r.slots, r.head = slots, 0
}
