package archive_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func ExampleStore_Open() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	s := archive.New(archive.Config{ModelStore: dir, WorkDir: filepath.Join(dir, "models")})
	defer func() { _ = s.Close() }()
	_, err = s.Open(context.Background(), archive.Request{URL: "https://example.com/noop.mar"})
	fmt.Println(fault.Status(err), fault.Message(err))
	// Output: 404 Given URL https://example.com/noop.mar does not match any allowed URL(s)
}
