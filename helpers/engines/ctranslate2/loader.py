"""How a model is converted and loaded for CTranslate2 (see `helpers.engines.protocol.Loader`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.catalogue import count_parameters
from helpers.device import DeviceChoice
from helpers.engines.ctranslate2 import checks, conversion
from helpers.engines.generation_config import FOLLOWED, followed, read_settings
from helpers.engines.protocol import Loader, Request
from helpers.errors import InputError
from helpers.hub import weights_file
from helpers.language import say

if TYPE_CHECKING:
    from helpers.engines.ctranslate2.runner import CTranslate2Runner
    from helpers.tokenizer import SentencePieceTokenizer


class CTranslate2Loader(Loader):
    """int8 on the CPU: nobody has measured it on a GPU."""

    def check_request(self, request: Request) -> None:
        """Anything but int8 on the CPU (nobody has measured it on a GPU), and where CTranslate2 is missing or too old."""
        import torch

        if request.dtype not in (None, torch.int8):
            raise InputError(
                f'dtype = {request.dtype} は、engine="ctranslate2" といっしょには使えません（重みは int8 です）。'
                'dtype を書かないか、engine="torch" を使ってください。',
                f'dtype = {request.dtype} cannot be used with engine="ctranslate2", whose weights are int8: '
                'leave dtype out, or use engine="torch".',
            )
        if request.device is not None and str(request.device) != "cpu":
            raise InputError(
                f'engine="ctranslate2" は CPU 用です（device = "{request.device}"）。'
                'device="cpu" にするか、engine="torch" を使ってください。',
                f'engine="ctranslate2" runs only on the CPU here (device = "{request.device}"): '
                'use device="cpu", or use engine="torch".',
            )
        checks.require_ctranslate2()

    def check_config(self, request: Request, config: dict[str, Any]) -> None:
        """Raise `InputError` if it is not of a GPT-2 that can be converted."""
        checks.check_config(request.name, config)

    def choose(self, request: Request, parameters: int) -> DeviceChoice:
        """int8 on the CPU."""
        import torch

        reason = say(
            "CTranslate2 が int8 の重みで計算します（float32 と同じ数値にはなりません）。",
            "CTranslate2 computes with int8 weights (results differ from float32).",
        )
        return DeviceChoice(torch.device("cpu"), torch.int8, reason)

    def least_memory(self, parameters: int, itemsize: int) -> int:
        """It arranges the weights while it loads them, and holds them twice."""
        return 2 * parameters * itemsize + 200_000_000

    def alternatives(self, parameters: int, choice: DeviceChoice) -> list[tuple[str, int]]:
        """This engine, where another one's weights are larger."""
        import torch

        if choice.dtype == torch.int8:
            return []
        to_cpu = "" if choice.device.type == "cpu" else ', device="cpu"'
        return [(f'engine="ctranslate2"{to_cpu}', self.least_memory(parameters, 1))]

    def check_disk_space(self, request: Request, parameters: int, download: int) -> int:
        """Room for the conversion, unless there is one."""
        if conversion.is_converted(request.name):
            return 0
        conversion.check_room(parameters, download)
        return (
            conversion.converted_bytes(parameters) if conversion.shares_disk_with_downloads() else 0
        )

    def load(
        self,
        request: Request,
        folder: Path,
        tokenizer: SentencePieceTokenizer,
        choice: DeviceChoice,
    ) -> CTranslate2Runner:
        """The engine of the converted model; it is converted if need be."""
        from transformers import AutoConfig

        from helpers.engines.ctranslate2.runner import CTranslate2Runner
        from helpers.engines.torch.loader import read

        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        checks.check_config(request.name, config.to_dict())
        settings = followed(request.name, read_settings(folder))
        checks.check_settings(request.name, {k: v for k, v in settings.items() if k in FOLLOWED})
        weights = weights_file(folder)
        if weights is None:
            raise FileNotFoundError(f"no weights in {folder}")
        eos = tokenizer.eos_token_id
        if eos is None:
            raise InputError(
                f'{request.name} には終わりのトークン（eos）がないので、engine="ctranslate2" では使えません。'
                'engine="torch" を使ってください。',
                f'{request.name} has no end token (eos), which engine="ctranslate2" needs: use '
                'engine="torch".',
            )
        target = conversion.converted_folder(
            request.name, conversion.source_of(folder, weights, eos)
        )
        if not target.is_dir():
            conversion.check_room(count_parameters(config.to_dict()))
            model: Any = read(folder, dtype=None)
            conversion.convert(model, eos, target)
            del model  # before the engine takes its memory
        return CTranslate2Runner(target, config, eos)


LOADER = CTranslate2Loader()
