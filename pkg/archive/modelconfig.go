package archive

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// ModelConfig is what the frontend reads of model-config.yaml. A nil field was
// absent, or had a value that was refused with a warning.
type ModelConfig struct {
	MinWorkers *int // 1 and more
	MaxWorkers *int // 0 and more
	Autoscale  *model.Autoscale

	BatchSize          *int           // 1 and more
	MaxBatchDelay      *time.Duration // 0 and more; Apply takes 0 for absent
	EagerBatching      *bool
	ContinuousBatching *bool

	ResponseTimeout *time.Duration // above 0
	StartupTimeout  *time.Duration // above 0
	MaxRetryTimeout *time.Duration // maxRetryTimeoutInSec, 0 and more
	ClientTimeout   *time.Duration // clientTimeoutInMills, 0 and more

	JobQueueSize       *int // 0 and more; 0: the server's
	UseJobTicket       *bool
	AsyncCommunication *bool
	MaxAsyncRequests   *int // per worker, 1 and more
	UseVenv            *bool

	DeviceType    *string // "cpu" or "gpu"; "cpu" on a machine without accelerator
	DeviceIDs     []int   // each exists
	ParallelType  *string // "pp", "tp", "pptp" or "custom"
	ParallelLevel *int    // 0 and more
	Torchrun      *model.Torchrun

	SequenceBatching        *bool
	SequenceMaxIdle         *time.Duration // 0 and more
	SequenceTimeout         *time.Duration // 0 and more
	MaxSequenceJobQueueSize *int           // 1 and more
	MaxNumSequence          *int           // 1 and more

	// Document is the whole file, for workers that cannot read YAML
	// themselves (yaml11.JSON).
	Document yaml11.Mapping
}

// modelConfig reads the file at path, which the manifest calls name. A file
// that is missing or not YAML is logged and counts as empty: the workers will
// say more (MAR-106).
func (s *Store) modelConfig(path, name string) ModelConfig {
	document, err := readMapping(path)
	if err != nil {
		s.log.Error().Err(err).Msg("Failed to parse model config file " + name)
		return ModelConfig{}
	}
	r := configReader{log: s.log, devices: s.cfg.Devices, config: ModelConfig{Document: document}}
	for _, e := range document {
		key, ok := e.Key.(string)
		if !ok {
			r.warn("Ignored a key of %s that is not a string: %s", name, javaText(e.Key))
			continue
		}
		r.read(key, e.Value)
	}
	return r.finish()
}

// readMapping reads a YAML file whose root is a mapping; an empty file is an
// empty one (D-MGT-10).
func readMapping(path string) (yaml11.Mapping, error) {
	text, err := readFile(path, yaml11.MaxSize)
	if err != nil {
		return nil, err
	}
	v, err := yaml11.Parse(text)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return yaml11.Mapping{}, nil
	case yaml11.Mapping:
		return v, nil
	default:
		return nil, errors.New("the root is not a mapping")
	}
}

// check refuses what no worker can do (decisions.md, "async limit"; WRK §8).
func (c ModelConfig) check() error {
	switch {
	case !isTrue(c.AsyncCommunication):
		return nil
	case isTrue(c.ContinuousBatching) || isTrue(c.SequenceBatching):
		return fault.New(fault.InvalidModel,
			"asyncCommunication cannot be combined with continuousBatching or sequenceBatching.")
	case c.deviceSettings(model.Devices{}).Ranks() > 0:
		return fault.New(fault.InvalidModel,
			"asyncCommunication cannot be combined with parallelType pp, tp or pptp, only with custom.")
	default:
		return nil
	}
}

// Workers returns the numbers of workers that the archive asks for, and
// whether it does: only a pair counts (MAR-093).
func (c ModelConfig) Workers() (model.Workers, bool) {
	if c.MinWorkers == nil || c.MaxWorkers == nil || *c.MaxWorkers < *c.MinWorkers {
		return model.Workers{}, false
	}
	return model.Workers{Min: *c.MinWorkers, Max: *c.MaxWorkers}, true
}

// Apply returns s with what the archive says explicitly laid over it, as far
// as it has an effect for this runtime. What a request says is laid over the
// result, but for a pair of workers, which stays.
func (c ModelConfig) Apply(s model.Settings, runtime model.Runtime) model.Settings {
	s = s.Clone()
	if w, ok := c.Workers(); ok {
		s.Workers = w
	}
	set(&s.Autoscale, c.Autoscale)
	set(&s.Batching.Size, c.BatchSize)
	if c.MaxBatchDelay != nil && *c.MaxBatchDelay > 0 {
		s.Batching.Delay = *c.MaxBatchDelay // compat(0.12): 0 counts as absent, MAR-092
	}
	set(&s.Batching.Eager, c.EagerBatching)
	set(&s.Timeouts.Response, c.ResponseTimeout)
	set(&s.Timeouts.Startup, c.StartupTimeout)
	set(&s.Timeouts.Retry, c.MaxRetryTimeout)
	set(&s.Timeouts.Client, c.ClientTimeout)
	if c.JobQueueSize != nil && *c.JobQueueSize > 0 {
		s.QueueSize = *c.JobQueueSize
	}
	set(&s.JobTicket, c.UseJobTicket)
	set(&s.Async, c.AsyncCommunication)
	set(&s.AsyncLimit, c.MaxAsyncRequests)
	s.UseVenv = isTrue(c.UseVenv) && runtime == model.Python
	s.Sequence = c.sequence()
	s.Devices = c.deviceSettings(s.Devices)
	return s
}

// sequence applies the rule that the values count only with an idle time, and
// gives sequence models one if theirs is missing.
func (c ModelConfig) sequence() model.Sequence {
	q := model.Sequence{Batching: isTrue(c.SequenceBatching), Continuous: isTrue(c.ContinuousBatching)}
	set(&q.MaxIdle, c.SequenceMaxIdle)
	if q.MaxIdle == 0 && q.Batching {
		q.MaxIdle = model.DefaultSequenceIdle
	}
	if q.MaxIdle == 0 {
		return q
	}
	q.QueueSize, q.MaxNumber = model.DefaultSequenceQueue, model.DefaultSequences
	set(&q.Timeout, c.SequenceTimeout)
	set(&q.QueueSize, c.MaxSequenceJobQueueSize)
	set(&q.MaxNumber, c.MaxNumSequence)
	return q
}

// deviceSettings applies the rule that a level counts only with a type of
// parallelism (MAR-098). Without a torchrun mapping the level is the number of
// processes.
func (c ModelConfig) deviceSettings(d model.Devices) model.Devices {
	set(&d.Type, c.DeviceType)
	if c.DeviceIDs != nil {
		d.IDs = slices.Clone(c.DeviceIDs)
	}
	set(&d.Torchrun, c.Torchrun)
	if c.ParallelType == nil {
		return d
	}
	d.Parallel = *c.ParallelType
	set(&d.Level, c.ParallelLevel)
	if d.Level > 0 && !d.Torchrun.Given && d.Parallel != model.Custom {
		d.Torchrun = defaultTorchrun()
		d.Torchrun.ProcsPerNode = d.Level
	}
	return d
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

func (r *configReader) warn(format string, args ...any) {
	r.log.Warn().Msg(fmt.Sprintf(format, args...))
}
