"""What if: past orders decided again, from what was known then, in a network changed on paper."""
