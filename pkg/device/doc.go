// Package device knows the accelerators of this machine: which there are, how
// busy they are, and which worker has them (reference: logging.md part II,
// scheduling.md §16).
//
// Detect asks the command-line tool of each vendor once, when the server starts.
// What a tool prints is parsed by pure functions; whatever is wrong with it, the
// server starts, with a warning and without the devices.
//
// Devices are numbered from 0 in the order in which a process counts those that
// it sees. Their vendor's variable (CUDA_VISIBLE_DEVICES, …) in the server's own
// environment says which these are, by the rules of the vendor's runtime.
//
// A Board gives every new worker the devices with the fewest workers. A Gauge
// says how busy a device is. Both are safe for concurrent use.
package device
