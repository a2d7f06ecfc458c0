// Package backend carries the Python package ts: the worker process and what
// handlers import (reference: python-backend.md, prefix PYB). Its sources are
// part of the binary and are written to disk at start, because Python needs
// files.
//
// The sources under ts/ need nothing but a Python interpreter, 3.8 or later;
// their layout is described in ts/__init__.py, their tests are in test/python.
//
// Everything here is safe for concurrent use, also by several processes that
// share one directory.
package backend
