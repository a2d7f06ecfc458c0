package worker_test

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestConverse(t *testing.T) {
	t.Parallel()
	t.Run("SCH-060 WRK-060 several in flight, answered out of order, together or apart", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, tell(), tell(), tell(), tell(answersTo("r3"), answersTo("r1", "r0"), answersTo("r2")))
		jobs, streams := batchOf("a", "b", "c", "d")
		c.say(t, jobs...)
		assert.Equal(t, []string{"r0", "r1", "r2", "r3"}, bodies(t, streams))
		c.enough(t, 4)
	})
	t.Run("SCH-060 pieces of several streams mix", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, tell(piece("r0", "a0", "true")),
			tell(piece("r1", "b0", "true"), piece("r0", "a1", "true"), piece("r1", "b1", ""), piece("r0", "a2", "false")))
		jobs, streams := batchOf("a", "b")
		c.say(t, jobs...)
		for n := range 3 {
			r := workertest.Reply(t, streams[0])
			assert.Equal(t, "a"+strconv.Itoa(n), string(r.Body))
			assert.Equal(t, n < 2, r.More)
		}
		assert.True(t, workertest.Reply(t, streams[1]).More)
		assert.False(t, workertest.Reply(t, streams[1]).More, "SCH-D49: no header ends it, too")
		c.enough(t, 2)
	})
	t.Run("SCH-061 a failure is that of those that it names", func(t *testing.T) {
		t.Parallel()
		failure := answersTo("r1", "stranger")
		failure.Code, failure.Text = 503, "Prediction failed"
		_, c := talking(t, nil, tell(), tell(failure, answersTo("r1")), tell(answersTo("r0", "r2")))
		jobs, streams := batchOf("a", "b", "c")
		c.say(t, jobs[:2]...)
		err := workertest.Failure(t, streams[1])
		assert.Equal(t, 503, fault.Status(err))
		assert.Equal(t, "Prediction failed", fault.Message(err))
		c.say(t, jobs[2])
		assert.Equal(t, []string{"r0", "r2"}, bodies(t, []*job.Stream{streams[0], streams[2]}))
		c.enough(t, 3)
	})
	t.Run("a failure that names nobody is that of all, once, and the worker goes on", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, tell(), tell(workertest.Message{Code: 507, Text: "Out of resources"}, answersTo("r0", "r1")), workertest.Action{})
		jobs, streams := batchOf("a", "b")
		c.say(t, jobs...)
		for _, s := range streams {
			assert.Equal(t, 507, fault.Status(workertest.Failure(t, s)))
		}
		more, answers := batchOf("later", "and later")
		c.say(t, more...)
		assert.Equal(t, []string{"later", "and later"}, bodies(t, answers))
		c.enough(t, 4)
	})
	t.Run("what nobody waits for does no harm", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, tell(answersTo("stranger", "r0"), piece("r0", "late", "true"), answersTo("r0")), workertest.Action{})
		jobs, streams := batchOf("a")
		c.say(t, jobs...)
		assert.Equal(t, []string{"r0"}, bodies(t, streams))
		c.enough(t, 1)
	})
	t.Run("WRK-034 an oversized answer fails its own request only", func(t *testing.T) {
		t.Parallel()
		large := workertest.Answer{ID: "r0", Body: string(make([]byte, 1001)), Next: "true"}
		_, c := talking(t, func(c *worker.Config) { c.MaxResponse = 1000 },
			tell(workertest.Message{Items: []workertest.Answer{large}}), tell(answersTo("r1", "r0")))
		jobs, streams := batchOf("a", "b")
		c.say(t, jobs...)
		assert.Contains(t, fault.Message(workertest.Failure(t, streams[0])), "Message size exceed limit: 1001")
		assert.Equal(t, []string{"r1"}, bodies(t, streams[1:]))
		c.enough(t, 2)
	})
	t.Run("of a client that has gone the rest is dropped", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, tell(piece("r0", "x", "true")), tell(answersTo("r0", "r1")))
		jobs, streams := batchOf("a", "b")
		c.say(t, jobs[0])
		assert.True(t, workertest.Reply(t, streams[0]).More)
		jobs[0].Abandon()
		c.say(t, jobs[1])
		assert.Equal(t, []string{"r1"}, bodies(t, streams[1:]))
		silent(t, streams[0])
		c.enough(t, 2)
	})
	t.Run("large requests and answers cross", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, workertest.Action{})
		large := string(bytes.Repeat([]byte("x"), 4<<20))
		jobs, streams := batchOf(large, large, large, large)
		c.say(t, jobs...)
		for _, s := range streams {
			assert.Len(t, workertest.Reply(t, s).Body, len(large))
		}
		c.enough(t, 4)
	})
}

func TestConverseLimits(t *testing.T) {
	t.Parallel()
	t.Run("SCH-D54 no more in flight than allowed", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, func(c *worker.Config) { c.Settings.AsyncLimit = 2 }, tell(), tell(answersTo("r0")), tell(answersTo("r1", "r2")))
		jobs, streams := batchOf("a", "b", "c")
		c.say(t, jobs[0], jobs[1], jobs[2])
		assert.Equal(t, []string{"r0", "r1", "r2"}, bodies(t, streams))
		c.enough(t, 3)
	})
	t.Run("SCH-D54 one more is not even asked for", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, func(c *worker.Config) { c.Settings.AsyncLimit = 2 }, tell())
		jobs, _ := batchOf("a", "b", "c")
		c.say(t, jobs[:2]...)
		select {
		case c.jobs <- jobs[2]:
			assert.Fail(t, "a third job was asked for")
		case <-time.NewTimer(50 * time.Millisecond).C:
		}
	})
	t.Run("two clients chose one id: each gets its own answer", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, nil, workertest.Action{})
		jobs, streams := batchOf("a", "b", "c")
		jobs[1].ID, jobs[2].ID = jobs[0].ID, jobs[0].ID
		c.say(t, jobs...)
		assert.Equal(t, []string{"a", "b", "c"}, bodies(t, streams))
		c.enough(t, 3)
	})
	t.Run("SCH-D53 one that is forgotten fails alone", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, quickly(2*time.Second), tell(),
			workertest.Action{Do: workertest.Say, Pause: 600 * time.Millisecond, Says: []workertest.Message{
				piece("r1", "0", "true"), piece("r1", "1", "true"), piece("r1", "2", "true"), piece("r1", "3", "true"), answersTo("r0", "r1"),
			}}, workertest.Action{})
		jobs, streams := batchOf("a", "b")
		c.say(t, jobs...)
		err := workertest.Failure(t, streams[0])
		assert.Equal(t, 500, fault.Status(err))
		assert.Equal(t, "Backend worker did not respond in given time", fault.Message(err))
		for range 4 {
			assert.True(t, workertest.Reply(t, streams[1]).More, "each message gives its request new time")
		}
		assert.False(t, workertest.Reply(t, streams[1]).More)
		assert.Equal(t, err, workertest.Failure(t, streams[0]), "the late answer is nobody's")
		more, answers := batchOf("still good")
		c.say(t, more...)
		assert.Equal(t, []string{"still good"}, bodies(t, answers))
		c.enough(t, 3)
	})
	t.Run("SCH-D53 a late answer is not that of another request with its id", func(t *testing.T) {
		t.Parallel()
		alive := piece("r1", "alive", "true")
		_, c := talking(t, quickly(2*time.Second), tell(),
			workertest.Action{Do: workertest.Say, Pause: 600 * time.Millisecond, Says: []workertest.Message{alive, alive, alive, answersTo("r0"), answersTo("r1")}},
			workertest.Action{})
		jobs, streams := batchOf("a", "b")
		c.say(t, jobs...)
		require.Error(t, workertest.Failure(t, streams[0]))
		again, answers := batchOf("again")
		c.say(t, again...)
		assert.Equal(t, []string{"again"}, bodies(t, answers), "and not r0, the answer to the first")
		c.enough(t, 3)
	})
	t.Run("SCH-D53 a describe that is forgotten says so", func(t *testing.T) {
		t.Parallel()
		for name, others := range map[string]workertest.Action{
			"alone": tell(),
			"beside others": {Do: workertest.Say, Pause: 150 * time.Millisecond, Says: []workertest.Message{
				piece("r0", "0", "true"), piece("r0", "1", "true"), piece("r0", "2", "true"), answersTo("r0"),
			}},
		} {
			_, c := talking(t, quickly(400*time.Millisecond), tell(), others)
			describe, stream := workertest.NewJob("d", "")
			describe.Kind = job.Describe
			c.say(t, describe)
			if name != "alone" {
				jobs, _ := batchOf("a")
				c.say(t, jobs...)
			}
			assert.Equal(t, "Failed to get customized model matadata.", fault.Message(workertest.Failure(t, stream)), name)
		}
	})
	t.Run("a worker that is idle has all the time", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, func(c *worker.Config) {
			c.Settings.Timeouts.Response, c.Settings.Timeouts.Startup = 300*time.Millisecond, 500*time.Millisecond
		}, workertest.Action{})
		for range 3 {
			after(400 * time.Millisecond)
			jobs, streams := batchOf("a")
			c.say(t, jobs...)
			assert.Equal(t, []string{"a"}, bodies(t, streams))
		}
		c.enough(t, 3)
	})
}
