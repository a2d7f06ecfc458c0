package logging_test

import (
	"fmt"
	"os"
	"time"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	noon := time.Date(2024, time.June, 10, 12, 0, 0, 0, time.UTC)
	logs, err := logging.Open(logging.Config{
		Dir: dir, MetricsDir: dir, Console: os.Stdout, Stderr: os.Stderr,
		Now: func() time.Time { return noon },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	log := logs.Logger(logging.ModelServer, logging.MainThread)
	log.Info().Msg("Inference API bind to: http://127.0.0.1:8080")
	logs.Announce("Model server started.")
	logs.Access("http").Log(logging.AccessLine{
		Remote: "127.0.0.1:64003", Method: "GET", URI: "/ping", Protocol: "HTTP/1.1", Status: 200, Elapsed: 4 * time.Millisecond,
	})
	if err := logs.Close(); err != nil { // a server runs logs.Run beside its other parts
		fmt.Fprintln(os.Stderr, err)
	}
	// Output:
	// 2024-06-10T12:00:00,000 [INFO ] main org.pytorch.serve.ModelServer - Inference API bind to: http://127.0.0.1:8080
	// Model server started.
	// 2024-06-10T12:00:00,000 [INFO ] http ACCESS_LOG - /127.0.0.1:64003 "GET /ping HTTP/1.1" 200 4
}
