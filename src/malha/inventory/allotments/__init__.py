"""Allotments: what part of the stock is whose. Fences set units apart, caps limit how many may be sold."""
