package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

// client is a job and what came back for it.
type client struct {
	job  *job.Job
	told func() // called before each reply is taken; nil: nothing

	mu    sync.Mutex // Protects fields below
	when  time.Time
	reply *job.Reply
	err   error
	last  int // final answers: must become 1
	left  bool
}

func newClient(id string) *client {
	c := &client{}
	c.job = &job.Job{ID: id, Ref: model.Ref{Name: "m"}, Sink: c, Created: time.Now()}
	return c
}

func (c *client) Deliver(r job.Reply) bool {
	if c.told != nil {
		c.told()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.More {
		c.last++
		c.reply, c.when = &r, time.Now()
	}
	return true
}

func (c *client) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.err, c.when = err, time.Now()
}

// leave gives the job up.
func (c *client) leave() {
	c.job.Abandon()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
}

func (c *client) hasLeft() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

func (c *client) answers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// answered requires a good answer, after this long.
func (c *client) answered(t *testing.T, after time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NoError(t, c.err)
	require.Equal(t, 1, c.last, "job %s must have one answer", c.job.ID)
	assert.Equal(t, after, c.when.Sub(c.job.Created), "time of the answer to %s", c.job.ID)
}

// failed requires an error of this kind, after this long.
func (c *client) failed(t *testing.T, kind fault.Kind, after time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, 1, c.last, "job %s must have one answer", c.job.ID)
	require.Error(t, c.err)
	assert.Equal(t, kind, fault.KindOf(c.err))
	assert.Equal(t, after, c.when.Sub(c.job.Created), "time of the answer to %s", c.job.ID)
}

// base is a plain model: batches of one, a window of 300 s.
func base() model.Settings {
	return model.Settings{
		Batching:  model.Batching{Size: 1, Delay: model.DefaultBatchDelay},
		Timeouts:  model.Timeouts{Response: 120 * time.Second, Startup: 120 * time.Second, Retry: model.DefaultRetryWindow},
		QueueSize: 100,
	}
}

// bubble runs a test in virtual time with a pool that is closed at its end.
func bubble(t *testing.T, tm *team, s model.Settings, test func(t *testing.T, p *pool.Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := pool.New(tm.config(s))
		defer func() {
			require.NoError(t, p.Close(t.Context()))
			assert.Zero(t, tm.processes(), "processes after Close")
			assert.Len(t, tm.gone(), tm.size(), "every worker is released once")
			assert.Zero(t, p.Status().Running, "jobs that workers have after Close")
			assert.Empty(t, tm.faults)
		}()
		test(t, p)
	})
}

// pass lets virtual time pass, and everything happen that is then due.
func pass(d time.Duration) {
	<-after(d)
	synctest.Wait()
}

// after is time.After for bubbles. Go 1.26 runs a timer of a bubble that is due
// at once on the goroutine that asks for it, and its race detector does not
// survive two at a time ("ThreadSanitizer: CHECK failed"; mended in Go 1.27).
func after(d time.Duration) <-chan time.Time {
	if d > 0 {
		return time.NewTimer(d).C
	}
	now := make(chan time.Time, 1)
	now <- time.Now()
	return now
}

// scaleAndWait asks for workers and waits for them.
func scaleAndWait(ctx context.Context, p *pool.Pool, w model.Workers) (model.Progress, error) {
	c, err := p.Scale(ctx, w)
	if err != nil {
		return model.Partial, err
	}
	return c.Wait(ctx)
}

// scale sets min = max = n and waits.
func scale(t *testing.T, p *pool.Pool, n int) {
	t.Helper()
	progress, err := scaleAndWait(t.Context(), p, model.Workers{Min: n, Max: n})
	require.NoError(t, err)
	require.Equal(t, model.Done, progress)
}

func submit(t *testing.T, p *pool.Pool, id string) *client {
	t.Helper()
	c := newClient(id)
	require.NoError(t, p.Submit(t.Context(), c.job))
	return c
}

// refused requires that the pool does not take a job.
func refused(t *testing.T, p *pool.Pool) {
	t.Helper()
	c := newClient("refused")
	err := p.Submit(t.Context(), c.job)
	require.Error(t, err)
	assert.Equal(t, fault.Busy, fault.KindOf(err))
	assert.Empty(t, fault.Message(err), "the edge words it")
	synctest.Wait()
	assert.Zero(t, c.answers(), "the sink of a refused job is not called")
}

// ports lists the workers that describe shows.
func ports(p *pool.Pool) []int {
	all := []int{}
	for _, w := range p.Status().Workers {
		all = append(all, w.ID)
	}
	return all
}
