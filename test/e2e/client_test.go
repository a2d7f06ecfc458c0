package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// talk runs a command that talks to the server of a site, in a folder where it
// would find nothing by itself.
func talk(t *testing.T, s *e2etest.Site, input string, words ...string) e2etest.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	cmd := s.Command(words...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = t.TempDir(), strings.NewReader(input), &stdout, &stderr
	require.NoError(t, cmd.Start())
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return e2etest.Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// TestClient drives a server with token authorization as a person does, who names
// neither addresses nor keys.
func TestClient(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.Args("--enable-model-api"), e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
	s.AwaitReady()
	run := func(t *testing.T, words ...string) e2etest.Result {
		t.Helper()
		return talk(t, s.Site, "", words...)
	}
	works := func(t *testing.T, words ...string) string {
		t.Helper()
		got := run(t, words...)
		require.Zero(t, got.Code, "%s\n%s", words, got.Stderr)
		return got.Stdout
	}
	overview := works(t, "status") // before a model of another test is there that does not start
	for _, text := range []string{"ready\n", "0.12.0", s.Dir, "http://" + s.Address(e2etest.Inference), "http://" + s.Address(e2etest.Metrics), "echo"} {
		assert.Contains(t, overview, text)
	}
	var document struct {
		Ready bool
		PID   int
	}
	require.NoError(t, json.Unmarshal([]byte(works(t, "status", "--json")), &document))
	assert.True(t, document.Ready)
	assert.Equal(t, s.PID, document.PID)
	t.Run("from a file to its removal", func(t *testing.T) {
		t.Parallel()
		elsewhere := t.TempDir()
		e2etest.Archive{Name: "mine", Handler: e2etest.Echo}.Write(t, elsewhere)
		file := filepath.Join(elsewhere, "mine.mar")
		got := run(t, "register", file, "--initial-workers", "1", "--batch-size", "3")
		assert.Equal(t, e2etest.Result{Stdout: "Model mine 1.0 is registered; workers ready: 1\n", Stderr: got.Stderr}, got)
		assert.Contains(t, got.Stderr, "Copied "+file+" to "+filepath.Join(s.Store, "mine.mar"))
		assert.Contains(t, got.Stderr, "Registering mine.mar …\n")
		assert.Contains(t, got.Stderr, ": ready\n")

		assert.Contains(t, works(t, "models"), "mine   mine.mar\n")
		assert.Equal(t, s.In(t).Manage(http.MethodGet, "/models/echo").Body, works(t, "describe", "echo", "--json"))
		assert.Contains(t, works(t, "describe", "mine"), "Batch      3, after 100 ms\n")
		assert.Equal(t, "Model mine 1.0; workers ready: 2\n", works(t, "scale", "mine", "2"))
		assert.Equal(t, "hello", works(t, "predict", "mine", "-d", "hello"))
		assert.Equal(t, "from a pipe", talk(t, s.Site, "from a pipe", "predict", "mine", "--version", "1.0").Stdout)
		assert.Contains(t, works(t, "set-default", "mine", "1.0"), "Default version successfully updated")
		assert.Equal(t, "Model mine 1.0; workers ready: 0\n", works(t, "scale", "mine", "0"))

		refused := run(t, "predict", "mine", "-d", "x")
		assert.Equal(t, 1, refused.Code)
		assert.Contains(t, refused.Stderr, "The server asks to try again in 1s. Its workers: torchserve status\n")
	})
	t.Run("a model that does not start", func(t *testing.T) {
		t.Parallel()
		name := e2etest.Archive{Name: "broken", Handler: "import nonsense_of_mine\n" + e2etest.Echo}.Write(t, s.Store)
		got := run(t, "register", name, "--initial-workers", "1", "--name", "fails")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "of model fails did not start:\n")
		assert.Contains(t, got.Stderr, "nonsense_of_mine")
		assert.Contains(t, got.Stderr, "torchserve unregister fails --version 1.0\n")
		assert.Equal(t, "Model \"fails\" unregistered\n", works(t, "unregister", "fails"))

		got = run(t, "register", name, "--initial-workers", "1", "--name", "fails", "--synchronous")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "torchserve: error: Failed to start workers for model fails version: 1.0")
		assert.NotContains(t, works(t, "models"), "fails", "the server has taken it back")
	})
	t.Run("what is wrong is said", func(t *testing.T) {
		t.Parallel()
		got := run(t, "describe", "nobody")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "torchserve: error: Model not found: nobody\nRegistered here: ")
		got = run(t, "register", "nowhere.mar")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "torchserve: error: Model not found at: nowhere.mar\n")

		keys := filepath.Join(t.TempDir(), "keys.json")
		require.NoError(t, os.WriteFile(keys, []byte(`{"management":{"key":"wrong"}}`), 0o600))
		got = run(t, "models", "--key-file", keys)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "The keys were read from "+keys+".\n")
		got = run(t, "models", "--management-address", "http://"+s.Address(e2etest.Management))
		assert.Equal(t, 1, got.Code, "no key goes to a server that was named, unless its file was")
		assert.Contains(t, got.Stderr, "No key was sent")
		got = run(t, "models", "--management-address", "http://"+s.Address(e2etest.Management), "--key-file", s.Path("key_file.json"))
		assert.Zero(t, got.Code, got.Stderr)
	})
	t.Run("completion", func(t *testing.T) {
		t.Parallel()
		assert.Contains(t, works(t, "completion", "bash"), "__start_torchserve")
		assert.Contains(t, works(t, "__complete", "describe", "e"), "echo\n")
		assert.Contains(t, works(t, "__complete", "logs", "--model", ""), "echo\n")
		assert.Contains(t, works(t, "__complete", "--for"), "--foreground\t")
	})
	t.Run("logs", func(t *testing.T) {
		t.Parallel()
		assert.Contains(t, works(t, "logs", "-n", "1000"), "Management API bind to: ")
		follower := s.Command("logs", "access", "-f", "-n", "0")
		out, err := follower.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, follower.Start())
		watched := make(chan error, 1) // of the reading
		go func() { watched <- await(out, `"GET /models/nobody_but_me HTTP/1.1" 404 `) }()
		s.In(t).Await("the line", func() bool {
			_, _ = s.Send(t.Context(), e2etest.Call{To: e2etest.Management, Path: "/models/nobody_but_me", Key: s.In(t).Key(e2etest.Management)})
			select {
			case err := <-watched:
				require.NoError(t, err)
				return true
			default:
				return false
			}
		})
		require.NoError(t, follower.Process.Signal(syscall.SIGINT))
		_, _ = io.Copy(io.Discard, out) // to its end
		require.NoError(t, follower.Wait(), "Ctrl-C is how it ends")
	})
}

// await reads until a text has come.
func await(r io.Reader, text string) error {
	var got []byte
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		got = append(got, buffer[:n]...)
		if bytes.Contains(got, []byte(text)) {
			return nil
		}
		if err != nil {
			return errors.Join(errors.New("not seen: "+text), err)
		}
	}
}

// TestClientAlone needs servers of its own: it renews keys, and stops them.
func TestClientAlone(t *testing.T) {
	t.Parallel()
	t.Run("keys are renewed, and shown only if that is asked for", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Properties("token_key_file=keys.json"))
		keys := func() string { return s.In(t).Read("keys.json") }
		for _, c := range []struct {
			words []string
			shown bool
		}{
			{[]string{"token", "inference"}, false},
			{[]string{"token", "management", "--json"}, false},
			{[]string{"token", "management", "--show"}, true},
			{[]string{"token", "inference", "--show", "--json"}, true},
		} {
			before := keys()
			got := talk(t, s.Site, "", c.words...)
			require.Zero(t, got.Code, got.Stderr)
			require.NotEqual(t, before, keys())
			var file map[string]struct{ Key string }
			require.NoError(t, json.Unmarshal([]byte(keys()), &file))
			assert.Equal(t, c.shown, strings.Contains(got.Stdout, file[c.words[1]].Key), c.words)
			assert.NotContains(t, got.Stderr, file[c.words[1]].Key)
			assert.Contains(t, got.Stdout+got.Stderr, s.Path("keys.json"))
		}
		assert.Zero(t, talk(t, s.Site, "", "models").Code, "the new key is found")
		got := talk(t, s.Site, "", "register", "x.mar")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "off unless the server is started with --enable-model-api, or enable_model_api=true stands in config.properties.\n")
		require.Zero(t, s.Stop())
		got = talk(t, s.Site, "", "status")
		assert.Equal(t, 3, got.Code)
		assert.Contains(t, got.Stderr, "no server is running here\nLooked for "+s.PIDFile()+".\n")
	})
	t.Run("a server that is halted", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Args("--enable-model-api"), e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
		s.AwaitReady()
		s.Signal(syscall.SIGSTOP)
		defer s.Signal(syscall.SIGCONT)
		for _, line := range []string{"unregister echo", "predict echo -d x"} {
			got := talk(t, s.Site, "", append(strings.Fields(line), "--timeout", "200ms")...)
			assert.Equal(t, 1, got.Code, line)
			assert.Contains(t, got.Stderr, "torchserve: error: not done after 200ms (--timeout): ", line)
		}
		s.Signal(syscall.SIGCONT)
		assert.Zero(t, talk(t, s.Site, "", "models").Code, "it goes on, with or without the model")
	})
	t.Run("TLS, with a certificate for another name", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		id := newIdentity(t, "one")
		s := e2etest.Start(t, e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}), e2etest.Properties(
			id.keystore(t, dir), "inference_address=https://localhost:{inference}", "management_address=https://localhost:{management}"))
		s.Await("the server is ready", func() bool { return talk(t, s.Site, "", "status").Code == 0 })
		assert.Equal(t, "hello", talk(t, s.Site, "", "predict", "echo", "-d", "hello").Stdout, "the server's own certificate counts, whatever is in it")

		named := []string{"models", "--management-address", "https://" + s.Address(e2etest.Management), "--key-file", s.Path("key_file.json")}
		got := talk(t, s.Site, "", named...)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "SSL_CERT_FILE names a file with the certificates to trust; --insecure accepts any.\n")
		assert.Zero(t, talk(t, s.Site, "", append(named, "--insecure")...).Code)

		s.Write(filepath.Join(dir, "keystore.p12"), "")
		require.NoError(t, os.Remove(filepath.Join(dir, "keystore.p12")))
		newIdentity(t, "two").keystore(t, dir)
		got = talk(t, s.Site, "", "models")
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stderr, "the certificate is not the one that the server is configured with\nWas the certificate replaced")
	})
	t.Run("one unix socket for all", func(t *testing.T) {
		t.Parallel()
		socket := func(s *e2etest.Site) {
			address := "unix:" + filepath.Join(s.Temp, "all.sock")
			e2etest.Properties("inference_address="+address, "management_address="+address)(s)
		}
		s := e2etest.Start(t, e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}), socket)
		s.Await("the server is ready", func() bool { return talk(t, s.Site, "", "status").Code == 0 })
		assert.Equal(t, "hello", talk(t, s.Site, "", "predict", "echo", "-d", "hello").Stdout)
		assert.Contains(t, talk(t, s.Site, "", "describe", "echo", "--version", "all").Stdout, "1 ready")
		named := []string{"scale", "echo", "2", "--address", "unix:" + filepath.Join(s.Temp, "all.sock"), "--key-file", s.Path("key_file.json")}
		assert.Equal(t, "Model echo 1.0; workers ready: 2\n", talk(t, s.Site, "", named...).Stdout)
	})
}
