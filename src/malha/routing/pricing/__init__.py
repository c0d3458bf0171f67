"""What a unit of stock is worth where it is, for orders to come, and whole waves of orders at once.

Everything here counts with NumPy and HiGHS. It runs in benchmarks and in a process of its own that the worker starts;
no process that takes orders imports it, and a contract test says so.
"""
