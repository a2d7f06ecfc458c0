// Package snapshot keeps what is served in files that outlive the server: the
// configuration and every registered model version, in the form of TorchServe
// 0.12, so that each can restore what the other wrote (CLI §13).
//
// # File
//
// A properties file in the folder <LOG_LOCATION>/config, named after the local
// time and the occasion, such as 20261122042545717-startup.cfg:
//
//	#Saving snapshot
//	#Sun Nov 22 04:25:45 UTC 2026
//	model_store=/models
//	model_snapshot={\n  "name"\: "20261122042545717-startup.cfg", … }
//
// The last property holds the [State] as JSON. It comes last so that no part of
// a file that was cut off passes for a whole one. pkg/config finds and reads
// these files, as it does with every source of properties.
//
// # Order
//
// A [Journal] takes the state of the served set and the time of a snapshot in one
// step, and lets the files be written beside each other: whichever is the newest
// one that is complete, it holds all changes that were confirmed before. Times
// only go forward, whatever the clock does.
//
//	Open (startup) -> Changed (snapshot), as often as it happens -> Close (shutdown)
//
// A [Folder] writes each file under another name first and then moves it to its
// own, so that a crash leaves no half of one.
package snapshot
