"""Vendors who send goods to our customers: what each supplies, and what is asked of them."""
