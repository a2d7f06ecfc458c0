// Package e2etest is the harness of the end-to-end tests: it lets a test start
// the built program as a user would, call it as a client would, and look at what
// it leaves behind.
//
//	s := e2etest.Start(t, e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
//	reply := s.Predict("echo", "hello")
//
// A [Site] is the place where a server lives: folders, ports and an environment
// of its own, so that tests may run side by side. [Site.Run] executes one command
// line to its end, [Site.Start] starts a server that is stopped, with a look for
// left-over processes, when the test ends.
//
// The program is that of TORCHSERVE_BIN, or build/torchserve of this repository.
// Methods that take no error fail the test; they belong to its goroutine.
package e2etest
