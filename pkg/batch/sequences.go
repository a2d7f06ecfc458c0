package batch

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// ErrSequences is in the chain of the refusal of a job that would open one
// sequence too many.
var ErrSequences = errors.New("too many open sequences")

// SequenceLimits bound the sequences of a stateful model version.
type SequenceLimits struct {
	Number    int           // open sequences, 1 and more
	QueueSize int           // waiting jobs of one sequence, 1 and more
	Loose     int           // waiting jobs that belong to no sequence, 1 and more
	MaxIdle   time.Duration // without a job, after which a sequence ends
	Timeout   time.Duration // after which a sequence ends in any case; 0: never
	Free      bool          // a new sequence needs a worker that has a free place, as tickets promise
}

// Sequences holds the waiting jobs of one stateful model version (SCH §13). A
// sequence begins with its first job, belongs to one worker, has its jobs done
// in their order and one at a time, and ends when it was idle for too long, when
// its time is over, when the model says so, or with its worker. Jobs that belong
// to no sequence are done by any worker.
type Sequences struct {
	limits SequenceLimits

	mu     sync.Mutex // Protects fields below, and those of lanes and sequences
	open   map[string]*sequence
	lanes  []*lane
	loose  ring
	waits  Waited
	closed bool
}

// sequence is one open sequence.
type sequence struct {
	id      string
	waiting ring
	lane    *lane     // whose it is; nil: nobody's yet
	held    int       // jobs that the worker has
	polled  bool      // the worker has taken a job and not answered since
	free    time.Time // since when the next job may be taken; zero: it may not
	begun   bool      // a worker was sent a job of it
	over    bool      // it ends when the worker has answered
	created time.Time

	timer *time.Timer
	due   time.Time // when the timer means something; zero: never
}

// NewSequences returns an empty Sequences.
func NewSequences(l SequenceLimits) *Sequences {
	return &Sequences{limits: l, open: make(map[string]*sequence)}
}

// Put appends j to its sequence, which it opens if there is none; opened tells.
// It returns a fault of kind Busy when there is no room: too many sequences
// (ErrSequences), too many jobs in this one, or closed. may is asked before a
// sequence is opened; false is a refusal, too.
func (s *Sequences) Put(j *job.Job, may func() bool) (opened bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, fault.New(fault.Busy, "")
	}
	if j.Sequence == "" {
		return false, s.putLoose(j)
	}
	q, ok := s.open[j.Sequence]
	if !ok {
		if len(s.open) >= s.limits.Number {
			return false, fault.Wrap(fault.Busy, "", ErrSequences)
		}
		if !may() {
			return false, fault.New(fault.Busy, "")
		}
		q = s.begin(j.Sequence)
	}
	if q.waiting.len() >= s.limits.QueueSize {
		q.waiting.purge()
	}
	if q.over || q.waiting.len() >= s.limits.QueueSize {
		return false, fault.New(fault.Busy, "")
	}
	q.waiting.push(j)
	s.refresh(q)
	return !ok, nil
}

func (s *Sequences) putLoose(j *job.Job) error {
	if s.loose.len() >= s.limits.Loose {
		s.loose.purge()
	}
	if s.loose.len() >= s.limits.Loose {
		return fault.New(fault.Busy, "")
	}
	s.loose.push(j)
	s.signalAll()
	return nil
}

func (s *Sequences) signalAll() {
	for _, l := range s.lanes {
		l.supply.signal()
	}
}

// begin opens a sequence and gives it to the worker that has the fewest
// (SCH-D47), of those with the least to do if a free place was promised.
func (s *Sequences) begin(id string) *sequence {
	q := &sequence{id: id, created: time.Now()}
	q.timer = time.AfterFunc(time.Hour, func() { s.expire(q) })
	q.timer.Stop()
	s.open[id] = q
	s.bind(q)
	return q
}

func (s *Sequences) bind(q *sequence) {
	q.lane = nil
	if len(s.lanes) == 0 {
		return
	}
	q.lane = slices.MinFunc(s.lanes, func(a, b *lane) int {
		if s.limits.Free && a.busy() != b.busy() {
			return a.busy() - b.busy()
		}
		return a.bound - b.bound
	})
	q.lane.bound++
}

// refresh lists a sequence with its worker if it has something to do, and sets
// the time of its end.
func (s *Sequences) refresh(q *sequence) {
	if s.open[q.id] != q {
		return // it has ended
	}
	if q.over {
		if q.held == 0 {
			s.end(q) // nothing waits in it
		}
		return
	}
	switch may := q.waiting.len() > 0 && !q.polled; {
	case !may:
		q.free = time.Time{}
	case q.free.IsZero():
		q.free = time.Now()
	}
	if q.lane != nil && !q.free.IsZero() {
		q.lane.list(q)
	}
	q.due = time.Time{}
	if q.waiting.len() == 0 && q.held == 0 {
		q.due = time.Now().Add(s.limits.MaxIdle)
	}
	if end := q.created.Add(s.limits.Timeout); s.limits.Timeout > 0 && (q.due.IsZero() || end.Before(q.due)) {
		q.due = end
	}
	if q.due.IsZero() {
		q.timer.Stop()
		return
	}
	q.timer.Reset(max(0, time.Until(q.due)))
}

// expire ends a sequence whose time is over.
func (s *Sequences) expire(q *sequence) {
	s.mu.Lock()
	var orphans []*job.Job
	if s.open[q.id] == q && !q.due.IsZero() && !time.Now().Before(q.due) {
		orphans = s.finish(q)
	}
	s.mu.Unlock()
	failAll(orphans)
}

// finish ends a sequence as soon as its worker has answered, and returns the
// jobs that still waited in it. Until then its id stays taken: no other job may
// overtake the one that the worker has, nor share a batch with it.
func (s *Sequences) finish(q *sequence) []*job.Job {
	waiting := q.waiting.drain()
	q.over, q.due = true, time.Time{}
	q.timer.Stop()
	if q.lane != nil {
		q.lane.unlist(q)
	}
	s.refresh(q)
	return waiting
}

// end closes a sequence and returns the jobs that still waited in it. Those that
// the worker has are finished.
func (s *Sequences) end(q *sequence) []*job.Job {
	q.timer.Stop()
	q.due = time.Time{}
	delete(s.open, q.id)
	if q.lane != nil {
		q.lane.bound--
		q.lane.unlist(q)
	}
	return q.waiting.drain()
}

// End ends the sequences with these ids; what waits in them is answered Busy
// (SCH-D46).
func (s *Sequences) End(ids []string) {
	var orphans []*job.Job
	s.mu.Lock()
	for _, id := range ids {
		if q, ok := s.open[id]; ok {
			orphans = append(orphans, s.end(q)...)
		}
	}
	s.mu.Unlock()
	failAll(orphans)
}

// failAll answers jobs that lost their place.
func failAll(jobs []*job.Job) {
	for _, j := range jobs {
		j.Fail(fault.New(fault.Busy, ""))
	}
}

// Drain ends all sequences and returns all waiting jobs; the caller must answer
// them.
func (s *Sequences) Drain() []*job.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain()
}

func (s *Sequences) drain() []*job.Job {
	jobs := s.loose.drain()
	for _, q := range s.open {
		jobs = append(jobs, s.end(q)...)
	}
	return jobs
}

// Close refuses everything from now on, ends waiting collectors and returns the
// jobs that were still waiting; the caller must answer them.
func (s *Sequences) Close() []*job.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signalAll()
	return s.drain()
}

// Waiting returns the number of jobs that wait and the places left in the
// sequences that are open and may be opened.
func (s *Sequences) Waiting() (pending, free int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.open {
		q.waiting.purge()
		pending += q.waiting.len()
	}
	free = max(0, s.limits.Number*s.limits.QueueSize-pending)
	s.loose.purge()
	return pending + s.loose.len(), free
}

// Oldest returns when the job arrived that waits longest, or the zero time.
func (s *Sequences) Oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loose.purge()
	heads := append(make([]*job.Job, 0, 1+len(s.open)), s.loose.peek())
	for _, q := range s.open {
		q.waiting.purge()
		heads = append(heads, q.waiting.peek())
	}
	oldest := time.Time{}
	for _, head := range heads {
		if head != nil && (oldest.IsZero() || head.Created.Before(oldest)) {
			oldest = head.Created
		}
	}
	return oldest
}

// Waits returns how long jobs wait for a worker. While a job waits for the answer
// to the one before it, in its sequence, that does not count: no worker may take
// it.
func (s *Sequences) Waits() Waits {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := Waits{s.waits, s.loose.oldest()}
	for _, q := range s.open {
		arrived := q.waiting.oldest()
		if arrived.IsZero() || q.free.IsZero() {
			continue
		}
		if turn := later(q.free, arrived); w.Since.IsZero() || turn.Before(w.Since) {
			w.Since = turn
		}
	}
	return w
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Open returns the number of open sequences.
func (s *Sequences) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
