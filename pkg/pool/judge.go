package pool

import (
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

const (
	// roomy is how busy the remaining workers may be when one is retired: less
	// than would make jobs wait, so that it is not missed at once.
	roomy = 0.7
	// mostDoublings bounds how much longer a decision is waited for that was
	// wrong before: 16 times.
	mostDoublings = 4
)

// sight is what a pool looks like at one moment.
type sight struct {
	wanted  model.Workers
	workers int           // that are there or coming
	leaving int           // retired ones, whose processes are still there
	loaded  bool          // all of the workers are
	gaveUp  bool          // one of the workers will not come back
	wait    time.Duration // of the jobs that got a worker since the last look, on average, else of the next one
	refused bool          // a job was, since the last look
	work    time.Duration // that workers have done so far, all of them together
}

// judge decides from a look at the pool every now and then, often while jobs
// wait, whether it has too few workers or too many. It has no clock, and nothing
// to do with how a decision is carried out.
type judge struct {
	rules model.Autoscale

	late time.Time     // since when each look found jobs late; zero: the last did not
	wait time.Duration // then

	window time.Time     // since when work is measured; zero: it is not
	work   time.Duration // done before

	retired time.Time // when one worker was too many last; zero: never
	regrets int       // how often in a row it was missed soon after, at most mostDoublings
	failed  int       // starts in a row, at most mostDoublings
	pause   time.Time // no worker is added before
}

// reset forgets everything: somebody else has decided.
func (j *judge) reset() { *j = judge{rules: j.rules} }

// patience is how long the work must fit into one worker fewer.
func (j *judge) patience() time.Duration { return j.rules.DownAfter << j.regrets }

// look returns why a worker is added or retired now; empty: neither is.
func (j *judge) look(now time.Time, s sight) model.ScalingReason {
	switch {
	case s.gaveUp && s.workers > s.wanted.Min:
		return model.WorkerGaveUp
	case s.wanted.Min == 0 || !s.loaded:
		j.begin()
		return ""
	}
	if j.window.IsZero() {
		j.window, j.work = now, s.work
	}
	if s.refused || s.wait > j.rules.QueueWait {
		return j.tooFew(now, s)
	}
	j.late = time.Time{}
	return j.tooMany(now, s)
}

// tooFew judges when jobs are late.
func (j *judge) tooFew(now time.Time, s sight) model.ScalingReason {
	most := min(s.wanted.Max, model.MaxWorkers) - s.leaving
	switch {
	case j.late.IsZero():
		j.late, j.wait = now, s.wait
	case s.workers >= most || now.Sub(j.late) < j.rules.UpAfter || now.Before(j.pause):
	case s.refused:
		return model.JobsRefused
	case s.wait < j.wait:
		j.late, j.wait = now, s.wait // the workers are catching up
	default:
		return model.JobsWaited
	}
	return ""
}

// tooMany judges at the end of a window, when no job is late.
func (j *judge) tooMany(now time.Time, s sight) model.ScalingReason {
	past := now.Sub(j.window)
	if past < j.patience() {
		return ""
	}
	if s.workers <= s.wanted.Min || float64(s.work-j.work) > roomy*float64(s.workers-1)*float64(past) {
		j.begin()
		return ""
	}
	return model.WorkersIdle
}

// begin looks with new eyes: what there was before says nothing about now.
func (j *judge) begin() {
	j.late, j.window = time.Time{}, time.Time{}
}

// rest is how long a look may wait for, when no job is late: until the end of
// the window.
func (j *judge) rest(now time.Time) time.Duration {
	if j.window.IsZero() {
		return 0
	}
	return max(j.window.Add(j.patience()).Sub(now), 0)
}

// added notes that a worker was added. If one was retired not long ago, that was
// wrong, and the next one is retired later.
func (j *judge) added(now time.Time) {
	if !j.retired.IsZero() && now.Sub(j.retired) < j.patience() {
		j.regrets = min(j.regrets+1, mostDoublings)
	} else {
		j.regrets = 0
	}
	j.begin()
}

// spared notes that a worker was retired because there was too little to do.
func (j *judge) spared(now time.Time) {
	j.retired = now
	j.begin()
}

// started notes that the worker that was added is loaded.
func (j *judge) started() {
	j.failed = 0
	j.begin()
}

// fell notes that a worker was withdrawn because it does not start: the next one
// is added later.
func (j *judge) fell(now time.Time) {
	j.pause = now.Add(j.rules.DownAfter << j.failed)
	j.failed = min(j.failed+1, mostDoublings)
	j.begin()
}
