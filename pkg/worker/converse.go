package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// Converse is the exchange with an asynchronous worker (SCH §14): jobs are sent
// one by one, as next gives them, and answered in any order. It calls next again
// when there is room for another job, and landed, on another goroutine, for each
// job that is over. It returns when next has returned an error, which is usual,
// and every job that was sent is answered.
//
// When the incarnation fails, all of its jobs are answered, and its failure is
// returned, after which it must be stopped; unsent is a job that next gave and
// nobody has touched. The context that next gets ends then, too.
func (w *Worker) Converse(
	ctx context.Context, next func(context.Context) (*job.Job, error), landed func(),
) (unsent *job.Job, err error) {
	if w.conn == nil {
		return nil, fmt.Errorf("%w: worker is not started", errUnsent)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	t := &talk{
		w: w, conn: w.conn, fail: fail, landed: landed, limit: w.cfg.Settings.Timeouts.Response,
		flights: make(map[string]*flight), late: make(map[string]struct{}),
		changed: make(chan struct{}, 1), // a second signal would say nothing new
	}
	t.timer = time.AfterFunc(time.Hour, t.overdue)
	t.timer.Stop()
	defer t.timer.Stop()
	var reader sync.WaitGroup
	t.readUntil(time.Time{}) // the load command's time is over
	reader.Go(t.read)
	unsent, err = t.write(ctx, next)
	t.settle() //nolint:contextcheck // ctx has ended; the jobs in the air have their own time
	t.readUntil(time.Now())
	reader.Wait()
	if failure := t.end(); failure != nil {
		return unsent, failure
	}
	return unsent, err
}

// talk is one conversation.
type talk struct {
	w       *Worker
	conn    *conn
	fail    context.CancelCauseFunc // ends what waits for next
	landed  func()
	limit   time.Duration
	changed chan struct{} // holds one token: a job has landed, or all is over

	mu      sync.Mutex // Protects fields below
	flights map[string]*flight
	late    map[string]struct{} // ids that the worker may still answer, though nobody waits
	heard   time.Time           // when the last message came, or the first job left
	timer   *time.Timer
	leaving bool  // nothing is sent any more
	failure error // why the incarnation has ended
}

// maxLate is the number of ids that are remembered of jobs that a worker has
// forgotten.
const maxLate = 1 << 14

// flight is a job on its way.
type flight struct {
	job      *job.Job
	heard    time.Time
	streamed bool
}

// write sends jobs until next gives none.
func (t *talk) write(ctx context.Context, next func(context.Context) (*job.Job, error)) (*job.Job, error) {
	for {
		if err := t.await(ctx, t.hasRoom); err != nil {
			return nil, err
		}
		j, err := next(ctx)
		if err != nil {
			return nil, err
		}
		if err := t.send(j); err != nil {
			return t.unsent(j, err)
		}
	}
}

func (t *talk) hasRoom() bool {
	most := t.w.cfg.Settings.AsyncLimit
	return most == 0 || len(t.flights) < most
}

// await blocks until something holds.
func (t *talk) await(ctx context.Context, holds func() bool) error {
	for {
		t.mu.Lock()
		ok := holds()
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-t.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// send writes one job. It is among the flights before a byte of it has left, so
// that the answer finds it.
func (t *talk) send(j *job.Job) error {
	now := time.Now()
	t.mu.Lock()
	if t.failure != nil {
		t.mu.Unlock()
		return fmt.Errorf("%w: %w", errUnsent, t.failure)
	}
	if len(t.flights) == 0 {
		t.heard = now
		t.timer.Reset(t.limit)
	}
	id := t.name(j)
	t.flights[id] = &flight{job: j, heard: now}
	t.mu.Unlock()
	t.w.flushing(j.Kind.String(), 1)
	if err := t.conn.net.SetWriteDeadline(now.Add(t.limit)); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	sent := j
	if id != j.ID {
		sent = &job.Job{ID: id, Kind: j.Kind, Request: j.Request}
	}
	err := t.conn.write([]*job.Job{sent}, 0)
	t.conn.enc.Forget()
	return err
}

// name returns how the worker is to know a job: by its id, unless the answer to
// another one, whose client has chosen the same, is still to come.
func (t *talk) name(j *job.Job) string {
	id := j.ID
	for n := 2; t.flights[id] != nil || t.isLate(id); n++ {
		id = j.ID + "#" + strconv.Itoa(n)
	}
	return id
}

func (t *talk) isLate(id string) bool {
	_, ok := t.late[id]
	return ok
}

// unsent ends the conversation because a job could not be sent, and returns the
// job if it is untouched: it was not sent, nor has the reader answered it.
func (t *talk) unsent(j *job.Job, err error) (*job.Job, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if Unsent(err) && !j.Done() {
		maps.DeleteFunc(t.flights, func(_ string, f *flight) bool { return f.job == j })
	} else {
		j = nil
	}
	t.breakOff(err)
	t.conn.close() // the reader need not wait for more
	return j, err
}

// settle waits until every job that was sent is answered.
func (t *talk) settle() {
	t.mu.Lock()
	t.leaving = true
	t.mu.Unlock()
	_ = t.await(context.Background(), func() bool { return t.quiet() || t.failure != nil }) // has no end of its own
}

// quiet reports whether nobody waits for a job in the air.
func (t *talk) quiet() bool {
	for _, f := range t.flights {
		if !f.job.Abandoned() && !f.job.Done() {
			return false
		}
	}
	return true
}

// readUntil sets the end of the reader's time; the zero time is none.
func (t *talk) readUntil(end time.Time) {
	if err := t.conn.net.SetReadDeadline(end); err != nil { // closed: the reader knows
		t.w.cycle.Debug().Err(err).Msg("The connection of an asynchronous worker is closed already")
	}
}

// end counts what nobody waits for as over, and returns why the incarnation has
// ended, if it has.
func (t *talk) end() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range t.flights {
		t.landed()
	}
	clear(t.flights)
	return t.failure
}

// read hands over what the worker says until the conversation is over.
func (t *talk) read() {
	for {
		r, err := t.conn.receive()
		if err == nil {
			t.deliver(r)
			continue
		}
		t.mu.Lock()
		over := t.leaving && t.quiet() && errors.Is(err, os.ErrDeadlineExceeded)
		t.mu.Unlock()
		if !over {
			t.broken(err)
		}
		return
	}
}

// deliver hands the items of one message to their jobs. A failure is that of the
// jobs that it names; of all if it names none (SCH-D48). What nobody waits for
// any more is dropped: a job may have been given up before.
func (t *talk) deliver(r wire.Response) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.conn.reader.Forget()
	t.heard = time.Now()
	if r.Code != 200 {
		failure := t.w.batchFailure(r)
		if len(r.Items) == 0 {
			for id := range t.flights {
				t.lose(id, failure)
			}
		}
		for i := range r.Items {
			t.land(r.Items[i].RequestID, failure)
		}
		return
	}
	for i := range r.Items {
		item := &r.Items[i]
		f, ok := t.flights[item.RequestID]
		if !ok {
			t.w.log.Debug().Msg("An asynchronous worker answers a request that is over: " + item.RequestID)
			if !unfinished(*item) {
				delete(t.late, item.RequestID)
			}
			continue
		}
		f.heard = t.heard
		more := unfinished(*item)
		t.w.deliverItem(f.job, item, more, &f.streamed)
		if !more {
			t.land(item.RequestID, nil)
		}
	}
}

// land ends a flight; err is for the job, nil if it is answered.
func (t *talk) land(id string, err error) {
	f, ok := t.flights[id]
	if !ok {
		delete(t.late, id)
		return
	}
	delete(t.flights, id)
	if err != nil {
		f.job.Fail(err)
	}
	t.landed()
	t.signal()
}

// lose ends a flight to which the worker may still answer.
func (t *talk) lose(id string, err error) {
	t.land(id, err)
	if len(t.late) == maxLate {
		clear(t.late)
	}
	t.late[id] = struct{}{}
}

func (t *talk) signal() {
	select {
	case t.changed <- struct{}{}:
	default: // the token is there already
	}
}

// overdue fails the jobs of which the worker has said nothing for too long, and
// the worker if it has said nothing at all (SCH-D53).
func (t *talk) overdue() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.flights) > 0 && now.Sub(t.heard) >= t.limit {
		t.breakOff(fmt.Errorf("asynchronous worker: %w", os.ErrDeadlineExceeded))
		t.conn.close()
		return
	}
	earliest := now.Add(t.limit)
	for id, f := range t.flights {
		switch due := f.heard.Add(t.limit); {
		case !due.After(now):
			t.lose(id, t.tooLate(f.job))
		case due.Before(earliest):
			earliest = due
		}
	}
	if len(t.flights) > 0 {
		t.timer.Reset(earliest.Sub(now))
	}
}

// tooLate is the end of a job that the worker has forgotten while it answers
// others.
func (t *talk) tooLate(j *job.Job) error {
	failure := &fault.Error{Kind: fault.Worker, Status: 500, Message: errNoAnswer}
	if j.Kind == job.Describe {
		failure.Message = errNoMetadata
	}
	return failure
}

// broken ends the conversation and answers every job in the air.
func (t *talk) broken(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.breakOff(cause)
}

func (t *talk) breakOff(cause error) {
	if t.failure != nil {
		return
	}
	var jobs []*job.Job
	for _, f := range t.flights {
		jobs = append(jobs, f.job)
	}
	t.failure = t.w.broken(jobs, cause)
	for range jobs {
		t.landed()
	}
	clear(t.flights)
	t.fail(t.failure)
	t.signal()
}
