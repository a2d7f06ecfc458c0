// Package archive finds, fetches, unpacks and reads model archives
// (reference: model-archive.md §1 to §6, rest-management.md §4.4).
//
//	url -- check --> fetch into the store --+
//	                 (allowed URLs only)    +--> unpack --> manifest --> model config
//	       or name in the store, directory -+
//
// Open does all of it and undoes all of it when a step fails; Unpacked.Remove
// undoes a successful Open. Both are safe for concurrent use.
//
// # Files
//
// A model lives in <WorkDir>/<32 hex digits>/. It is unpacked below a
// directory of this instance and renamed when it is complete. A directory that
// is served in place gets a symbolic link there instead.
//
//	<WorkDir>/.torchserve-<id>/lock       locked while this instance lives
//	<WorkDir>/.torchserve-<id>/<32 hex>   one empty file per model directory
//	<WorkDir>/.torchserve-<id>/<32 hex>.download/   unpacking
//
// What an instance that is gone has left behind is known by its lock and
// removed by Prepare; directories without such a record are never touched.
//
// A downloaded archive stays in the model store under the last component of
// its URL, as in 0.12. Store keeps beside it, in <ModelStore>/.downloads/,
// from which URL it came (as a digest: URLs hold signatures) and the downloads
// that are under way.
//
// # Hostile input
//
// URLs must match a pattern, and so must every redirect; the address that is
// judged is the one that is connected to. Entries of archives cannot leave their
// directory (os.Root), not by name and not by link. Sizes, numbers, ratios and
// times are bounded; which limit was exceeded is told to the client, too. Only
// regular files are read.
package archive
