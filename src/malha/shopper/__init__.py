"""Pages for the shopper: follow an order, show its pickup code, ask to cancel. No account, no script, no third party.

Who has an order's signed link sees what is needed to receive it and nothing else: no name in full, no address, no
document of theirs, nothing about how the retailer works. Who lost the link gets it again for the order's number and the
e-mail it was placed with.
"""
