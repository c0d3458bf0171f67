"""Counting the orders of a day at a peer whose own totals are less what came back, or not less what is cancelled."""

from datetime import date

from malha.channels.contract import DaySummary, ExtOrder, RefundState


class Tally:
    """Orders that were counted so far."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._refunds: dict[str, int] = {}
        self._total = 0

    def add(self, id_: str, total: int) -> None:
        """Count an order of which nothing was taken back."""
        self._ids.append(id_)
        self._total += total

    def add_left(self, order: ExtOrder) -> None:
        """Count what is left of an order; not one of which every unit is cancelled, though the order itself is not."""
        if all(line.cancelled >= line.quantity for line in order.lines):
            return
        gone = sum(
            (line.quantity * line.unit_price - line.discount) * line.cancelled // line.quantity for line in order.lines
        )
        self.add(order.id, (order.total or 0) - gone)
        if back := sum(refund.amount for refund in order.refunds if refund.state is RefundState.DONE):
            self._refunds[order.id] = back

    def summary(self, day: date) -> DaySummary:
        """Return what was counted."""
        return DaySummary(day.isoformat(), len(self._ids), self._total, self._ids, self._refunds)
