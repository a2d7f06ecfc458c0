package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/torchserve-go/torchserve/pkg/client"
)

func ExampleClient_List() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"models": [{"modelName": "digits", "modelUrl": "digits.mar"}]}`)
	}))
	defer server.Close()
	c := client.New(client.Config{Management: client.Endpoint{Base: server.URL, HTTP: server.Client()}})
	models, err := c.List(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range models {
		fmt.Println(m.Name, m.URL)
	}
	// Output: digits digits.mar
}
