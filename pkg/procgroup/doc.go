// Package procgroup starts programs so that they can be ended with all that they
// have started: each leads a process group of its own. What leaves that group can be
// known by a variable of its environment. Watchdog does the same when this process
// cannot any more.
//
// It keeps nothing; everything is safe for concurrent use.
package procgroup
