package snapshot_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// described is a snapshot of one model with these keys in the place of, or
// beside, those that must be there; an empty text takes one out.
func described(changes map[string]string) string {
	keys := map[string]string{
		"defaultVersion": "true", "marName": `"m.mar"`, "minWorkers": "1", "maxWorkers": "2", "batchSize": "3", "maxBatchDelay": "4",
	}
	maps.Copy(keys, changes)
	var all []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if keys[key] != "" {
			all = append(all, fmt.Sprintf("%q: %s", key, keys[key]))
		}
	}
	return `{"modelCount": 1, "models": {"m": {"1.0": {` + strings.Join(all, ", ") + `}}}}`
}

func TestParse(t *testing.T) {
	t.Parallel()
	base := snapshot.Version{
		Name: "m", Version: "1.0", Default: true, Archive: "m.mar", Workers: model.Workers{Min: 1, Max: 2}, Size: 3, Delay: 4 * time.Millisecond,
		Response: 120 * time.Second, Startup: 120 * time.Second, Runtime: model.Python,
	}
	for name, c := range map[string]struct {
		text string
		want func(v *snapshot.Version)
	}{
		"CLI-034 what old releases did not write": {described(nil), func(*snapshot.Version) {}},
		"all that 0.12 writes": {
			described(map[string]string{"responseTimeout": "5", "startupTimeout": "6", "runtimeType": `"python3"`, "parallelLevel": "2"}),
			func(v *snapshot.Version) {
				v.Response, v.Startup, v.Runtime, v.ParallelLevel = 5*time.Second, 6*time.Second, model.Python3, 2
			},
		},
		"CLI-045 what only we write": {
			described(map[string]string{"handler": `"h:f"`, "url": `"file:///x/m.mar"`, "loadedAtStartup": "true"}),
			func(v *snapshot.Version) { v.Handler, v.URL, v.AtStartup = new("h:f"), "file:///x/m.mar", true },
		},
		"an empty handler is one": {described(map[string]string{"handler": `""`}), func(v *snapshot.Version) { v.Handler = new("") }},
		"unknown keys":            {described(map[string]string{"later": `{"a": []}`}), func(*snapshot.Version) {}},
		"numbers without a meaning": {
			described(map[string]string{"minWorkers": "5", "batchSize": "0", "maxBatchDelay": "-3", "responseTimeout": "-1", "parallelLevel": "-1"}),
			func(v *snapshot.Version) {
				v.Workers, v.Size, v.Delay, v.Response = model.Workers{Min: 5, Max: 5}, 1, 0, 0
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := snapshot.Parse(c.text)
			require.NoError(t, err)
			want := base
			c.want(&want)
			assert.Equal(t, []snapshot.Version{want}, s.Versions)
		})
	}
	const about = `model_snapshot, model "m", version "1.0": `
	for name, c := range map[string]struct{ text, want string }{
		"no text":                  {"", "model_snapshot is no valid JSON: "},
		"half of it":               {described(nil)[:40], "model_snapshot is no valid JSON: "},
		"another kind of JSON":     {`[]`, "model_snapshot is no valid JSON: "},
		"another kind of value":    {described(map[string]string{"minWorkers": `"one"`}), "model_snapshot is no valid JSON: "},
		"no default":               {described(map[string]string{"defaultVersion": ""}), about + "defaultVersion is missing"},
		"no archive":               {described(map[string]string{"marName": ""}), about + "marName is missing"},
		"an archive without name":  {described(map[string]string{"marName": `""`}), about + "marName is missing"},
		"no workers":               {described(map[string]string{"maxWorkers": ""}), about + "maxWorkers is missing"},
		"no batch size":            {described(map[string]string{"batchSize": "null"}), about + "batchSize is missing"},
		"a number that is too big": {described(map[string]string{"maxBatchDelay": "2147483648"}), about + "maxBatchDelay: 2147483648 is out of range"},
		"a runtime of nobody":      {described(map[string]string{"runtimeType": `"java"`}), about + `runtimeType "java" is unknown`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := snapshot.Parse(c.text)
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("no models", func(t *testing.T) {
		t.Parallel()
		s, err := snapshot.Parse(`{"modelCount": 0}`)
		require.NoError(t, err)
		assert.Empty(t, s.Versions)
	})
}

// FuzzParse: what can be read can be written, and is the same then.
func FuzzParse(f *testing.F) {
	_, values := recorded(f, "20261125065956289-snapshot.cfg")
	f.Add(values["model_snapshot"])
	f.Add(described(map[string]string{"handler": `"'=<"`, "url": `"x"`, "loadedAtStartup": "true"}))
	f.Add(`{"models": {"": {"": null}}}`)
	f.Add(`{"created": 9223372036854775807}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := snapshot.Parse(text)
		if err != nil {
			return
		}
		written, err := s.JSON()
		require.NoError(t, err)
		assert.NotContains(t, written, "'")
		again, err := snapshot.Parse(written)
		require.NoError(t, err)
		s.Count = len(s.Versions)
		assert.Equal(t, s, again)
	})
}
