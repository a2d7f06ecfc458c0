package batch

import (
	"context"
	"errors"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// ErrClosed is returned by Collect when the queue was closed.
var ErrClosed = errors.New("queue closed")

// Limits say how large a batch may become and how long it may be filled.
type Limits struct {
	Size  int           // jobs, 1 and more
	Delay time.Duration // counted from the first job's arrival; 0 and less: take what is there (SCH-D25)
}

// Collect blocks until there is a batch and appends its jobs to into, in order
// of arrival, each of them taken. When ctx ends first, everything that was
// collected goes back to the queue and the cause of ctx is returned; after
// Close it returns ErrClosed. A job whose deadline has passed is answered on the
// way (SCH-D28), on the caller's goroutine.
func (q *Queue) Collect(ctx context.Context, l Limits, into []*job.Job) ([]*job.Job, error) {
	select {
	case <-q.turn:
	case <-ctx.Done():
		return into, context.Cause(ctx)
	}
	defer func() { q.turn <- struct{}{} }()

	first, err := q.first(ctx)
	if err != nil {
		return into, err
	}
	from := len(into)
	into = append(into, first)
	if l.Size <= 1 || first.Kind == job.Describe {
		return into, nil
	}
	into, err = q.fill(ctx, l, into, from)
	if err != nil {
		for _, j := range q.Return(into[from:]) {
			j.Fail(fault.New(fault.Busy, ""))
		}
		return into[:from], err
	}
	return into, nil
}

// Ready appends to into what Collect would return at once, each job taken, and
// nothing if it would wait: for a first job, for a batch to be filled, for
// another collector, or for a describe job, which is alone. Batches of more than
// room bytes stay in the queue, too.
func (q *Queue) Ready(l Limits, room int, into []*job.Job) []*job.Job {
	select {
	case <-q.turn:
	default:
		return into
	}
	defer func() { q.turn <- struct{}{} }()
	from := len(into)
	first, _ := q.next(nil)
	if first == nil {
		return into
	}
	into = append(into, first)
	for j := first; j != nil && len(into)-from < l.Size; {
		if j, _ = q.next(first); j != nil {
			into = append(into, j)
		}
	}
	batch := into[from:]
	full := len(batch) >= l.Size || time.Until(first.Created.Add(l.Delay)) <= 0
	if full && first.Kind != job.Describe && size(batch) <= room {
		return into
	}
	for _, j := range q.Return(batch) {
		j.Fail(fault.New(fault.Busy, ""))
	}
	return into[:from]
}

// size returns the bytes that jobs take on the wire, about.
func size(jobs []*job.Job) int {
	const each = 16 // lengths and ends of lists
	n := 0
	for _, j := range jobs {
		n += each + len(j.ID)
		for _, h := range j.Request.Headers {
			n += each + len(h.Name) + len(h.Value)
		}
		for _, p := range j.Request.Parameters {
			n += each + len(p.Name) + len(p.ContentType) + len(p.Value)
		}
	}
	return n
}

// first waits without limit for a job.
func (q *Queue) first(ctx context.Context) (*job.Job, error) {
	for ctx.Err() == nil {
		switch j, v := q.next(nil); v {
		case taken:
			return j, nil
		case closed:
			return nil, ErrClosed
		case nothing, another:
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	return nil, context.Cause(ctx)
}

// fill takes more jobs of the first one's kind until the batch is full, the
// delay is over, or a job of another kind is next.
func (q *Queue) fill(ctx context.Context, l Limits, into []*job.Job, from int) ([]*job.Job, error) {
	first := into[from]
	defer q.timer.Stop()
	for len(into)-from < l.Size {
		j, v := q.next(first)
		if v == taken {
			into = append(into, j)
			continue
		}
		left := time.Until(first.Created.Add(l.Delay))
		if v != nothing || left <= 0 {
			return into, nil
		}
		q.timer.Reset(left)
		select {
		case <-q.wake:
		case <-q.timer.C:
			return into, nil
		case <-ctx.Done():
			return into, context.Cause(ctx)
		}
	}
	return into, nil
}

// verdict says what next saw at the head of the queue.
type verdict uint8

const (
	nothing verdict = iota // no job waits
	taken                  // a job, now the collector's
	another                // a job of another kind: waiting would only delay both
	closed                 // no job waits, and none will come
)

// next takes the job at the head if it may share a batch with like (nil: any).
// Jobs of clients that have gone are dropped; expired ones are answered.
func (q *Queue) next(like *job.Job) (*job.Job, verdict) {
	now := time.Now()
	var expired []*job.Job
	defer func() {
		for _, e := range expired {
			e.Fail(e.TimedOut())
		}
	}()
	q.mu.Lock()
	defer q.mu.Unlock()
	for head := q.jobs.peek(); head != nil; head = q.jobs.peek() {
		switch {
		case head.Done():
			q.jobs.shift()
		case head.Expired(now):
			q.jobs.shift()
			expired = append(expired, head)
		case like != nil && head.Kind != like.Kind:
			return nil, another
		default:
			q.jobs.shift()
			if head.Take(now) {
				return head, taken
			}
		}
	}
	if q.closed {
		return nil, closed
	}
	return nil, nothing
}
