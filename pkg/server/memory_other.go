//go:build !linux

package server

// machineMemory returns the memory of this machine in bytes, 0 if it does not
// tell.
func machineMemory() int64 { return 0 }
