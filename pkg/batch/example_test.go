package batch_test

import (
	"context"
	"fmt"
	"time"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/job"
)

func ExampleQueue() {
	q := batch.NewQueue(100)
	for _, id := range []string{"a", "b", "c"} {
		_ = q.Put(&job.Job{ID: id, Created: time.Now()})
	}
	jobs, _ := q.Collect(context.Background(), batch.Limits{Size: 2, Delay: 100 * time.Millisecond}, nil)
	fmt.Println(len(jobs), jobs[0].ID, jobs[1].ID)
	// Output: 2 a b
}
