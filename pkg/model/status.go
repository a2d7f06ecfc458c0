package model

import (
	"encoding/json"
	"time"
)

// WorkerStatus is one worker of a model version as describe shows it.
type WorkerStatus struct {
	ID      int // the worker's port
	Created time.Time
	Ready   bool   // loaded and running
	State   string // WORKER_STARTED, …; null before the process is up
	PID     int    // -1 until known
	GPU     int    // device number, -1 on CPU
	Usage   string // how busy the device is, in the words of 0.12; empty: unknown
	Memory  int64  // bytes as last collected, 0 before
	Error   string // last words of a worker that failed; empty: none
}

// ScalingReason is why the number of workers was changed automatically.
type ScalingReason string

// The reasons. The first two add a worker, the others take one away.
const (
	JobsWaited   ScalingReason = "wait"         // for too long
	JobsRefused  ScalingReason = "refused"      // there was no place, or no worker, for them
	WorkersIdle  ScalingReason = "idle"         // one fewer would do
	StartFailed  ScalingReason = "start_failed" // of the worker that was added
	WorkerGaveUp ScalingReason = "gave_up"      // it will not come back
)

// Adds reports whether a worker is added.
func (r ScalingReason) Adds() bool { return r == JobsWaited || r == JobsRefused }

// Status is a model version as describe shows it.
type Status struct {
	Archive         Archive
	Settings        Settings
	Default         bool
	LoadedAtStartup bool
	Workers         []WorkerStatus
	QueueCapacity   int       // free places, 0 and more
	QueuePending    int       // waiting jobs
	QueueOldest     time.Time // arrival of the job that waits longest; zero: none waits
	Running         int       // jobs that workers have
	GaveUp          bool
	Scalings        map[ScalingReason]int // decisions so far; nil without Autoscale

	// Customized is the handler's own description; nil: none asked or given.
	Customized json.RawMessage
}
