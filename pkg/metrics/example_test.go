package metrics_test

import (
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/model"
)

func ExampleNew() {
	defs, err := metrics.Load("../../configs/metrics.yaml", zerolog.Nop())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	r := metrics.New(metrics.Config{
		Definitions: defs,
		Host:        "node1",
		Server:      func(text []byte) { _, _ = os.Stdout.Write(text) }, // a server passes logging.LineLog.Log
		Model:       func(text []byte) { _, _ = os.Stdout.Write(text) },
		Now:         func() time.Time { return time.Unix(1718000000, 0) },
	})
	r.Requested(model.Ref{Name: "resnet18"})
	r.Worker("resnet18", zerolog.Nop()).Line("PredictionTime.Milliseconds:83.13|#ModelName:resnet18,Level:Model|#type:GAUGE|#hostname:node1,1718000000,id-a")
	// Output:
	// ts_inference_requests_total.Count:1.0|#model_name:resnet18,model_version:default|#hostname:node1,timestamp:1718000000
	// PredictionTime.ms:83.13|#ModelName:resnet18,Level:Model|#hostname:node1,requestID:id-a,timestamp:1718000000
}
