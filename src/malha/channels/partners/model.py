"""What a partner's file server shows of itself."""

import msgspec


class HostKey(msgspec.Struct, frozen=True):
    """A key that a server showed, or that a person trusted."""

    server: str
    public_key: str
    fingerprint: str
