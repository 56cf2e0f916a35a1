"""The shared core of both wrappers. Pure modules decide; thin shells do I/O."""
