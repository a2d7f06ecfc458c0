package snapshot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// Parse reads the value of the property model_snapshot, ours or 0.12's of any
// release. What some releases did not write has the default of model; numbers
// that make no sense count as the least that does. Anything else that is missing
// or of the wrong kind is an error that names the model and the key.
func Parse(text string) (State, error) {
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return State{}, fmt.Errorf("model_snapshot is no valid JSON: %w", err)
	}
	s := State{Name: d.Name, Created: time.UnixMilli(d.Created), Count: d.Count}
	for name, versions := range d.Models {
		for version, details := range versions {
			v, err := details.version()
			if err != nil {
				return State{}, fmt.Errorf("model_snapshot, model %q, version %q: %w", name, version, err)
			}
			v.Name, v.Version = model.Name(name), model.Version(version)
			s.Versions = append(s.Versions, v)
		}
	}
	slices.SortFunc(s.Versions, func(a, b Version) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), model.CompareVersions(a.Version, b.Version))
	})
	return s, nil
}

func (d details) version() (Version, error) {
	runtime, known := model.Python, true
	if d.Runtime != nil {
		runtime, known = model.ParseRuntime(*d.Runtime)
	}
	switch {
	case d.Default == nil:
		return Version{}, missing("defaultVersion")
	case d.Archive == nil || *d.Archive == "":
		return Version{}, missing("marName")
	case !known:
		return Version{}, fmt.Errorf("runtimeType %q is unknown", *d.Runtime)
	}
	n := numbers{}
	least := n.required("minWorkers", d.MinWorkers, 0)
	v := Version{
		Default:       *d.Default,
		Archive:       *d.Archive,
		Workers:       model.Workers{Min: least, Max: max(n.required("maxWorkers", d.MaxWorkers, 0), least)},
		Size:          n.required("batchSize", d.BatchSize, 1),
		Delay:         time.Duration(n.required("maxBatchDelay", d.MaxBatchDelay, 0)) * time.Millisecond,
		Response:      n.seconds("responseTimeout", d.Response, model.DefaultResponse),
		Startup:       n.seconds("startupTimeout", d.Startup, model.DefaultStartup),
		Runtime:       runtime,
		ParallelLevel: n.required("parallelLevel", &d.ParallelLevel, 0),
		Handler:       d.Handler,
		URL:           d.URL,
		AtStartup:     d.AtStartup,
	}
	return v, n.err
}

func missing(key string) error { return errors.New(key + " is missing") }

// numbers reads the numbers of a version and keeps the first fault.
type numbers struct{ err error }

// required returns a number that must be there, and is never below least.
func (n *numbers) required(key string, value *int64, least int) int {
	switch {
	case value == nil:
		n.err = cmp.Or(n.err, missing(key))
	case *value < math.MinInt32 || *value > math.MaxInt32:
		n.err = cmp.Or(n.err, fmt.Errorf("%s: %d is out of range", key, *value))
	default:
		return max(int(*value), least)
	}
	return least
}

// seconds returns a time-out, usual if there is none.
func (n *numbers) seconds(key string, value *int64, usual time.Duration) time.Duration {
	if value == nil {
		return usual
	}
	return time.Duration(n.required(key, value, 0)) * time.Second
}
