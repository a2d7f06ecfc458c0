// Command genconfig writes the files that are made from the table of
// configuration keys: docs/configuration.md and configs/config.properties. It
// is run in the repository's root.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/torchserve-go/torchserve/pkg/config"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "genconfig:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	files := map[string]string{
		"docs/configuration.md":     config.Reference(),
		"configs/config.properties": config.Sample(),
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // folders of the repository
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // files of the repository
			return err
		}
	}
	return nil
}
