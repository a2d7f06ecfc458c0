"""The Python side of the server: the worker process, and what handlers import.

Import paths and public names are those of TorchServe 0.12 (reference: python-backend.md).

    model_service_worker   the process: socket, commands, exit
    wire                   bytes on the socket, pure
    lines                  what goes to standard output as protocol: markers, metric lines
    model_loader, service  from handler string to entry point; from batch to reply
    context                what a handler is told, and tells, about its requests
    protocol, handler_utils, utils, metrics, torch_handler
                           what handlers import by name

The core needs the standard library alone; torch, PyYAML and their kind are imported when something uses them.
"""

from ts import version

__version__ = version.__version__
