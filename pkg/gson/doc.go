// Package gson reads JSON documents as leniently as Gson does, the library
// that TorchServe 0.12 reads manifests and the bodies of registrations with
// (MAR §2.2, MGT §4.1): with comments, texts in single quotes or in none, ";"
// for "," and "=" or "=>" for ":".
//
// Everything here is pure and safe for concurrent use. Nesting is bounded.
package gson
