"""The wheel's build refuses to make a wheel without the front-end files, which git ignores and set-up copies.

With `MALHA_WHEEL=compiled` it holds what `tools/compile_routing.py` made for this interpreter, and is for it only.
"""

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEndHook(BuildHookInterface):  # type: ignore[type-arg]
    """Checks that `static/vendor` was built before a wheel of the console is made; an editable install goes on."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Refuse a wheel without its front-end files; put in what is compiled, if that is asked for."""
        manifest = Path(self.root) / "src/malha/console/static/vendor/manifest.json"
        if version != "editable" and not manifest.is_file():
            message = "The console's front-end files are not built, so the wheel would lack them. Mend: make wheel"
            raise FileNotFoundError(message)
        if version != "editable" and os.environ.get("MALHA_WHEEL") == "compiled":
            folder = "src/malha/routing/compiled"
            if not any((Path(self.root) / folder).glob(f"*{EXTENSION_SUFFIXES[0]}.txt")):
                message = "Nothing is compiled for this interpreter. Mend: make wheel-compiled"
                raise FileNotFoundError(message)
            build_data["artifacts"].append(f"{folder}/*{EXTENSION_SUFFIXES[0]}*")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
