// Package config turns files, variables and flags into one immutable value.
//
// [Load] is the only reader. It picks the properties source (section 2 of the
// reference: a named file, else the newest snapshot, else config.properties),
// reads it as Java does, replaces $$NAME$$ and lays the sources over each
// other, weakest first:
//
//	default  <  file or snapshot  <  command line  <  TS_ variables
//
// Each key is one row of one table ([Keys]); the texts of --help, the page
// docs/configuration.md and the sample configs/config.properties are made from
// it, and a key that is not in the table cannot be read. Values become typed
// here and nowhere else: time is time.Duration, sizes are bytes.
//
// All faults are reported at once, in an [Error]. What 0.12 accepted although
// it made no sense is accepted too and listed in Config.Warnings, unless
// strict_parameters makes faults of it.
//
// Load reads files and nothing else; it starts nothing and keeps nothing open.
// A Config is never written after Load and is safe for concurrent use.
package config
