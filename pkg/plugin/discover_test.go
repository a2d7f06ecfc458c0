package plugin_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/plugin"
)

const (
	endpoints   = "META-INF/services/org.pytorch.serve.servingsdk.ModelServerEndpoint"
	serializers = "META-INF/services/org.pytorch.serve.servingsdk.snapshot.SnapshotSerializer"
	classes     = "org.pytorch.serve.plugins.endpoint."
)

// jar writes a zip of these files.
func jar(t testing.TB, path string, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// listing writes a jar whose service file for endpoints is text.
func listing(t testing.TB, dir, name, text string) string {
	t.Helper()
	return jar(t, filepath.Join(dir, name), map[string]string{endpoints: text, "org/x/X.class": "\xca\xfe\xba\xbe"})
}

// discovered returns what Discover finds, and its log as "level message".
func discovered(t testing.TB, paths, words []string) (kinds []plugin.Kind, said []string, err error) {
	t.Helper()
	var b bytes.Buffer
	kinds, err = plugin.Discover(paths, words, zerolog.New(&b))
	for line := range strings.Lines(b.String()) {
		var e struct{ Level, Message string }
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		said = append(said, e.Level+" "+e.Message)
	}
	return kinds, said, err
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	const first = "info Initializing plugins manager..."
	t.Run("nothing configured", func(t *testing.T) {
		t.Parallel()
		kinds, said, err := discovered(t, nil, nil)
		require.NoError(t, err)
		assert.Empty(t, kinds)
		assert.Equal(t, []string{first}, said)
	})
	t.Run("TOK-047 a jar with the token class", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		listing(t, dir, "token.jar", "# comment\n\n  "+classes+"Token  # the one\r\n")
		kinds, said, err := discovered(t, []string{dir}, nil)
		require.NoError(t, err)
		assert.Equal(t, []plugin.Kind{plugin.Token}, kinds)
		assert.Equal(t, []string{first, "info Loading plugin for endpoint token"}, said)
		assert.Equal(t, "org.pytorch.serve.servingsdk.impl.PluginsManager", plugin.LogName)
	})
	t.Run("PLG-018 PLG-024 CLI-047 the endpoints of SageMaker, inference before management", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		listing(t, dir, "a-token.jar", classes+"Token")
		listing(t, dir, "endpoints.jar", classes+"Ping\n"+classes+"ExecutionParameters\n"+classes+"ModelReady\n")
		kinds, said, err := discovered(t, []string{dir}, nil)
		require.NoError(t, err)
		assert.Equal(t, []plugin.Kind{plugin.ExecutionParameters, plugin.SageMakerPing, plugin.ModelReady, plugin.Token}, kinds)
		assert.Equal(t, []string{
			first, "info Loading plugin for endpoint execution-parameters", "info Loading plugin for endpoint ping",
			"info Loading plugin for endpoint model-ready", "info Loading plugin for endpoint token",
		}, said)
	})
	t.Run("native_plugins needs no jar", func(t *testing.T) {
		t.Parallel()
		kinds, _, err := discovered(t, nil, []string{"model-ready", "sagemaker-ping", "execution-parameters"})
		require.NoError(t, err)
		assert.Equal(t, []plugin.Kind{plugin.ExecutionParameters, plugin.SageMakerPing, plugin.ModelReady}, kinds)
	})
	t.Run("PLG-002 a path of nothing", func(t *testing.T) {
		t.Parallel()
		missing := filepath.Join(t.TempDir(), "none")
		kinds, said, err := discovered(t, []string{missing}, nil)
		require.NoError(t, err)
		assert.Empty(t, kinds)
		assert.Equal(t, []string{first, "warn No plugin found at " + missing}, said)
	})
	t.Run("a jar without plugins", func(t *testing.T) {
		t.Parallel()
		kinds, _, err := discovered(t, []string{jar(t, filepath.Join(t.TempDir(), "lib.jar"), map[string]string{"a": "b"})}, nil)
		require.NoError(t, err)
		assert.Empty(t, kinds)
	})
}

// TestPath is about the words of the plugin path.
func TestPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	odd := filepath.Join(dir, "odd [*?] name")
	require.NoError(t, os.MkdirAll(filepath.Join(odd, "below"), 0o700))
	token := listing(t, odd, "token.jar", classes+"Token")
	listing(t, odd, "ready.zip", classes+"ModelReady") // not a jar by its name
	listing(t, filepath.Join(odd, "below"), "ping.jar", classes+"Ping")
	for name, paths := range map[string][]string{
		"a directory":                         {odd},
		"a file":                              {token},
		"a pattern":                           {filepath.Join(dir, "odd*", "*")},
		"a pattern of jars":                   {filepath.Join(dir, "odd*", "*.jar")},
		"PLG-001 the same directory twice":    {odd, odd + "/"},
		"a directory, and one of its jars":    {odd, token},
		"a jar by a pattern and by its name":  {filepath.Join(dir, "odd*", "t*"), token},
		"a directory beside one that is gone": {filepath.Join(dir, "gone"), odd},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kinds, _, err := discovered(t, paths, nil)
			require.NoError(t, err)
			assert.Equal(t, []plugin.Kind{plugin.Token}, kinds)
		})
	}
	t.Run("a pattern that is none", func(t *testing.T) {
		t.Parallel()
		_, _, err := discovered(t, []string{filepath.Join(dir, "[")}, nil)
		require.ErrorContains(t, err, "plugins_path")
	})
}

func TestDiscoverRefused(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, paths, words []string, message string) {
		t.Helper()
		_, _, err := discovered(t, paths, words)
		require.EqualError(t, err, message)
	}
	t.Run("PLG-028 CLI-047 a class that nobody knows", func(t *testing.T) {
		t.Parallel()
		path := listing(t, t.TempDir(), "mine.jar", classes+"Token\norg.example.Mine\n")
		refused(t, []string{path}, nil, "Plugin class org.example.Mine in "+path+" needs the Java plugin bridge")
	})
	t.Run("PLG-028 a snapshot serializer", func(t *testing.T) {
		t.Parallel()
		const class = "org.pytorch.serve.plugins.ddb.snapshot.DDBSnapshotSerializer"
		path := jar(t, filepath.Join(t.TempDir(), "ddb.jar"), map[string]string{serializers: class})
		refused(t, []string{path}, nil, "Plugin class "+class+" in "+path+" needs the Java plugin bridge")
	})
	t.Run("PLG-017 two jars for one endpoint", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		listing(t, dir, "1.jar", classes+"Token")
		listing(t, dir, "2.jar", classes+"Token")
		refused(t, []string{dir}, nil, `Multiple plugins found for endpoint "token"`)
	})
	t.Run("PLG-017 a jar and native_plugins", func(t *testing.T) {
		t.Parallel()
		path := listing(t, t.TempDir(), "1.jar", classes+"Ping")
		refused(t, []string{path}, []string{"sagemaker-ping"}, `Multiple plugins found for endpoint "ping"`)
	})
	t.Run("one that a jar lists twice is one", func(t *testing.T) {
		t.Parallel()
		kinds, _, err := discovered(t, []string{listing(t, t.TempDir(), "1.jar", classes+"Token\n"+classes+"Token\n")}, nil)
		require.NoError(t, err)
		assert.Equal(t, []plugin.Kind{plugin.Token}, kinds)
	})
	t.Run("a word of native_plugins that nobody knows", func(t *testing.T) {
		t.Parallel()
		refused(t, nil, []string{"ping"}, `native_plugins: unknown endpoint "ping": use sagemaker-ping, execution-parameters, model-ready`)
	})
	t.Run("PLG-022 a jar that everybody may write", func(t *testing.T) {
		t.Parallel()
		path := listing(t, t.TempDir(), "1.jar", classes+"Token")
		require.NoError(t, os.Chmod(path, 0o602))
		refused(t, []string{path}, nil, "plugin "+path+": "+path+" may be written by everybody: take that permission away (chmod o-w)")
	})
	t.Run("PLG-022 a directory that everybody may write", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := listing(t, dir, "1.jar", classes+"Token")
		require.NoError(t, os.Chmod(dir, 0o777))
		refused(t, []string{dir}, nil, "plugin "+path+": "+dir+" may be written by everybody: take that permission away (chmod o-w)")
	})
	t.Run("a jar that is none", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "1.jar")
		require.NoError(t, os.WriteFile(path, []byte("no zip"), 0o600))
		refused(t, []string{path}, nil, "read plugin "+path+": zip: not a valid zip file")
	})
	t.Run("a service file without an end", func(t *testing.T) {
		t.Parallel()
		path := listing(t, t.TempDir(), "1.jar", strings.Repeat("# x\n", 1<<18)+"\n")
		refused(t, []string{path}, nil, "read plugin "+path+": its service file is too large")
	})
	t.Run("a line without an end", func(t *testing.T) {
		t.Parallel()
		path := listing(t, t.TempDir(), "1.jar", strings.Repeat("x", 1<<17))
		refused(t, []string{path}, nil, "read plugin "+path+": bufio.Scanner: token too long")
	})
}
