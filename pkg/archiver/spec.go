package archiver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// specParameters are the keys of a workflow specification, below models, that
// are numbers (WFL §3.1).
//
//nolint:gochecknoglobals // read-only table
var specParameters = []string{"min-workers", "max-workers", "batch-size", "max-batch-delay", "retry-attempts", "timeout-ms"}

// spec looks for what a server would refuse in a workflow specification.
type spec struct {
	models yaml11.Mapping
	order  []string            // nodes as they appear
	next   map[string][]string // successors by node
	faults []string
}

func (s *spec) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// specFaults returns what is wrong with a specification; handler says whether
// there is one for function nodes.
func specFaults(text []byte, handler bool) []string {
	document, err := yaml11.Parse(text)
	if err != nil {
		return []string{"it is no YAML: " + err.Error()}
	}
	root, ok := document.(yaml11.Mapping)
	if !ok {
		return []string{"it must be a mapping"}
	}
	s := &spec{next: map[string][]string{}}
	if models, given := root.Lookup("models"); given && models != nil {
		s.models, ok = models.(yaml11.Mapping)
		if !ok {
			s.fault("models must be a mapping")
		}
	}
	s.numbers("models", s.models)
	dag, _ := root.Lookup("dag")
	nodes, ok := dag.(yaml11.Mapping)
	if !ok {
		s.fault("dag must be a mapping")
		return s.faults
	}
	for _, e := range nodes {
		s.node(fmt.Sprint(e.Key), e.Value)
	}
	s.checkNodes(handler)
	s.checkShape()
	return s.faults
}

// numbers checks the parameters of all models, or of one.
func (s *spec) numbers(place string, parameters yaml11.Mapping) {
	for _, name := range specParameters {
		value, given := parameters.Lookup(name)
		if _, ok := value.(int64); given && !ok {
			s.fault("%s.%s must be an integer", place, name)
		}
	}
}

// node takes a node of the DAG and the list of its successors.
func (s *spec) node(name string, value any) {
	s.add(name)
	successors, ok := value.([]any)
	if !ok && value != nil {
		s.fault("dag.%s must be a list", name)
		return
	}
	for _, v := range successors {
		next := fmt.Sprint(v)
		if v == nil || strings.TrimSpace(next) == "" {
			continue // compat(0.12): WFL-034
		}
		s.add(next)
		if next == name {
			s.fault("dag.%s leads to itself", name)
			continue
		}
		s.next[name] = append(s.next[name], next)
	}
}

func (s *spec) add(name string) {
	if !slices.Contains(s.order, name) {
		s.order = append(s.order, name)
	}
}

// checkNodes looks at what the nodes need: models an archive, functions a
// handler.
func (s *spec) checkNodes(handler bool) {
	for _, name := range s.order {
		value, isModel := s.models.Lookup(name)
		if !isModel || slices.Contains(specParameters, name) {
			if !handler {
				s.fault("%s is no model, so it must be a function of a --handler", name)
			}
			continue
		}
		parameters, ok := value.(yaml11.Mapping)
		if !ok {
			s.fault("models.%s must be a mapping", name)
			continue
		}
		s.numbers("models."+name, parameters)
		if url, _ := parameters.Lookup("url"); url == nil || url == "" {
			s.fault("models.%s has no url", name)
		}
	}
}

// checkShape looks for one start and for cycles (WFL §4).
func (s *spec) checkShape() {
	waiting := map[string]int{} // for so many predecessors
	for _, successors := range s.next {
		for _, next := range successors {
			waiting[next]++
		}
	}
	ready := slices.DeleteFunc(slices.Clone(s.order), func(name string) bool { return waiting[name] > 0 })
	if len(ready) != 1 {
		s.fault("dag must have one node without predecessor, not %d", len(ready))
		return
	}
	done := 0
	for ; done < len(ready); done++ {
		for _, next := range s.next[ready[done]] {
			waiting[next]--
			if waiting[next] == 0 {
				ready = append(ready, next)
			}
		}
	}
	if done < len(s.order) {
		s.fault("dag has a cycle")
	}
}
