package archive

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// What 0.12 says a value should be.
const (
	anInteger   = "integer"
	positiveInt = "positive int"
)

// intKey is a key whose value is an integer of 32 bits. Below floor it is
// raised to it, or ignored with a warning.
type intKey struct {
	label  string // in the warning about the type, where it is not the key
	want   string
	floor  int
	ignore bool
	suffix string // of the warning about an ignored value
	put    func(c *ModelConfig, n int)
}

// intKeys are the rows of MAR §6.2 that hold integers, and maxAsyncRequests.
//
//nolint:gochecknoglobals // read-only table
var intKeys = map[string]intKey{
	"minWorkers":    {want: anInteger, floor: 1, put: func(c *ModelConfig, n int) { c.MinWorkers = &n }},
	"maxWorkers":    {want: anInteger, ignore: true, put: func(c *ModelConfig, n int) { c.MaxWorkers = &n }},
	"batchSize":     {want: anInteger, floor: 1, put: func(c *ModelConfig, n int) { c.BatchSize = &n }},
	"maxBatchDelay": {want: anInteger, ignore: true, put: func(c *ModelConfig, n int) { c.MaxBatchDelay = milliseconds(n) }},
	"responseTimeout": {
		want: anInteger, floor: 1, ignore: true,
		put: func(c *ModelConfig, n int) { c.ResponseTimeout = seconds(n) },
	},
	"startupTimeout": {
		want: anInteger, floor: 1, ignore: true,
		put: func(c *ModelConfig, n int) { c.StartupTimeout = seconds(n) },
	},
	"parallelLevel": {
		want: anInteger, ignore: true, suffix: ", set as 0",
		put: func(c *ModelConfig, n int) { c.ParallelLevel = &n },
	},
	"maxRetryTimeoutInSec": {
		label: "maxRetryTimeoutInMin", want: anInteger, // 0.12's slip
		put: func(c *ModelConfig, n int) { c.MaxRetryTimeout = seconds(n) },
	},
	"clientTimeoutInMills": {want: "positive long", put: func(c *ModelConfig, n int) { c.ClientTimeout = milliseconds(n) }},
	"jobQueueSize":         {want: positiveInt, put: func(c *ModelConfig, n int) { c.JobQueueSize = &n }},
	"sequenceMaxIdleMSec":  {want: positiveInt, put: func(c *ModelConfig, n int) { c.SequenceMaxIdle = milliseconds(n) }},
	"sequenceTimeoutMSec":  {want: positiveInt, put: func(c *ModelConfig, n int) { c.SequenceTimeout = milliseconds(n) }},
	"maxSequenceJobQueueSize": {
		want: positiveInt, floor: 1,
		put: func(c *ModelConfig, n int) { c.MaxSequenceJobQueueSize = &n },
	},
	"maxNumSequence":   {want: positiveInt, floor: 1, put: func(c *ModelConfig, n int) { c.MaxNumSequence = &n }},
	"maxAsyncRequests": {want: positiveInt, floor: 1, ignore: true, put: func(c *ModelConfig, n int) { c.MaxAsyncRequests = &n }},
}

// boolKeys are the rows of MAR §6.2 that hold booleans, and eagerBatching.
//
//nolint:gochecknoglobals // read-only table
var boolKeys = map[string]func(c *ModelConfig, b bool){
	"useJobTicket":       func(c *ModelConfig, b bool) { c.UseJobTicket = &b },
	"continuousBatching": func(c *ModelConfig, b bool) { c.ContinuousBatching = &b },
	"sequenceBatching":   func(c *ModelConfig, b bool) { c.SequenceBatching = &b },
	"eagerBatching":      func(c *ModelConfig, b bool) { c.EagerBatching = &b },
	"asyncCommunication": func(c *ModelConfig, b bool) { c.AsyncCommunication = &b },
	"useVenv":            func(c *ModelConfig, b bool) { c.UseVenv = &b },
}

func seconds(n int) *time.Duration {
	return new(time.Duration(n) * time.Second)
}

func milliseconds(n int) *time.Duration {
	return new(time.Duration(n) * time.Millisecond)
}

// configReader reads one model config, key by key in the order of the file: of
// parallelLevel and torchrun the later one wins.
type configReader struct {
	log     zerolog.Logger
	devices int
	config  ModelConfig
}

// read reads one key; those of the handler are not looked at.
func (r *configReader) read(key string, v any) {
	if k, ok := intKeys[key]; ok {
		r.integer(key, k, v)
		return
	}
	if put, ok := boolKeys[key]; ok {
		b, ok := v.(bool)
		if !ok {
			r.warn("Invalid %s: %s, should be true or false", key, javaText(v))
			return
		}
		put(&r.config, b)
		return
	}
	switch key {
	case "deviceType":
		r.deviceType(v)
	case "deviceIds":
		r.deviceIDs(v)
	case "parallelType":
		r.parallelType(v)
	case "torchrun":
		r.torchrun(v)
	case "autoscale":
		r.autoscale(v)
	}
}

func (r *configReader) integer(key string, k intKey, v any) {
	n, ok := int32Of(v)
	switch {
	case !ok:
		label := key
		if k.label != "" {
			label = k.label
		}
		r.warn("Invalid %s: %s, should be %s", label, javaText(v), k.want)
	case n < k.floor && k.ignore:
		r.warn("Invalid %s:%d%s", key, n, k.suffix)
	default:
		k.put(&r.config, max(n, k.floor))
	}
}

// int32Of returns an integer of 32 bits; nothing else passes for one.
func int32Of(v any) (int, bool) {
	n, ok := v.(int64)
	return int(n), ok && n >= math.MinInt32 && n <= math.MaxInt32
}

func (r *configReader) deviceType(v any) {
	text, ok := v.(string)
	if !ok {
		r.warn("Invalid deviceType: %s, should be cpu, or gpu", javaText(v))
		return
	}
	kind := strings.ToLower(text)
	switch {
	case kind == "gpu" && r.devices == 0:
		kind = "cpu"
	case kind == "cpu", kind == "gpu":
	case kind == "":
		return
	default:
		r.warn("Invalid DeviceType:%s", text)
		return
	}
	r.config.DeviceType = &kind
}

func (r *configReader) deviceIDs(v any) {
	list, ok := v.([]any)
	if !ok {
		r.warn("Invalid deviceIds: %s, should be list of integer", javaText(v))
		return
	}
	ids := make([]int, 0, len(list))
	for _, e := range list {
		id, ok := int32Of(e)
		if !ok {
			r.warn("Invalid deviceIds:%s,", javaText(e))
			return
		}
		if id < 0 || id >= r.devices {
			r.warn("Invalid deviceId:%d, ignore deviceIds list", id)
			return
		}
		ids = append(ids, id)
	}
	if len(ids) > 0 {
		r.config.DeviceIDs = ids
	}
}

func (r *configReader) parallelType(v any) {
	text, ok := v.(string)
	kind := strings.ToLower(text)
	switch {
	case !ok:
		r.warn("Invalid parallelType: %s, should be pp, tp,or pptp", javaText(v))
	case kind == "":
	case slices.Contains([]string{model.Pipeline, model.Tensor, model.TensorPipeline, model.Custom}, kind):
		r.config.ParallelType = &kind
	default:
		r.warn("Invalid ParallelType:%s", text)
	}
}

func defaultTorchrun() model.Torchrun {
	return model.Torchrun{Given: true, Nodes: 1, ProcsPerNode: 1, RdzvBackend: "c10d", NodeRank: -1, OMPThreads: 1}
}

// torchrun reads the mapping of MAR §6.3. Its number of processes is also the
// parallel level.
func (r *configReader) torchrun(v any) {
	mapping, ok := v.(yaml11.Mapping)
	if !ok {
		r.warn("Invalid torchrun: %s, should be Torchrun parameters", javaText(v))
		return
	}
	t := defaultTorchrun()
	for _, e := range mapping {
		r.torchrunKey(&t, javaText(e.Key), e.Value)
	}
	r.config.Torchrun = &t
	r.config.ParallelLevel = new(t.ProcsPerNode)
}

func (r *configReader) torchrunKey(t *model.Torchrun, key string, v any) {
	switch key {
	case "nnodes":
		r.torchrunInt(&t.Nodes, v, 1, "torchrun.nnodes:%s, reset to 1")
	case "nproc-per-node":
		r.torchrunInt(&t.ProcsPerNode, v, 1, "torchrun.nproc-per-node:%s, reset to 1")
	case "rdzv-backend":
		r.torchrunText(&t.RdzvBackend, v, "torchrun.rdzv-backend:%s, reset to c10d")
	case "rdzv-endpoint":
		r.torchrunText(&t.RdzvEndpoint, v, "torchrun.rdzv-endpoint:%s")
	case "rdzv-conf":
		r.torchrunText(&t.RdzvConf, v, "torchrun.rdzv-conf:%s")
	case "monitor-interval":
		text := "torchrun.monitor-interval:%s, reset to 5"
		if _, ok := int32Of(v); !ok {
			text = "torchrun.max-restarts:%s, reset to 5" // 0.12's slip
		}
		r.torchrunInt(&t.MonitorInterval, v, 1, text)
	case "node-rank":
		r.torchrunInt(&t.NodeRank, v, 0, "torchrun.node-rank:%s, reset to 0")
	case "OMP_NUMBER_THREADS":
		r.torchrunInt(&t.OMPThreads, v, 1, "OMP_NUMBER_THREADS:%s, reset to 1")
	default:
		r.warn("unsupported parameter %s", key)
	}
}

func (r *configReader) torchrunInt(to *int, v any, floor int, text string) {
	n, ok := int32Of(v)
	if !ok || n < floor {
		r.warn("Invalid "+text, javaText(v))
		return
	}
	*to = n
}

func (r *configReader) torchrunText(to *string, v any, text string) {
	s, ok := v.(string)
	if !ok {
		r.warn("Invalid "+text, javaText(v))
		return
	}
	*to = s
}

// finish warns about what only the whole file shows.
func (r *configReader) finish() ModelConfig {
	c := r.config
	r.finishAutoscale(&c)
	if isTrue(c.SequenceBatching) && (c.SequenceMaxIdle == nil || *c.SequenceMaxIdle == 0) {
		r.warn("sequenceBatching without sequenceMaxIdleMSec: sequences end after %s without a request", model.DefaultSequenceIdle)
	}
	return c
}

// javaText returns a value as 0.12's messages show it.
func javaText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return javaFloat(v)
	case []any:
		texts := make([]string, 0, len(v))
		for _, e := range v {
			texts = append(texts, javaText(e))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case yaml11.Mapping:
		texts := make([]string, 0, len(v))
		for _, e := range v {
			texts = append(texts, javaText(e.Key)+"="+javaText(e.Value))
		}
		return "{" + strings.Join(texts, ", ") + "}"
	case nil:
		return "null"
	default:
		return fmt.Sprint(v)
	}
}

// javaFloat writes a number the way Java does: 4.0, 1.0E10, 1.5E-5.
func javaFloat(f float64) string {
	switch size := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+") + "inity"
	case f != 0 && (size < 1e-3 || size >= 1e7):
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		n, _ := strconv.Atoi(exponent) // FormatFloat wrote it
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		return mantissa + "E" + strconv.Itoa(n)
	default:
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
}
