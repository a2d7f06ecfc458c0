// Package batch is the queue of one model version and the collection of
// batches from it (reference: scheduling.md §8 and §9).
//
// The queue is bounded and first-in first-out; jobs that a dying worker hands
// back go to its head in their old order and never overflow it. Collect forms a
// batch: it waits for a first job, then takes more until the batch is full or
// the delay counted from the first job's arrival is over. One collector at a
// time has its turn, so that a batch is filled by one idle worker; the others
// wait behind it.
//
// A batch never mixes predictions with explanations (INF-D27), and a describe
// job is always alone. Jobs whose client has gone, or whose time is over, are
// dropped on the way and use up no place.
//
// Ready gives away what a collector would get at once, for a worker that is still
// busy.
//
// A Queue starts no goroutine and is safe for concurrent use.
package batch
