package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Config is what the listeners need of the server's configuration.
type Config struct {
	Version          string // of the server, as its descriptions show it
	ModelAPI         bool   // models may be registered and unregistered by calls
	MaxRequestSize   int64  // bytes of a request body; an equal one passes
	StrictParameters bool   // a lax parameter is refused instead of warned about
	OpenInference    bool   // the server answers for itself by the Open Inference Protocol
	CORS             CORS
	// SequenceHeaders are the configured names of the sequence headers: they
	// reach the model exactly as spelled here.
	SequenceHeaders []string
}

// CORS holds the access-control-allow-* headers, sent verbatim on every answer
// that has none of its own; empty: not sent.
type CORS struct{ Origin, Methods, Headers string }

// Predictor runs jobs.
type Predictor interface {
	// Submit queues j and returns at once; the replies go to j.Sink. On an
	// error the sink is never called: ModelNotFound and VersionNotFound carry
	// the text for the client, Busy does not.
	Submit(ctx context.Context, j *job.Job) error
	// Resolve fails like Submit's lookup does.
	Resolve(ref model.Ref) error
	// StartupModel returns the only model name loaded at start, if there is
	// exactly one.
	StartupModel() (model.Name, bool)
}

// Models changes what is served. The methods may block as long as workers take
// to start or stop.
type Models interface {
	Register(ctx context.Context, r model.Registration) (model.Registered, error)
	Scale(ctx context.Context, ref model.Ref, s model.Scaling) (model.Progress, error)
	Unregister(ctx context.Context, ref model.Ref) error
	SetDefault(ctx context.Context, ref model.Ref) error
}

// Catalog tells what is served.
type Catalog interface {
	// Describe returns one version, the default one where ref names none.
	Describe(ref model.Ref) (model.Status, error)
	// DescribeAll returns the versions in ascending order.
	DescribeAll(name model.Name) ([]model.Status, error)
	// List returns the default versions in ascending order of their names.
	List() []model.Listed
	// Loaded reports whether the default version has a loaded worker.
	Loaded(name model.Name) (bool, error)
}

// Health tells how the server is.
type Health interface {
	Healthy() bool // by 0.12's rule, for /ping
	Ready() bool   // for /readyz: it can take requests
}

// Counters count answers and predictions. Their methods are called on the hot
// path and must not block.
type Counters interface {
	// Answered is called once per answer, and once more with 500 for a stream
	// that broke off.
	Answered(status int)
	// Requested is called for each prediction of a known model, refused or not.
	Requested(ref model.Ref)
	// Predicted is called when the last reply has arrived: time since the job
	// was made, and how much of it the job waited in a queue.
	Predicted(ref model.Ref, latency, queued time.Duration)
}

// Guards check the token of a request before any route is looked up, one for
// each listener; nil: open. A guard refuses by calling Fail, and removes the
// header Authorization where models must not see it. The paths that stay open
// are its own knowledge.
type Guards struct {
	Inference, Management, Metrics func(http.Handler) http.Handler
}

// Deps are the collaborators. Metrics, Access, Token, Gatherer and the guards
// may be nil.
type Deps struct {
	Predictor Predictor
	Models    Models
	Catalog   Catalog
	Health    Health
	Metrics   Counters
	Guards    Guards
	// Token answers GET and POST /token of the management listener; nil: 404.
	Token func(w http.ResponseWriter, r *http.Request) error
	// Endpoints stand before the routes of the inference listener.
	Endpoints []Endpoint
	// Access gets the line of each answer when its head is written.
	Access func(AccessLine)
	// Gatherer answers /metrics of the metrics listener; nil: 404.
	Gatherer http.Handler
	Log      zerolog.Logger
}

// Endpoint is a plugin that answers GET, PUT, POST and DELETE on every path
// whose first segment is Pattern, in the place of a built-in route. It cannot
// replace the API description.
type Endpoint struct {
	Pattern string
	Handler http.Handler
}

// AccessLine is one answered request for the access log. Its texts are as they
// came, secrets and control characters included.
type AccessLine struct {
	Remote   string // host:port as net/http knows it; "@" or empty for unix sockets
	Method   string
	URI      string // the raw request target
	Protocol string
	Status   int
	Elapsed  time.Duration // from the complete request to the head of its answer
}

// discard is the Counters of those who count nothing.
type discard struct{}

func (discard) Answered(int)                                      {}
func (discard) Requested(model.Ref)                               {}
func (discard) Predicted(model.Ref, time.Duration, time.Duration) {}
