"""The built-in handlers; a handler string that names no module of the archive names one of these."""
