"""Connectors that come with this program. Each sees only `channels.contract` and `channels.signatures`."""
