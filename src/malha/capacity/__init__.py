"""Capacity of locations that can be reserved: slots by kind of work, stated by weekday, corrected by date."""
