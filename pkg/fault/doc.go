// Package fault is the one error type of the server and the one table that
// says what each kind of error looks like to a client.
//
// A fault carries what was being done (Op), to what (Subject), what kind of
// failure it is (Kind), the text for the client (Message) and the cause (Err).
// Packages below the edges make faults; the edges (rest, rpc) read the table
// and nobody else writes a failure status. The irregularities of TorchServe
// 0.12 are rows of that table, not branches in handlers.
//
// Everything here is immutable or pure and safe for concurrent use.
package fault
