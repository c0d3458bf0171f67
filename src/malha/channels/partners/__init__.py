"""Fulfilment by others: what a partner is asked, what it answers, and the files both write."""
