package api_test

import (
	"encoding/json"
	"fmt"

	"github.com/torchserve-go/torchserve/api"
)

func ExampleModel() {
	var document struct {
		Info struct{ Title, Version string }
	}
	if err := json.Unmarshal(api.Model("0.12.0", "mnist"), &document); err != nil {
		fmt.Println(err)
	}
	fmt.Println(document.Info.Title, document.Info.Version)
	// Output: RESTful Management API for: mnist 0.12.0
}
