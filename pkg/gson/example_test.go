package gson_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/gson"
)

func ExampleParse() {
	v, err := gson.Parse([]byte("{'url': m.mar; batch_size = 2 /* no more */}"))
	fmt.Println(v, err)
	// Output: map[batch_size:2 url:m.mar] <nil>
}
