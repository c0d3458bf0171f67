"""At build time: write the generated half of the client from the OpenAPI document beside it.

A source archive holds the generated files already, and no document.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientBuildHook(BuildHookInterface):
    """Generates `models.py` and `operations.py` where the repository is there to generate them from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- the interface is hatchling's
        """Write the files."""
        here = Path(self.root)
        tools, document = here.parents[1] / "tools", here.parents[1] / "docs" / "reference" / "openapi.json"
        if not document.is_file():
            return
        sys.path.insert(0, str(tools))
        try:
            import client_code  # noqa: PLC0415 -- found only in the repository
        finally:
            sys.path.remove(str(tools))
        client_code.write(document, here / "src" / "malha_client")
