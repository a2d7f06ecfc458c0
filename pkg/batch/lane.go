package batch

import (
	"context"
	"slices"
	"time"

	"github.com/torchserve-go/torchserve/pkg/job"
)

// lane is the Line of one worker of a stateful model: the sequences that belong
// to it. Its fields are guarded by those it belongs to.
type lane struct {
	all    *Sequences
	supply supply
	bound  int         // sequences that belong to the worker
	ready  []*sequence // those with a job that may be taken, in the order in which they got it
	held   map[*job.Job]*sequence
}

// Line returns where one more worker takes its jobs. Sequences that belong to
// nobody yet belong to it from now on.
func (s *Sequences) Line() Line {
	l := &lane{all: s, supply: newSupply(), held: make(map[*job.Job]*sequence)}
	l.supply.next, l.supply.back = l.next, l.Return
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = append(s.lanes, l)
	for _, q := range s.open {
		if q.lane == nil {
			s.bind(q)
			s.refresh(q)
		}
	}
	l.sortReady()
	return l
}

// sortReady puts the sequences that were bound at once into the order of their
// jobs.
func (l *lane) sortReady() {
	slices.SortFunc(l.ready, func(a, b *sequence) int { return a.since().Compare(b.since()) })
}

// since returns when the next job arrived; the zero time if there is none.
func (q *sequence) since() time.Time {
	if head := q.waiting.peek(); head != nil {
		return head.Created
	}
	return time.Time{}
}

// busy returns the number of jobs that the worker has, or may take at once.
func (l *lane) busy() int { return len(l.held) + len(l.ready) }

func (l *lane) list(q *sequence) {
	if !slices.Contains(l.ready, q) {
		l.ready = append(l.ready, q)
	}
	l.supply.signal()
}

func (l *lane) unlist(q *sequence) {
	l.ready = slices.DeleteFunc(l.ready, func(other *sequence) bool { return other == q })
}

// Collect implements Line.
func (l *lane) Collect(ctx context.Context, limits Limits, into []*job.Job) ([]*job.Job, error) {
	return l.supply.collect(ctx, limits, into)
}

// More implements Line.
func (l *lane) More(n int, like *job.Job, into []*job.Job) []*job.Job {
	return l.supply.more(n, like, into)
}

// next implements supply: a job of no sequence, else the next one of the
// sequence that waits longest. Of one sequence a worker has one job at a time.
func (l *lane) next(like *job.Job) (*job.Job, verdict) {
	var dropped expired
	defer dropped.answer()
	s, now := l.all, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	loose, seen := s.loose.take(like, now, &dropped)
	if seen == taken {
		s.waits.add(now.Sub(loose.Created))
		return loose, taken
	}
	for len(l.ready) > 0 {
		q := l.ready[0]
		if seen == another && s.loose.peek().Created.Before(q.since()) {
			return nil, another // which would never have its turn among sequences
		}
		j, v := q.waiting.take(like, now, &dropped)
		if v == another {
			return nil, another
		}
		l.ready = slices.Delete(l.ready, 0, 1)
		if v == taken {
			s.waits.add(now.Sub(later(q.free, j.Created)))
			q.held, q.polled = q.held+1, true
			l.held[j] = q
		}
		s.refresh(q)
		if v == taken {
			return j, taken
		}
	}
	if seen == nothing && s.closed {
		seen = closed
	}
	return nil, seen
}

// Return implements Line.
func (l *lane) Return(jobs []*job.Job) (refused []*job.Job) {
	s := l.all
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range slices.Backward(jobs) {
		q := l.held[j]
		if q != nil {
			l.letGo(j, q)
		}
		waits := j.Return() // its client has not gone
		switch {
		case waits && (s.closed || q != nil && (q.over || s.open[q.id] != q)):
			refused = append(refused, j)
		case waits && q == nil:
			s.loose.unshift([]*job.Job{j})
		case waits:
			q.waiting.unshift([]*job.Job{j})
		}
		if q != nil {
			s.refresh(q)
		}
	}
	s.signalAll()
	return refused
}

// letGo forgets a job that the worker had.
func (l *lane) letGo(j *job.Job, q *sequence) {
	delete(l.held, j)
	q.held, q.polled = q.held-1, false
}

// Settle implements Line: the sequences of the worker's jobs go on.
func (l *lane) Settle(live []*job.Job) {
	s := l.all
	s.mu.Lock()
	defer s.mu.Unlock()
	for j, q := range l.held {
		q.begun, q.polled = true, false
		if !slices.Contains(live, j) {
			l.letGo(j, q)
		}
		s.refresh(q)
	}
	l.sortReady()
}

// Leave implements Line. A sequence of which the worker has seen nothing goes to
// another one; the others are over, because what they are will be lost (SCH-D45).
func (l *lane) Leave() {
	s := l.all
	s.mu.Lock()
	orphans := l.leave()
	s.mu.Unlock()
	failAll(orphans)
}

// Resign implements Line: a worker that has sequences stays, one that has none
// gets none any more.
func (l *lane) Resign() bool {
	s := l.all
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.bound > 0 {
		return false
	}
	s.drop(l)
	return true
}

// drop takes a worker out of those that get sequences.
func (s *Sequences) drop(l *lane) {
	s.lanes = slices.DeleteFunc(s.lanes, func(other *lane) bool { return other == l })
}

func (l *lane) leave() (orphans []*job.Job) {
	s := l.all
	s.drop(l)
	for _, q := range s.open {
		switch {
		case q.lane != l:
		case q.begun:
			orphans = append(orphans, s.finish(q)...)
		case q.held == 0: // otherwise nobody knows yet whether it will be sent
			l.unlist(q)
			s.bind(q)
			s.refresh(q)
		}
	}
	return orphans
}

// Close implements Line.
func (l *lane) Close() (orphans []*job.Job) {
	s := l.all
	s.mu.Lock()
	defer s.mu.Unlock()
	orphans = l.leave()
	for _, q := range s.open {
		if q.lane == l {
			orphans = append(orphans, s.end(q)...)
		}
	}
	return orphans
}
