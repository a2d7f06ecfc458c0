package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// describedBody is a model version as describe prints it. The keys and their
// order are 0.12's; those it has not are left out unless something is wrong.
type describedBody struct {
	Name              string          `json:"modelName"`
	Version           string          `json:"modelVersion"`
	URL               string          `json:"modelUrl,omitempty"`
	Runtime           string          `json:"runtime"`
	MinWorkers        int             `json:"minWorkers"`
	MaxWorkers        int             `json:"maxWorkers"`
	BatchSize         int             `json:"batchSize"`
	BatchDelay        int64           `json:"maxBatchDelay"`        // ms
	Response          int64           `json:"responseTimeout"`      // s
	Startup           int64           `json:"startupTimeout"`       // s
	Retry             int64           `json:"maxRetryTimeoutInSec"` // s
	Client            int64           `json:"clientTimeoutInMills"` // ms
	ParallelType      string          `json:"parallelType"`
	ParallelLevel     int             `json:"parallelLevel"`
	DeviceType        string          `json:"deviceType"`
	DeviceIDs         []int           `json:"deviceIds,omitempty"`
	Continuous        bool            `json:"continuousBatching"`
	JobTicket         bool            `json:"useJobTicket"`
	UseVenv           bool            `json:"useVenv"`
	Stateful          bool            `json:"stateful"`
	SequenceIdle      int64           `json:"sequenceMaxIdleMSec"` // ms
	SequenceTimeout   int64           `json:"sequenceTimeoutMSec"` // ms
	MaxSequences      int             `json:"maxNumSequence"`
	SequenceQueueSize int             `json:"maxSequenceJobQueueSize"`
	LoadedAtStartup   bool            `json:"loadedAtStartup"`
	Workers           []workerBody    `json:"workers"`
	Queue             queueBody       `json:"jobQueueStatus"`
	Autoscale         *autoscaleBody  `json:"autoscale,omitempty"`
	GaveUp            bool            `json:"gaveUp,omitempty"`
	Customized        json.RawMessage `json:"customizedMetadata,omitempty"`
}

type workerBody struct {
	ID       string `json:"id"`
	Created  string `json:"startTime"`
	Status   string `json:"status"`
	Memory   int64  `json:"memoryUsage"` // bytes
	PID      int    `json:"pid"`
	GPU      bool   `json:"gpu"`
	GPUUsage string `json:"gpuUsage"`
	Error    string `json:"error,omitempty"`
}

// autoscaleBody has the keys of model-config.yaml; all are in ms.
type autoscaleBody struct {
	QueueWait int64 `json:"queueWaitMs"`
	UpAfter   int64 `json:"upAfterMs"`
	DownAfter int64 `json:"downAfterMs"`
}

type queueBody struct {
	Remaining int `json:"remainingCapacity"`
	Pending   int `json:"pendingRequests"`
}

func described(s model.Status) describedBody {
	set := &s.Settings
	b := describedBody{
		Name:              string(s.Archive.Name),
		Version:           string(s.Archive.Version),
		URL:               s.Archive.URL,
		Runtime:           string(s.Archive.Runtime),
		MinWorkers:        set.Workers.Min,
		MaxWorkers:        set.Workers.Max,
		BatchSize:         set.Batching.Size,
		BatchDelay:        set.Batching.Delay.Milliseconds(),
		Response:          seconds(set.Timeouts.Response),
		Startup:           seconds(set.Timeouts.Startup),
		Retry:             seconds(set.Timeouts.Retry),
		Client:            set.Timeouts.Client.Milliseconds(),
		ParallelType:      set.Devices.Parallel,
		ParallelLevel:     set.Devices.Level,
		DeviceType:        cmp.Or(set.Devices.Type, "cpu"),
		DeviceIDs:         set.Devices.IDs,
		Continuous:        set.Sequence.Continuous,
		JobTicket:         set.JobTicket,
		UseVenv:           set.UseVenv,
		Stateful:          set.Sequence.Batching,
		SequenceIdle:      set.Sequence.MaxIdle.Milliseconds(),
		SequenceTimeout:   set.Sequence.Timeout.Milliseconds(),
		MaxSequences:      set.Sequence.MaxNumber,
		SequenceQueueSize: set.Sequence.QueueSize,
		LoadedAtStartup:   s.LoadedAtStartup,
		Workers:           make([]workerBody, 0, len(s.Workers)),
		Queue:             queueBody{s.QueueCapacity, s.QueuePending},
		GaveUp:            s.GaveUp,
		Customized:        s.Customized,
	}
	for _, w := range s.Workers {
		b.Workers = append(b.Workers, describedWorker(w))
	}
	if a := set.Autoscale; a.On {
		b.Autoscale = &autoscaleBody{a.QueueWait.Milliseconds(), a.UpAfter.Milliseconds(), a.DownAfter.Milliseconds()}
	}
	return b
}

func describedWorker(w model.WorkerStatus) workerBody {
	b := workerBody{
		ID:       strconv.Itoa(w.ID),
		Created:  w.Created.UTC().Format("2006-01-02T15:04:05.000Z"),
		Status:   "UNLOADING", // compat(0.12): whatever is not ready (MGT-047)
		Memory:   w.Memory,
		PID:      w.PID,
		GPU:      w.GPU >= 0,
		GPUUsage: "N/A",
		Error:    w.Error,
	}
	if w.Ready {
		b.Status = "READY"
	}
	if b.GPU {
		b.GPUUsage = cmp.Or(w.Usage, "failed to obtained gpu usage")
	}
	return b
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// describe answers with an array: the version that the path names, the default
// one, or all of them.
func (e *edge) describe(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r.RequestURI)
	if err != nil {
		return err
	}
	given := &parameters{source: q}
	customized := given.boolean("customized", false)
	if err := e.warn(w, given); err != nil {
		return err
	}
	ref := pathRef(r)
	if ref.Version == allVersions {
		all, err := e.deps.Catalog.DescribeAll(ref.Name)
		if err != nil {
			return err
		}
		bodies := make([]describedBody, 0, len(all))
		for _, s := range all {
			bodies = append(bodies, described(s))
		}
		return writeJSON(w, http.StatusOK, bodies)
	}
	s, err := e.deps.Catalog.Describe(ref)
	if err != nil {
		return err
	}
	if customized {
		return e.describeCustomized(w, r, ref, s)
	}
	return writeJSON(w, http.StatusOK, []describedBody{described(s)})
}

// describeCustomized asks the model itself, too. Status and headers of the
// answer are those of the model (MGT §6.1).
func (e *edge) describeCustomized(w http.ResponseWriter, r *http.Request, ref model.Ref, s model.Status) error {
	reply, err := e.askModel(w, r, ref, s)
	if err != nil {
		return err
	}
	if len(reply.Body) > 0 {
		s.Customized = reply.Body
		if object := bytes.TrimSpace(reply.Body); len(object) == 0 || object[0] != '{' || !json.Valid(object) {
			e.deps.Log.Warn().Msg("Customized metadata should be a dictionary.")
			s.Customized = json.RawMessage("{}")
		}
	}
	body, err := encode([]describedBody{described(s)})
	if err != nil {
		return err
	}
	if reply.ContentType == "" {
		reply.ContentType = contentJSON
	}
	reply.Body, reply.More = body, false
	return e.reply(r.Context(), w, r, reply, nil)
}

func (e *edge) askModel(w http.ResponseWriter, r *http.Request, ref model.Ref, s model.Status) (job.Reply, error) {
	stream := job.NewStream()
	j := &job.Job{
		ID:      w.Header()[headerRequestID][0],
		Kind:    job.Describe,
		Ref:     ref,
		Request: job.Request{Headers: e.requestHeaders(r, 0, []job.Header{{Name: headerDescribe, Value: "True"}})},
		Sink:    stream,
		Created: time.Now(),
	}
	if err := e.deps.Predictor.Submit(r.Context(), j); err != nil {
		return job.Reply{}, busy(err, ref, false, refusedDescribe) // no version in the text: MGT §6.1
	}
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if limit := s.Settings.Timeouts.Response; limit > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, limit,
			fault.New(fault.Internal, "Failed to get customized model matadata."))
	}
	defer cancel()
	reply, err := stream.Next(ctx)
	if err != nil {
		j.Abandon()
	}
	return reply, err
}
