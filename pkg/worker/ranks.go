package worker

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// crew is the connections to the ranks of a worker beside the first. They load
// the model and, where the kind of parallelism says so, work on batches as the
// first one does, but they answer loads only (WRK §5.5). It is not changed once
// the worker has it; a nil crew has nobody.
type crew struct {
	conns    []*conn
	watchers sync.WaitGroup
}

func (c *crew) close() {
	if c == nil {
		return
	}
	for _, each := range c.conns {
		each.close()
	}
}

// disband closes the connections and waits for those who watch them.
func (c *crew) disband() {
	c.close()
	if c != nil {
		c.watchers.Wait()
	}
}

// all returns the connections to all ranks, the first one's first.
func (w *Worker) all() []*conn {
	if w.crew == nil {
		return []*conn{w.conn}
	}
	return append([]*conn{w.conn}, w.crew.conns...)
}

// isShared reports whether all ranks work on this batch (SCH §15); a describe job
// is the first rank's alone.
func (w *Worker) isShared(jobs []*job.Job) bool {
	return w.crew != nil && w.cfg.Settings.Devices.Parallel != model.Pipeline && jobs[0].Kind != job.Describe
}

// send gives a batch to the ranks that work on it. The first one comes first: if
// it gets nothing, the batch is not begun.
func (w *Worker) send(jobs []*job.Job, known int, limit time.Duration) error {
	if err := w.conn.send(jobs, known, limit); err != nil || !w.isShared(jobs) {
		return err
	}
	errs := make(chan error, len(w.crew.conns)) // one per rank: nobody waits to say it
	for i, c := range w.crew.conns {
		go func() { errs <- rankError(i+1, c.follow(jobs, known, limit)) }()
	}
	var failed error
	for range w.crew.conns { // all: what they write belongs to the clients
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

func rankError(rank int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rank %d: %w", rank, err)
}

// watch has every rank beside the first watched until the connections are closed.
func (w *Worker) watch() error {
	if w.crew == nil {
		return nil
	}
	for i, c := range w.crew.conns {
		if err := c.net.SetReadDeadline(time.Time{}); err != nil { // that of the load is over
			return rankError(i+1, err)
		}
		w.crew.watchers.Go(func() {
			if err := c.silence(); err != nil {
				w.lose(rankError(i+1, err))
			}
		})
	}
	return nil
}

// lose ends an incarnation one of whose ranks is lost: the others would wait for
// it. An exchange fails at once, and the process is killed, so that an idle worker
// is replaced, too.
func (w *Worker) lose(cause error) {
	w.mu.Lock()
	if w.lost == nil {
		w.lost = cause
	}
	c, crew, p := w.conn, w.crew, w.proc
	w.mu.Unlock()
	c.close()
	crew.close()
	if p != nil {
		p.signal(syscall.SIGKILL)
	}
}

func (w *Worker) lostRank() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// removeSockets deletes what the ranks listened at, if it is sockets.
func (w *Worker) removeSockets() {
	for rank := range max(w.cfg.Settings.Devices.Ranks(), 1) {
		if network, path := w.cfg.Launch.address(w.cfg.Port + rank); network == "unix" {
			removeSocket(path)
		}
	}
}

// follow writes a batch that the first rank has.
func (c *conn) follow(jobs []*job.Job, known int, limit time.Duration) error {
	if err := c.net.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("send batch: %w", err)
	}
	_, err := c.enc.Iterate(jobs, known).WriteTo(c.net)
	c.enc.Forget()
	if err != nil {
		return fmt.Errorf("send batch: %w", err)
	}
	return nil
}

// silence blocks until the connection is closed by us, which is no error, or by
// the peer, or until the peer says something.
func (c *conn) silence() error {
	if c.reader.Buffered() > 0 {
		return errUnsolicited
	}
	n, err := c.net.Read(make([]byte, 1))
	switch {
	case n > 0:
		return errUnsolicited
	case errors.Is(err, net.ErrClosed):
		return nil
	default:
		return fmt.Errorf("worker connection: %w", err)
	}
}
