// Package backend carries two Python packages: ts, the worker process and what
// handlers import (reference: python-backend.md, prefix PYB), and
// model_archiver, by which Python programs make archives (model-archive.md
// §10.7). Their sources are part of the binary and are written to disk at start,
// because Python needs files.
//
// They need nothing but a Python interpreter, 3.8 or later; their layout is
// described in their __init__.py, their tests are in test/python.
//
// Everything here is safe for concurrent use, also by several processes that
// share one directory.
package backend
