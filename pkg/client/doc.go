// Package client calls the REST API of a running server: its models, their
// workers, predictions, keys and health.
//
// A [Client] is made of addresses and a way to look up keys; it keeps no state
// of its own. What the server refuses is an [AnswerError] with the server's own
// words, who cannot be reached is an [UnreachableError]; neither shows a key or
// the query of a request, where URLs with signatures may stand.
//
// Nothing here starts a goroutine or reads the environment. All methods block
// on the network until their context ends, and a Client is safe for concurrent
// use.
package client
