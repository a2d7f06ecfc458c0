package pool_test

import (
	"fmt"
	"strconv"
	"strings"
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

// stateful is a stateful model, changed.
func stateful(changes ...func(*model.Settings)) model.Settings {
	s := base()
	s.Batching = model.Batching{Size: 4}
	s.Sequence = model.Sequence{Batching: true, MaxNumber: 4, QueueSize: 4, MaxIdle: time.Minute}
	for _, change := range changes {
		change(&s)
	}
	return s
}

// within makes a client whose job belongs to a sequence.
func within(sequence, id string) *client {
	c := newClient(id)
	c.job.Request.Headers = []job.Header{{Name: "sequence", Value: sequence}}
	return c
}

func TestSequenceHeaders(t *testing.T) {
	t.Parallel()
	other := job.Header{Name: "x", Value: "y"}
	for name, c := range map[string]struct {
		headers []job.Header
		want    []job.Header
	}{
		"SCH-050 any letter case, as configured for the handler": {
			[]job.Header{{Name: "SEQuence", Value: "s"}, other}, []job.Header{other, {Name: "sequence", Value: "s"}},
		},
		"the client's own start and end pass": {
			[]job.Header{{Name: "start", Value: "true"}, {Name: "sequence", Value: "s"}, {Name: "end", Value: "true"}},
			[]job.Header{{Name: "start", Value: "true"}, {Name: "end", Value: "true"}, {Name: "sequence", Value: "s"}},
		},
		"SCH-049 none":     {[]job.Header{other}, []job.Header{other, {Name: "start", Value: "true"}, {Name: "sequence", Value: "ts-seq-"}}},
		"SCH-049 an empty": {[]job.Header{{Name: "Sequence", Value: ""}}, []job.Header{{Name: "start", Value: "true"}, {Name: "sequence", Value: "ts-seq-"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, &team{}, stateful(), func(t *testing.T, p *pool.Pool) {
				scale(t, p, 1)
				a := newClient("a")
				given := append([]job.Header(nil), c.headers...)
				a.job.Request.Headers = c.headers
				send(t, p, a)
				pass(time.Second)
				got := append([]job.Header(nil), a.job.Request.Headers...)
				assert.Equal(t, got[len(got)-1].Value, a.job.Sequence)
				if id, ok := strings.CutPrefix(a.job.Sequence, "ts-seq-"); ok {
					assert.Len(t, id, 36)
					got[len(got)-1].Value = "ts-seq-"
				}
				assert.Equal(t, c.want, got)
				assert.Equal(t, given, c.headers, "the client's own headers are left alone")
			})
		})
	}
	t.Run("SCH-058 a describe opens no sequence", func(t *testing.T) {
		t.Parallel()
		bubble(t, &team{}, stateful(func(s *model.Settings) { s.Sequence.MaxNumber = 1 }), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			send(t, p, within("s", "a"))
			for range 3 {
				d := newClient("d")
				d.job.Kind = job.Describe
				send(t, p, d)
				pass(0)
				d.answered(t, 0)
				assert.Empty(t, d.job.Request.Headers)
			}
		})
	})
}

func TestSequences(t *testing.T) {
	t.Parallel()
	t.Run("SCH-039 a ticket opens a sequence at the worker that waits", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: 10 * time.Second, apart: true}
		bubble(t, tm, stateful(func(s *model.Settings) { s.JobTicket = true }), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			send(t, p, within("a", "a1"))
			send(t, p, within("b", "b1"))
			pass(time.Minute / 2)
			send(t, p, within("a", "a2")) // both workers have one sequence, the first one has work
			pass(time.Second)
			c := within("c", "c1")
			send(t, p, c)
			pass(time.Minute / 2)
			c.answered(t, 10*time.Second)
		})
	})
	t.Run("SCH-051 SCH-052 one worker, in order, one at a time", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: time.Second, most: 4, apart: true}
		bubble(t, tm, stateful(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			for i := range 16 {
				send(t, p, within(fmt.Sprint(i%4), fmt.Sprint(i)))
			}
			pass(time.Minute)
			for i := range 2 {
				ofOne := make(map[int][]int)
				for _, ids := range tm.at(i).seen() {
					together := make(map[int]bool)
					for _, id := range ids {
						n, err := strconv.Atoi(id)
						require.NoError(t, err)
						together[n%4] = true
						ofOne[n%4] = append(ofOne[n%4], n/4)
					}
					assert.Len(t, together, len(ids), "one job of each sequence")
				}
				assert.Len(t, ofOne, 2, "sequences of worker %d", i)
				for _, order := range ofOne {
					assert.Equal(t, []int{0, 1, 2, 3}, order)
				}
			}
		})
	})
	t.Run("SCH-053 SCH-054 what is too much is refused, and there is room again later", func(t *testing.T) {
		t.Parallel()
		bubble(t, &team{work: time.Second}, stateful(func(s *model.Settings) { s.Sequence.MaxNumber, s.Sequence.QueueSize = 1, 1 }), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			send(t, p, within("s", "1"))
			synctest.Wait()
			second := send(t, p, within("s", "2"))
			assert.Error(t, p.Submit(t.Context(), within("s", "3").job))
			assert.Error(t, p.Submit(t.Context(), within("other", "4").job))
			pass(2 * time.Second)
			second.answered(t, 2*time.Second)
			assert.Error(t, p.Submit(t.Context(), within("other", "5").job))
			pass(time.Minute)
			other := send(t, p, within("other", "6"))
			pass(time.Second)
			other.answered(t, time.Second)
		})
	})
	t.Run("SCH-057 a crash ends the sequences that the worker had begun; it comes back, and they may begin anew", func(t *testing.T) {
		t.Parallel()
		tm := &team{work: 10 * time.Second}
		bubble(t, tm, stateful(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			flying, waiting := send(t, p, within("s", "1")), send(t, p, within("s", "2"))
			pass(time.Second)
			fresh := send(t, p, within("new", "3"))
			tm.at(0).die()
			synctest.Wait()
			flying.failed(t, fault.Worker, time.Second)
			waiting.failed(t, fault.Busy, time.Second)
			assert.Zero(t, fresh.answers())
			again := send(t, p, within("s", "4"))
			pass(time.Minute)
			fresh.answered(t, 11*time.Second)
			again.answered(t, 11*time.Second)
			assert.Equal(t, 2, tm.at(0).launches())
		})
	})
	t.Run("SCH-056 who is told that a sequence is over may begin it anew", func(t *testing.T) {
		t.Parallel()
		tm := stepping(8)
		tm.ends = func(jobs []*job.Job) []string {
			if jobs[0].ID == "1" {
				return []string{"s", "t"}
			}
			return nil
		}
		s := stateful(func(s *model.Settings) { s.Sequence.Continuous = true })
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			first, again := ofSteps(within("s", "1"), 1), ofSteps(within("s", "2"), 1)
			first.told = func() { go func() { assert.NoError(t, p.Submit(t.Context(), again.job)) }(); synctest.Wait() }
			send(t, p, first)
			pass(time.Minute)
			again.mu.Lock()
			defer again.mu.Unlock()
			assert.NoError(t, again.err)
			assert.NotNil(t, again.reply)
		})
	})
	t.Run("SCH-056 a sequence has several live jobs, up to twice the batch size", func(t *testing.T) {
		t.Parallel()
		tm := stepping(4)
		s := stateful(func(s *model.Settings) { s.Sequence.Continuous, s.Batching.Size, s.Sequence.QueueSize = true, 2, 8 })
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			for i := range 6 {
				send(t, p, ofSteps(within("s", fmt.Sprint(i)), 9))
			}
			pass(5500 * time.Millisecond)
			assert.Equal(t, [][]string{{"0"}, {"0", "1"}, {"0", "1", "2"}, {"0", "1", "2", "3"}, {"0", "1", "2", "3"}, {"0", "1", "2", "3"}}, tm.at(0).seen())
		})
	})
}

// A worker that finishes its last batch takes no new sequence with it, and ends
// those that it had.
func TestSequencesOfALeavingWorker(t *testing.T) {
	t.Parallel()
	tm := &team{work: time.Minute}
	s := stateful(func(s *model.Settings) {
		s.Batching.Delay, s.Sequence.MaxIdle, s.Sequence.MaxNumber = 5*time.Second, time.Hour, 8
	})
	bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
		scale(t, p, 1)
		scale(t, p, 2)
		for i, sequence := range []string{"a", "leaving", "b"} {
			send(t, p, within(sequence, fmt.Sprint(i)))
		}
		pass(2 * time.Minute)
		assert.Equal(t, [][]string{{"1"}}, tm.at(1).seen(), "it has the fewest")
		flying := send(t, p, within("leaving", "3"))
		pass(10 * time.Second)
		waiting, early := send(t, p, within("leaving", "4")), send(t, p, within("early", "5"))
		_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
		require.NoError(t, err)
		synctest.Wait()
		waiting.failed(t, fault.Busy, 0)
		late := send(t, p, within("late", "6"))
		assert.Error(t, p.Submit(t.Context(), within("leaving", "7").job), "its last job is not answered yet")
		pass(time.Hour - 5*time.Minute)
		flying.answered(t, time.Minute+5*time.Second)
		early.answered(t, time.Minute+5*time.Second)
		late.answered(t, time.Minute+5*time.Second)
		anew := send(t, p, within("leaving", "8"))
		pass(2 * time.Minute)
		anew.answered(t, time.Minute+5*time.Second)
	})
}
