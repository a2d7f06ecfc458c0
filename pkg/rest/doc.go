// Package rest answers the HTTP listeners: inference, management, metrics, and
// the combined one that serves all three at one address.
//
// Each listener is one chi router whose middlewares run in the order of this
// drawing; the handlers behind them are func(w, r) error, and one function,
// Fail, writes every failure from the table of pkg/fault:
//
//	net/http
//	  | frame      recovers; opens the answer: request id, and, when its head
//	  |            is written, fixed headers, access line and counters
//	  | normalize  the path by 0.12's rules: decoded, no trailing slashes
//	  | preflight  answers CORS preflights (INF-D25)
//	  | guard      token authorization, made elsewhere; 404 and 405 are behind it
//	  | limit      refuses declared bodies above max_request_size
//	  | plugins    of the inference listener, by the first segment of the path
//	  v
//	route -> handler -> job -> Predictor ... Stream -> reply
//
// A prediction is answered on the goroutine of its request: it waits for the
// replies in a job.Stream until the client goes or the job's deadline passes,
// and gives the job up then. The worker's goroutine never writes to a client.
//
// Only REST is known here: names, versions and texts of TorchServe 0.12 on one
// side, job and model values on the other. Handlers are safe for concurrent
// use; the package starts no goroutines.
package rest
