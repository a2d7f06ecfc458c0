// Package api holds the contracts of the server; in this folder, the OpenAPI
// documents that its HTTP listeners answer with.
//
// Clients compare these documents and generate code from them. So they are
// those of TorchServe 0.12 in structure, names and order of keys, with its
// falsehoods: status 210 that nobody sends, parameters that nothing reads,
// defaults that are others (reference: INF §17 and MGT §11). A new route is not
// added to them (INF-D26).
//
// Every function is pure and returns the JSON text that a listener sends, two
// blanks of indent and one newline at its end; the caller owns the text.
package api
