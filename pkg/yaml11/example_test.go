package yaml11_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

func ExampleParse() {
	v, err := yaml11.Parse([]byte("useVenv: yes\nbatchSize: 0x10\n"))
	fmt.Println(string(yaml11.JSON(v)), err)
	// Output: {"useVenv":true,"batchSize":16} <nil>
}
