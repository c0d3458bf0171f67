"""Routing rules that people write: which orders, from which locations, in what order, and what happens otherwise."""
