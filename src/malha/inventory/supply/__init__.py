"""What is expected and what arrived: purchase orders, production orders of a factory, receipts."""
