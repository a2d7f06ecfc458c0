// Package archiver makes model archives and workflow archives, as
// torch-model-archiver and torch-workflow-archiver do (reference:
// model-archive.md §10, workflows.md §2).
//
//	checks --> files, by their name in the archive --> written beside the target --> renamed
//	(name, export path,   (base names; directories of
//	what is there)         extra files by their tree)
//
// Files go from their place into the archive; there is no staging directory,
// so nothing is shared with another run. Until the rename the target is as it
// was; whatever fails, and whoever interrupts, leaves nothing.
//
// # What is packed
//
// Links are followed: the archive holds what they lead to. A link that leads
// nowhere or back to where it is, and what is neither file nor directory, end
// the run. Directories that are hidden or named __pycache__ or __MACOSX are
// left out, and so is the archive itself. Equal names replace each other, with
// a warning.
//
// The order is that of the names, the manifest comes last, and modes are 0644
// or 0755: files that are the same make an archive that is the same, but for
// the time of its making.
//
// Everything here is safe for concurrent use; nothing outlives its call.
package archiver
