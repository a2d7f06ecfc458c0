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

	// Customized is the handler's own description; nil: none asked or given.
	Customized json.RawMessage
}
