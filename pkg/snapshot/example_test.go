package snapshot_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

func ExampleParse() {
	s, err := snapshot.Parse(`{"name": "20261122042545717-startup.cfg", "modelCount": 1, "models": {"noop": {"1.0": {
		"defaultVersion": true, "marName": "noop.mar", "minWorkers": 1, "maxWorkers": 2, "batchSize": 4, "maxBatchDelay": 50
	}}}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range s.Versions {
		fmt.Println(v.Name, v.Version, v.Archive, v.Workers, v.Delay, v.Startup)
	}
	// Output: noop 1.0 noop.mar {1 2} 50ms 2m0s
}
