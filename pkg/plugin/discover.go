package plugin

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
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

// The kinds of native endpoints.
const (
	Token               Kind = iota // token authorization, which is built in
	ExecutionParameters             // GET /execution-parameters
	SageMakerPing                   // GET /ping in the place of the usual one
	ModelReady                      // GET /model-ready
)

// Pattern returns the first path segment of the endpoint.
func (k Kind) Pattern() string {
	switch k {
	case Token:
		return "token"
	case ExecutionParameters:
		return "execution-parameters"
	case SageMakerPing:
		return "ping"
	case ModelReady:
		return "model-ready"
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
	var found []Kind
	for _, path := range paths {
		kinds, err := onPath(path, log)
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
			return nil, fmt.Errorf("Multiple plugins found for endpoint %q", k.Pattern()) //nolint:staticcheck,revive // 0.12's text
		}
		log.Info().Msg("Loading plugin for endpoint " + k.Pattern())
	}
	return found, nil
}

// onPath returns the kinds of all jars that one word of the plugin path means.
func onPath(path string, log zerolog.Logger) ([]Kind, error) {
	jars, err := expand(path)
	if err != nil {
		return nil, err
	}
	if len(jars) == 0 {
		log.Warn().Msg("No plugin found at " + path)
	}
	var found []Kind
	for _, jar := range jars {
		kinds, err := kindsOf(jar)
		if err != nil {
			return nil, err
		}
		found = append(found, kinds...)
	}
	return found, nil
}

// expand lists the jars that a directory, a file or a pattern means.
func expand(path string) ([]string, error) {
	pattern := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		pattern = filepath.Join(path, "*.jar")
	} else if err == nil {
		return []string{path}, nil
	}
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("plugins_path %q: %w", path, err)
	}
	return slices.DeleteFunc(matches, func(m string) bool { return filepath.Ext(m) != ".jar" }), nil
}

// kindsOf returns the native endpoints for the classes that a jar brings.
func kindsOf(jar string) ([]Kind, error) {
	info, err := os.Stat(jar)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("plugin %s may be written by everybody: take that permission away (chmod o-w)", jar)
	}
	names, err := providers(jar)
	if err != nil {
		return nil, fmt.Errorf("read plugin %s: %w", jar, err)
	}
	kinds := make([]Kind, 0, len(names))
	for _, class := range names {
		k, ok := classes[class]
		if !ok {
			return nil, fmt.Errorf("Plugin class %s in %s needs the Java plugin bridge", class, jar) //nolint:staticcheck,revive // the reference's text
		}
		kinds = append(kinds, k)
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
func readService(f fs.File) ([]string, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the file
	}
	if info.Size() > maxServiceFile {
		return nil, errors.New("its service file is too large")
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	var names []string
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), "#")
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err() //nolint:wrapcheck // the caller names the file
}
