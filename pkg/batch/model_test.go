package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// tally is a sink that counts final answers.
type tally struct{ answers, left int }

func (s *tally) Deliver(r job.Reply) bool {
	if !r.More {
		s.answers++
	}
	return true
}
func (s *tally) Fail(error) { s.answers++ }

// machine does anything to sequences that clients and workers may do, and checks
// after each step that they are consistent.
type machine struct {
	dice  *rand.Rand
	s     *Sequences
	lanes []*lane
	live  map[*lane][]*job.Job
	jobs  []*job.Job
}

func TestAnyOrderOfSteps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		t.Run(fmt.Sprintf("SCH-081 seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(seed, 7))
				m := &machine{dice: dice, live: make(map[*lane][]*job.Job), s: NewSequences(SequenceLimits{
					Number: 1 + dice.IntN(5), QueueSize: 1 + dice.IntN(3), Loose: 1 + dice.IntN(3),
					MaxIdle: 50 * time.Millisecond, Timeout: time.Duration(dice.IntN(3)) * 100 * time.Millisecond,
				})}
				for range 400 {
					m.step(t)
					m.check(t)
				}
				for len(m.lanes) > 0 {
					m.end(t, m.lanes[0])
					m.check(t)
				}
				fail(m.s.Close())
				for i, j := range m.jobs {
					sink, ok := j.Sink.(*tally)
					require.True(t, ok)
					assert.Equal(t, 1, sink.answers+sink.left, "answers of job %d", i)
				}
			})
		})
	}
}

func (m *machine) step(t *testing.T) {
	t.Helper()
	var l *lane
	if len(m.lanes) > 0 {
		l = m.lanes[m.dice.IntN(len(m.lanes))]
	}
	switch n := m.dice.IntN(40); {
	case n < 14:
		m.put(t)
	case n < 17:
		<-time.NewTimer(time.Duration(1+m.dice.IntN(30)) * time.Millisecond).C
		synctest.Wait()
	case n < 18:
		m.abandon()
	case n < 19:
		m.s.End([]string{fmt.Sprint(m.dice.IntN(6)), fmt.Sprint(m.dice.IntN(6))})
	case l == nil || n < 20 && len(m.lanes) < 4:
		made, ok := m.s.Line().(*lane)
		require.True(t, ok)
		m.lanes = append(m.lanes, made)
	case n < 21:
		m.end(t, l)
	case n < 22:
		l.Leave()
	default:
		m.work(t, l)
	}
}

func (m *machine) put(t *testing.T) {
	t.Helper()
	sink := &tally{}
	j := &job.Job{ID: fmt.Sprint(len(m.jobs)), Sink: sink, Created: time.Now(), Sequence: fmt.Sprint(m.dice.IntN(6))}
	switch m.dice.IntN(12) {
	case 0:
		j.Sequence, j.Kind = "", job.Describe
	case 1:
		j.Sequence = ""
	case 2:
		j.Kind = job.Explain
	case 3:
		j.Deadline = time.Now().Add(time.Duration(m.dice.IntN(50)) * time.Millisecond)
	}
	may := m.dice.IntN(10) > 0
	if _, err := m.s.Put(j, func() bool { return may }); err != nil {
		assert.Equal(t, fault.Busy, fault.KindOf(err))
		return
	}
	m.jobs = append(m.jobs, j)
}

// abandon lets a client go.
func (m *machine) abandon() {
	for _, j := range m.jobs {
		if sink, ok := j.Sink.(*tally); ok && m.dice.IntN(20) == 0 && !j.Done() && sink.left == 0 {
			j.Abandon()
			sink.left++
			return
		}
	}
}

// work has one worker take jobs, answer some, or give some back.
func (m *machine) work(t *testing.T, l *lane) {
	t.Helper()
	live := m.live[l]
	switch m.dice.IntN(4) {
	case 0:
		if len(live) > 0 {
			m.live[l] = l.More(m.dice.IntN(3), live[0], live)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		m.live[l], _ = l.Collect(ctx, Limits{Size: 1 + m.dice.IntN(3), Delay: time.Duration(m.dice.IntN(2)) * time.Millisecond}, nil)
	case 1:
		if n := len(live); n > 0 {
			at := m.dice.IntN(n)
			fail(l.Return(live[at:]))
			m.live[l] = slices.Clone(live[:at])
		}
	default:
		m.live[l] = slices.DeleteFunc(live, func(j *job.Job) bool {
			return m.dice.IntN(2) == 0 && j.Deliver(job.Reply{Status: 200})
		})
		l.Settle(m.live[l])
	}
}

// end is the death of a worker.
func (m *machine) end(t *testing.T, l *lane) {
	t.Helper()
	if m.dice.IntN(2) == 0 {
		fail(l.Return(m.live[l]))
	} else {
		fail(m.live[l])
	}
	fail(l.Close())
	delete(m.live, l)
	m.lanes = slices.DeleteFunc(m.lanes, func(other *lane) bool { return other == l })
}

func fail(jobs []*job.Job) {
	for _, j := range jobs {
		j.Fail(fault.New(fault.Busy, ""))
	}
}

// check verifies what holds between any two steps.
func (m *machine) check(t *testing.T) {
	t.Helper()
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	bound, held := make(map[*lane]int), make(map[*sequence]int)
	for _, l := range m.lanes {
		for _, q := range l.held {
			held[q]++
		}
		for i, q := range l.ready {
			require.Same(t, s.open[q.id], q, "what is ready is open")
			require.Same(t, l, q.lane)
			require.NotContains(t, l.ready[:i], q)
		}
	}
	require.LessOrEqual(t, len(s.open), s.limits.Number)
	for id, q := range s.open {
		bound[q.lane]++
		waits := slices.ContainsFunc(q.waiting.slots, func(j *job.Job) bool { return j != nil && !j.Done() })
		require.Equal(t, id, q.id)
		require.Equal(t, held[q], q.held)
		require.True(t, q.lane == nil || slices.Contains(m.lanes, q.lane), "of a worker that is there")
		require.False(t, q.lane == nil && len(s.lanes) > 0, "nobody's, though there is a worker")
		if q.over {
			require.Positive(t, q.held, "over and not ended")
			require.Zero(t, q.waiting.len())
			continue
		}
		require.False(t, waits && q.lane != nil && !q.polled && !slices.Contains(q.lane.ready, q), "forgotten")
		require.False(t, q.waiting.len() == 0 && q.held == 0 && q.due.IsZero(), "never ends")
		require.False(t, !q.due.IsZero() && q.due.Before(time.Now()), "should have ended")
	}
	for _, l := range s.lanes {
		require.Equal(t, bound[l], l.bound)
	}
}
