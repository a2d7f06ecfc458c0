package archive

import (
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// shortestRule is the shortest time, in ms, after which workers are added or
// retired: less is no load that lasts.
const shortestRule = 100

// autoscale reads true, false, or a mapping with times in ms, which means true.
func (r *configReader) autoscale(v any) {
	a := model.Autoscale{
		On: true, QueueWait: model.DefaultQueueWait, UpAfter: model.DefaultUpAfter, DownAfter: model.DefaultDownAfter,
	}
	switch v := v.(type) {
	case bool:
		a.On = v
	case yaml11.Mapping:
		for _, e := range v {
			r.autoscaleKey(&a, javaText(e.Key), e.Value)
		}
	default:
		r.warn("Invalid autoscale: %s, should be true, false or a mapping", javaText(v))
		return
	}
	r.config.Autoscale = &a
}

func (r *configReader) autoscaleKey(a *model.Autoscale, key string, v any) {
	switch key {
	case "queueWaitMs":
		r.autoscaleTime(&a.QueueWait, key, v, 1)
	case "upAfterMs":
		r.autoscaleTime(&a.UpAfter, key, v, shortestRule)
	case "downAfterMs":
		r.autoscaleTime(&a.DownAfter, key, v, shortestRule)
	default:
		r.warn("unsupported parameter autoscale.%s", key)
	}
}

// autoscaleTime reads a time in ms; a bad one leaves the default.
func (r *configReader) autoscaleTime(to *time.Duration, key string, v any, least int) {
	n, ok := int32Of(v)
	if !ok || n < least {
		r.warn("Invalid autoscale.%s: %s, should be an integer, %d or more", key, javaText(v), least)
		return
	}
	*to = time.Duration(n) * time.Millisecond
}

// finishAutoscale warns where automatic scaling has nothing to go by.
func (r *configReader) finishAutoscale(c *ModelConfig) {
	if c.Autoscale == nil || !c.Autoscale.On {
		c.Autoscale = nil
		return
	}
	if isTrue(c.AsyncCommunication) && c.MaxAsyncRequests == nil {
		r.warn("Ignored autoscale: with asyncCommunication it needs maxAsyncRequests, because else no request ever waits for a worker")
		c.Autoscale = nil
		return
	}
	if w, ok := c.Workers(); !ok || w.Min == w.Max {
		r.warn("autoscale has nothing to choose from: it needs a minWorkers and a greater maxWorkers, here or by a scale call")
	}
}
