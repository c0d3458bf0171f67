"""Selling ahead of the goods: pre-orders and backorders against supply that is expected."""
