// Package plugin finds the plugins that an operator has put on the plugin path
// and provides the endpoints that are built in for those of TorchServe 0.12
// (reference: plugins.md A7, B4 and C; cli-and-snapshots.md §10).
//
// The jars of 0.12 cannot run here. Their service files say which classes they
// bring: the known ones are answered by native endpoints, an unknown one stops
// the start, because a silently missing endpoint would be worse.
//
// Everything here is safe for concurrent use; nothing starts a goroutine.
package plugin
