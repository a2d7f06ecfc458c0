package archive_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// configured reads a model config on a machine with so many accelerators.
func configured(t testing.TB, yaml string, devices int) (fixture, archive.ModelConfig) {
	t.Helper()
	f := newFixture(t, func(cfg *archive.Config) { cfg.Devices = devices })
	f.put(t, "x.mar", zipped(t, withConfig(yaml)))
	u := f.opened(t, archive.Request{URL: "x.mar"})
	return f, u.Config
}

// preset are settings before an archive has its say.
func preset() model.Settings {
	return model.Settings{
		Workers:   model.Workers{Min: 7, Max: 7},
		Batching:  model.Batching{Size: model.DefaultBatchSize, Delay: model.DefaultBatchDelay},
		Timeouts:  model.Timeouts{Response: model.DefaultResponse, Startup: model.DefaultStartup, Retry: model.DefaultRetryWindow},
		QueueSize: model.DefaultQueueSize,
	}
}

const everything = `
minWorkers: 2
maxWorkers: 3
autoscale: {queueWaitMs: 16, upAfterMs: 1700, downAfterMs: 18000}
batchSize: 4
maxBatchDelay: 5
responseTimeout: 6
startupTimeout: 7
deviceType: GPU
deviceIds: [1, 0]
parallelType: PP
parallelLevel: 2
maxRetryTimeoutInSec: 8
clientTimeoutInMills: 9
jobQueueSize: 10
useJobTicket: yes
sequenceMaxIdleMSec: 11
sequenceTimeoutMSec: 12
maxSequenceJobQueueSize: 13
maxNumSequence: 14
continuousBatching: on
sequenceBatching: true
asyncCommunication: false
eagerBatching: true
maxAsyncRequests: 15
useVenv: true
handler:
  anything: [1, x]
`

func TestModelConfig(t *testing.T) {
	t.Parallel()
	t.Run("every key", func(t *testing.T) {
		t.Parallel()
		f, c := configured(t, everything, 2)
		handler, ok := c.Document.Lookup("handler")
		assert.True(t, ok)
		assert.Equal(t, yaml11.Mapping{{Key: "anything", Value: []any{int64(1), "x"}}}, handler)
		c.Document = nil
		assert.Equal(t, archive.ModelConfig{
			MinWorkers: new(2), MaxWorkers: new(3), BatchSize: new(4), MaxBatchDelay: new(5 * time.Millisecond),
			ResponseTimeout: new(6 * time.Second), StartupTimeout: new(7 * time.Second),
			MaxRetryTimeout: new(8 * time.Second), ClientTimeout: new(9 * time.Millisecond),
			DeviceType: new("gpu"), DeviceIDs: []int{1, 0}, ParallelType: new("pp"), ParallelLevel: new(2),
			JobQueueSize: new(10), UseJobTicket: new(true), AsyncCommunication: new(false), MaxAsyncRequests: new(15), UseVenv: new(true),
			SequenceMaxIdle: new(11 * time.Millisecond), SequenceTimeout: new(12 * time.Millisecond),
			MaxSequenceJobQueueSize: new(13), MaxNumSequence: new(14),
			ContinuousBatching: new(true), SequenceBatching: new(true), EagerBatching: new(true),
			Autoscale: &model.Autoscale{On: true, QueueWait: 16 * time.Millisecond, UpAfter: 1700 * time.Millisecond, DownAfter: 18 * time.Second},
		}, c)
		assert.Equal(t, model.Settings{
			Workers:   model.Workers{Min: 2, Max: 3},
			Autoscale: model.Autoscale{On: true, QueueWait: 16 * time.Millisecond, UpAfter: 1700 * time.Millisecond, DownAfter: 18 * time.Second},
			Batching:  model.Batching{Size: 4, Delay: 5 * time.Millisecond, Eager: true},
			Timeouts: model.Timeouts{
				Response: 6 * time.Second, Startup: 7 * time.Second, Retry: 8 * time.Second, Client: 9 * time.Millisecond,
			},
			QueueSize: 10, JobTicket: true, AsyncLimit: 15, UseVenv: true,
			Sequence: model.Sequence{
				Batching: true, MaxIdle: 11 * time.Millisecond, Timeout: 12 * time.Millisecond,
				QueueSize: 13, MaxNumber: 14, Continuous: true,
			},
			Devices: model.Devices{Type: "gpu", IDs: []int{1, 0}, Parallel: "pp", Level: 2, Torchrun: model.Torchrun{
				Given: true, Nodes: 1, ProcsPerNode: 2, RdzvBackend: "c10d", NodeRank: -1, OMPThreads: 1,
			}},
		}, c.Apply(preset(), model.Python))
		assert.Empty(t, f.log.lines(t, "warn"))
	})
	t.Run("useVenv is for the runtime python only", func(t *testing.T) {
		t.Parallel()
		_, c := configured(t, "useVenv: true", 0)
		assert.True(t, c.Apply(preset(), model.Python).UseVenv)
		assert.False(t, c.Apply(preset(), model.Python3).UseVenv)
	})
	for name, yaml := range map[string]string{
		"an empty file changes nothing":          "",
		"nor does one of comments":               "# nothing\n",
		"keys in another case are the handler's": "BatchSize: 3\nbatch_size: 4\n",
		"unset texts and numbers":                "deviceType: ''\nparallelType: ''\njobQueueSize: 0\ndeviceIds: []\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := configured(t, yaml, 2)
			assert.Equal(t, preset(), c.Apply(preset(), model.Python))
			assert.Empty(t, f.log.lines(t, "warn"))
		})
	}
}

func TestModelConfigValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml   string
		change func(*model.Settings)
	}{
		"MAR-092 minWorkers below 1 is 1":        {"minWorkers: -4\nmaxWorkers: 1", func(s *model.Settings) { s.Workers = model.Workers{Min: 1, Max: 1} }},
		"MAR-092 batchSize below 1 is 1":         {"batchSize: 0", func(s *model.Settings) { s.Batching.Size = 1 }},
		"MAR-092 maxBatchDelay 0 is the default": {"maxBatchDelay: 0", func(*model.Settings) {}},
		"minWorkers alone is ignored":            {"minWorkers: 2", func(*model.Settings) {}},
		"maxWorkers alone is ignored":            {"maxWorkers: 2", func(*model.Settings) {}},
		"a pair in the wrong order":              {"minWorkers: 2\nmaxWorkers: 1", func(*model.Settings) {}},
		"autoscale: true has times of its own": {
			"autoscale: yes\nminWorkers: 1\nmaxWorkers: 2",
			func(s *model.Settings) {
				s.Workers = model.Workers{Min: 1, Max: 2}
				s.Autoscale = model.Autoscale{On: true, QueueWait: 100 * time.Millisecond, UpAfter: 5 * time.Second, DownAfter: time.Minute}
			},
		},
		"autoscale: false is none": {"autoscale: false\nminWorkers: 1\nmaxWorkers: 2", func(s *model.Settings) { s.Workers = model.Workers{Min: 1, Max: 2} }},
		"a mapping keeps the times that it does not name": {
			"autoscale: {upAfterMs: 100}\nminWorkers: 1\nmaxWorkers: 2\nasyncCommunication: true\nmaxAsyncRequests: 2",
			func(s *model.Settings) {
				s.Workers, s.Async, s.AsyncLimit = model.Workers{Min: 1, Max: 2}, true, 2
				s.Autoscale = model.Autoscale{On: true, QueueWait: 100 * time.Millisecond, UpAfter: 100 * time.Millisecond, DownAfter: time.Minute}
			},
		},
		"a pair counts": {"maxWorkers: 2\nminWorkers: 2", func(s *model.Settings) { s.Workers = model.Workers{Min: 2, Max: 2} }},
		"MAR-094 numbers and booleans of YAML 1.1": {
			"batchSize: 0x1F\njobQueueSize: 010\nclientTimeoutInMills: 1_000\nuseJobTicket: yes\nresponseTimeout: 1:30",
			func(s *model.Settings) {
				s.Batching.Size, s.QueueSize, s.Timeouts.Client, s.JobTicket = 31, 8, time.Second, true
				s.Timeouts.Response = 90 * time.Second
			},
		},
		"an absent time-out stays the server's": {"responseTimeout: 33", func(s *model.Settings) { s.Timeouts.Response = 33 * time.Second }},
		"no restarts":                           {"maxRetryTimeoutInSec: -1", func(s *model.Settings) { s.Timeouts.Retry = 0 }},
		"MAR-098 a level without a type":        {"parallelLevel: 2", func(*model.Settings) {}},
		"a custom type starts no torchrun": {"parallelLevel: 2\nparallelType: custom", func(s *model.Settings) {
			s.Devices = model.Devices{Parallel: "custom", Level: 2}
		}},
		"MAR-099 torchrun sets the level": {"parallelLevel: 2\nparallelType: tp\ntorchrun: {nproc-per-node: 4, nnodes: 2, rdzv-endpoint: e, rdzv-conf: c, rdzv-backend: b, monitor-interval: 3, node-rank: 1, OMP_NUMBER_THREADS: 5}", func(s *model.Settings) {
			s.Devices = model.Devices{Parallel: "tp", Level: 4, Torchrun: model.Torchrun{
				Given: true, Nodes: 2, ProcsPerNode: 4, RdzvBackend: "b", RdzvEndpoint: "e", RdzvConf: "c", MonitorInterval: 3, NodeRank: 1, OMPThreads: 5,
			}}
		}},
		"MAR-099 the later of torchrun and parallelLevel counts": {"torchrun: {nproc-per-node: 4}\nparallelLevel: 2\nparallelType: custom", func(s *model.Settings) {
			s.Devices = model.Devices{Parallel: "custom", Level: 2, Torchrun: model.Torchrun{
				Given: true, Nodes: 1, ProcsPerNode: 4, RdzvBackend: "c10d", NodeRank: -1, OMPThreads: 1,
			}}
		}},
		"MAR-100 sequence values count only with an idle time": {"sequenceTimeoutMSec: 5\nmaxNumSequence: 6\nmaxSequenceJobQueueSize: 7\nsequenceMaxIdleMSec: 0", func(*model.Settings) {}},
		"MAR-100 with one they count": {"sequenceTimeoutMSec: 5\nmaxNumSequence: 0\nsequenceMaxIdleMSec: 9", func(s *model.Settings) {
			s.Sequence = model.Sequence{MaxIdle: 9 * time.Millisecond, Timeout: 5 * time.Millisecond, QueueSize: 1, MaxNumber: 1}
		}},
		"async by itself": {"asyncCommunication: true", func(s *model.Settings) { s.Async = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, got := configured(t, c.yaml, 0)
			want := preset()
			c.change(&want)
			assert.Equal(t, want, got.Apply(preset(), model.Python))
			assert.Empty(t, f.log.lines(t, "warn"))
		})
	}
	t.Run("a sequence model without an idle time gets one", func(t *testing.T) {
		t.Parallel()
		f, c := configured(t, "sequenceBatching: true\nmaxNumSequence: 3", 0)
		assert.Equal(t, model.Sequence{Batching: true, MaxIdle: time.Minute, QueueSize: 1, MaxNumber: 3}, c.Apply(preset(), model.Python).Sequence)
		assert.Equal(t, []string{"sequenceBatching without sequenceMaxIdleMSec: sequences end after 1m0s without a request"}, f.log.lines(t, "warn"))
	})
}

func TestModelConfigWarnings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"MAR-091 texts for integers": {
			"minWorkers: '4'\nmaxWorkers: a\nbatchSize: 4.0\nmaxBatchDelay:\nresponseTimeout: [1, b]\nstartupTimeout: {a: 1.0e+10}\nparallelLevel: true\nmaxRetryTimeoutInSec: x\nclientTimeoutInMills: x\njobQueueSize: x",
			[]string{
				"Invalid minWorkers: 4, should be integer", "Invalid maxWorkers: a, should be integer", "Invalid batchSize: 4.0, should be integer",
				"Invalid maxBatchDelay: null, should be integer", "Invalid responseTimeout: [1, b], should be integer",
				"Invalid startupTimeout: {a=1.0E10}, should be integer", "Invalid parallelLevel: true, should be integer",
				"Invalid maxRetryTimeoutInMin: x, should be integer", "Invalid clientTimeoutInMills: x, should be positive long",
				"Invalid jobQueueSize: x, should be positive int",
			},
		},
		"MAR-091 texts for integers of sequences": {
			"sequenceMaxIdleMSec: x\nsequenceTimeoutMSec: x\nmaxSequenceJobQueueSize: x\nmaxNumSequence: x",
			[]string{
				"Invalid sequenceMaxIdleMSec: x, should be positive int", "Invalid sequenceTimeoutMSec: x, should be positive int",
				"Invalid maxSequenceJobQueueSize: x, should be positive int", "Invalid maxNumSequence: x, should be positive int",
			},
		},
		"MAR-091 texts for booleans": {
			"useJobTicket: 1\ncontinuousBatching: 'yes'\nsequenceBatching: 0.00001\nasyncCommunication: x\nuseVenv: ~",
			[]string{
				"Invalid useJobTicket: 1, should be true or false", "Invalid continuousBatching: yes, should be true or false",
				"Invalid sequenceBatching: 1.0E-5, should be true or false", "Invalid asyncCommunication: x, should be true or false",
				"Invalid useVenv: null, should be true or false",
			},
		},
		"MAR-095 beyond 32 bits": {
			"batchSize: 3000000000\njobQueueSize: 99999999999999999999",
			[]string{"Invalid batchSize: 3000000000, should be integer", "Invalid jobQueueSize: 99999999999999999999, should be positive int"},
		},
		"MAR-096 a device that does not exist": {"deviceType: neuron", []string{"Invalid DeviceType:neuron"}},
		"MAR-096 a device that is no text":     {"deviceType: 1", []string{"Invalid deviceType: 1, should be cpu, or gpu"}},
		"MAR-097 ids out of range":             {"deviceIds: [0, 2]", []string{"Invalid deviceId:2, ignore deviceIds list"}},
		"MAR-097 negative ids":                 {"deviceIds: [-1]", []string{"Invalid deviceId:-1, ignore deviceIds list"}},
		"MAR-097 ids that are no integers":     {"deviceIds: [0, a]", []string{"Invalid deviceIds:a,"}},
		"MAR-097 ids that are no list":         {"deviceIds: 0", []string{"Invalid deviceIds: 0, should be list of integer"}},
		"negative numbers": {
			"maxWorkers: -1\nmaxBatchDelay: -2\nresponseTimeout: 0\nstartupTimeout: -3\nparallelLevel: -4\nmaxAsyncRequests: 0",
			[]string{
				"Invalid maxWorkers:-1", "Invalid maxBatchDelay:-2", "Invalid responseTimeout:0", "Invalid startupTimeout:-3",
				"Invalid parallelLevel:-4, set as 0", "Invalid maxAsyncRequests:0",
			},
		},
		"parallel types": {
			"parallelType: x", []string{"Invalid ParallelType:x"},
		},
		"a parallel type that is no text": {"parallelType: 1", []string{"Invalid parallelType: 1, should be pp, tp,or pptp"}},
		"torchrun that is no mapping":     {"torchrun: 4", []string{"Invalid torchrun: 4, should be Torchrun parameters"}},
		"MAR-099 torchrun values and unknown keys": {
			"torchrun: {nnodes: 0, nproc-per-node: x, rdzv-backend: 1, rdzv-endpoint: 2, rdzv-conf: 3, monitor-interval: 0, node-rank: -1, OMP_NUMBER_THREADS: 0, foo: 1, 5: x}",
			[]string{
				"Invalid torchrun.nnodes:0, reset to 1", "Invalid torchrun.nproc-per-node:x, reset to 1",
				"Invalid torchrun.rdzv-backend:1, reset to c10d", "Invalid torchrun.rdzv-endpoint:2", "Invalid torchrun.rdzv-conf:3",
				"Invalid torchrun.monitor-interval:0, reset to 5", "Invalid torchrun.node-rank:-1, reset to 0",
				"Invalid OMP_NUMBER_THREADS:0, reset to 1", "unsupported parameter foo", "unsupported parameter 5",
			},
		},
		"monitor-interval of the wrong type": {"torchrun: {monitor-interval: x}", []string{"Invalid torchrun.max-restarts:x, reset to 5"}},
		"keys that are no texts":             {"1: x\non: y", []string{"Ignored a key of model-config.yaml that is not a string: 1", "Ignored a key of model-config.yaml that is not a string: true"}},
		"autoscale that is neither a boolean nor a mapping": {
			"autoscale: 3", []string{"Invalid autoscale: 3, should be true, false or a mapping"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, got := configured(t, c.yaml, 2)
			assert.Equal(t, c.want, f.log.lines(t, "warn"))
			s := got.Apply(preset(), model.Python)
			s.Devices.Torchrun = model.Torchrun{}
			assert.Equal(t, preset(), s)
		})
	}
	t.Run("autoscale: a bad time is the default, and it must have workers to choose from", func(t *testing.T) {
		t.Parallel()
		f, c := configured(t, "autoscale: {queueWaitMs: 0, upAfterMs: 99, downAfterMs: 1.5, upafterms: 1, 5: x}", 0)
		assert.Equal(t, []string{
			"Invalid autoscale.queueWaitMs: 0, should be an integer, 1 or more", "Invalid autoscale.upAfterMs: 99, should be an integer, 100 or more",
			"Invalid autoscale.downAfterMs: 1.5, should be an integer, 100 or more",
			"unsupported parameter autoscale.upafterms", "unsupported parameter autoscale.5",
			"autoscale has nothing to choose from: it needs a minWorkers and a greater maxWorkers, here or by a scale call",
		}, f.log.lines(t, "warn"))
		assert.Equal(t, model.Autoscale{On: true, QueueWait: model.DefaultQueueWait, UpAfter: model.DefaultUpAfter, DownAfter: model.DefaultDownAfter},
			c.Apply(preset(), model.Python).Autoscale)
	})
	t.Run("autoscale of asynchronous workers needs a limit of requests", func(t *testing.T) {
		t.Parallel()
		f, c := configured(t, "autoscale: true\nasyncCommunication: true\nminWorkers: 1\nmaxWorkers: 2", 0)
		assert.Equal(t, []string{
			"Ignored autoscale: with asyncCommunication it needs maxAsyncRequests, because else no request ever waits for a worker",
		}, f.log.lines(t, "warn"))
		assert.Zero(t, c.Apply(preset(), model.Python).Autoscale)
	})
	t.Run("MAR-096 a gpu on a machine without accelerator is a cpu", func(t *testing.T) {
		t.Parallel()
		_, c := configured(t, "deviceType: GPU", 0)
		assert.Equal(t, "cpu", c.Apply(preset(), model.Python).Devices.Type)
	})
}

func TestBrokenModelConfig(t *testing.T) {
	t.Parallel()
	for name, yaml := range map[string]string{
		"MAR-106 not YAML":                   "a: [1",
		"MAR-106 not a mapping":              "- a",
		"MAR-106 a tag of an application":    "a: !!java.net.URL [x]",
		"MAR-106 larger than any model's is": "# " + string(make([]byte, yaml11.MaxSize)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := configured(t, yaml, 0)
			assert.Equal(t, archive.ModelConfig{}, c)
			assert.Equal(t, []string{"Failed to parse model config file model-config.yaml"}, f.log.lines(t, "error"))
		})
	}
	t.Run("MAR-106 missing", func(t *testing.T) {
		t.Parallel()
		f, u := registered(t, withManifest(`{"model":{"modelName":"m","configFile":"c/x.yaml"}}`), archive.Request{})
		assert.Equal(t, archive.ModelConfig{}, u.Config)
		assert.Equal(t, []string{"Failed to parse model config file c/x.yaml"}, f.log.lines(t, "error"))
	})
	t.Run("async with batching that it cannot serve is refused", func(t *testing.T) {
		t.Parallel()
		for _, other := range []string{"continuousBatching", "sequenceBatching"} {
			f := newFixture(t, nil)
			f.put(t, "x.mar", zipped(t, withConfig("asyncCommunication: true\n"+other+": true\n")))
			f.refused(t, archive.Request{URL: "x.mar"}, 400, invalidType,
				"asyncCommunication cannot be combined with continuousBatching or sequenceBatching.")
		}
	})
	t.Run("async with ranks is refused, with custom parallelism it is not", func(t *testing.T) {
		t.Parallel()
		for yaml, refused := range map[string]bool{
			"parallelType: tp\nparallelLevel: 2":                    true,
			"parallelType: PP\ntorchrun: {nproc-per-node: 2}":       true,
			"parallelType: pptp\ntorchrun: {}":                      true,
			"parallelType: tp":                                      false,
			"parallelLevel: 2":                                      false,
			"parallelType: custom\nparallelLevel: 2":                false,
			"parallelType: custom\ntorchrun: {nproc-per-node: 2}\n": false,
		} {
			f := newFixture(t, nil)
			f.put(t, "x.mar", zipped(t, withConfig("asyncCommunication: true\n"+yaml+"\n")))
			if refused {
				f.refused(t, archive.Request{URL: "x.mar"}, 400, invalidType,
					"asyncCommunication cannot be combined with parallelType pp, tp or pptp, only with custom.")
				continue
			}
			_, err := f.Open(t.Context(), archive.Request{URL: "x.mar"})
			assert.NoError(t, err, yaml)
		}
	})
	t.Run("nothing is shared with the settings", func(t *testing.T) {
		t.Parallel()
		_, c := configured(t, "deviceIds: [0, 1]", 2)
		s := c.Apply(preset(), model.Python)
		s.Devices.IDs[0] = 9
		require.Equal(t, []int{0, 1}, c.DeviceIDs)
	})
}
