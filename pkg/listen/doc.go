// Package listen opens the server's listening sockets: TCP or unix, plain or
// with TLS (reference: configuration.md §9 and §10).
//
// A TLS listener takes its certificate from a PKCS#12 keystore, else from PEM
// files, else from one that it makes itself. It recognises clients that speak
// plain HTTP and answers them once with 403. A plain listener takes
// requests without Host, and gives messages that net/http cannot read the
// answer of 0.12.
//
// Nothing here starts a goroutine; listeners belong to the caller, who closes
// them. A unix listener removes its socket when it is closed.
package listen
