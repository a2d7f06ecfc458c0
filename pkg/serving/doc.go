// Package serving is what clients can ask of the server, whatever transport
// they use: predict, register, scale, describe, unregister, health.
//
// It joins the registry, the pools and the archive store. The edges (rest, rpc)
// translate their protocol into calls of Service and its results back; they
// declare the interfaces they need. Errors are faults whose messages are those
// of TorchServe 0.12; only the text of a refused job is left to the edge,
// because it depends on what the client named.
//
// # Registration
//
//	archive.Open -> settings merged -> registry.Claim -> dependencies -> registry.Add -> pool.Scale
//
// A step that fails undoes those before it, so that the same call can be
// repeated (D-MGT-19). The workers of an asynchronous registration are not
// waited for; the model stays and its workers are retried.
//
// # Snapshots
//
// Each change that a client has ordered is reported to a Journal, which saves what
// is served, before the client is answered. Restore registers what a snapshot
// holds. When the server stops, Refuse comes before the last snapshot: a change
// that is confirmed is in it.
//
// A Service starts no goroutine of its own and is safe for concurrent use.
package serving
