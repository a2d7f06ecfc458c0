// Package pydeps installs what a model needs beside its archive: an environment of
// its own (useVenv) and the packages of its requirements file
// (install_py_dep_per_model) (reference: model-archive.md, section 8).
//
// Both are made by programs that run Python: a script of the package ts, and pip.
// Their output goes to the log line by line while they run; the end of it is kept
// for the error. They end with the context of the call that wanted them, with a
// time limit, and with this process, even when it is killed; and so does all that
// they have started.
//
// What is installed lies in the model's directory, or beside the link to it, and
// goes with that: nothing is undone here. An Installer keeps nothing; it is safe for
// concurrent use.
package pydeps
