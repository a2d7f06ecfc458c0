package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// LogScaling is the logger name of automatic scaling, which 0.12 has not.
const LogScaling = "org.pytorch.serve.wlm.Autoscaler"

// How often a pool is looked at while jobs wait: so often in the shorter of the
// two times of its rules, and never less than each second.
const (
	looksPerRule = 5
	longestStep  = time.Second
)

// scaler moves the number of workers between the wanted minimum and maximum
// (docs/autoscaling.md). While no job waits its goroutine sleeps, until one comes
// or, with more workers than the minimum, until one of them may be retired.
type scaler struct {
	pool *Pool
	step time.Duration // from one look to the next
	log  zerolog.Logger

	effort effort

	wake      chan struct{} // holds one token: there is something to look at
	listening atomic.Bool   // a job that comes must wake the goroutine
	refused   atomic.Bool   // a job was, since the last look

	judge judge              // whoever has the turn has it, and the next three
	over  batch.Waited       // at the last look
	end   context.CancelFunc // nil: the goroutine was not started
	ended chan struct{}      // closed when it has ended

	mu   sync.Mutex // Protects fields below
	made map[model.ScalingReason]int
}

func newScaler(p *Pool) *scaler {
	rules := p.cfg.Settings.Autoscale
	return &scaler{
		pool:   p,
		step:   min(rules.UpAfter/looksPerRule, rules.DownAfter/looksPerRule, longestStep),
		log:    p.cfg.Log(LogScaling, "autoscale"),
		wake:   make(chan struct{}, 1), // a second token would say nothing new
		judge:  judge{rules: rules},
		effort: effort{each: p.places()},
		ended:  make(chan struct{}),
		made: map[model.ScalingReason]int{
			model.JobsWaited: 0, model.JobsRefused: 0, model.WorkersIdle: 0, model.StartFailed: 0, model.WorkerGaveUp: 0,
		},
	}
}

// restart makes a call that has set the wanted numbers the last word, and lets
// the goroutine run. The caller has the turn.
func (a *scaler) restart(ctx context.Context) {
	a.judge.reset()
	if a.end == nil {
		ctx, a.end = context.WithCancel(context.WithoutCancel(ctx)) // it outlives the call; stop ends it
		go a.run(ctx)
	}
	a.rouse()
}

// stop ends the goroutine, if it was started, and waits for it. The caller has the
// turn; the goroutine stops waiting for it then.
func (a *scaler) stop() {
	if a.end != nil {
		a.end()
		<-a.ended
	}
}

// came notes that a job was queued.
func (a *scaler) came() {
	if a.listening.Load() {
		a.rouse()
	}
}

// turnedAway notes that a job found no place, or no worker.
func (a *scaler) turnedAway() {
	a.refused.Store(true)
	a.came()
}

func (a *scaler) rouse() {
	select {
	case a.wake <- struct{}{}:
	default: // the token is there already
	}
}

// run looks at the pool until ctx ends.
func (a *scaler) run(ctx context.Context) {
	defer close(a.ended)
	timer := time.NewTimer(a.step)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if next := a.look(ctx); next != 0 {
			a.sleep(ctx, next)
		}
		timer.Reset(a.step)
	}
}

// never is a time that no look waits for.
const never = time.Duration(math.MaxInt64)

// sleep blocks until there is something to look at: a job, another number that
// is wanted, or that the time is over.
func (a *scaler) sleep(ctx context.Context, limit time.Duration) {
	a.listening.Store(true)
	defer a.listening.Store(false)
	if a.pressed() { // since the last look
		return
	}
	var over <-chan time.Time
	if limit != never {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-a.wake:
	case <-over:
	case <-ctx.Done():
	}
}

// pressed reports whether a job waits, or was refused.
func (a *scaler) pressed() bool { return a.refused.Load() || !a.pool.waiting.Waits().Since.IsZero() }

// look lets the judge look, and does as it says; it blocks while a worker that it
// has added starts. It returns how long the next look may wait for if no job
// comes; 0 if it may not.
func (a *scaler) look(ctx context.Context) (next time.Duration) {
	p := a.pool
	select {
	case <-p.turn:
	default:
		return 0 // somebody changes the workers
	}
	s := a.sight(time.Now())
	added, launch := a.act(ctx, s)
	rest := a.judge.rest(time.Now())
	p.passTurn()
	switch {
	case added != nil:
		a.await(ctx, added, launch)
		return 0
	case s.refused || s.wait > 0:
		return 0
	case s.workers > s.wanted.Min:
		return rest
	default:
		return never
	}
}

// sight takes a look.
func (a *scaler) sight(now time.Time) sight {
	p := a.pool
	s := sight{refused: a.refused.Swap(false), work: a.effort.done(now)}
	waits := p.waiting.Waits()
	if n := waits.Over.Jobs - a.over.Jobs; n > 0 {
		s.wait = (waits.Over.Sum - a.over.Sum) / time.Duration(n)
	} else if !waits.Since.IsZero() {
		s.wait = now.Sub(waits.Since)
	}
	a.over = waits.Over
	p.mu.Lock()
	defer p.mu.Unlock()
	s.wanted, s.workers, s.leaving = p.workers, len(p.slots), len(p.leaving)
	s.loaded = !slices.ContainsFunc(p.slots, func(s *slot) bool { return !isLoaded(s) })
	s.gaveUp = slices.ContainsFunc(p.slots, (*slot).hasGivenUp)
	return s
}

// act does what the judge says. It returns the worker that it adds, and what will
// give the outcome of its start.
func (a *scaler) act(ctx context.Context, s sight) (added *slot, launch <-chan error) {
	p, now := a.pool, time.Now()
	switch why := a.judge.look(now, s); why {
	case model.JobsWaited, model.JobsRefused:
		a.judge.added(now)
		outcome := make(chan error, 1) // nobody may be there to take it
		added, launch = p.start(ctx, outcome), outcome
		a.decided(why)
	case model.WorkersIdle:
		if p.withdraw((*slot).spare) {
			a.judge.spared(now)
			a.decided(why)
		} else {
			a.judge.begin()
		}
	case model.WorkerGaveUp:
		if p.withdraw((*slot).hasGivenUp) {
			a.judge.fell(now)
			a.decided(why)
		}
	case model.StartFailed: // await's
	}
	return added, launch
}

// await blocks until the worker that was added is loaded, and withdraws it if it
// cannot be: it must not try for ever.
func (a *scaler) await(ctx context.Context, added *slot, launch <-chan error) {
	var err error
	select {
	case err = <-launch:
	case <-ctx.Done():
		return
	}
	p := a.pool
	if errors.Is(err, errRetired) || p.takeTurn(ctx) != nil { // another call has decided, or it is over
		return
	}
	defer p.passTurn()
	if err == nil {
		a.judge.started()
		return
	}
	a.judge.fell(time.Now())
	if p.withdraw(func(s *slot) bool { return s == added }) {
		a.decided(model.StartFailed)
	}
}

// withdraw retires the newest worker that may be, if more are there than wanted
// at least. What it has in work it finishes, however long that takes. Only the
// holder of the turn may call it.
func (p *Pool) withdraw(may func(*slot) bool) bool {
	p.mu.Lock()
	all, least := slices.Clone(p.slots), p.workers.Min
	p.mu.Unlock()
	if len(all) <= least {
		return false
	}
	for at, s := range slices.Backward(all) {
		if !may(s) {
			continue
		}
		p.mu.Lock()
		p.slots = slices.Delete(all, at, at+1)
		p.leaving = append(p.leaving, s)
		p.mu.Unlock()
		s.release()
		return true
	}
	return false
}

// decided counts and logs what was done. The caller has the turn.
func (a *scaler) decided(why model.ScalingReason) {
	a.mu.Lock()
	a.made[why]++
	a.mu.Unlock()
	p := a.pool
	p.mu.Lock()
	n, wanted := len(p.slots), p.workers
	p.mu.Unlock()
	before := n + 1
	if why.Adds() {
		before = n - 1
	}
	a.log.Info().Msgf("Autoscale model: %s, version: %s, workers: %d -> %d (minWorkers: %d, maxWorkers: %d): %s",
		p.cfg.Archive.Name, p.cfg.Archive.Version, before, n, wanted.Min, wanted.Max, a.words(why))
}

// words explains a decision to the operator.
func (a *scaler) words(why model.ScalingReason) string {
	rules := a.judge.rules
	switch why {
	case model.JobsWaited:
		return fmt.Sprintf("requests waited longer than %v for %v", rules.QueueWait, rules.UpAfter)
	case model.JobsRefused:
		return fmt.Sprintf("requests were late or refused for %v", rules.UpAfter)
	case model.WorkersIdle:
		return "one worker fewer is enough"
	case model.StartFailed:
		return fmt.Sprintf("the new worker did not start; the next one is added in %v at the earliest", time.Until(a.judge.pause).Round(time.Second))
	case model.WorkerGaveUp:
		return "a worker gave up restarting"
	default:
		return string(why)
	}
}

// decisions returns how many there were for each reason.
func (a *scaler) decisions() map[model.ScalingReason]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.made)
}
