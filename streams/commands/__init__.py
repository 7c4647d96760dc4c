"""The commands of `touchstream`, one a module. A command parses its options, calls one thing, prints the result."""
