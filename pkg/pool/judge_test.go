package pool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// looks has a judge look each second for two minutes, and returns its first
// decision.
func looks(s sight) model.ScalingReason {
	j := judge{rules: model.Autoscale{On: true, QueueWait: 100 * time.Millisecond, UpAfter: 5 * time.Second, DownAfter: time.Minute}}
	now := time.Now()
	busy := s.work
	s.work = 0
	for range 120 {
		if why := j.look(now, s); why != "" {
			return why
		}
		now = now.Add(time.Second)
		s.work += busy
	}
	return ""
}

func TestJudge(t *testing.T) {
	t.Parallel()
	late, busy := 200*time.Millisecond, time.Second // of each second
	for name, c := range map[string]struct {
		s    sight
		want model.ScalingReason
	}{
		"late": {sight{wanted: model.Workers{Min: 1, Max: 2}, workers: 1, loaded: true, wait: late}, model.JobsWaited},
		"as late as may be": {
			sight{wanted: model.Workers{Min: 1, Max: 2}, workers: 1, loaded: true, wait: late / 2}, "",
		},
		"refused":              {sight{wanted: model.Workers{Min: 1, Max: 2}, workers: 1, loaded: true, refused: true}, model.JobsRefused},
		"late, at the maximum": {sight{wanted: model.Workers{Min: 1, Max: 2}, workers: 2, loaded: true, wait: late}, ""},
		"late, while the last place is taken by one that leaves": {
			sight{wanted: model.Workers{Min: 1, Max: 2}, workers: 1, leaving: 1, loaded: true, wait: late}, "",
		},
		"late, with as many as a machine can bear": {
			sight{wanted: model.Workers{Min: 1, Max: 1 << 30}, workers: model.MaxWorkers, loaded: true, wait: late}, "",
		},
		"late, while one is away":                 {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 2, wait: late}, ""},
		"late, while none is wanted":              {sight{wanted: model.Workers{Max: 3}, loaded: true, wait: late}, ""},
		"nothing to do":                           {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 3, loaded: true}, model.WorkersIdle},
		"nothing to do, at the minimum":           {sight{wanted: model.Workers{Min: 2, Max: 3}, workers: 2, loaded: true}, ""},
		"nothing to do, while one is away":        {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 3}, ""},
		"work for 1.3 of 3":                       {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 3, loaded: true, work: busy * 13 / 10}, model.WorkersIdle},
		"work for 1.5 of 3":                       {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 3, loaded: true, work: busy * 15 / 10}, ""},
		"little work, but late":                   {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 3, loaded: true, work: busy, wait: late}, ""},
		"one gave up":                             {sight{wanted: model.Workers{Min: 1, Max: 3}, workers: 2, gaveUp: true}, model.WorkerGaveUp},
		"one of the wanted gave up":               {sight{wanted: model.Workers{Min: 2, Max: 3}, workers: 2, gaveUp: true, wait: late}, ""},
		"one gave up, and nothing else is wanted": {sight{workers: 0, gaveUp: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, looks(c.s))
		})
	}
}
