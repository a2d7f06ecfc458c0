package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// soakPatience bounds every answer of the soak: a worker may have to be started
// several times before.
const soakPatience = time.Minute

// tally counts how requests ended.
type tally struct {
	mu       sync.Mutex // Protects fields below
	outcomes map[string]map[string]int
	wrong    []string
}

func (t *tally) count(model, outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outcomes[model] == nil {
		t.outcomes[model] = make(map[string]int)
	}
	t.outcomes[model][outcome]++
}

func (t *tally) complain(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = append(t.wrong, text)
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	for _, model := range slices.Sorted(maps.Keys(t.outcomes)) {
		fmt.Fprintf(&text, "%-10s", model)
		for _, outcome := range slices.Sorted(maps.Keys(t.outcomes[model])) {
			fmt.Fprintf(&text, " %s: %d", outcome, t.outcomes[model][outcome])
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// question is one request, with what its client has asked before.
type question struct {
	model    soaked
	verb     string
	body     string
	sequence string
	client   string
	id       string // header, or empty
}

// soakClient asks one model again and again.
type soakClient struct {
	soak   *soak
	model  soaked
	random *rand.Rand
	name   string
	asked  int
	begun  int // sequences
}

// run asks until ctx ends, and waits for the last answer.
func (c *soakClient) run(ctx context.Context) {
	const leaving = 8 // one of so many requests is not waited for
	for pause(ctx, c.random, 20*time.Millisecond) {
		verb := c.model.verbs[c.random.IntN(len(c.model.verbs))]
		if c.random.IntN(leaving) == 0 {
			c.soak.part(c.question(verb, left), c.random)
			c.soak.tally.count(c.model.name, "left")
			continue
		}
		q := c.question(verb, ".")
		outcome, err := c.soak.whole(q)
		if err != nil {
			c.soak.tally.complain(fmt.Sprintf("%s %s %q: %v", c.model.name, q.verb, q.body, err))
			outcome = "wrong"
		}
		c.soak.tally.count(c.model.name, outcome)
	}
}

// left is at the end of the bodies that are not waited for.
const left = " left."

func (c *soakClient) question(verb, end string) question {
	const length = 20 // requests of a sequence
	if c.asked%length == 0 {
		c.begun++
	}
	c.asked++
	id := ""
	if c.random.IntN(4) == 0 {
		id = fmt.Sprint("X-Request-Id: shared-", c.random.IntN(2), "\r\n") // several clients may choose the same
	}
	return question{
		model: c.model, verb: verb, client: c.name, id: id,
		body: fmt.Sprintf("%s-%06d%s", c.name, c.asked, end), sequence: fmt.Sprint(c.name, "-", c.begun),
	}
}

func (q question) bytes() string {
	head := fmt.Sprintf("Host: h\r\nConnection: close\r\nts_request_sequence_id: %s\r\n%s", q.sequence, q.id)
	return strings.Replace(post(path(q.model.name, q.verb), q.body), "Host: h\r\n", head, 1)
}

func (s *soak) dial(limit time.Duration) (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", s.Address(e2etest.Inference), soakPatience)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("no TCP")
	}
	return tcp, conn.SetDeadline(time.Now().Add(limit))
}

// part asks and leaves at any byte.
func (s *soak) part(q question, random *rand.Rand) {
	conn, err := s.dial(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
	if err != nil {
		s.tally.complain("connect: " + err.Error())
		return
	}
	request := q.bytes()
	if random.IntN(2) == 0 {
		_ = conn.SetLinger(0) // a reset instead of an end
	}
	if random.IntN(3) == 0 {
		request = request[:random.IntN(len(request))]
	}
	_, _ = io.WriteString(conn, request) // its time may be over
	_, _ = io.CopyN(io.Discard, conn, random.Int64N(500))
	_ = conn.Close() // nothing is expected
}

// whole asks and waits for the only answer, and says how that was; the error is a
// violation.
func (s *soak) whole(q question) (outcome string, err error) {
	conn, err := s.dial(soakPatience)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, q.bytes()); err != nil {
		return "", err
	}
	reader := bufio.NewReader(conn)
	reply, err := http.ReadResponse(reader, nil)
	if err != nil {
		return "", fmt.Errorf("no answer: %w", err)
	}
	body, err := io.ReadAll(reply.Body)
	_ = reply.Body.Close() // it was read
	begun := reply.Header.Get("ts_stream_next") == "true"
	switch {
	case err != nil && begun && !errors.Is(err, os.ErrDeadlineExceeded):
		return "cut", nil
	case err != nil:
		return "", fmt.Errorf("half an answer: %w", err)
	}
	if more, err := io.ReadAll(reader); err != nil || len(more) > 0 {
		return "", fmt.Errorf("after the answer: %q, %w", more, err)
	}
	return q.check(reply.StatusCode, string(body))
}

// check reports how an answer was, and whether it may be so.
func (q question) check(status int, body string) (outcome string, err error) {
	if status == http.StatusOK {
		if !q.model.answer(q, body) {
			return "", fmt.Errorf("answered %q", body)
		}
		return "200", nil
	}
	var failed failure
	if err := json.Unmarshal([]byte(body), &failed); err != nil || failed.Code != status || failed.Message == "" {
		return "", fmt.Errorf("status %d: %q", status, body)
	}
	allowed := map[int]string{500: "Worker died.", 507: "Worker died.", 503: noWorker(q.model.name, "1.0")}
	if q.model.name == "moving" {
		allowed[404] = "Model not found: moving"
	}
	if allowed[status] != failed.Message {
		return "", fmt.Errorf("status %d: %s", status, failed.Message)
	}
	return fmt.Sprint(status), nil
}

// inOrder checks what a sequence says: its history is of one client, and in the
// order of its requests to this one. Those that it did not wait for may be
// overtaken.
func inOrder(q question, body string) bool {
	var got turn
	if json.Unmarshal([]byte(body), &got) != nil || got.Sequence != q.sequence || len(got.History) == 0 {
		return false
	}
	var waited []string
	for _, entry := range got.History {
		if !strings.HasPrefix(entry, q.client+"-") {
			return false
		}
		if !strings.HasSuffix(entry, left) {
			waited = append(waited, entry)
		}
	}
	return got.History[len(got.History)-1] == q.body && slices.IsSorted(waited)
}
