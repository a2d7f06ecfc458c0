package e2etest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Call is one HTTP request.
type Call struct {
	Method string            // GET if empty
	To     Role              // the listener
	Path   string            // with the query
	Key    string            // sent as Authorization: Bearer …; empty: none
	Header map[string]string // names are sent as they are spelled here
	Body   string
}

// Reply is the answer to a Call.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	Close  bool // the server closes the connection
}

// JSON decodes the body into v.
func (r Reply) JSON(t testing.TB, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.Body), v), "%s", r.Body)
}

func newClient(limit time.Duration) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{},
		Timeout:       limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send makes a call; any goroutine may.
func (s *Server) Send(ctx context.Context, c Call) (Reply, error) {
	r, err := http.NewRequestWithContext(ctx, c.Method, "http://"+s.Address(c.To)+c.Path, strings.NewReader(c.Body))
	if err != nil {
		return Reply{}, err
	}
	if c.Key != "" {
		r.Header.Set("Authorization", "Bearer "+c.Key)
	}
	for name, value := range c.Header {
		r.Header[name] = []string{value}
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return Reply{Status: answer.StatusCode, Header: answer.Header, Body: string(body), Close: answer.Close}, err
}

// Do makes a call that must be answered.
func (s *Server) Do(c Call) Reply {
	s.t.Helper()
	reply, err := s.Send(s.t.Context(), c)
	require.NoError(s.t, err)
	return reply
}

// Get asks for a path with a key; an empty one is not sent.
func (s *Server) Get(to Role, path, key string) Reply {
	s.t.Helper()
	return s.Do(Call{To: to, Path: path, Key: key})
}

// Predict asks a model with the inference key, if keys are in use.
func (s *Server) Predict(model, body string) Reply {
	s.t.Helper()
	return s.Do(s.Prediction(model, body))
}

// Prediction is the call that Predict makes.
func (s *Server) Prediction(model, body string) Call {
	s.t.Helper()
	return Call{Method: http.MethodPost, To: Inference, Path: "/predictions/" + model, Key: s.keyIfAny(Inference), Body: body}
}

// Manage calls the management listener with its key, if keys are in use.
func (s *Server) Manage(method, path string) Reply {
	s.t.Helper()
	return s.Do(Call{Method: method, To: Management, Path: path, Key: s.keyIfAny(Management)})
}

func (s *Server) keyIfAny(kind Role) string {
	s.t.Helper()
	if !s.Exists("key_file.json") {
		return ""
	}
	return s.Key(kind)
}

// Raw sends bytes to a listener as they are and returns all that it answers until
// it closes the connection.
func (s *Server) Raw(to Role, request string) string {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.Address(to), patience)
	require.NoError(s.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, request)
	require.NoError(s.t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(s.t, err)
	return string(answer)
}

// poll looks at small intervals until check holds, and reports whether it did
// within the limit.
func poll(limit time.Duration, check func() bool) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for !check() {
		select {
		case <-look.C:
		case <-late.C:
			return false
		}
	}
	return true
}
