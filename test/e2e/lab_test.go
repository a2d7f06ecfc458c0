package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/lab.py
var labHandler string

// limit bounds every waiting of a test for what the harness does not wait for.
const limit = 20 * time.Second

// lab is a server, open to all, with a model named lab whose handler does what the
// path of a request asks for: see testdata/lab.py.
type lab struct {
	*e2etest.Server
	gates string // folder of the files by which handlers and tests wait for each other
}

func newLab(t *testing.T, options ...e2etest.Option) lab {
	t.Helper()
	gates := t.TempDir()
	return lab{e2etest.Start(t, append([]e2etest.Option{
		e2etest.NoTokens(), e2etest.Args("--enable-model-api"), e2etest.Env("LAB=" + gates), e2etest.Serve(labArchive("")),
	}, options...)...), gates}
}

// labArchive is the archive of the lab's model, with a model-config.yaml.
func labArchive(config string) e2etest.Archive {
	return e2etest.Archive{Name: "lab", Handler: labHandler, Config: config}
}

// loadingAt is the lab's handler, with a gate at which it waits while it is loaded.
func loadingAt(gate string) string {
	return strings.ReplaceAll(labHandler, "return loaded(context)", fmt.Sprintf("return wait_at(%q)", gate))
}

// In returns the lab for use in a sub-test.
func (l lab) In(t *testing.T) lab {
	t.Helper()
	l.Server = l.Server.In(t)
	return l
}

// path is where a model does what the verb, with its arguments, asks for.
func path(model, verb string) string { return "/predictions/" + model + "/1.0/" + verb }

// ask has the model lab do something with a body.
func (l lab) ask(verb, body string) e2etest.Reply { return l.askOf("lab", verb, body) }

func (l lab) askOf(model, verb, body string) e2etest.Reply {
	return l.Do(e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: path(model, verb), Body: body})
}

// model registers the lab's archive under another name, with one worker, and
// further parameters of the call.
func (l lab) model(t *testing.T, name, parameters string) {
	t.Helper()
	register(t, l.Server, "url=lab.mar&model_name="+name+"&initial_workers=1&"+parameters)
}

// register registers a model; it must work.
func register(t *testing.T, s *e2etest.Server, parameters string) {
	t.Helper()
	reply := s.In(t).Manage(http.MethodPost, "/models?"+parameters)
	require.Equal(t, http.StatusOK, reply.Status, "%s", reply.Body)
}

// archive puts a copy of the lab's archive with a model-config.yaml into the store
// and registers it.
func (l lab) archive(t *testing.T, name, config string) {
	t.Helper()
	a := labArchive(config)
	a.Name = name
	register(t, l.Server, "initial_workers=1&url="+a.Write(t, l.Store))
}

// pending is a call whose answer is still to come.
type pending struct {
	t    *testing.T
	done chan struct{}
	end  context.CancelFunc // the client goes away

	reply e2etest.Reply // valid when done is closed, as is err
	err   error
}

// begin makes a call and does not wait for its answer.
func (l lab) begin(t *testing.T, c e2etest.Call) *pending {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pending{t: t, done: make(chan struct{}), end: cancel}
	server := l.Server
	go func() {
		defer close(p.done)
		p.reply, p.err = server.Send(ctx, c)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.done
	})
	return p
}

// beginAsk has a model begin to do something.
func (l lab) beginAsk(t *testing.T, model, verb, body string) *pending {
	t.Helper()
	return l.begin(t, e2etest.Call{Method: http.MethodPost, To: e2etest.Inference, Path: path(model, verb), Body: body})
}

// beginAskAs is beginAsk with an id of the client's own.
func (l lab) beginAskAs(t *testing.T, id, model, verb, body string) *pending {
	t.Helper()
	return l.begin(t, e2etest.Call{
		Method: http.MethodPost, To: e2etest.Inference, Path: path(model, verb), Body: body,
		Header: map[string]string{"X-Request-Id": id},
	})
}

// answer waits for the answer.
func (p *pending) answer() e2etest.Reply {
	p.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		require.NoError(p.t, p.err)
	case <-timer.C:
		require.Fail(p.t, "no answer")
	}
	return p.reply
}

// unanswered checks that there is no answer yet.
func (p *pending) unanswered() {
	p.t.Helper()
	select {
	case <-p.done:
		require.Fail(p.t, "answered too soon", "%v %v", p.reply, p.err)
	default:
	}
}

// awaitHeld waits until a handler waits at a gate, and returns the number of its
// process.
func (l lab) awaitHeld(t *testing.T, gate string) (pid int) {
	t.Helper()
	l.In(t).Await("a handler at gate "+gate, func() bool {
		content, _ := os.ReadFile(filepath.Join(l.gates, gate+".held")) // there is none yet, or an empty one
		pid, _ = strconv.Atoi(string(content))
		return pid != 0
	})
	return pid
}

// open opens a gate.
func (l lab) open(t *testing.T, gate string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(l.gates, gate+".open"), nil, 0o600))
}

// hold keeps the only worker of a model busy until the returned function is
// called, which waits for the answer.
func (l lab) hold(t *testing.T, model, gate string) (release func() e2etest.Reply) {
	t.Helper()
	p := l.beginAsk(t, model, "hold/"+gate, "held")
	l.awaitHeld(t, gate)
	return func() e2etest.Reply {
		l.open(t, gate)
		return p.answer()
	}
}

// awaitQueued waits until so many requests wait for the workers of a model.
func (l lab) awaitQueued(t *testing.T, model string, n int) {
	t.Helper()
	l.In(t).Await("queued requests", func() bool { return l.describe(t, model).Queue.Pending == n })
}

// described is what describe says of a model version, as far as the tests look at
// it.
type described struct {
	Name          string            `json:"modelName"`
	Version       string            `json:"modelVersion"`
	URL           string            `json:"modelUrl"`
	Runtime       string            `json:"runtime"`
	Min           int               `json:"minWorkers"`
	Max           int               `json:"maxWorkers"`
	BatchSize     int               `json:"batchSize"`
	BatchDelay    int               `json:"maxBatchDelay"`
	Response      int               `json:"responseTimeout"`
	Startup       int               `json:"startupTimeout"`
	Retry         int               `json:"maxRetryTimeoutInSec"`
	ClientTimeout int               `json:"clientTimeoutInMills"`
	ParallelLevel int               `json:"parallelLevel"`
	ParallelType  string            `json:"parallelType"`
	DeviceType    string            `json:"deviceType"`
	DeviceIDs     []int             `json:"deviceIds"`
	JobTicket     bool              `json:"useJobTicket"`
	AtStartup     bool              `json:"loadedAtStartup"`
	Workers       []describedWorker `json:"workers"`
	Queue         struct {
		Remaining int `json:"remainingCapacity"`
		Pending   int `json:"pendingRequests"`
	} `json:"jobQueueStatus"`
	Customized json.RawMessage `json:"customizedMetadata"`
}

type describedWorker struct {
	ID, Status, StartTime string
	PID                   int
	GPU                   bool
	GPUUsage              string
}

// devices returns what describe says of the devices of a model's workers.
func (d described) devices() []string {
	usage := make([]string, 0, len(d.Workers))
	for _, w := range d.Workers {
		id, _, _ := strings.Cut(w.GPUUsage, " ")
		usage = append(usage, id)
	}
	return usage
}

// describe describes the default version of a model, or another one if name goes on
// with it.
func (l lab) describe(t *testing.T, name string) described {
	t.Helper()
	return describe(t, l.Server, name)
}

func describe(t *testing.T, s *e2etest.Server, name string) described {
	t.Helper()
	reply := s.In(t).Manage(http.MethodGet, "/models/"+name)
	require.Equal(t, http.StatusOK, reply.Status, "%s", reply.Body)
	var all []described
	reply.JSON(t, &all)
	require.Len(t, all, 1)
	return all[0]
}

// failure is the body of a failed call.
type failure struct {
	Code          int
	Type, Message string
}

// assertFailure checks the answer of a call that must fail.
func assertFailure(t *testing.T, reply e2etest.Reply, status int, kind, message string) {
	t.Helper()
	assert.Equal(t, status, reply.Status)
	assert.Equal(t, "application/json", reply.Header.Get("Content-Type"))
	var got failure
	reply.JSON(t, &got)
	assert.Equal(t, failure{status, kind, message}, got)
}

// form encodes names and values that alternate.
func form(pairs ...string) string {
	values := make(url.Values, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

// lines returns the lines of a text that contain all of some words.
func lines(text string, words ...string) []string {
	var found []string
next:
	for line := range strings.Lines(text) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		found = append(found, strings.TrimSuffix(line, "\n"))
	}
	return found
}

// kill ends the process of a model's only worker.
func (l lab) kill(t *testing.T, model string) {
	t.Helper()
	workers := l.describe(t, model).Workers
	require.Len(t, workers, 1)
	require.NoError(t, syscall.Kill(workers[0].PID, syscall.SIGKILL))
}

// number reads a number.
func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
