"""Channels as others see them: their listings, and how they hear of stock."""
