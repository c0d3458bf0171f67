"""What the checks of every subject share."""

from typing import Any, ClassVar

import pytest

from malha.channels.contract import Capability
from malha.testing.connectors.rig import Rig
from malha.testing.specs import SpecGate


@pytest.mark.asyncio
class Kit:
    """What the checks of every subject share: the connector, its specification, its peer."""

    connector: ClassVar[Any]
    spec: ClassVar[SpecGate | None] = None  # the vendor's document, where there is one: every exchange must fit it

    @pytest.fixture
    def rig(self) -> Rig:
        """Return the peer; a connector's tests have their own."""
        raise NotImplementedError("give a fixture `rig`")

    def needs(self, *capabilities: Capability) -> None:
        """Skip the test where the connector does not say it can do this."""
        lacking = sorted(c.value for c in set(capabilities) - set(self.connector.capabilities))
        if lacking:
            pytest.skip(f"{self.connector.key} has no {', '.join(lacking)}")
