package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/auth"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func Example() {
	dir, err := os.MkdirTemp("", "auth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	keys, err := auth.Open(auth.Config{
		Enabled: true, KeyFile: filepath.Join(dir, "key_file.json"), KeyBytes: 32, Expiry: time.Hour,
		Log: zerolog.Nop(), HandlerLog: zerolog.Nop(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close() //nolint:errcheck // the folder is removed anyway

	router := chi.NewRouter()
	router.Use(keys.TokenAuthorizationHandler(auth.Inference, func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, fault.Message(err), fault.Status(err))
	}))
	router.Get("/ping", func(http.ResponseWriter, *http.Request) {})

	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ping", http.NoBody))
	fmt.Println(w.Code, w.Body)
	// Output: 400 Token Authorization failed. Token either incorrect, expired, or not provided correctly
}
