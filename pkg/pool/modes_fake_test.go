package pool_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// Iterate gives each job as many steps as the team says, and verifies that it is
// told of the jobs that it knows, and of those only.
func (f *fake) Iterate(jobs []*job.Job, known int, ended func([]string)) error {
	defer f.alone()()
	end := f.end()
	if f.team.refuses() {
		f.die()
	}
	if failure := end.now(); failure != nil {
		failAll(jobs[:known], failure)
		return errUnsent()
	}
	f.sees(jobs, known)
	if failure := end.within(f.team.takes()); failure != nil {
		failAll(jobs, failure)
		return failure
	}
	ended(f.team.endedBy(jobs))
	for _, j := range jobs {
		f.left[j]--
		j.Deliver(job.Reply{Status: 200, Body: []byte(f.name()), More: f.left[j] > 0})
	}
	return nil
}

// sees notes a batch; the slot's goroutine uses f.left.
func (f *fake) sees(jobs []*job.Job, known int) {
	f.note(jobs)
	f.team.inOrder(jobs[known:])
	left := make(map[*job.Job]int)
	for i, j := range jobs {
		n, begun := f.left[j]
		switch {
		case begun != (i < known):
			f.team.fault("job %s, at %d of %d, known %d: begun %v", j.ID, i, len(jobs), known, begun)
		case begun && n <= 0:
			f.team.fault("job %s is over", j.ID)
		case !begun:
			n = f.team.stepsOf(j)
		}
		left[j] = n
	}
	f.left = left
}

// note keeps what a worker is sent, and verifies what holds for every batch.
func (f *fake) note(jobs []*job.Job) {
	ids, seen, sequences := make([]string, 0, len(jobs)), make(map[string]bool), make(map[string]bool)
	for _, j := range jobs {
		if f.team.unique && seen[j.ID] {
			f.team.fault("two jobs with the id %s", j.ID)
		}
		if j.Kind != jobs[0].Kind || j.Kind == job.Describe && len(jobs) > 1 {
			f.team.fault("%s and %s in one batch", jobs[0].ID, j.ID)
		}
		if f.team.apart && j.Sequence != "" && sequences[j.Sequence] {
			f.team.fault("two jobs of the sequence %s in one batch", j.Sequence)
		}
		seen[j.ID], sequences[j.Sequence] = true, true
		ids = append(ids, j.ID)
	}
	if len(jobs) == 0 || f.team.most > 0 && len(jobs) > f.team.most {
		f.team.fault("%d jobs in one batch", len(jobs))
	}
	f.mu.Lock()
	f.batches = append(f.batches, ids)
	f.mu.Unlock()
}

// Converse answers each job after some work, all at the same time.
func (f *fake) Converse(ctx context.Context, next func(context.Context) (*job.Job, error), landed func()) (*job.Job, error) {
	defer f.alone()()
	ctx, cancel := context.WithCancelCause(ctx)
	end := f.end()
	var flights, watcher sync.WaitGroup
	watcher.Go(func() { cancel(end.until(ctx)) })
	defer watcher.Wait()
	defer cancel(nil)
	room := f.team.room()
	for {
		room.enter(ctx)
		j, err := next(ctx)
		if err == nil && f.team.refuses() {
			f.die()
			err = errUnsent()
		}
		if failure := end.now(); failure != nil {
			err = failure
		}
		if err != nil {
			flights.Wait()
			if failure := end.now(); failure != nil {
				err = failure
			}
			return j, err
		}
		f.note([]*job.Job{j})
		flights.Go(func() {
			defer room.leave()
			defer landed()
			if failure := end.within(f.team.takes()); failure != nil {
				j.Fail(failure)
				return
			}
			j.Deliver(job.Reply{Status: 200, Body: []byte(f.name())})
		})
	}
}

// room holds a token for each place among the jobs of an asynchronous worker; nil
// has no end of them.
type room chan struct{}

func (tm *team) room() room {
	if tm.places == 0 {
		return nil
	}
	return make(room, tm.places)
}

func (r room) enter(ctx context.Context) {
	if r == nil {
		return
	}
	select {
	case r <- struct{}{}:
	case <-ctx.Done():
	}
}

func (r room) leave() {
	if r != nil {
		<-r
	}
}

// ending tells how an incarnation ends.
type ending struct {
	of              *fake
	died, interrupt <-chan struct{}
}

func (f *fake) end() ending {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ending{of: f, died: f.died, interrupt: f.interrupt}
}

// now returns why the incarnation has ended, if it has.
func (e ending) now() error {
	select {
	case <-e.died:
		return &fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died."}
	default:
	}
	select {
	case <-e.interrupt:
		return e.of.reason()
	default:
		return nil
	}
}

// within returns why the incarnation has ended before work was done, if it has.
func (e ending) within(work time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), work)
	defer cancel()
	return e.until(ctx)
}

// until is within, for the time of ctx.
func (e ending) until(ctx context.Context) error {
	select {
	case <-e.died:
	case <-e.interrupt:
	case <-ctx.Done():
	}
	return e.now()
}

// reason is what the jobs of an interrupted worker get.
func (f *fake) reason() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.verdict != nil {
		return f.verdict
	}
	return &fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died."}
}

func failAll(jobs []*job.Job, failure error) {
	for _, j := range jobs {
		j.Fail(failure)
	}
}

// inOrder verifies that the jobs of a sequence, whose ids are numbers, begin in
// their order.
func (tm *team) inOrder(jobs []*job.Job) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if tm.latest == nil {
		tm.latest = make(map[string]int)
	}
	for _, j := range jobs {
		n, err := strconv.Atoi(j.ID)
		if j.Sequence == "" || err != nil {
			continue
		}
		if last, ok := tm.latest[j.Sequence]; ok && n <= last {
			tm.faults = append(tm.faults, fmt.Sprintf("job %d of sequence %s begins after %d", n, j.Sequence, last))
		}
		tm.latest[j.Sequence] = n
	}
}

func (tm *team) fault(format string, args ...any) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.faults = append(tm.faults, fmt.Sprintf(format, args...))
}

// takes returns how long the work on a batch or on a step takes.
func (tm *team) takes() time.Duration {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if tm.pace != nil {
		return tm.pace()
	}
	return tm.work
}

func (tm *team) stepsOf(j *job.Job) int {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if tm.steps != nil && j.Kind != job.Describe {
		return tm.steps(j)
	}
	return 1
}

func (tm *team) endedBy(jobs []*job.Job) []string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if tm.ends != nil {
		return tm.ends(jobs)
	}
	return nil
}

func (tm *team) refuses() bool {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.refuse != nil && tm.refuse()
}
