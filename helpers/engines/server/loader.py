"""How a model on the class's server is chosen and reached (see `helpers.engines.protocol.Loader`)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from helpers.device import DeviceChoice
from helpers.engines.protocol import Loader, Request
from helpers.engines.server.connection import address_of, file_of
from helpers.engines.server.runner import ServerRunner, connect, served_model
from helpers.errors import InputError
from helpers.hub import is_cached
from helpers.language import say

if TYPE_CHECKING:
    import torch

    from helpers.tokenizer import SentencePieceTokenizer

# Folders with files that a server handed out; they are deleted when Python exits.
_KEPT: list[TemporaryDirectory[str]] = []


class ServerLoader(Loader):
    """The weights are on the server."""

    remote = True

    def claims(self, request: Request) -> bool:
        """With a url, and for "auto" where HELPERS_SERVER names one."""
        return request.url is not None or (
            request.name == "auto"
            and request.device is None
            and request.dtype is None
            and bool(os.environ.get("HELPERS_SERVER"))
        )

    def check_request(self, request: Request) -> None:
        """Refuse a device or a dtype, which the server has chosen itself, and what is not an address."""
        for field in ("device", "dtype"):
            if (value := getattr(request, field)) is not None:
                raise InputError(
                    f'{field} = {value} は、engine="server" では使えません（計算はサーバーがします）。{field} を書かないでください。',
                    f'{field} = {value} cannot be used with engine="server", where the server computes: leave {field} out.',
                )
        address_of(request.url)

    def auto(self, request: Request) -> tuple[str, str]:
        """The model that the server has."""
        address = address_of(request.url)
        name, _ = served_model(address)
        return name, say(f"{address.url} のモデルです。", f"it is the model at {address.url}")

    def choose(self, request: Request, parameters: int) -> DeviceChoice:
        """Only the settings are applied here, to the server's numbers."""
        import torch

        url = address_of(request.url).url
        reason = say(
            f"{url} のサーバーが計算します。乱数もサーバーのものなので、同じ seed でも、このパソコンで書く文章とは違います。",
            f"the server at {url} does the computing, with its own random numbers: a seed gives a different text there than on this machine.",
        )
        return DeviceChoice(torch.device("cpu"), torch.float32, reason)

    def folder(self, request: Request) -> Path | None:
        """What the class's server itself hands out (`make class`), for a model that is not on this machine.

        The hub is asked only if the server has no such files: a class needs no connection to the internet.
        """
        if is_cached(request.name, weights=False):
            return None
        address = address_of(request.url)
        kept = TemporaryDirectory(prefix="class-model-")
        for name in ("spiece.model", "config.json", "tokenizer_config.json"):
            content = file_of(address, f"/model/{name}")
            if content is None:
                kept.cleanup()
                return None
            Path(kept.name, name).write_bytes(content)
        _KEPT.append(kept)
        return Path(kept.name)

    def load(
        self,
        request: Request,
        folder: Path,
        tokenizer: SentencePieceTokenizer,
        choice: DeviceChoice,
    ) -> ServerRunner:
        """Connect to the server, and check that it has this model and answers as expected."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = str(request.name)
        if Path(name).is_dir():
            name = Path(name).resolve().name
        return connect(address_of(request.url), name, config["vocab_size"], tokenizer.eos_token_id)

    def arguments(self, model: Any, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        """The address, never the key."""
        return {"url": model.address.url}


LOADER = ServerLoader()
