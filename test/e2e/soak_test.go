package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// soakTime is how long the soak takes: SOAK_SECONDS, or 20.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv("SOAK_SECONDS"); text != "" {
		return time.Duration(number(t, text)) * time.Second
	}
	return 20 * time.Second
}

// soakSeed decides what happens: SOAK_SEED, or another one each time.
func soakSeed(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv("SOAK_SEED"); text != "" {
		return uint64(number(t, text))
	}
	return rand.Uint64N(1_000_000)
}

// soaked is a model of the soak, and what its clients ask.
type soaked struct {
	name   string
	kind   kind
	verbs  []string // each with its part of the requests
	answer func(q question, body string) bool
}

func soakModels() []soaked {
	plain := kind{handler: labHandler}
	many := sequences().with("maxNumSequence: 64", "sequenceMaxIdleMSec: 5000")
	both := kind{handler: stepsHandler, config: many.with("continuousBatching: true").config}
	mortal := append(slices.Repeat([]string{"echo"}, 20), "exit/3", "kill")
	return []soaked{
		{"plain", plain, []string{"echo"}, echoed},
		{"batches", plain.with("batchSize: 8", "maxBatchDelay: 5"), []string{"echo"}, echoed},
		{"slow", plain, []string{"nap/0.05", "nap/0.2"}, echoed},
		{"streams", plain, []string{"stream/a/b/c"}, streamed},
		{"steps", steps(), []string{"a", "a/b/c", "a/b/c/d/e/f/g/h"}, stepped},
		{"sequences", many, []string{"say"}, inOrder},
		{"both", both, []string{"a", "a/b/c"}, stepped},
		{"crowd", crowd(), []string{"", "a/b/c", "nap/a"}, crowded},
		{"crashing", plain, mortal, echoed},
		{"moving", plain, []string{"echo"}, echoed},
	}
}

func echoed(q question, body string) bool { return body == q.body }

// pieces are those that a verb asks for.
func (q question) pieces() string { return strings.NewReplacer("stream", "", "/", "").Replace(q.verb) }

func streamed(q question, body string) bool { return body == q.pieces()+q.body }

func stepped(q question, body string) bool { return body == q.body+q.pieces() }

func crowded(q question, body string) bool { return body == q.pieces()+q.body+" (1)" }

// soak is a server with its clients, and with those who make trouble.
type soak struct {
	lab
	t      *testing.T
	models []soaked
	random func() *rand.Rand // a source of its own for each goroutine
	tally  tally
}

// TestSoak has all kinds of models asked by clients that may leave at any byte,
// while workers are killed, and models scaled, and one removed and added again:
// whoever stays gets one well-formed answer, and nothing is left behind. It wants
// the machine for itself.
func TestSoak(t *testing.T) {
	t.Run("SCH-081 every request has one answer, whatever happens", func(t *testing.T) {
		seed := soakSeed(t)
		t.Log("SOAK_SEED=" + strconv.FormatUint(seed, 10))
		l := newLab(t, e2etest.Properties("job_queue_size=1000"))
		s := &soak{lab: l, t: t, models: soakModels(), tally: tally{outcomes: make(map[string]map[string]int)}}
		source := rand.New(rand.NewPCG(seed, 0))
		s.random = func() *rand.Rand { return rand.New(rand.NewPCG(seed, source.Uint64())) }
		for _, m := range s.models {
			l.add(t, m.name, m.kind)
		}
		s.serveAll()
		before := s.footprint()

		s.run(soakTime(t))

		s.rest()
		s.serveAll()
		after := s.settled(before)
		t.Logf("before %+v, after %+v\n%s", before, after, &s.tally)
		assert.True(t, after.within(before))
		l.Await("no running jobs", func() bool {
			return len(lines(l.Get(e2etest.Metrics, "/metrics", "").Body, "ts_jobs_running{", "} 0.0")) == len(s.models)+1 // that of the lab
		})
		assert.Empty(t, s.tally.wrong)
		assert.Zero(t, l.Stop())
		assert.NotContains(t, l.Stderr.String(), "DATA RACE")
		assert.Empty(t, l.Processes())
	})
}

// run lets clients and troublemakers work for a while, and waits for the clients'
// last answers.
func (s *soak) run(d time.Duration) {
	const clients = 3 // of each model
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range s.models {
		for i := range clients {
			c := &soakClient{soak: s, model: m, random: s.random(), name: fmt.Sprint(m.name, i)}
			all.Go(func() { c.run(ctx) })
		}
	}
	trouble := []func(context.Context, *rand.Rand){s.kill, s.kill, s.scale, s.move, s.describe}
	for _, make := range trouble {
		random := s.random()
		all.Go(func() {
			for pause(ctx, random, time.Second) {
				make(ctx, random)
			}
		})
	}
	all.Wait()
}

// pause waits for a random time up to most, and reports whether ctx goes on.
func pause(ctx context.Context, random *rand.Rand, most time.Duration) bool {
	timer := time.NewTimer(time.Duration(random.Int64N(int64(most))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *soak) any(random *rand.Rand) string { return s.models[random.IntN(len(s.models))].name }

// manages makes a management call of which only some statuses are right.
func (s *soak) manages(method, path string, right ...int) e2etest.Reply {
	reply, err := s.Send(s.t.Context(), e2etest.Call{
		Method: method, To: e2etest.Management, Path: path, Header: map[string]string{"Connection": "close"}, // or more of them would stay open
	})
	if err != nil || !slices.Contains(right, reply.Status) {
		s.tally.complain(fmt.Sprint(method, " ", path, ": ", err, " ", reply.Status, " ", reply.Body))
	}
	return reply
}

// kill ends a worker.
func (s *soak) kill(_ context.Context, random *rand.Rand) {
	found := regexp.MustCompile(`"pid": (\d+)`).FindAllStringSubmatch(
		s.manages(http.MethodGet, "/models/"+s.any(random), 200, 404).Body, -1)
	if len(found) == 0 {
		return // none runs
	}
	pid, _ := strconv.Atoi(found[random.IntN(len(found))][1]) // digits
	_ = syscall.Kill(pid, syscall.SIGKILL)                    // it may have gone
	s.tally.count("trouble", "kills")
}

// scale changes the number of workers.
func (s *soak) scale(_ context.Context, random *rand.Rand) {
	model := s.any(random)
	path := fmt.Sprintf("/models/%s?min_worker=%d", model, 1+random.IntN(3))
	if model == "moving" && random.IntN(3) == 0 {
		path = "/models/moving?min_worker=0"
	}
	s.manages(http.MethodPut, path, 202, 404, 503) // it may be on its way out
	s.tally.count("trouble", "scalings")
}

// move removes a model and adds it again.
func (s *soak) move(ctx context.Context, random *rand.Rand) {
	s.manages(http.MethodDelete, "/models/moving", 200)
	pause(ctx, random, 100*time.Millisecond)
	s.manages(http.MethodPost, "/models?initial_workers=1&synchronous=false&url=moving.mar", 202)
	s.tally.count("trouble", "moves")
}

// describe asks a model what it is.
func (s *soak) describe(_ context.Context, random *rand.Rand) {
	model := s.any(random)
	s.manages(http.MethodGet, "/models/"+model+"?customized=true", 200, 404, 500, 503, 507)
	s.tally.count("trouble", "descriptions")
}

// rest brings every model back to one worker.
func (s *soak) rest() {
	for _, m := range s.models {
		reply := s.manage(s.t, "PUT", "/models/"+m.name+"?min_worker=1&max_worker=1&synchronous=true")
		assert.Contains(s.t, []int{200, 206, 500, 507}, reply.Status, "%s", reply.Body) // it may have been killed a moment ago
	}
	for _, m := range s.models {
		s.Await(m.name+" is ready", func() bool {
			d := s.lab.describe(s.t, m.name)
			return len(d.Workers) == 1 && d.Workers[0].Status == "READY" && d.Queue.Pending == 0
		})
	}
}

// serveAll has each model answer.
func (s *soak) serveAll() {
	for _, m := range s.models {
		c := &soakClient{soak: s, model: m, random: s.random(), name: m.name + "!"}
		q := c.question(m.verbs[0], ".")
		outcome, err := s.whole(q)
		require.NoError(s.t, err, m.name)
		assert.Equal(s.t, "200", outcome, m.name)
	}
}

// footprint is what a server takes of the system.
type footprint struct{ goroutines, descriptors, processes, megabytes int }

func (s *soak) footprint() footprint {
	text := s.Get(e2etest.Metrics, "/metrics", "").Body
	return footprint{
		goroutines: s.gauge(text, "go_goroutines"), descriptors: len(names(s.t, fmt.Sprintf("/proc/%d/fd", s.PID))),
		processes: len(s.Processes()), megabytes: s.gauge(text, "process_resident_memory_bytes") >> 20,
	}
}

// settled waits until the server takes no more than before, for a while, and
// returns what it takes.
func (s *soak) settled(before footprint) (now footprint) {
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	random := s.random()
	for now = s.footprint(); !now.within(before) && pause(ctx, random, time.Second); {
		now = s.footprint()
	}
	return now
}

func (s *soak) gauge(text, name string) int {
	found := regexp.MustCompile(`(?m)^(ts_)?` + name + ` (\S+)$`).FindStringSubmatch(text)
	require.NotNil(s.t, found, name)
	value, err := strconv.ParseFloat(found[2], 64)
	require.NoError(s.t, err)
	return int(value)
}

// within reports whether it is no more than another one, but for what the
// connections of those who ask may take.
func (f footprint) within(other footprint) bool {
	const some = 10 // less than what each killed worker or removed model would leave
	return f.goroutines <= other.goroutines+some && f.descriptors <= other.descriptors+some && f.processes <= other.processes
}
