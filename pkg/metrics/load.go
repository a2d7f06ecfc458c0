package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// loadFailure begins every line about a defect of the file, as in 0.12.
const loadFailure = "Failed to load metrics configuration: "

// Load reads the definitions in the file at path. It returns an error, which
// names path, only when the file cannot be read or is not YAML; an entry that
// makes no sense is logged and left out, the rest holds (MET §2.4).
func Load(path string, log zerolog.Logger) (Definitions, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Definitions{}, unloaded(path, err)
	}
	defs, findings, err := parse(text)
	if err != nil {
		return Definitions{}, unloaded(path, err)
	}
	for _, f := range findings {
		log.WithLevel(f.level).Msg(f.text)
	}
	log.Info().Msg("Successfully loaded metrics configuration from " + path)
	return defs, nil
}

// unloaded words the refusal of a file as 0.12 did.
func unloaded(path string, err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		err = of.Err
	}
	return fmt.Errorf(loadFailure+"%s: %w", path, err) //nolint:staticcheck // compat(0.12): MET §2.4
}

// finding is something in the file that does not count.
type finding struct {
	level zerolog.Level
	text  string
}

// parse reads the text of a file. It is pure.
func parse(text []byte) (Definitions, []finding, error) {
	document, err := yaml11.Parse(text)
	if err != nil {
		return Definitions{}, nil, err //nolint:wrapcheck // Load says what it is about
	}
	var r reader
	defs := Definitions{Document: document}
	for _, e := range r.mapping("the file", document) {
		switch e.Key {
		case "dimensions": // there for its anchors only
		case "ts_metrics":
			defs.Server = r.section("ts_metrics", e.Value)
		case "model_metrics":
			defs.Model = r.section("model_metrics", e.Value)
		default:
			r.ignore("the file", e.Key)
		}
	}
	return defs, r.findings, nil
}

// reader collects the findings of one file.
type reader struct{ findings []finding }

func (r *reader) refuse(what string, err error) {
	r.findings = append(r.findings, finding{zerolog.ErrorLevel, loadFailure + what + ": " + err.Error()})
}

func (r *reader) warn(text string) {
	r.findings = append(r.findings, finding{zerolog.WarnLevel, text})
}

func (r *reader) ignore(where string, key any) {
	r.warn(fmt.Sprintf("Metrics configuration: unknown key %q in %s is ignored", fmt.Sprint(key), where))
}

func (r *reader) mapping(what string, v any) yaml11.Mapping {
	m, ok := v.(yaml11.Mapping)
	if !ok {
		r.refuse(what, errors.New("must be a mapping"))
	}
	return m
}

// section reads ts_metrics or model_metrics; null is none.
func (r *reader) section(name string, v any) []Definition {
	if v == nil {
		return nil
	}
	m := r.mapping(name, v)
	for _, e := range m {
		switch e.Key {
		case Counter.String(), Gauge.String(), Histogram.String():
		default:
			r.ignore(name, e.Key)
		}
	}
	var defs []Definition
	for _, t := range types() {
		if v, ok := m.Lookup(t.String()); ok && v != nil {
			defs = append(defs, r.entries(name+"."+t.String(), t, v)...)
		}
	}
	return r.unique(name, defs)
}

func (r *reader) entries(where string, t Type, v any) []Definition {
	list, ok := v.([]any)
	if !ok {
		r.refuse(where, errors.New("must be a list"))
		return nil
	}
	defs := make([]Definition, 0, len(list))
	for i, v := range list {
		what := fmt.Sprintf("%s entry %d", where, i+1)
		m, ok := v.(yaml11.Mapping)
		if !ok {
			r.refuse(what, errors.New("must be a mapping"))
			continue
		}
		d, err := r.entry(what, m)
		if err != nil {
			r.refuse(what+" "+strconv.Quote(d.Name), err)
			continue
		}
		d.Type = t
		defs = append(defs, d)
	}
	return defs
}

func (r *reader) entry(what string, m yaml11.Mapping) (Definition, error) {
	var d Definition
	listed := false
	for _, e := range m {
		switch e.Key {
		case "name":
			d.Name, _ = scalar(e.Value)
		case "unit":
			d.Unit, _ = scalar(e.Value)
		case "dimensions":
			d.Dimensions, listed = texts(e.Value)
		default:
			r.ignore(what, e.Key)
		}
	}
	switch {
	case d.Name == "":
		return d, errors.New("Metric name cannot be empty.") //nolint:revive,staticcheck // compat(0.12): MET §2.4
	case d.Unit == "":
		return d, errors.New("Metric unit cannot be empty.") //nolint:revive,staticcheck // compat(0.12): MET §2.4
	case !listed:
		return d, errors.New("dimensions must be a list of names, which may be empty")
	default:
		return d, nil
	}
}

// unique keeps the last definition of each name.
func (r *reader) unique(section string, defs []Definition) []Definition {
	last := make(map[string]int, len(defs))
	for i, d := range defs {
		last[d.Name] = i
	}
	kept := make([]Definition, 0, len(last))
	for i, d := range defs {
		if last[d.Name] == i {
			kept = append(kept, d)
			continue
		}
		r.warn(fmt.Sprintf("Metrics configuration: %s defines %q more than once; the last definition counts", section, d.Name))
	}
	return kept
}

func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	all := make([]string, 0, len(list))
	for _, v := range list {
		text, ok := scalar(v)
		if !ok {
			return nil, false
		}
		all = append(all, text)
	}
	return all, true
}

// scalar returns a text, or the text of a number or boolean, which 0.12 took
// for one.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case *big.Int:
		return v.String(), true
	case float64:
		return string(appendNumber(nil, v)), true
	default:
		return "", false
	}
}
