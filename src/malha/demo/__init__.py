"""A synthetic Brazilian retailer, the same for the same seed: "Aroeira", home goods, invented from end to end."""
