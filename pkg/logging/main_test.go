package logging_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stamp is the date that the test clock shows, in both forms.
const (
	stamp       = "2024-06-10T06:13:20,123"
	objectStamp = "2024-06-10T06:13:20.123+05:30"
)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex // Protects the field below
	now time.Time
}

func newClock() *clock {
	zone := time.FixedZone("", 5*3600+1800)
	return &clock{now: time.Date(2024, time.June, 10, 6, 13, 20, 123_456_789, zone)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(day, hour int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = time.Date(2024, time.June, day, hour, 0, 0, 0, c.now.Location())
}

// sink is a console or an error stream.
type sink struct {
	mu     sync.Mutex // Protects fields below
	text   bytes.Buffer
	writes int
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *sink) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// bench is an open log in a directory of its own.
type bench struct {
	*logging.Logs
	dir             string
	clock           *clock
	console, stderr sink
}

func newBench(t testing.TB, change func(cfg *logging.Config)) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), clock: newClock()}
	cfg := logging.Config{Dir: b.dir, MetricsDir: b.dir, Console: &b.console, Stderr: &b.stderr, Now: b.clock.Now}
	if change != nil {
		change(&cfg)
	}
	logs, err := logging.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, logs.Close()) })
	b.Logs = logs
	return b
}

// end closes the log, so that everything is written.
func (b *bench) end(t *testing.T) {
	t.Helper()
	require.NoError(t, b.Close())
}

// has reports whether a file has a text; it may not be there, as between two of the
// name when one is rolled.
func (b *bench) has(name, text string) bool {
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	return err == nil && strings.Contains(string(content), text)
}

func (b *bench) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	require.NoError(t, err)
	return string(text)
}
