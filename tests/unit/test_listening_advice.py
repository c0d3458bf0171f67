"""An address that cannot be had is told with what to change: the host where the host is at fault, not the port."""

import pytest
from tests.ports import free_port

from malha.cli.listening import refuse_taken
from malha.platform.settings import Settings, SettingsError


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.7"])
def test_a_host_that_is_none_of_this_machines_is_told_by_its_own_setting(host: str) -> None:
    with pytest.raises(SettingsError) as refused:
        refuse_taken(Settings(host=host, port=free_port()))
    assert "MALHA_HOST" in str(refused.value)
    assert "MALHA_PORT" not in str(refused.value)
