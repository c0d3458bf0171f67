"""Goods that may not be sold, by bucket, and moves between buckets and places: each one fact with all its sides."""
