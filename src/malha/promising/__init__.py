"""Dates that customers are promised: worked out from outcomes, kept on the line, measured when they come due."""
