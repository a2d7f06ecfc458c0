package batch

import (
	"context"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// Line is where one worker takes its jobs, from when it is loaded until it is
// stopped. One goroutine uses it; only Leave and Resign may be called beside the others.
type Line interface {
	// Collect blocks until there is a batch and appends its jobs to into.
	Collect(ctx context.Context, l Limits, into []*job.Job) ([]*job.Job, error)
	// More appends up to n jobs that may join those that the worker has, of which
	// like is one; it does not wait.
	More(n int, like *job.Job, into []*job.Job) []*job.Job
	// Return puts back jobs that were taken and not sent. The caller must answer
	// those that it returns.
	Return(jobs []*job.Job) (refused []*job.Job)
	// Settle notes that the worker has answered, and still has the live jobs.
	Settle(live []*job.Job)
	// Leave lets nothing more wait for this worker alone: it finishes what it
	// has, and will be stopped.
	Leave()
	// Resign is Leave for a worker to which nothing belongs; it returns false, and
	// changes nothing, if something does. Any goroutine may call it.
	Resign() bool
	// Close gives up what waits for this worker alone: its process is gone, or
	// will be. The caller must answer the jobs that it returns.
	Close() (orphans []*job.Job)
}

// Line returns where one more worker takes its jobs: all workers share the
// queue.
func (q *Queue) Line() Line { return shared{q} }

type shared struct{ *Queue }

func (shared) Settle([]*job.Job) {}

func (shared) Leave() {}

func (shared) Resign() bool { return true }

func (shared) Close() []*job.Job { return nil }

var (
	_ Line = shared{}
	_ Line = (*lane)(nil)
)
