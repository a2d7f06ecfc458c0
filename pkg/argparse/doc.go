// Package argparse reads command lines in the grammar of Python's argparse
// (3.11), in which the commands of TorchServe 0.12 read theirs: prefixes of
// options, values joined by "=" or not, short options behind one dash, and the
// texts of its errors (reference: cli-and-snapshots.md §1, model-archive.md
// §10.1).
//
// Everything here is pure and safe for concurrent use.
package argparse
