package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// Iterate has the live jobs of continuous batching, at least one, worked on for
// one step, and hands what comes of it to them (SCH §12, WRK §7). The worker has
// had the parameters of the first ones, as many as known says. A job that is not
// done afterwards, and whose client has not gone, goes on in the next iteration.
// ended is told of the sequences that the model has ended, before the answers
// that say so are handed on: who has got one may begin the sequence anew.
//
// After an error the incarnation must be stopped, and each job was answered; with
// Unsent the new ones were not touched, because any worker can begin them.
func (w *Worker) Iterate(jobs []*job.Job, known int, ended func(sequences []string)) error {
	if w.conn == nil {
		return fmt.Errorf("%w: worker is not started", errUnsent)
	}
	began := time.Now()
	w.flushing(jobs[0].Kind.String(), len(jobs))
	if err := w.send(jobs, known, w.cfg.Settings.Timeouts.Response); err != nil {
		if !Unsent(err) {
			return w.broken(jobs, err)
		}
		if known > 0 {
			_ = w.broken(jobs[:known], err) // told to their clients
		}
		return err
	}
	asked := time.Now()
	r, err := w.conn.receive()
	if err != nil {
		return w.broken(jobs, err)
	}
	waited := time.Since(asked)
	w.answered(waited)
	if ids := w.sequenceEnds(r); len(ids) > 0 {
		ended(ids)
	}
	if err := w.deliverStep(jobs, known, r); err != nil {
		return w.broken(jobs, err)
	}
	w.conn.forget()
	w.cfg.Metrics.WorkerThreadTime(time.Since(began) - waited)
	return nil
}

// deliverStep hands the items of an iteration to their jobs. A failure is that
// of all of them; the worker goes on. It does not when there are not as many items
// as jobs: what comes next might be the answer to this iteration still.
func (w *Worker) deliverStep(jobs []*job.Job, known int, r wire.Response) (err error) {
	if r.Code != 200 {
		failure := w.batchFailure(r)
		for _, j := range jobs {
			j.Fail(failure)
		}
		return nil
	}
	answered := make([]bool, len(jobs))
	for i := range r.Items {
		item := &r.Items[i]
		at := find(jobs, item.RequestID, i)
		if at < 0 {
			return unexpected(item)
		}
		answered[at] = true
		streamed := at < known
		w.deliverItem(jobs[at], item, goesOn(jobs[at], item), &streamed)
	}
	for at, j := range jobs {
		if !answered[at] {
			j.Fail(mismatched())
			err = fmt.Errorf("%w: no item for %s: the answers are out of step", wire.ErrProtocol, j.ID)
		}
	}
	return err
}

// goesOn reports whether a job has another iteration before it: unlike with
// streams, every value but false says so (WRK §7). Describe jobs have one only: a
// criterion of the requests before may still be there.
func goesOn(j *job.Job, i *wire.Item) bool {
	if j.Kind == job.Describe {
		return false
	}
	for _, h := range i.Headers {
		if h.Name == wire.StreamNext {
			return h.Value != "false"
		}
	}
	return false
}

// sequenceEnds returns the ids of the sequences that an answer ends (SCH §13.4).
func (w *Worker) sequenceEnds(r wire.Response) (ids []string) {
	if w.cfg.SequenceEnd == "" || r.Code != 200 {
		return nil
	}
	for i := range r.Items {
		for _, h := range r.Items[i].Headers {
			if strings.EqualFold(h.Name, w.cfg.SequenceEnd) {
				ids = appendIDs(ids, h.Value)
			}
		}
	}
	return ids
}

// appendIDs adds what a list with semicolons names.
func appendIDs(ids []string, list string) []string {
	for id := range strings.SplitSeq(list, ";") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func unexpected(i *wire.Item) error {
	return fmt.Errorf("%w: Unexpected job in sendResponse() with 200 status code: %s", wire.ErrProtocol, i.RequestID)
}

// mismatched is the end of a job for which there was no item (SCH-D29).
func mismatched() error {
	return &fault.Error{Kind: fault.Worker, Status: 503, Message: "number of batch response mismatched"}
}
