// Package workertest is a worker process for tests that need no Python, and the
// contract that every worker process must keep.
//
// The fake worker is the test binary itself, started again: TestMain calls Main
// first, which takes over when Launch has set its environment variable. It
// listens, prints and speaks pkg/wire as the Python worker does, and follows a
// Script: a file in the model's directory, or one that Named knows by the name
// of the model's handler. Archive makes such a directory; a model archive that
// contains ScriptFile works as well.
//
// Started under the name torchrun, it starts fake workers as ranks: see Parallel.
//
// Run is the contract: the same scenarios for the fake worker (in the default
// test run) and for the Python one (in test/e2e).
package workertest
