package serving_test

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/registry"
	"github.com/torchserve-go/torchserve/pkg/serving"
)

func ExampleService_Register() {
	s := serving.New(serving.Config{}, serving.Deps{
		Archives: archive.New(archive.Config{Log: zerolog.Nop()}),
		Registry: registry.New(),
		Log:      func(string) zerolog.Logger { return zerolog.Nop() },
	})
	_, err := s.Register(context.Background(), model.Registration{URL: "noop.mar"})
	fmt.Println(fault.Status(err), fault.Message(err))
	// Output: 404 Model store has not been configured.
}
