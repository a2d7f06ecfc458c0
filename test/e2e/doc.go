// Package e2e holds the tests that drive the built program as its users do: by
// its command line, over HTTP, with files and signals. What they share is
// package e2etest.
package e2e
