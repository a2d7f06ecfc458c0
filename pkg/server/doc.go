// Package server builds the whole program from its parts and lives its life:
// New builds and binds, Run serves until it is told to stop, and everything is
// undone in reverse within a deadline.
//
// It is the only package that sees all others. What it adds of its own is the
// private work directory, the order of start and stop, and the log lines that
// operators of TorchServe 0.12 know (CLI §7, §12).
//
// # Stop
//
//	readiness fails -> listeners close -> queued requests are refused, those in
//	flight are answered until the grace is over -> workers end -> sockets and
//	key file are removed -> the log is flushed
package server
