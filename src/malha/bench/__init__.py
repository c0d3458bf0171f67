"""Benchmarks behind `malha bench`: ratios measured in one run, printed as JSON on the last line."""
