"""Stock that others state: sources, snapshots that are rebased, deltas that count once, and where we do not agree."""
