"""Safety stock by rule: which rule says how many units a balance keeps back, and why that one."""
