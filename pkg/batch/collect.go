package batch

import (
	"context"
	"errors"
	"time"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// ErrClosed is returned by Collect when the queue was closed.
var ErrClosed = errors.New("queue closed")

// Limits say how large a batch may become and how long it may be filled.
type Limits struct {
	Size  int           // jobs, 1 and more
	Delay time.Duration // counted from the first job's arrival; 0 and less: take what is there (SCH-D25)
}

// supply is where one collector at a time finds its jobs.
type supply struct {
	// next takes the job at the head if it may share a batch with like (nil:
	// any).
	next func(like *job.Job) (*job.Job, verdict)
	back func(jobs []*job.Job) (refused []*job.Job) // puts jobs to the head again

	wake  chan struct{} // holds one token: something changed
	timer *time.Timer   // of the collector
}

func newSupply() supply {
	s := supply{
		wake:  make(chan struct{}, 1), // a second signal would say nothing new
		timer: time.NewTimer(time.Hour),
	}
	s.timer.Stop()
	return s
}

func (s *supply) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // the token is there already
	}
}

// collect blocks until there is a batch and appends its jobs to into.
func (s *supply) collect(ctx context.Context, l Limits, into []*job.Job) ([]*job.Job, error) {
	first, err := s.first(ctx)
	if err != nil {
		return into, err
	}
	from := len(into)
	into = append(into, first)
	if l.Size <= 1 || first.Kind == job.Describe {
		return into, nil
	}
	into, err = s.fill(ctx, l, into, from)
	if err != nil {
		failAll(s.back(into[from:]))
		return into[:from], err
	}
	return into, nil
}

// first waits without limit for a job.
func (s *supply) first(ctx context.Context) (*job.Job, error) {
	for ctx.Err() == nil {
		switch j, v := s.next(nil); v {
		case taken:
			return j, nil
		case closed:
			return nil, ErrClosed
		case nothing, another:
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	return nil, context.Cause(ctx)
}

// fill takes more jobs of the first one's kind until the batch is full, the
// delay is over, or a job of another kind is next.
func (s *supply) fill(ctx context.Context, l Limits, into []*job.Job, from int) ([]*job.Job, error) {
	first := into[from]
	defer s.timer.Stop()
	for len(into)-from < l.Size {
		j, v := s.next(first)
		if v == taken {
			into = append(into, j)
			continue
		}
		left := time.Until(first.Created.Add(l.Delay))
		if v != nothing || left <= 0 {
			return into, nil
		}
		s.timer.Reset(left)
		select {
		case <-s.wake:
		case <-s.timer.C:
			return into, nil
		case <-ctx.Done():
			return into, context.Cause(ctx)
		}
	}
	return into, nil
}

// more takes up to n jobs that may share a batch with like, without waiting.
func (s *supply) more(n int, like *job.Job, into []*job.Job) []*job.Job {
	for ; n > 0; n-- {
		j, v := s.next(like)
		if v != taken {
			break
		}
		into = append(into, j)
	}
	return into
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
	return q.supply.collect(ctx, l, into)
}

// More appends to into up to n jobs that may join those that a worker has, of
// which like is one, each job taken. It does not wait, and leaves the jobs to
// another collector that does.
func (q *Queue) More(n int, like *job.Job, into []*job.Job) []*job.Job {
	select {
	case <-q.turn:
	default:
		return into
	}
	defer func() { q.turn <- struct{}{} }()
	return q.supply.more(n, like, into)
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
	into = q.supply.more(l.Size-1, first, into)
	batch := into[from:]
	full := len(batch) >= l.Size || time.Until(first.Created.Add(l.Delay)) <= 0
	if full && first.Kind != job.Describe && size(batch) <= room {
		return into
	}
	failAll(q.Return(batch))
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

// verdict says what next saw at the head of the queue.
type verdict uint8

const (
	nothing verdict = iota // no job waits
	taken                  // a job, now the collector's
	another                // a job of another kind: waiting would only delay both
	closed                 // no job waits, and none will come
)

// next implements supply. Jobs of clients that have gone are dropped; expired
// ones are answered.
func (q *Queue) next(like *job.Job) (*job.Job, verdict) {
	var dropped expired
	defer dropped.answer()
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	j, v := q.jobs.take(like, now, &dropped)
	if v == taken {
		q.waits.add(now.Sub(j.Created))
	}
	if v == nothing && q.closed {
		v = closed
	}
	return j, v
}

// take takes the first job that waits for an answer, if it may share a batch
// with like. Expired ones are left to the caller, who holds a lock.
func (r *ring) take(like *job.Job, now time.Time, dropped *expired) (*job.Job, verdict) {
	for head := r.peek(); head != nil; head = r.peek() {
		switch {
		case head.Done():
			r.shift()
		case head.Expired(now):
			r.shift()
			*dropped = append(*dropped, head)
		case like != nil && head.Kind != like.Kind:
			return nil, another
		default:
			r.shift()
			if head.Take(now) {
				return head, taken
			}
		}
	}
	return nil, nothing
}

// expired are jobs whose time is over.
type expired []*job.Job

func (e *expired) answer() {
	for _, j := range *e {
		j.Fail(j.TimedOut())
	}
}
