"""Counting what is there: tasks, blind counts, recounts, approval, physical inventories; suspected stock."""
