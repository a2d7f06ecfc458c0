package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Runtime is the kind of worker that runs a model.
type Runtime string

// The runtimes of 0.12.
const (
	Python  Runtime = "python"  // the server's interpreter, or the model's own venv
	Python3 Runtime = "python3" // python3 from PATH
	LSP     Runtime = "LSP"     // the C++ worker
)

// ParseRuntime returns the runtime named by text, ignoring case (D-MGT-9), or
// false.
func ParseRuntime(text string) (Runtime, bool) {
	for _, r := range []Runtime{Python, Python3, LSP} {
		if strings.EqualFold(text, string(r)) {
			return r, true
		}
	}
	return "", false
}

// MaxWorkers bounds the workers of a model version: each is a process, and a
// slip of the keyboard, or a hostile archive, must not exhaust the machine.
const MaxWorkers = 4096

// Workers is a wanted number of workers: at least Min, at most Max. Unless
// Autoscale is on nothing moves it between them; Max is an upper trim (SCH §7.2).
type Workers struct{ Min, Max int }

// Autoscale says how the number of workers follows the load, from Workers.Min to
// Workers.Max (docs/autoscaling.md). The zero value: it does not.
type Autoscale struct {
	On        bool
	QueueWait time.Duration // how long a job may wait for a worker
	UpAfter   time.Duration // of longer waits, after which a worker is added
	DownAfter time.Duration // over which the work must fit into one worker fewer
}

// Batching is how requests are grouped for a worker: up to Size jobs (1 and
// more), or those that arrive within Delay of the first.
type Batching struct {
	Size  int
	Delay time.Duration
	Eager bool // an idle worker takes what is there at once
}

// Timeouts bound the life of a worker and of a request. Response and Startup
// of zero leave a worker no time; Retry of zero means no restart; Client of
// zero means none.
type Timeouts struct {
	Response time.Duration // per reply message of a worker
	Startup  time.Duration // spawn to loaded
	Retry    time.Duration // window of restarts after the first failure
	Client   time.Duration // from the arrival of a request to its answer
}

// Sequence is the stateful part of a model's settings (SCH §13). Without an
// idle time in the archive all values are zero.
type Sequence struct {
	Batching   bool
	MaxIdle    time.Duration
	Timeout    time.Duration
	QueueSize  int // jobs waiting in one sequence
	MaxNumber  int // open sequences
	Continuous bool
}

// SequenceHeaders are the names of the request headers that carry the id, the
// start and the end of a sequence.
type SequenceHeaders struct{ ID, Start, End string }

// The kinds of parallelism. All but Custom have torchrun start a process, called
// a rank, for each device of a worker.
const (
	Pipeline       = "pp"     // the first rank hands work on to the others
	Tensor         = "tp"     // every rank gets every batch
	TensorPipeline = "pptp"   // as Tensor
	Custom         = "custom" // the handler's own affair
)

// Devices says where workers run. Type is "gpu", "cpu" or empty for "gpu if
// there is one". Parallel is a kind of parallelism or empty; Level is the number
// of devices of one worker, 0 without parallelism.
type Devices struct {
	Type     string
	IDs      []int // nil: all devices
	Parallel string
	Level    int
	Torchrun Torchrun
}

// Count returns how many of a server's devices are those of the model; 0: its
// workers run on the CPU.
func (d Devices) Count(devices int) int {
	switch {
	case d.Type == "cpu" || devices == 0:
		return 0
	case d.IDs != nil:
		return len(d.IDs)
	default:
		return devices
	}
}

// Capacity returns how many workers have devices of their own on a server with so
// many, and whether that limits their number: without parallelism, and on the
// CPU, it does not.
func (d Devices) Capacity(devices int) (workers int, limited bool) {
	count := d.Count(devices)
	if d.Level == 0 || count == 0 {
		return 0, false
	}
	return count / d.Level, true
}

// Ranks returns how many processes torchrun starts for a worker; 0: torchrun is
// not used, a worker is one process.
func (d Devices) Ranks() int {
	if d.Parallel == "" || d.Parallel == Custom {
		return 0
	}
	return d.Level
}

// Torchrun holds the torchrun map of a model config; the zero value means the
// defaults of SCH and WRK §9.4.
type Torchrun struct {
	Given           bool
	Nodes           int
	ProcsPerNode    int
	RdzvBackend     string
	RdzvEndpoint    string
	RdzvConf        string
	MonitorInterval int // seconds; 0: not given
	NodeRank        int // -1: not given
	OMPThreads      int
}

// Settings are the effective parameters of one model version, after all
// sources were merged (decisions.md, "precedence of model parameters").
type Settings struct {
	Workers   Workers
	Autoscale Autoscale
	Batching  Batching
	Timeouts  Timeouts
	QueueSize int // waiting jobs, 1 and more
	JobTicket bool
	Async     bool // asyncCommunication
	// AsyncLimit bounds the requests that one asynchronous worker has at a time
	// (maxAsyncRequests); 0: as many as come.
	AsyncLimit int
	UseVenv    bool
	Sequence   Sequence
	Devices    Devices
}

// Defaults of 0.12 for what no source sets.
const (
	DefaultBatchSize     = 1
	DefaultBatchDelay    = 100 * time.Millisecond
	DefaultRetryWindow   = 300 * time.Second
	DefaultQueueSize     = 100
	DefaultResponse      = 120 * time.Second
	DefaultStartup       = 120 * time.Second
	DefaultSequenceIdle  = 60 * time.Second
	DefaultSequenceQueue = 1
	DefaultSequences     = 1
	DefaultQueueWait     = 100 * time.Millisecond // this and the next two are ours
	DefaultUpAfter       = 5 * time.Second
	DefaultDownAfter     = 60 * time.Second
)

// Archive is an unpacked model: where it is and what its manifest says after
// the overrides of the registration.
type Archive struct {
	URL          string // as given by the client; empty for workflow functions
	Dir          string // the model directory, absolute; may be a link
	Name         Name
	Version      Version
	Handler      string // empty: none defined
	Runtime      Runtime
	Envelope     string
	ConfigFile   string // absolute path of model-config.yaml; empty: none
	ConfigJSON   string // what that file says, as JSON; empty: nothing that could be read
	Requirements string // absolute path of the requirements file; empty: none
}

// ManifestFile is where in a model directory, or archive, the manifest is.
const ManifestFile = "MAR-INF/MANIFEST.json"

// ID is the identity of a model version in logs and worker names.
func (a Archive) ID() string { return fmt.Sprintf("%s_%s", a.Name, a.Version) }

// Clone returns a copy that shares nothing with s.
func (s Settings) Clone() Settings {
	s.Devices.IDs = slices.Clone(s.Devices.IDs)
	return s
}
