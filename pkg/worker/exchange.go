package worker

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// Name is the name of a worker in logs, metrics and thread fields.
func Name(port int, a model.Archive) string {
	return "W-" + strconv.Itoa(port) + "-" + a.ID()
}

// Unsent reports whether err came before the worker could have understood the
// batch, so that its jobs may be given to another worker.
func Unsent(err error) bool { return errors.Is(err, errUnsent) }

// Exchange sends one batch and hands the answers to its jobs; it returns when
// the batch is answered completely. After an error the incarnation must be
// stopped: with Unsent the jobs were not touched, otherwise each of them was
// answered.
func (w *Worker) Exchange(jobs []*job.Job) error {
	began := time.Now()
	limit := w.cfg.Settings.Timeouts.Response
	w.flushing(jobs[0].Kind.String(), len(jobs))
	if err := w.conn.send(jobs, limit); err != nil {
		if Unsent(err) {
			return err
		}
		return w.broken(jobs, err)
	}
	w.streaming = append(w.streaming[:0], make([]bool, len(jobs))...)
	waited := time.Duration(0)
	for first := true; ; first = false {
		asked := time.Now()
		r, err := w.conn.receive(first, limit)
		if err != nil {
			return w.broken(jobs, err)
		}
		waited += time.Since(asked)
		more, err := w.deliver(jobs, r)
		if err != nil {
			return w.broken(jobs, err)
		}
		if !more {
			break
		}
	}
	w.conn.enc.Forget()
	w.cfg.Metrics.WorkerThreadTime(time.Since(began) - waited)
	return nil
}

// deliver hands the items of one message to their jobs and reports whether more
// messages follow.
func (w *Worker) deliver(jobs []*job.Job, r wire.Response) (more bool, err error) {
	if r.Code != 200 {
		failure := batchFailure(r)
		for _, j := range jobs {
			j.Fail(failure)
		}
		return false, nil
	}
	for i := range r.Items {
		item := &r.Items[i]
		at := find(jobs, item.RequestID, i)
		if at < 0 {
			return false, fmt.Errorf("%w: Unexpected job in sendResponse() with 200 status code: %s", wire.ErrProtocol, item.RequestID)
		}
		more = w.deliverItem(jobs[at], item, &w.streaming[at]) || more
	}
	if more {
		return true, nil
	}
	for _, j := range jobs {
		// A job without an item must not wait for ever (SCH-D29).
		j.Fail(mismatch())
	}
	return false, nil
}

func mismatch() error {
	return &fault.Error{Kind: fault.Worker, Status: 503, Message: "number of batch response mismatched"}
}

// deliverItem hands one item to its job and reports whether more will follow.
// streamed remembers that a piece was delivered before.
func (w *Worker) deliverItem(j *job.Job, item *wire.Item, streamed *bool) (more bool) {
	present, more := item.Streaming()
	if item.Oversize > 0 {
		j.Fail(oversize(item.Oversize))
		return more
	}
	headers := item.Headers
	if present && !more && !*streamed {
		headers = without(headers, wire.StreamNext) // an ordinary answer after all (INF-D16)
	}
	*streamed = *streamed || more
	j.Deliver(job.Reply{
		Status:      item.Status,
		ContentType: item.ContentType,
		Headers:     headers,
		Body:        item.Body,
		More:        more,
	})
	return more
}

func oversize(n int) error {
	return &fault.Error{Kind: fault.Worker, Status: 500, Message: fmt.Sprintf(
		"Message size exceed limit: %d\nConsider increasing the 'max_response_size' in 'config.properties' to fix.", n)}
}

func without(headers []job.Header, name string) []job.Header {
	kept := make([]job.Header, 0, len(headers))
	for _, h := range headers {
		if h.Name != name {
			kept = append(kept, h)
		}
	}
	return kept
}

// find returns the index of the job with this id; guess is where it most
// probably is.
func find(jobs []*job.Job, id string, guess int) int {
	if guess < len(jobs) && jobs[guess].ID == id {
		return guess
	}
	for i, j := range jobs {
		if j.ID == id {
			return i
		}
	}
	return -1
}

// batchFailure is what the clients see of a batch that the worker refused.
func batchFailure(r wire.Response) error {
	return &fault.Error{Kind: fault.Worker, Status: clientStatus(r.Code), Message: r.Message}
}

// clientStatus maps a worker's code to an HTTP status: 413 means out of memory
// (INF §11.2); what is no error status is a handler's mistake (INF-D21).
func clientStatus(code int) int {
	switch {
	case code == 413:
		return 507
	case code < 400 || code > 599:
		return 500
	default:
		return code
	}
}

// broken answers every job of a batch whose exchange cannot be finished.
func (w *Worker) broken(jobs []*job.Job, cause error) error {
	status := 500
	if p := w.process(); p != nil {
		if !errors.Is(cause, wire.ErrProtocol) && isEnd(cause) && p.endedWithin(exitNotice) && p.outOfMemory() {
			status = 507
		}
	}
	w.log.Error().Msgf("Backend worker error\n%v", cause)
	failure := &fault.Error{Kind: fault.Worker, Status: status, Message: "Worker died.", Err: cause}
	for _, j := range jobs {
		j.Fail(failure)
	}
	return failure
}

// isEnd reports whether the connection was closed by the peer.
func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
