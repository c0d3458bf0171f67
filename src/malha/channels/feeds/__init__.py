"""Feeds: files of what a channel sells, as Google, Meta or anybody else wants them."""
