"""What is learned from outcomes. Needs numpy and LightGBM: only the worker's fit and the benchmark import it.

Times are days since some midnight, by the clock of the sender: `floor` is the day, an order that is not delivered yet
has infinity.
"""
