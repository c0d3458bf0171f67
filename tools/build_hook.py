"""The wheel's build refuses to make a wheel without the front-end files, which git ignores and set-up copies."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEndHook(BuildHookInterface):  # type: ignore[type-arg]
    """Checks that `static/vendor` was built before a wheel of the console is made; an editable install goes on."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- hatchling's signature
        """Refuse a wheel without its front-end files."""
        manifest = Path(self.root) / "src/malha/console/static/vendor/manifest.json"
        if version != "editable" and not manifest.is_file():
            message = "The console's front-end files are not built, so the wheel would lack them. Mend: make wheel"
            raise FileNotFoundError(message)
