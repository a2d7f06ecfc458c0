// Package job is a request to a model, the replies to it, and the sink that
// the replies go to: the vocabulary shared by the edges (rest, rpc, workflow),
// the queue and the workers.
//
// A job is made by an edge, queued, handed to one worker and answered exactly
// once: by Sink.Deliver with a last reply, or by Sink.Fail. Its life is a small
// state machine, moved by compare-and-swap so that the client's side (which may
// give up) and the worker's side (which may take it) agree on who was first:
//
//	Queued --Take--> Taken --Finish--> Done
//	   ^               |
//	   +----Return-----+
//	Queued --Abandon--> Done
//
// Abandon on a taken job marks it: the worker goes on, its result is discarded.
package job
