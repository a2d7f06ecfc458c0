package worker

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// Unsent reports whether err came before the worker got a byte of the batch, so
// that its jobs may be given to another worker.
func Unsent(err error) bool { return errors.Is(err, errUnsent) }

// MaxAhead is the size in bytes of what may be sent ahead: a socket takes it
// while the worker reads nothing, so that writing cannot block.
const MaxAhead = 32 << 10

// Exchange is ExchangeAhead without a next batch.
func (w *Worker) Exchange(jobs []*job.Job) error { return w.ExchangeAhead(jobs, nil) }

// ExchangeAhead sends one batch, of at least one job, and hands the answers to
// its jobs; it returns when the batch is answered completely. Once the batch is
// sent, next is asked for another one of at most MaxAhead bytes, or none, which
// is put on the socket for the worker to find when it is done; it must be the
// batch of the next call, which then sends nothing. Of a batch that all ranks work
// on it is not: one of them would begin the next before the others are done, and
// its end would be that of the first batch. After an error the
// incarnation must be stopped: with Unsent the jobs were not touched, otherwise
// each of them was answered; Unbegun tells about those that were sent ahead.
func (w *Worker) ExchangeAhead(jobs []*job.Job, next func() []*job.Job) error {
	if w.conn == nil {
		return fmt.Errorf("%w: worker is not started", errUnsent)
	}
	began := time.Now()
	limit := w.cfg.Settings.Timeouts.Response
	if err := w.hand(jobs, limit); err != nil {
		if Unsent(err) {
			return err
		}
		return w.broken(jobs, err)
	}
	if next != nil && !w.isShared(jobs) {
		w.handAhead(next())
	}
	waited, err := w.answers(jobs, limit)
	if err != nil {
		return w.broken(jobs, err)
	}
	if w.ahead == nil {
		w.conn.forget()
	}
	w.cfg.Metrics.WorkerThreadTime(time.Since(began) - waited)
	return nil
}

// Unbegun reports whether the batch that was sent ahead of the one that ended
// with err cannot have been begun: the worker takes them one after the other.
// When its bytes made no sense nobody knows.
func Unbegun(err error) bool { return !errors.Is(err, wire.ErrProtocol) }

// hand sends a batch, unless that was done ahead; its time begins now.
func (w *Worker) hand(jobs []*job.Job, limit time.Duration) error {
	w.flushing(jobs[0].Kind.String(), len(jobs))
	if w.ahead != jobs[0] {
		return w.send(jobs, 0, limit)
	}
	err := w.aheadErr
	w.ahead, w.aheadErr = nil, nil
	if err != nil {
		return err
	}
	return w.conn.extend(limit)
}

// handAhead sends a batch before its turn. A failure is reported when the turn
// has come; it ends the one before as well.
func (w *Worker) handAhead(jobs []*job.Job) {
	if len(jobs) == 0 {
		return
	}
	w.ahead, w.aheadErr = jobs[0], w.conn.sendAhead(jobs)
}

// answers reads messages until the batch is answered and returns the time that
// was spent waiting for the worker.
func (w *Worker) answers(jobs []*job.Job, limit time.Duration) (waited time.Duration, err error) {
	w.streamed = append(w.streamed[:0], make([]bool, len(jobs))...)
	for {
		asked := time.Now()
		r, err := w.conn.receive()
		if err != nil {
			return waited, err
		}
		waited += time.Since(asked)
		w.answered(waited)
		more, err := w.deliver(jobs, r)
		if err != nil || !more {
			return waited, err
		}
		if err := w.conn.extend(limit); err != nil {
			return waited, err
		}
	}
}

// deliver hands the items of one message to their jobs and reports whether more
// messages follow.
func (w *Worker) deliver(jobs []*job.Job, r wire.Response) (more bool, err error) {
	if r.Code != 200 {
		failure := w.batchFailure(r)
		for _, j := range jobs {
			j.Fail(failure)
		}
		// What a handler still says after an intermediate failure must not
		// answer the next batch.
		return slices.ContainsFunc(r.Items, unfinished), nil
	}
	for i := range r.Items {
		item := &r.Items[i]
		at := find(jobs, item.RequestID, i)
		if at < 0 {
			return false, unexpected(item)
		}
		_, goesOn := item.Streaming()
		w.deliverItem(jobs[at], item, goesOn, &w.streamed[at])
		more = more || goesOn
	}
	if more {
		return true, nil
	}
	for _, j := range jobs {
		// A job without an item must not wait for ever (SCH-D29).
		if !j.Done() {
			j.Fail(mismatched())
		}
	}
	return false, nil
}

func unfinished(i wire.Item) bool {
	_, more := i.Streaming()
	return more
}

// deliverItem hands one item to its job; more says whether others will follow.
// streamed remembers that a piece was delivered before.
func (w *Worker) deliverItem(j *job.Job, item *wire.Item, more bool, streamed *bool) {
	if item.Oversize > 0 {
		j.Fail(oversize(item.Oversize))
		return
	}
	headers := item.Headers
	if !more && !*streamed {
		headers = without(headers, wire.StreamNext) // an ordinary answer after all (INF-D16)
	}
	*streamed = *streamed || more
	if e := w.batchLog.Debug(); e.Enabled() {
		e.Msg("Sending response for jobId " + j.ID)
	}
	j.Deliver(job.Reply{
		Status:      item.Status,
		ContentType: item.ContentType,
		Headers:     headers,
		Body:        item.Body,
		More:        more,
	})
}

func oversize(n int) error {
	return &fault.Error{Kind: fault.Worker, Status: 500, Message: fmt.Sprintf(
		"Message size exceed limit: %d\nConsider increasing the 'max_response_size' in 'config.properties' to fix.", n)}
}

// without returns the headers but those with this name; the same ones if there
// are none.
func without(headers []job.Header, name string) []job.Header {
	if !slices.ContainsFunc(headers, func(h job.Header) bool { return h.Name == name }) {
		return headers
	}
	kept := make([]job.Header, 0, len(headers))
	for _, h := range headers {
		if h.Name != name {
			kept = append(kept, h)
		}
	}
	return kept
}

// find returns the index of the job with this id; guess is where it most
// probably is. Two clients may have chosen the same id: the answers go to their
// jobs in turn.
func find(jobs []*job.Job, id string, guess int) int {
	if guess < len(jobs) && jobs[guess].ID == id {
		return guess
	}
	answered := -1
	for i, j := range jobs {
		switch {
		case j.ID != id:
		case j.Done():
			answered = i
		default:
			return i
		}
	}
	return answered
}

// batchFailure is what the clients see of a batch that the worker refused.
func (w *Worker) batchFailure(r wire.Response) error {
	code := errorCode(r.Code)
	if code != r.Code {
		w.log.Warn().Msgf("The worker failed a batch with code %d, which is no error: clients get %d", r.Code, code)
	}
	return &fault.Error{Kind: fault.Worker, Status: code, Message: r.Message}
}

// errorCode returns the code of a failure: what is no error status is a
// handler's mistake (INF-D21).
func errorCode(code int) int {
	if code < 400 || code > 599 {
		return 500
	}
	return code
}

// outOfMemory is the code of a worker whose process was killed from outside
// (WRK §13); fault knows how clients see it.
const outOfMemory = 413

// errNoMetadata is the end of a describe job that got no answer in time
// (SCH-D31), in 0.12's spelling.
const errNoMetadata = "Failed to get customized model matadata."

// broken answers every job of a batch whose exchange cannot be finished.
func (w *Worker) broken(jobs []*job.Job, cause error) error {
	w.ruined = true
	if lost := w.lostRank(); lost != nil {
		cause = lost
	}
	failure := &fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died.", Err: cause}
	late := errors.Is(cause, os.ErrDeadlineExceeded)
	switch p := w.process(); {
	case late:
		w.logError(errNoAnswer)
	case w.crew == nil && hungUp(cause) && p != nil && p.endedWithin(exitNotice) && p.killed():
		failure.Status = outOfMemory
		fallthrough
	default:
		w.log.Error().Err(cause).Msg("Backend worker error")
	}
	if late && len(jobs) == 1 && jobs[0].Kind == job.Describe {
		failure.Message = errNoMetadata
	}
	if reason := w.interrupted(); reason != nil {
		failure = reason
	}
	for _, j := range jobs {
		j.Fail(failure)
	}
	return failure
}

func (w *Worker) interrupted() *fault.Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdict
}

// logError writes the two lines by which 0.12 reports the end of an
// incarnation; scripts look for them (LOG-046).
func (w *Worker) logError(text string) {
	w.log.Error().Str(zerolog.ErrorFieldName, "org.pytorch.serve.wlm.WorkerInitializationException: "+text).Msg("Backend worker error")
}

// exitNotice is how long a closed connection waits for the reaper's word on how
// the process ended.
const exitNotice = 500 * time.Millisecond

func (w *Worker) flushing(command string, n int) {
	if e := w.log.Debug(); e.Enabled() {
		e.Msgf("Flushing req.cmd %s repeats %d to backend at: %d", command, n, time.Now().UnixMilli())
	}
}

func (w *Worker) answered(waited time.Duration) {
	if e := w.log.Debug(); e.Enabled() {
		e.Msgf("Backend response time: %d", waited.Milliseconds())
	}
}
