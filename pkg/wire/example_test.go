package wire_test

import (
	"bytes"
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
)

// What the server writes, a worker reads; what the worker answers, the server
// reads.
func Example() {
	var socket bytes.Buffer
	var e wire.Encoder
	_, _ = e.Infer([]*job.Job{{ID: "r1"}}).WriteTo(&socket)
	command, _ := wire.NewCommandReader(&socket).Next()

	answer := wire.Response{Code: 200, Message: "Prediction success"}
	for _, r := range command.Batch {
		answer.Items = append(answer.Items, wire.Item{RequestID: r.ID, Status: 200, Body: []byte("cat")})
	}
	socket.Write(answer.Append(nil))
	got, _ := wire.NewReader(&socket, 6_553_500).Response()
	fmt.Println(got.Message, got.Items[0].RequestID, string(got.Items[0].Body))
	// Output: Prediction success r1 cat
}
