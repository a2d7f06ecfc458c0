package archiver_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/torchserve-go/torchserve/pkg/archiver"
)

func ExampleModel_Pack() {
	dir, err := os.MkdirTemp("", "archiver")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m := archiver.Model{Name: "resnet", Version: "1.0", Handler: "image_classifier"}
	packed, err := m.Pack(context.Background(), archiver.Output{Dir: dir})
	fmt.Println(filepath.Base(packed.Path), packed.Files[0].Name, err)
	_, err = archiver.Model{Name: "my model", Handler: "image_classifier"}.Pack(context.Background(), archiver.Output{Dir: dir})
	fmt.Println(err)
	// Output:
	// resnet.mar MAR-INF/MANIFEST.json <nil>
	// Model name contains special characters.
	// The allowed regular expression filter for model name is: ^[A-Za-z0-9][A-Za-z0-9_\-.]*$
}
