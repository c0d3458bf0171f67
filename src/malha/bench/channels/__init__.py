"""What connections to channels do under load, and under everything that breaks on the way: `malha bench channels`."""
