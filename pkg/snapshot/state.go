package snapshot

import (
	"math"
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Version is one registered model version.
type Version struct {
	Name    model.Name
	Version model.Version
	Default bool
	Archive string // file or directory of the model store
	Workers model.Workers
	Size    int           // of batches
	Delay   time.Duration // of batches, whole milliseconds
	// Response and Startup are time-outs, in whole seconds.
	Response, Startup time.Duration
	Runtime           model.Runtime
	ParallelLevel     int // 0: none

	// What 0.12 forgets, and leaves alone when it reads it (D-CLI-22).

	Handler   *string // as the registration gave it; nil: the archive's
	URL       string  // where the archive came from; empty: it is Archive
	AtStartup bool    // loaded when the server started
}

// State is what a snapshot says about models. It holds each version of a name
// once.
type State struct {
	Name    string    // of the snapshot; empty if it does not say
	Created time.Time // to the millisecond
	// Count is the number of versions that the snapshot announces; without any
	// nothing is restored, whatever it lists.
	Count    int
	Versions []Version // ascending by name and version
}

// document is a State as JSON, in 0.12's order.
type document struct {
	Name    string                        `json:"name"`
	Count   int                           `json:"modelCount"`
	Created int64                         `json:"created"` // ms since 1970
	Models  map[string]map[string]details `json:"models"`
}

// details is a Version as JSON, in 0.12's order. Pointers are nil where a
// snapshot says nothing.
type details struct {
	Default       *bool   `json:"defaultVersion"`
	Archive       *string `json:"marName"`
	MinWorkers    *int64  `json:"minWorkers"`
	MaxWorkers    *int64  `json:"maxWorkers"`
	BatchSize     *int64  `json:"batchSize"`
	MaxBatchDelay *int64  `json:"maxBatchDelay"`   // ms
	Response      *int64  `json:"responseTimeout"` // s
	Startup       *int64  `json:"startupTimeout"`  // s
	Runtime       *string `json:"runtimeType"`
	ParallelLevel int64   `json:"parallelLevel,omitempty"`
	Handler       *string `json:"handler,omitempty"`
	URL           string  `json:"url,omitempty"`
	AtStartup     bool    `json:"loadedAtStartup,omitempty"`
}

func (v Version) details() details {
	return details{
		Default:       &v.Default,
		Archive:       &v.Archive,
		MinWorkers:    int32Of(v.Workers.Min),
		MaxWorkers:    int32Of(v.Workers.Max),
		BatchSize:     int32Of(v.Size),
		MaxBatchDelay: int32Of(v.Delay.Milliseconds()),
		Response:      int32Of(v.Response / time.Second),
		Startup:       int32Of(v.Startup / time.Second),
		Runtime:       new(string(v.Runtime)),
		ParallelLevel: int64(v.ParallelLevel),
		Handler:       v.Handler,
		URL:           v.URL,
		AtStartup:     v.AtStartup,
	}
}

// int32Of returns a number that 0.12 can read.
func int32Of[T int | int64 | time.Duration](n T) *int64 {
	return new(min(max(int64(n), math.MinInt32), math.MaxInt32))
}
