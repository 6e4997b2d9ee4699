"""Server-side reference: handlers, service and command line."""
