// Package procgroup starts programs so that they can be ended with all that they
// have started: each leads a process group of its own.
//
// It keeps nothing; everything is safe for concurrent use.
package procgroup
