// Package metrics records what the server and its workers measure: as lines of
// ts_metrics.log and model_metrics.log, or as series that /metrics shows
// (spec/metrics.md).
//
//	metrics.yaml --Load--> Definitions --New--> Recorder
//
//	who measures                      log              prometheus
//	Requested, Answered, Predicted    TS_METRICS       series
//	Worker: load and thread time      TS_METRICS       series
//	Worker: Line, of the process      MODEL_METRICS    series
//	Models, Refused, Go, process      ts_ series       ts_ series
//
// The mode legacy is log with series for the three ts_ counters of 0.12. A
// metric of the first three rows exists only if the file defines it, with the
// type and the names of dimensions that stand there; the last row is always
// shown.
//
// Updates lie on the path of every request. All decisions are made by New: an
// update formats into a pooled buffer, or adds to a series that it finds under a
// read lock; it neither blocks nor, once its series is there, allocates.
//
// New starts nothing. All methods are safe for concurrent use.
package metrics
