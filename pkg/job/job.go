package job

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Kind says what a job asks of the worker. Predict and Explain travel as the
// same command and differ in a header only, but never share a batch (INF-D27).
type Kind uint8

// The kinds of jobs.
const (
	Predict  Kind = iota
	Explain       // a prediction with the header explain: True
	Describe      // a customized describe, always alone in its batch
)

// String returns the command name that 0.12 writes to its log.
func (k Kind) String() string {
	if k == Describe {
		return "DESCRIBE"
	}
	return "PREDICT"
}

// Header is one request or response header; names keep their spelling.
type Header struct{ Name, Value string }

// Parameter is one input of a request. Value is not copied: it must not change
// until the job is done.
type Parameter struct {
	Name        string
	ContentType string
	Value       []byte
}

// Request is what the model gets.
type Request struct {
	Headers    []Header
	Parameters []Parameter
}

// Reply is one message of a worker for one job. Status is the HTTP status the
// handler chose (default 200). More is true for a piece of a stream that is
// followed by others. The receiver owns Body.
type Reply struct {
	Status      int
	ContentType string
	Headers     []Header
	Body        []byte
	More        bool
}

// Sink receives the replies of a job on the worker's goroutine. Implementations
// must return at once and must not call back into the pool. After a reply
// without More, or after Fail, nothing more is called.
type Sink interface {
	// Deliver takes a reply. It returns false when it will take no more pieces: the
	// job is then given up.
	Deliver(r Reply) (more bool)
	Fail(err error)
}

// Job is one request on its way. The exported fields are set by the edge before
// Submit and must not be changed afterwards.
type Job struct {
	ID       string // unique, echoed by the worker, shown as x-request-id
	Kind     Kind
	Ref      model.Ref // as the client named it: the version may be empty
	Request  Request
	Sequence string // id of the sequence it belongs to, in a stateful model; empty: none
	Sink     Sink
	Created  time.Time
	Deadline time.Time // zero: none (clientTimeoutInMills)

	scheduled time.Time // when it was put into a batch; written by Take
	state     atomic.Uint32
}

const (
	queued uint32 = iota
	taken
	abandoned // by the client, while a worker had it
	done
)

// Take moves a queued job into a batch. It returns false when the client has
// given up meanwhile: the job must then be dropped silently. now stamps the end
// of its waiting time.
func (j *Job) Take(now time.Time) bool {
	if !j.state.CompareAndSwap(queued, taken) {
		return false
	}
	j.scheduled = now
	return true
}

// Return moves a taken job that was never sent back to the queued state. It
// returns false when the client has given up meanwhile.
func (j *Job) Return() bool { return j.state.CompareAndSwap(taken, queued) }

// Abandon gives the job up on behalf of its client. It returns true when no
// worker had it, so that nothing will use its buffers; false when a worker has
// it (its result will be discarded) or when it was answered already. After
// Abandon the sink is not called any more, apart from a call that is already
// running on the worker's goroutine.
func (j *Job) Abandon() bool {
	if j.state.CompareAndSwap(queued, done) {
		return true
	}
	j.state.CompareAndSwap(taken, abandoned)
	return false
}

// Abandoned reports whether the client has given the job up.
func (j *Job) Abandoned() bool { return j.state.Load() == abandoned }

// Done reports whether the job needs no answer any more: it was answered, or
// its client gave up before a worker had it.
func (j *Job) Done() bool { return j.state.Load() == done }

// Expired reports whether the job's deadline has passed at now.
func (j *Job) Expired(now time.Time) bool {
	return !j.Deadline.IsZero() && !now.Before(j.Deadline)
}

// TimedOut returns what the client is told when the job's deadline has passed:
// a fault of kind Expired (SCH-D33).
func (j *Job) TimedOut() error {
	limit := j.Deadline.Sub(j.Created).Milliseconds()
	return fault.New(fault.Expired, "Request timed out after "+strconv.FormatInt(limit, 10)+" ms")
}

// Waited returns how long the job was queued; 0 before it was taken. It may be
// called by the goroutine that took the job, and by anybody once it is answered.
func (j *Job) Waited() time.Duration {
	if j.scheduled.IsZero() {
		return 0
	}
	return j.scheduled.Sub(j.Created)
}

// Deliver hands r to the sink unless the client has given up, and marks the job
// done when r is the last reply. It returns false when the job was done before.
// Only the goroutine that took the job may call it.
func (j *Job) Deliver(r Reply) bool {
	if r.More {
		if j.state.Load() == taken && !j.Sink.Deliver(r) {
			j.Abandon()
		}
		return true
	}
	return j.finish(func() { j.Sink.Deliver(r) })
}

// Fail ends the job with err. It may be called for a queued or a taken job, by
// the goroutine that holds it. It returns false when the job was done before.
func (j *Job) Fail(err error) bool { return j.finish(func() { j.Sink.Fail(err) }) }

func (j *Job) finish(answer func()) bool {
	switch j.state.Swap(done) {
	case done:
		return false
	case abandoned:
		return true
	default:
		answer()
		return true
	}
}
