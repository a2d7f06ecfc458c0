package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Listed is a model in a listing, in the server's form.
type Listed struct {
	Name model.Name `json:"modelName"`
	URL  string     `json:"modelUrl,omitempty"`
}

// List returns all models, by name. It asks page by page; what is registered
// meanwhile may be missing.
func (c *Client) List(ctx context.Context) ([]Listed, error) {
	all := []Listed{}
	for token := ""; ; {
		var page struct {
			Next   string   `json:"nextPageToken"`
			Models []Listed `json:"models"`
		}
		q := call{method: http.MethodGet, at: c.cfg.Management, key: Management, path: "/models"}
		if token != "" {
			q.query = url.Values{"next_page_token": {token}}
		}
		if _, err := c.ask(ctx, q, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Models...)
		if page.Next == "" || page.Next == token || len(page.Models) == 0 {
			return all, nil
		}
		token = page.Next
	}
}

// Description is a model version as the server describes it, as far as this
// package has words for it.
type Description struct {
	Name       model.Name    `json:"modelName"`
	Version    model.Version `json:"modelVersion"`
	URL        string        `json:"modelUrl"`
	Runtime    string        `json:"runtime"`
	MinWorkers int           `json:"minWorkers"`
	MaxWorkers int           `json:"maxWorkers"`
	BatchSize  int           `json:"batchSize"`
	BatchDelay int64         `json:"maxBatchDelay"`   // ms
	Response   int64         `json:"responseTimeout"` // s
	Startup    int64         `json:"startupTimeout"`  // s
	DeviceType string        `json:"deviceType"`
	AtStartup  bool          `json:"loadedAtStartup"`
	GaveUp     bool          `json:"gaveUp"` // workers are not started any more
	Workers    []Worker      `json:"workers"`
	Queue      Queue         `json:"jobQueueStatus"`
}

// Ready returns the number of workers that are ready for jobs.
func (d Description) Ready() int {
	n := 0
	for _, w := range d.Workers {
		if w.Ready() {
			n++
		}
	}
	return n
}

// Worker is a worker of a description. GPUUsage is the text of the tool that
// was asked; Error says why the worker is not ready, if that is known.
type Worker struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"startTime"`
	Status   string    `json:"status"`
	Memory   int64     `json:"memoryUsage"` // bytes; 0: not known
	PID      int       `json:"pid"`         // 0: no process
	GPU      bool      `json:"gpu"`
	GPUUsage string    `json:"gpuUsage"`
	Error    string    `json:"error"`
}

// Ready reports whether the worker is ready for jobs.
func (w Worker) Ready() bool { return w.Status == "READY" }

// Queue is the place for the jobs that wait.
type Queue struct {
	Remaining int `json:"remainingCapacity"`
	Pending   int `json:"pendingRequests"`
}

// Described is the answer to Describe: its versions, and the text it came in.
type Described struct {
	Versions []Description
	JSON     []byte
}

// AllVersions is the version that stands for all of them in Describe.
const AllVersions model.Version = "all"

// Describe describes a version of a model, its default one if ref names none,
// or AllVersions; customized asks the model's handler, too.
func (c *Client) Describe(ctx context.Context, ref model.Ref, customized bool) (Described, error) {
	q := c.manage(http.MethodGet, ref)
	if customized {
		q.query = url.Values{"customized": {"true"}}
	}
	var d Described
	var err error
	d.JSON, err = c.ask(ctx, q, &d.Versions)
	return d, err
}

// Change is what the server says to a change of models or workers. Ref is the
// version that it is about, empty if the server does not say. With Pending the
// workers are still to come.
type Change struct {
	Ref     model.Ref
	Pending bool
	Text    string
}

// Register makes a model version known.
func (c *Client) Register(ctx context.Context, r model.Registration) (Change, error) {
	return c.change(ctx, call{
		method: http.MethodPost, at: c.cfg.Management, key: Management, path: "/models", query: registration(r),
	})
}

// registration returns the parameters of 0.12 for what is given.
func registration(r model.Registration) url.Values {
	v := url.Values{"url": {r.URL}, "synchronous": {strconv.FormatBool(r.Synchronous)}}
	text := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	number := func(name string, n *int) {
		if n != nil {
			v.Set(name, strconv.Itoa(*n))
		}
	}
	span := func(name string, d *time.Duration, unit time.Duration) {
		if d != nil {
			v.Set(name, strconv.FormatInt(int64(*d/unit), 10))
		}
	}
	text("model_name", string(r.Name))
	text("runtime", string(r.Runtime))
	number("batch_size", r.BatchSize)
	number("initial_workers", r.Workers)
	span("max_batch_delay", r.BatchDelay, time.Millisecond)
	span("response_timeout", r.Response, time.Second)
	span("startup_timeout", r.Startup, time.Second)
	if r.Handler != nil {
		v.Set("handler", *r.Handler)
	}
	if r.S3SSEKMS {
		v.Set("s3_sse_kms", "true")
	}
	return v
}

// Scale asks for a number of workers.
func (c *Client) Scale(ctx context.Context, ref model.Ref, s model.Scaling) (Change, error) {
	q := c.manage(http.MethodPut, ref)
	q.query = url.Values{
		"min_worker":  {strconv.Itoa(s.Workers.Min)},
		"max_worker":  {strconv.Itoa(s.Workers.Max)},
		"synchronous": {strconv.FormatBool(s.Synchronous)},
	}
	done, err := c.change(ctx, q)
	done.Ref = ref
	return done, err
}

// Unregister removes a version of a model, its default one if ref names none.
func (c *Client) Unregister(ctx context.Context, ref model.Ref) (string, error) {
	return c.status(ctx, c.manage(http.MethodDelete, ref))
}

// SetDefault makes a version the one that clients get who name none.
func (c *Client) SetDefault(ctx context.Context, ref model.Ref) (string, error) {
	q := c.manage(http.MethodPut, ref)
	q.path += "/set-default"
	return c.status(ctx, q)
}

func (c *Client) change(ctx context.Context, q call) (Change, error) {
	answer, err := c.send(ctx, q)
	if err != nil {
		return Change{}, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	var own struct {
		Status string `json:"status"`
	}
	if _, err := q.decode(answer, &own); err != nil {
		return Change{}, err
	}
	return Change{
		Ref: location(answer.Header.Get("Location")), Text: own.Status,
		Pending: answer.StatusCode == http.StatusAccepted || answer.StatusCode == http.StatusPartialContent,
	}, nil
}

// location reads /models/{name}/{version}; anything else is no version.
func location(text string) model.Ref {
	parts := strings.Split(text, "/")
	if len(parts) != 4 || parts[0] != "" || parts[1] != "models" {
		return model.Ref{}
	}
	name, err1 := url.PathUnescape(parts[2])
	version, err2 := url.PathUnescape(parts[3])
	if err1 != nil || err2 != nil {
		return model.Ref{}
	}
	return model.Ref{Name: model.Name(name), Version: model.Version(version)}
}

// manage returns a call about a model on the management listener.
func (c *Client) manage(method string, ref model.Ref) call {
	return call{method: method, at: c.cfg.Management, key: Management, path: refPath("models", ref)}
}

// refPath returns the path of a model below its first segment.
func refPath(first string, ref model.Ref) string {
	if ref.Version == "" {
		return segments(first, string(ref.Name))
	}
	return segments(first, string(ref.Name), string(ref.Version))
}
