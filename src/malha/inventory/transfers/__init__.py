"""Goods that go from one location to another, and what became of those that did not arrive as they left."""
