package pool

import (
	"context"
	"slices"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// step is one iteration of continuous batching (SCH §12). New jobs join those
// that are live without waiting; when none is, it waits for some. A describe job
// is alone: it waits until none is live, and what is behind it waits, too.
func (s *slot) step(ctx context.Context, limits batch.Limits) error {
	s.dropGone()
	most := s.pool.most(limits)
	switch {
	case len(s.jobs) == 0:
		if err := s.collect(ctx, limits, most); err != nil {
			return err
		}
	case ctx.Err() == nil:
		s.jobs = s.line.More(most-len(s.jobs), s.jobs[0], s.jobs)
	default: // it takes no more
		most = len(s.jobs)
	}
	s.takeNoTwins()
	s.took(most-len(s.jobs), s.jobs)
	s.nowHas(len(s.jobs))
	err := s.worker.Iterate(s.jobs, s.known, s.pool.endSequences)
	if err == nil {
		return nil
	}
	s.settle(s.jobs[s.known:], err)
	clear(s.jobs)
	s.jobs, s.known = s.jobs[:0], 0
	s.nowHas(0)
	return err
}

// dropGone keeps the live jobs that go on. The worker learns of a client that has
// gone by not hearing of its job any more (SCH-D36).
func (s *slot) dropGone() {
	s.jobs = slices.DeleteFunc(s.jobs, func(j *job.Job) bool {
		if j.Abandoned() {
			s.log.Info().Msg("Connection to client got closed; Removing job: " + j.ID)
		}
		return j.Done() || j.Abandoned()
	})
	s.known = len(s.jobs)
	s.line.Settle(s.jobs)
	s.nowHas(s.known)
}

// takeNoTwins puts back what follows a new job that has the id of a live one:
// handlers know their requests by id, and two clients may have chosen the same.
func (s *slot) takeNoTwins() {
	for at := max(s.known, 1); at < len(s.jobs); at++ {
		if slices.ContainsFunc(s.jobs[:at], func(j *job.Job) bool { return j.ID == s.jobs[at].ID }) {
			s.putBack(s.jobs[at:])
			clear(s.jobs[at:])
			s.jobs = s.jobs[:at]
			return
		}
	}
}
