package metrics

import "strings"

// Type says what an update does: a counter adds it, a gauge is set to it, a
// histogram counts it. In log mode all of them are lines.
type Type uint8

// The types, in the order in which their sections are read and shown.
const (
	Counter Type = iota
	Gauge
	Histogram
)

// String returns the name of the type in the file and in the exposition.
func (t Type) String() string {
	switch t {
	case Counter:
		return "counter"
	case Gauge:
		return "gauge"
	case Histogram:
		return "histogram"
	default:
		return "unknown"
	}
}

// types returns all of them in order.
func types() []Type { return []Type{Counter, Gauge, Histogram} }

// typeOf returns the type that a worker's line names.
func typeOf(word string) (Type, bool) {
	for _, t := range types() {
		if word == strings.ToUpper(t.String()) {
			return t, true
		}
	}
	return 0, false
}

// Definition is one metric of the file.
type Definition struct {
	Name string
	Unit string
	Type Type
	// Dimensions are the names of its dimensions; updates give the values in
	// the same order, the host name last.
	Dimensions []string
}

// Definitions are the metrics of a file: each section in the order counter,
// gauge, histogram, no name twice in one of them.
type Definitions struct {
	Server []Definition // ts_metrics
	Model  []Definition // model_metrics; Hostname is added to their dimensions

	// Document is the whole file, for workers that cannot read YAML themselves
	// (yaml11.JSON).
	Document any
}

// hostDimension is the name of the last dimension of every model metric.
const hostDimension = "Hostname"
