package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/model"
)

// versions reads the models key (section 11.3): name, version, parameters.
// Unknown parameters are ignored.
func (r *reader) versions() map[string]map[string]VersionDefaults {
	const key = "models"
	text := strings.TrimSpace(r.text(key))
	if text == "" {
		return nil
	}
	var parsed map[string]map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &parsed); err != nil {
		r.refuse(key, "models: "+err.Error())
		return nil
	}
	all := make(map[string]map[string]VersionDefaults, len(parsed))
	for _, name := range slices.Sorted(maps.Keys(parsed)) {
		all[name] = make(map[string]VersionDefaults, len(parsed[name]))
		for _, version := range slices.Sorted(maps.Keys(parsed[name])) {
			v := parameters{r, name + ":" + version, parsed[name][version]}
			all[name][version] = VersionDefaults{
				MinWorkers: v.int("minWorkers"),
				MaxWorkers: v.int("maxWorkers"),
				BatchSize:  v.int("batchSize"),
				BatchDelay: time.Duration(v.int("maxBatchDelay")) * time.Millisecond,
				Response:   time.Duration(v.int("responseTimeout")) * time.Second,
				Startup:    time.Duration(v.int("startupTimeout")) * time.Second,
				Runtime:    v.runtime(),
			}
		}
	}
	return all
}

// parameters are those of one model version.
type parameters struct {
	r      *reader
	id     string // model:version
	values map[string]json.RawMessage
}

// text returns a parameter that is a plain value, as text.
func (p parameters) text(name string) (string, bool) {
	raw, ok := p.values[name]
	if !ok {
		return "", false
	}
	switch raw[0] {
	case '{', '[', 'n': // null
		p.mistake(name)
		return "", false
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s) // it has been parsed before
		return s, true
	default:
		return string(raw), true
	}
}

func (p parameters) mistake(name string) {
	p.r.warn(Warning{Key: "models", Level: Mistake, Lax: true, Text: "Invalid value for model: " + p.id + ", parameter: " + name})
}

// int returns a number, as 0.12 cut it off at the point; absent ones and those
// below 1 are 0.
func (p parameters) int(name string) int {
	text, ok := p.text(name)
	if !ok {
		return 0
	}
	f, _, err := big.ParseFloat(text, 10, 64, big.ToZero)
	if err != nil || f.IsInf() || f.Cmp(big.NewFloat(maxInt32)) > 0 {
		p.r.fault(Fault{
			Key: "models", Message: "For input string: " + strconv.Quote(text),
			Rule: fmt.Sprintf("%s of %s: an integer up to %d", name, p.id, maxInt32), Where: p.r.set["models"].Where,
		})
		return 0
	}
	n, _ := f.Int64()
	return max(int(n), 0)
}

func (p parameters) runtime() model.Runtime {
	text, ok := p.text("runtimeType")
	if !ok {
		return ""
	}
	runtime, ok := model.ParseRuntime(text)
	if !ok {
		p.mistake("runtimeType")
	}
	return runtime
}
