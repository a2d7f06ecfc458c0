package worker_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

func ExampleName() {
	fmt.Println(worker.Name(9000, model.Archive{Name: "mnist", Version: model.DefaultVersion}))
	// Output: W-9000-mnist_1.0
}
