// Package pool is one model version at work: its queue, its workers, and the
// pacing of their restarts (reference: scheduling.md §3 to §11).
//
// A Pool accepts jobs while it has a worker that runs or may come back, and
// every accepted job gets exactly one final answer: from a worker, or as Busy
// when no worker is left to give one.
//
// # Life of a worker
//
// Each worker is driven by one goroutine, its slot:
//
//	            +----------------- back-off <---------------+
//	            v                                           |
//	Scale --> start --loaded--> collect <--> exchange       | window open
//	            |                  |  died       | died     |
//	            +-----failed-------+-------------+----> stop the process
//	                                                        | window over
//	            retired (from anywhere)                     v
//	               |                                     give up
//	               v                                        |
//	            scaled down, process stopped <---retired----+
//
// A batch that was sent is finished before a retired worker stops; a batch that
// could not be sent goes back to the head of the queue. A worker that gave up
// stays in the list, shown as stopped, until workers are scaled again.
//
// # Read-ahead
//
// While the only worker of a model computes, the next batch is already on its
// socket, if one is ready and small: a busy worker then never sleeps between two
// batches. With several workers, or where one may be added, there is none, because another one might be free
// earlier, nor where several ranks work on a batch. When the worker dies, the
// batch that it had not begun goes back to the queue.
//
// # Automatic scaling
//
// Where the settings ask for it, a goroutine, the scaler, moves the number of
// workers between the wanted minimum and maximum (docs/autoscaling.md). Its judge
// looks at how long jobs waited, each look a step apart while some do, and at how
// long workers worked:
//
//	jobs late in each look for UpAfter      -> add one worker, wait for its start
//	work of DownAfter fits into one fewer   -> retire the newest that can be spared
//	the added one does not start            -> retire it, pause, ever longer
//	one above the minimum gave up           -> retire it, pause
//
// A call of Scale begins all of that anew.
//
// # Concurrency
//
// New starts nothing. Scale starts slots, and the scaler; Close ends them and has
// waited for all of them when it returns. All methods are safe for concurrent
// use.
package pool
