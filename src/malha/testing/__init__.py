"""Builders and fakes for tests: of this product, and of whoever extends it. See ARCHITECTURE.md."""
