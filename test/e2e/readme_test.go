package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// root is the repository.
const root = "../.."

// example serves the example model as `make run` does.
func example(t *testing.T) *e2etest.Server {
	t.Helper()
	store, err := filepath.Abs(filepath.Join(root, "model_store"))
	require.NoError(t, err)
	s := e2etest.NewSite(t)
	server := s.Start("--start", "--foreground", "--ncs", "--model-store", store, "--models", "digits.mar")
	server.AwaitReady()
	return server
}

// paste runs lines as somebody would who copies them into a terminal, but for
// the addresses and the place of the keys.
func paste(t *testing.T, s *e2etest.Server, lines string) string {
	t.Helper()
	lines = strings.NewReplacer(
		"http://127.0.0.1:8080", "http://"+s.Address(e2etest.Inference),
		"http://127.0.0.1:8081", "http://"+s.Address(e2etest.Management),
	).Replace(lines)
	lines = regexp.MustCompile(`"[^"]*run/key_file\.json"`).ReplaceAllString(lines, `"`+s.Path("key_file.json")+`"`)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", lines)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", lines, out)
	return string(out)
}

// assertAnswers looks for what the calls of README and of make run have in
// common.
func assertAnswers(t *testing.T, out, digit string) {
	t.Helper()
	assert.Contains(t, out, `"digit": `+digit+",")
	assert.Contains(t, out, `"modelName": "digits"`)
	assert.Contains(t, out, `"status": "Workers scaled to 2 for model: digits"`)
	assert.Contains(t, out, "HTTP/1.1 400 Bad Request")
	assert.Contains(t, out, `"type": "InvalidKeyException"`)
}

func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	for _, block := range regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(block[1], "curl") {
			continue
		}
		s := example(t)
		before := s.Key(e2etest.Inference)
		assertAnswers(t, paste(t, s, block[1]), "3")
		assert.NotEqual(t, before, s.Key(e2etest.Inference), "the walk-through asks for a new key")
	}
}

// TestRun pastes what `make run` prints before it becomes the server.
func TestRun(t *testing.T) {
	t.Parallel()
	stub := filepath.Join(t.TempDir(), "torchserve")
	procgrouptest.Program(t, stub, "#!/bin/sh\necho \"SERVER $*\"\n")
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", "run"), stub)
	printed, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", printed)
	var calls []string
	for line := range strings.Lines(string(printed)) {
		if strings.HasPrefix(line, "  ") {
			calls = append(calls, strings.TrimSpace(line))
		}
	}
	require.Len(t, calls, 5)
	assert.Contains(t, string(printed), "SERVER --start --foreground --ncs --model-store ")
	assertAnswers(t, paste(t, example(t), strings.Join(calls, "\n")), "0")
}
