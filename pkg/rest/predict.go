package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// call is a prediction as its route names it.
type call struct {
	ref       model.Ref
	versioned bool // the client named a version, an empty one included
	queried   bool // query parameters are inputs, too
	unnamed   bool // the name is not in the path (INF §4.4)
	explain   bool
	headers   []job.Header
}

// predictions adds the routes that run a model. All of them take any method, as
// in 0.12; what it claims without serving it is 404 (INF §3.3, rows 7 to 17).
func (e *edge) predictions(r chi.Router) {
	r.Handle("/invocations", handle(e.invocations))
	r.Handle("/invocations/*", handle(notFound))
	r.Handle("/models/{model}/invoke", handle(e.invoke))
	r.Handle("/models/*", handle(notFound))
	for prefix, explain := range map[string]bool{"/predictions": false, "/explanations": true} {
		h := handle(e.named(explain))
		r.Handle(prefix+"/{model}", h)
		r.Handle(prefix+"/{model}/{version}", h)
		r.Handle(prefix+"/{model}/{version}/*", h)
	}
	r.Handle("/{model}/predict", handle(e.legacy))
	r.Handle("/{model}/{version}/predict", handle(e.legacy))
	r.Handle("/v1/models/{model}:{verb}", handle(e.kserve1))
	r.Handle("/v2/models/{target}/infer", handle(e.kserve2(false)))
	r.Handle("/v2/models/{target}/explain", handle(e.kserve2(true)))
}

func (e *edge) named(explain bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		params := &chi.RouteContext(r.Context()).URLParams
		c := call{explain: explain, ref: model.Ref{Name: model.Name(params.Values[0])}}
		path := ""
		if len(params.Values) > 1 {
			c.versioned, c.ref.Version = true, model.Version(params.Values[1])
		}
		if len(params.Values) > 2 {
			path = params.Values[2]
		}
		c.headers = []job.Header{explainHeader(explain), {Name: headerURLPath, Value: path}}
		return e.predict(w, r, c)
	}
}

func explainHeader(explain bool) job.Header {
	if explain {
		return job.Header{Name: headerExplain, Value: "True"}
	}
	return job.Header{Name: headerExplain, Value: "False"}
}

func (e *edge) invocations(w http.ResponseWriter, r *http.Request) error {
	return e.predict(w, r, call{queried: true, unnamed: true})
}

func (e *edge) invoke(w http.ResponseWriter, r *http.Request) error {
	name := model.Name(chi.URLParam(r, "model"))
	if name == "" {
		name, _ = e.deps.Predictor.StartupModel()
	}
	return e.predict(w, r, call{queried: true, ref: model.Ref{Name: name}})
}

func (e *edge) legacy(w http.ResponseWriter, r *http.Request) error {
	params := &chi.RouteContext(r.Context()).URLParams
	c := call{queried: true, ref: model.Ref{Name: model.Name(params.Values[0])}}
	if len(params.Values) > 1 {
		c.versioned, c.ref.Version = true, model.Version(params.Values[1])
	}
	return e.predict(w, r, c)
}

// hasVerb reports whether a KServe v1 target asks for a prediction. The verb may
// stand anywhere behind a colon (INF-D9).
func hasVerb(target string) bool {
	return strings.Contains(target, ":predict") || strings.Contains(target, ":explain")
}

func (e *edge) kserve1(w http.ResponseWriter, r *http.Request) error {
	verbs := ":" + chi.URLParam(r, "verb")
	if !hasVerb(verbs) {
		return notFound(w, r)
	}
	explain := !strings.Contains(verbs, ":predict")
	return e.predict(w, r, call{
		ref:     model.Ref{Name: model.Name(chi.URLParam(r, "model"))},
		explain: explain,
		headers: []job.Header{explainHeader(explain)},
	})
}

func (e *edge) kserve2(explain bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, _, _ := strings.Cut(chi.URLParam(r, "target"), ":")
		return e.predict(w, r, call{
			ref:     model.Ref{Name: model.Name(name)},
			explain: explain,
			headers: []job.Header{explainHeader(explain)},
		})
	}
}

// predict runs a job and answers with its replies (INF §5). The order of its
// steps decides which of several mistakes the client hears of.
func (e *edge) predict(w http.ResponseWriter, r *http.Request, c call) error {
	inputs, length, err := e.inputs(w, r, &c)
	if err != nil {
		return err
	}
	if c.versioned && c.ref.Version == "" {
		return e.emptyVersion(c.ref)
	}
	if r.Method == http.MethodOptions {
		return e.describeRoute(w, c.ref)
	}
	stream := job.NewStream()
	j := &job.Job{
		ID:      w.Header()[headerRequestID][0],
		Ref:     c.ref,
		Request: job.Request{Headers: e.requestHeaders(r, length, c.headers), Parameters: inputs},
		Sink:    stream,
		Created: time.Now(),
	}
	if c.explain {
		j.Kind = job.Explain
	}
	err = e.deps.Predictor.Submit(r.Context(), j)
	if err == nil || fault.Is(err, fault.Busy) {
		e.deps.Metrics.Requested(c.ref)
	}
	if err != nil {
		return busy(err, c.ref, c.versioned, refusedInference)
	}
	return busy(e.wait(w, r, j, stream), c.ref, c.versioned, refusedInference)
}

// inputs reads the parameters of a request and completes the name of its model.
func (e *edge) inputs(w http.ResponseWriter, r *http.Request, c *call) (inputs []job.Parameter, length int, err error) {
	var q query
	if c.queried {
		if q, err = parseQuery(r.RequestURI); err != nil {
			return nil, 0, err
		}
	}
	body, err := e.readBody(w, r)
	if err != nil {
		return nil, 0, err
	}
	if inputs, err = bodyParameters(r.Header.Get(headerContentType), body); err != nil {
		return nil, 0, err
	}
	if len(q) > 0 {
		inputs = append(q.parameters(), inputs...)
	}
	if c.unnamed {
		c.ref.Name, err = e.modelName(q, inputs)
	}
	return inputs, len(body), err
}

// parameters returns the query as inputs: in the order in which names appear
// first, repeated values together.
func (q query) parameters() []job.Parameter {
	inputs := make([]job.Parameter, 0, len(q)+1)
	done := make(map[string]bool, len(q))
	for i, p := range q {
		if done[p.name] {
			continue
		}
		done[p.name] = true
		for _, same := range q[i:] {
			if same.name == p.name {
				inputs = append(inputs, job.Parameter{Name: same.name, Value: []byte(same.value)})
			}
		}
	}
	return inputs
}

// modelName finds the model that an invocation does not name in its path: in
// the query, else the only one of the start-up, else in the body (INF §4.4).
func (e *edge) modelName(q query, inputs []job.Parameter) (model.Name, error) {
	const parameter = "model_name"
	named, found := q.get(parameter)
	if named != "" {
		return model.Name(named), nil
	}
	if name, only := e.deps.Predictor.StartupModel(); only {
		return name, nil
	}
	if found {
		return "", nil
	}
	for _, p := range inputs {
		if p.Name == parameter {
			return model.Name(p.Value), nil
		}
	}
	return "", fault.New(fault.BadRequest, "Parameter model_name is required.")
}

// emptyVersion is the error of a path that names an empty version: inside, an
// empty version means the default one.
func (e *edge) emptyVersion(ref model.Ref) error {
	if err := e.deps.Predictor.Resolve(ref); err != nil {
		return err
	}
	return fault.New(fault.VersionNotFound, "Model version:  does not exist for model: "+string(ref.Name))
}

// What a refused request was for, in the words of 0.12 (INF §10.1, MGT §6.1).
const (
	refusedInference = "inference request. Please use scale workers API to add workers." +
		" If this is a sequence inference, please check if it is closed, or expired;" +
		" or exceeds maxSequenceJobQueueSize"
	refusedDescribe = "describe request. Please use scale workers API to add workers."
)

// busy gives a refusal the text of 0.12, odd quote included, which depends on
// what the client named.
func busy(err error, ref model.Ref, versioned bool, request string) error {
	if err == nil || !fault.Is(err, fault.Busy) || fault.Message(err) != "" {
		return err
	}
	version := ""
	if versioned {
		version = " Version " + string(ref.Version) + `"`
	}
	return fault.Wrap(fault.Busy, `Model "`+string(ref.Name)+`"`+version+" has no worker to serve "+request, err)
}

// wait answers with the replies to j, or gives j up when its client goes or its
// time is over.
func (e *edge) wait(w http.ResponseWriter, r *http.Request, j *job.Job, s *job.Stream) error {
	ctx := r.Context()
	if !j.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, j.Deadline, j.TimedOut())
		defer cancel()
	}
	first, err := s.Next(ctx)
	if err == nil && !first.More {
		// The time that the client takes to read is not the model's.
		e.deps.Metrics.Predicted(j.Ref, time.Since(j.Created), j.Waited())
		return e.reply(ctx, w, r, first, s)
	}
	if err == nil {
		err = e.reply(ctx, w, r, first, s)
	}
	if err == nil {
		e.deps.Metrics.Predicted(j.Ref, time.Since(j.Created), j.Waited())
		return nil
	}
	e.giveUp(ctx, j, err)
	return err
}

// giveUp abandons j where it was not the job itself that failed.
func (e *edge) giveUp(ctx context.Context, j *job.Job, err error) {
	queued := j.Abandon()
	if !errors.Is(context.Cause(ctx), err) || !fault.Is(err, fault.Expired) {
		return
	}
	text := "Drop response for inference request "
	if queued {
		text = "Drop inference request "
	}
	e.deps.Log.Warn().Msg(text + j.ID + " due to client timeout")
}
