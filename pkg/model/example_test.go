package model_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/model"
)

func ExampleDeriveName() {
	fmt.Println(model.DeriveName("https://example.com/my-model v1.2.mar"))
	// Output: my_model_v1_2
}
