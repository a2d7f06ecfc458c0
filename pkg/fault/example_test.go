package fault_test

import (
	"errors"
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

func Example() {
	err := fmt.Errorf("register: %w", fault.Wrap(fault.Conflict, "Model version 1.0 is already registered for model mnist", errors.New("cause")))
	fmt.Println(fault.Status(err), fault.KindOf(err).Row().Type, fault.Message(err))
	// Output: 409 ConflictStatusException Model version 1.0 is already registered for model mnist
}
