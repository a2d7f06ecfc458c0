package listen_test

import (
	"context"
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/listen"
)

func ExampleOpen() {
	cfg, err := listen.Certificates{}.Load() // one is made for localhost
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := listen.Open(context.Background(), "tcp", "127.0.0.1:0", &listen.Secure{Config: cfg})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Addr().Network(), l.Close())
	// Output: tcp <nil>
}
