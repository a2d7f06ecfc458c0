// Package model holds the words of the model registry as values: Name,
// Version, Ref, the Settings of one model version and its Status for clients.
//
// Nothing here has behaviour beyond parsing, defaults and formatting. Values
// are safe for concurrent reads; slices in them are never changed after they
// were handed on.
package model
