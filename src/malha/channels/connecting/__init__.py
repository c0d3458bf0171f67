"""Connections to channels: the runtime of connectors.

A connector translates; everything that must be right under load is here, once: what came in is kept before it is
answered, what goes out has a key and a queue, and budgets, tokens and cursors outlive whoever dies.
"""
