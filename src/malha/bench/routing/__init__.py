"""How near routing comes to the mathematical optimum: `malha bench routing`."""
