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
	Delay time.Duration // counted from the first job's arrival; 0 and less: take what is there
}

// Collect blocks until there is a batch and appends its jobs to into, in order
// of arrival, each of them taken. When ctx ends first, everything that was
// collected goes back to the queue and the cause of ctx is returned; after
// Close it returns ErrClosed.
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

// first waits without limit for a job.
func (q *Queue) first(ctx context.Context) (*job.Job, error) {
	for {
		j, closed := q.next(nil)
		switch {
		case j != nil:
			return j, nil
		case closed:
			return nil, ErrClosed
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// fill takes more jobs of the first one's kind until the batch is full, the
// delay is over, or a job of another kind is next.
func (q *Queue) fill(ctx context.Context, l Limits, into []*job.Job, from int) ([]*job.Job, error) {
	first := into[from]
	var timer *time.Timer // made when there is something to wait for
	for len(into)-from < l.Size {
		j, closed := q.next(first)
		if j != nil {
			into = append(into, j)
			continue
		}
		left := time.Until(first.Created.Add(l.Delay))
		if closed || left <= 0 || q.blocked(first) {
			return into, nil
		}
		if timer == nil {
			timer = time.NewTimer(left)
			defer timer.Stop()
		}
		select {
		case <-q.wake:
		case <-timer.C:
			return into, nil
		case <-ctx.Done():
			return into, context.Cause(ctx)
		}
	}
	return into, nil
}

// next takes the job at the head if it may share a batch with like (nil: any).
// Jobs of clients that have gone are dropped; expired ones are answered.
func (q *Queue) next(like *job.Job) (j *job.Job, closed bool) {
	now := time.Now()
	var expired []*job.Job
	defer func() {
		for _, e := range expired {
			e.Fail(fault.New(fault.Expired, "Inference request timed out"))
		}
	}()
	q.mu.Lock()
	defer q.mu.Unlock()
	for head := q.jobs.peek(); head != nil; head = q.jobs.peek() {
		if like != nil && head.Kind != like.Kind {
			return nil, q.closed
		}
		q.jobs.shift()
		switch {
		case head.Expired(now):
			expired = append(expired, head)
		case head.Take(now):
			return head, q.closed
		}
	}
	return nil, q.closed
}

// blocked reports whether the job at the head is of another kind, so that
// waiting for more would only delay both.
func (q *Queue) blocked(like *job.Job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	head := q.jobs.peek()
	return head != nil && head.Kind != like.Kind
}
