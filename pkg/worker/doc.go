// Package worker runs one worker of a model version: its process, its
// connection and its state machine (reference: worker-protocol.md §9 to §13,
// scheduling.md §3 and §4).
//
// A Worker lives through many incarnations of its process: Start brings one up
// to a loaded model, Exchange sends a batch and hands the answers to the jobs,
// Stop ends the incarnation. Pacing and giving up are the pool's business.
//
//	None ----------+
//	Stopped -------+--Start--> Started --load 200--> ModelLoaded
//	                              |                      |
//	                              +--load other--> Failed|
//	                              v                  |   v
//	                           Stopped <-------------+---+
//	any --Retire--> ScaledDown (final)
//
// Names shown to clients and logs are those of TorchServe 0.12
// (WORKER_STARTED …); None is written as null.
//
// # Goroutines
//
// An incarnation has one reaper and two readers of its output; all of them end
// with the process. Everybody else waits on Done. Start, Exchange and Stop are
// called by one goroutine, the slot of the pool; Status, State, Done, Retire and
// Interrupt may be called by any.
//
// # Process
//
// The process runs in a group of its own, with a parent-death signal on Linux.
// It ends by itself when its connection ends. Stop climbs a ladder whose every
// rung is bounded: close the connection, terminate the group, kill the group. A
// worker that has failed an exchange is killed at once.
//
// # Ranks
//
// The process of a parallel model is torchrun, which starts the ranks of the
// worker: processes that listen at numbers from the worker's own, one connection
// each. All of them load the model; of tensor parallelism all get every batch but
// describe jobs, of a pipeline the first one does. Only the first one answers, so
// that the others' connections are watched for their end, which is that of the
// incarnation. Ranks are in no group of ours: whatever is left of them when torchrun
// has ended is found by a variable of its environment (on Linux), and killed.
package worker
