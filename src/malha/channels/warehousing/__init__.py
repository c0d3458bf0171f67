"""Fulfilment by others: what a partner's warehouse is asked, what it answers, and the files both write."""
