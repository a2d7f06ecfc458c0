package pool_test

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

func ExamplePool() {
	archive := model.Archive{Name: "mnist", Version: "1.0", Dir: "/models/mnist"}
	settings := model.Settings{Batching: model.Batching{Size: 1}, QueueSize: model.DefaultQueueSize}
	nolog := func(string, string) zerolog.Logger { return zerolog.Nop() }

	serve := func(ctx context.Context) error {
		port := 8999
		p := pool.New(pool.Config{
			Archive:  archive,
			Settings: settings,
			Assign: func() pool.Slot {
				port++
				return pool.Slot{Port: port, GPU: -1}
			},
			NewWorker: func(s pool.Slot) pool.Worker {
				return worker.New(worker.Config{
					Port: s.Port, GPU: s.GPU, Env: s.Env, Archive: archive, Settings: settings,
					Metrics: worker.NoMetrics{}, Log: nolog,
				})
			},
			StopLimit: 2 * time.Minute,
			Log:       nolog,
		})
		workers, err := p.Scale(ctx, model.Workers{Min: 2, Max: 2})
		if err != nil {
			return err
		}
		if _, err := workers.Wait(ctx); err != nil {
			return err
		}
		answer := job.NewStream()
		if err := p.Submit(ctx, &job.Job{ID: "1", Sink: answer, Created: time.Now()}); err != nil {
			return err
		}
		reply, err := answer.Next(ctx)
		if err != nil {
			return err
		}
		fmt.Println(reply.Status)
		return p.Close(ctx)
	}
	_ = serve // it needs a Python worker, so it is compiled only
}
