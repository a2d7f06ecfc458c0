package plugin

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

// LogName is the logger name of 0.12 that Discover writes to.
const LogName = "org.pytorch.serve.servingsdk.impl.PluginsManager"

// Kind is an endpoint that this server provides itself.
type Kind uint8

// The kinds of native endpoints, in the order in which 0.12 logs them: those of
// the inference listener first.
const (
	ExecutionParameters Kind = iota // GET /execution-parameters
	SageMakerPing                   // GET /ping in the place of the usual one
	ModelReady                      // GET /model-ready
	Token                           // token authorization, which is built in
)

// Pattern returns the first path segment of the endpoint.
func (k Kind) Pattern() string {
	switch k {
	case ExecutionParameters:
		return "execution-parameters"
	case SageMakerPing:
		return "ping"
	case ModelReady:
		return "model-ready"
	case Token:
		return "token"
	default:
		return ""
	}
}

// classes are those that have a native endpoint.
//
//nolint:gochecknoglobals // read-only table
var classes = map[string]Kind{
	"org.pytorch.serve.plugins.endpoint.Token":               Token,
	"org.pytorch.serve.plugins.endpoint.ExecutionParameters": ExecutionParameters,
	"org.pytorch.serve.plugins.endpoint.Ping":                SageMakerPing,
	"org.pytorch.serve.plugins.endpoint.ModelReady":          ModelReady,
}

// natives are the words of the key native_plugins.
//
//nolint:gochecknoglobals // read-only table
var natives = map[string]Kind{
	"execution-parameters": ExecutionParameters,
	"sagemaker-ping":       SageMakerPing,
	"model-ready":          ModelReady,
}

// services are the files of a jar that name its plugins, one class per line.
//
//nolint:gochecknoglobals // read-only table
var services = []string{
	"META-INF/services/org.pytorch.serve.servingsdk.ModelServerEndpoint",
	"META-INF/services/org.pytorch.serve.servingsdk.snapshot.SnapshotSerializer",
}

// Limits of a jar's service file: names of classes, not more.
const (
	maxServiceFile = 1 << 20 // bytes
	maxLine        = 64 << 10
)

// Discover returns the native endpoints for the jars on paths (directories,
// jars, or patterns with a *) and for the words of native_plugins. It logs the
// lines of 0.12. The error names the class that nobody provides, the pattern
// that two of them want, or the file that others may write.
func Discover(paths, words []string, log zerolog.Logger) ([]Kind, error) {
	log.Info().Msg("Initializing plugins manager...")
	jars, err := find(paths, log)
	if err != nil {
		return nil, err
	}
	var found []Kind
	for _, jar := range jars {
		kinds, err := kindsOf(jar)
		if err != nil {
			return nil, err
		}
		found = append(found, kinds...)
	}
	for _, word := range words {
		k, ok := natives[word]
		if !ok {
			return nil, fmt.Errorf("native_plugins: unknown endpoint %q: use sagemaker-ping, execution-parameters, model-ready", word)
		}
		found = append(found, k)
	}
	slices.Sort(found)
	for i, k := range found {
		if i > 0 && found[i-1] == k {
			return nil, fmt.Errorf("Multiple plugins found for endpoint %q", k.Pattern()) //nolint:staticcheck // 0.12's text
		}
		log.Info().Msg("Loading plugin for endpoint " + k.Pattern())
	}
	return found, nil
}

// find lists the jars that the words of the plugin path mean, each once: file
// and command line may name the same directory.
func find(paths []string, log zerolog.Logger) ([]string, error) {
	var jars []string
	for _, path := range paths {
		meant, err := expand(filepath.Clean(path))
		if err != nil {
			return nil, err
		}
		if len(meant) == 0 {
			log.Warn().Msg("No plugin found at " + path)
		}
		for _, jar := range meant {
			if !slices.Contains(jars, jar) {
				jars = append(jars, jar)
			}
		}
	}
	return jars, nil
}

// expand lists the jars that a directory, a file or a pattern means.
func expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		names, err := fs.Glob(os.DirFS(path), "*.jar")
		for i, name := range names {
			names[i] = filepath.Join(path, name)
		}
		return names, err //nolint:wrapcheck // the pattern is a good one
	case err == nil:
		return []string{path}, nil
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("plugins_path %q: %w", path, err)
	}
	return slices.DeleteFunc(matches, func(m string) bool { return filepath.Ext(m) != ".jar" }), nil
}

// safe refuses what everybody may write to: a jar, and its directory.
func safe(jar string) error {
	for _, path := range []string{jar, filepath.Dir(jar)} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("plugin: %w", err)
		}
		if info.Mode().Perm()&0o002 != 0 {
			return fmt.Errorf("plugin %s: %s may be written by everybody: take that permission away (chmod o-w)", jar, path)
		}
	}
	return nil
}

// kindsOf returns the native endpoints for the classes that a jar brings.
func kindsOf(jar string) ([]Kind, error) {
	if err := safe(jar); err != nil {
		return nil, err
	}
	names, err := providers(jar)
	if err != nil {
		return nil, fmt.Errorf("read plugin %s: %w", jar, err)
	}
	kinds := make([]Kind, 0, len(names))
	for _, class := range names {
		k, ok := classes[class]
		if !ok {
			return nil, fmt.Errorf("Plugin class %s in %s needs the Java plugin bridge", class, jar) //nolint:staticcheck // the reference's text
		}
		if !slices.Contains(kinds, k) { // Java takes a name that is listed twice as one
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

// providers returns the class names of the service files of a jar.
func providers(jar string) ([]string, error) {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the file
	}
	defer func() { _ = z.Close() }() // only read
	var names []string
	for _, service := range services {
		f, err := z.Open(service)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller names the file
		}
		listed, err := readService(f)
		_ = f.Close() // only read
		if err != nil {
			return nil, err
		}
		names = append(names, listed...)
	}
	return names, nil
}

// readService reads a file of Java's service loader: a class name per line,
// what follows a # is a comment.
func readService(r io.Reader) ([]string, error) {
	limited := &io.LimitedReader{R: r, N: maxServiceFile + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	var names []string
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), "#")
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if limited.N == 0 {
		return nil, errors.New("its service file is too large")
	}
	return names, lines.Err() //nolint:wrapcheck // the caller names the file
}
