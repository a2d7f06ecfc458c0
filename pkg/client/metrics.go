package client

import (
	"context"
	"io"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Figures are the server's own metrics, as far as this package has words for
// them. Started is zero if the server does not say.
type Figures struct {
	Started time.Time
	Models  map[model.Ref]ModelFigures
}

// ModelFigures is what a model version does at the moment.
type ModelFigures struct {
	Running int           // jobs that workers have
	Oldest  time.Duration // that the first waiting job has waited
}

// Figures asks the metrics listener. It sends the management key, which that
// listener may ask for.
func (c *Client) Figures(ctx context.Context) (Figures, error) {
	q := call{method: http.MethodGet, at: c.cfg.Metrics, key: Management, path: "/metrics"}
	answer, err := c.send(ctx, q)
	if err != nil {
		return Figures{}, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	parser := expfmt.NewTextParser(promodel.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(answer.Body, maxJSON))
	if err != nil {
		return Figures{}, q.foreign(answer, nil)
	}
	f := Figures{Models: map[model.Ref]ModelFigures{}}
	for _, m := range families["ts_process_start_time_seconds"].GetMetric() {
		f.Started = time.UnixMilli(int64(m.GetGauge().GetValue() * 1000))
	}
	for _, m := range families["ts_jobs_running"].GetMetric() {
		one := f.Models[refOf(m)]
		one.Running = int(m.GetGauge().GetValue())
		f.Models[refOf(m)] = one
	}
	for _, m := range families["ts_queue_oldest_wait_seconds"].GetMetric() {
		one := f.Models[refOf(m)]
		one.Oldest = time.Duration(m.GetGauge().GetValue() * float64(time.Second))
		f.Models[refOf(m)] = one
	}
	return f, nil
}

func refOf(m *dto.Metric) model.Ref {
	var ref model.Ref
	for _, l := range m.GetLabel() {
		switch l.GetName() {
		case "model_name":
			ref.Name = model.Name(l.GetValue())
		case "model_version":
			ref.Version = model.Version(l.GetValue())
		}
	}
	return ref
}
