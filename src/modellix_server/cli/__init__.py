"""Commands: each parses its arguments, calls an operation or starts a process, and prints."""
