package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// A predictor answers jobs; here it returns its input.
func ExampleInference() {
	echo := &predictor{answer: func(j *job.Job) error {
		deliver(j, job.Reply{Status: http.StatusOK, Body: j.Request.Parameters[0].Value})
		return nil
	}}
	h := rest.Inference(rest.Config{MaxRequestSize: 1 << 20}, rest.Deps{Predictor: echo, Log: zerolog.Nop()})

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/predictions/echo", strings.NewReader("hello")))
	fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	// Output: 200 hello
}
