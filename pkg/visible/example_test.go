package visible_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

func Example() {
	fmt.Println(visible.String("Größe 1 \\ 2\r\n\x1b[2J"))
	// Output: Größe 1 \ 2\x0d\x0a\x1b[2J
}
