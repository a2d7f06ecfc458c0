package plugin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/torchserve-go/torchserve/pkg/plugin"
)

func ExampleHandler() {
	h := plugin.Handler(plugin.ExecutionParameters, plugin.Config{MaxTransforms: 2, MaxRequestSize: 10 << 20}, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+plugin.ExecutionParameters.Pattern(), http.NoBody))
	fmt.Println(w.Body)
	// Output:
	// {
	//   "MaxConcurrentTransforms": 2,
	//   "BatchStrategy": "MULTI_RECORD",
	//   "MaxPayloadInMB": 10
	// }
}
