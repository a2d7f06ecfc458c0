package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

func TestWaitsOfOtherModels(t *testing.T) {
	t.Run("continuous batching: a job waits while every worker is full", func(t *testing.T) {
		s := scaling()
		s.Batching.Size = 4
		s.Sequence.Continuous = true
		tm := &team{work: 50 * time.Millisecond, steps: func(*job.Job) int { return 200 }} // ten seconds for each
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			c.come(t, p, 4*time.Second, 5*time.Minute) // up to three at a time
			assert.Len(t, ports(p), 1)
			c.come(t, p, time.Second, 5*time.Minute) // ten at a time
			assert.GreaterOrEqual(t, len(ports(p)), 3)
			c.come(t, p, 6*time.Second, 10*time.Minute)
			assert.Len(t, ports(p), 1, "jobs are counted, not workers that have some")
			pass(time.Minute)
			c.served(t)
		})
	})
	t.Run("asynchronous workers: a job waits while every worker has as many as it may", func(t *testing.T) {
		s := scaling()
		s.Async, s.AsyncLimit = true, 1 // what the fake keeps to
		bubble(t, &team{work: time.Second}, s, func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			c.come(t, p, 600*time.Millisecond, 5*time.Minute)
			assert.Len(t, ports(p), 2)
			c.come(t, p, 2*time.Second, 5*time.Minute)
			assert.Len(t, ports(p), 1)
			pass(time.Minute)
			c.served(t)
		})
	})
}

func TestScaleSequences(t *testing.T) {
	stateful := func() model.Settings {
		s := scaling()
		s.Sequence = model.Sequence{Batching: true, MaxIdle: 10 * time.Minute, QueueSize: 100, MaxNumber: 100}
		return s
	}
	t.Run("waiting for the answer before is no waiting for a worker", func(t *testing.T) {
		s := stateful()
		s.Batching = model.Batching{Size: 4}
		bubble(t, &team{work: time.Second}, s, func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 4)
			var c crowd
			for range 60 {
				c.one(t, p, "a")
			}
			pass(2 * time.Minute)
			assert.Len(t, ports(p), 1)
			c.served(t)
		})
	})
	t.Run("waiting for those of other sequences is, and new ones go to the new worker", func(t *testing.T) {
		tm := &team{work: time.Second}
		bubble(t, tm, stateful(), func(t *testing.T, p *pool.Pool) {
			between(t, p, 1, 2)
			var c crowd
			for range 20 {
				c.one(t, p, "a")
				c.one(t, p, "b")
				pass(time.Second)
			}
			require.Len(t, ports(p), 2)
			c.one(t, p, "c")
			pass(2 * time.Second)
			assert.Len(t, tm.at(1).seen(), 1)
			pass(time.Minute)
			c.served(t)
		})
	})
	t.Run("a worker that has sequences stays, one that has none leaves", func(t *testing.T) {
		tm := &team{work: time.Second}
		bubble(t, tm, stateful(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			synctest.Wait() // they are loaded, and now all of them have their place
			var c crowd
			for _, name := range []string{"0", "1", "2"} {
				c.one(t, p, name)
			}
			pass(2 * time.Second)
			oldest, newest := tm.at(0).seen()[0][0], tm.at(2).seen()[0][0] // the names of their sequences
			between(t, p, 1, 3)
			for range 9 {
				pass(time.Minute)
				c.one(t, p, oldest)
				c.one(t, p, newest)
			}
			assert.Len(t, ports(p), 3)
			for range 9 {
				pass(time.Minute)
				c.one(t, p, oldest)
				c.one(t, p, newest)
			}
			assert.Equal(t, []int{9000, 9002}, ports(p), "the sequence of 9001 has ended")
			for range 18 {
				pass(time.Minute)
				c.one(t, p, newest)
			}
			assert.Equal(t, []int{9002}, ports(p), "and so has that of 9000")
			decisions(t, p, map[model.ScalingReason]int{model.WorkersIdle: 2})
			pass(time.Minute)
			assert.Len(t, tm.at(2).seen(), 37, "a sequence has one worker all the time")
			c.served(t)
		})
	})
}
