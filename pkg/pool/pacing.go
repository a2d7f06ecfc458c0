package pool

import "time"

// delays are the pauses before the restarts of a worker: 0.12's table (SCH
// §5.3). The first entry is never used, the last one repeats.
//
//nolint:gochecknoglobals // read-only table
var delays = [...]time.Duration{
	0 * time.Second, 1 * time.Second, 1 * time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second,
	8 * time.Second, 13 * time.Second, 21 * time.Second, 34 * time.Second, 55 * time.Second, 89 * time.Second,
	144 * time.Second, 233 * time.Second, 377 * time.Second, 610 * time.Second, 987 * time.Second, 1597 * time.Second,
}

// pacing says when a worker that failed is started again, and when no more. The
// zero value is that of a worker that has not failed.
type pacing struct {
	index int
	since time.Time // the first failure after the last success; zero: none
}

// failed notes a failure and reports whether it is the first of a recovery.
func (p *pacing) failed(now time.Time) (first bool) {
	if !p.since.IsZero() {
		return false
	}
	p.since = now
	return true
}

// next returns the pause before the restart after a failure at now, or false
// when the window of restarts is over.
func (p *pacing) next(now time.Time, window time.Duration) (time.Duration, bool) {
	if !p.within(now, window) {
		return 0, false
	}
	p.index = min(p.index+1, len(delays)-1)
	return delays[p.index], true
}

// within reports whether no recovery is going on, or one younger than window.
func (p *pacing) within(now time.Time, window time.Duration) bool {
	return p.since.IsZero() || now.Sub(p.since) < window
}

// loaded notes a success and reports whether it ended a recovery.
func (p *pacing) loaded() (recovered bool) {
	recovered = !p.since.IsZero()
	*p = pacing{}
	return recovered
}
