"""The names under which 0.12 has the message codec; the worker itself uses ts.wire."""
