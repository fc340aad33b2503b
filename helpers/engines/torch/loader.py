"""How a model is loaded into PyTorch: the dtype and format that its weights get (see `helpers.engines.protocol.Loader`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.catalogue import parameters_of
from helpers.device import DeviceChoice, choose_device
from helpers.engines.generation_config import followed, read_settings
from helpers.engines.protocol import Loader, Request
from helpers.errors import InputError, unusable
from helpers.hub import weights_file
from helpers.language import say

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from helpers.engines.torch.runner import TorchRunner
    from helpers.tokenizer import SentencePieceTokenizer


class TorchLoader(Loader):
    """What is taken when no other engine claims a request."""

    def check_request(self, request: Request) -> None:
        """Raise `InputError` unless a model can be held in this dtype on this device."""
        import torch

        from helpers.engines.torch import int8

        dtype, device = request.dtype, request.device
        if dtype not in (None, torch.float32, torch.bfloat16, torch.float16, torch.int8):
            allowed = "torch.float32, torch.bfloat16, torch.float16, torch.int8"
            raise InputError(
                *unusable(
                    "dtype", dtype, f"{allowed} のどれかか None", f"one of {allowed}, or None"
                )
            )
        if dtype == torch.int8 and device is not None and str(device) != "cpu":
            raise InputError(
                f'dtype = torch.int8 は CPU 用です（device = "{device}"）。'
                'device="cpu" にするか、dtype を書かないでください。',
                f'dtype = torch.int8 works only on the CPU (device = "{device}"): use device="cpu", or leave dtype out.',
            )
        if dtype == torch.int8 and not int8.can_compute():
            raise InputError(
                "dtype = torch.int8 は、この CPU では計算できません（VNNI という回路が要ります）。"
                'engine="ctranslate2" なら int8 を使えます。',
                "this CPU cannot compute with dtype = torch.int8 (it has no VNNI): "
                'engine="ctranslate2" can use int8.',
            )

    def check_config(self, request: Request, config: dict[str, Any]) -> None:
        """Raise `InputError` if a model other than a GPT-2 is asked for in int8; the rest transformers refuses itself."""
        import torch

        kind = config.get("model_type", "gpt2")
        if request.dtype == torch.int8 and kind != "gpt2":
            raise InputError(
                f"{request.name} は dtype = torch.int8 にできません（model_type = {kind}、できるのは gpt2）。"
                "dtype を書かないでください。",
                f"{request.name} cannot be used with dtype = torch.int8 (model_type = {kind}; only gpt2 can): "
                "leave dtype out.",
            )

    def choose(self, request: Request, parameters: int) -> DeviceChoice:
        """The device and dtype asked for, else those of `choose_device`."""
        import torch

        dtype = request.dtype
        choice = choose_device("cpu" if dtype == torch.int8 else request.device, parameters)
        if dtype == torch.int8:
            reason = say(
                "指定どおり int8 の重みで計算します（float32 と同じ数値にはなりません）。",
                "int8 weights, as you asked (results differ from float32).",
            )
        elif dtype not in (None, choice.dtype):
            wanted = str(dtype).removeprefix("torch.")
            reason = say(f"指定どおり {wanted} を使います。", f"{wanted}, as you asked.")
        else:
            return choice
        return replace(choice, dtype=dtype, reason=reason)

    def worth_saying(self, request: Request, choice: DeviceChoice) -> bool:
        """int8, and half precision on a CPU without being asked."""
        import torch

        unasked = request.dtype is None and choice.device.type == "cpu"
        return choice.dtype == torch.int8 or (unasked and choice.dtype == torch.bfloat16)

    def least_memory(self, parameters: int, itemsize: int) -> int:
        """At gpt-1b's shape on a CPU: less than 1.1 times the weights, as the output layer is packed beside the embeddings
        (which in int8 stay in the file), and the pages of the file, which the system can drop."""
        return int(1.1 * parameters * itemsize) + 200_000_000

    def alternatives(self, parameters: int, choice: DeviceChoice) -> list[tuple[str, int]]:
        """The CPU in place of a GPU, and int8."""
        import torch

        from helpers.engines.torch import int8

        cpu, ways = 'device="cpu"', []
        if choice.device.type == "cuda":  # a Mac's "mps" shares the memory of its CPU
            # A GPU computes in float32 only if that was asked for.
            usual = choose_device("cpu", parameters).dtype.itemsize
            ways.append((cpu, self.least_memory(parameters, max(usual, choice.dtype.itemsize))))
        if choice.dtype != torch.int8 and int8.can_compute():
            to_cpu = "" if choice.device.type == "cpu" else f", {cpu}"
            ways.append((f"dtype=torch.int8{to_cpu}", self.least_memory(parameters, 1)))
        return ways

    def load(
        self,
        request: Request,
        folder: Path,
        tokenizer: SentencePieceTokenizer,
        choice: DeviceChoice,
    ) -> PreTrainedModel:
        """The model on its device. On a CPU the matrices of a GPT-2 are packed, or turned into int8."""
        import torch
        from transformers import GPT2LMHeadModel

        from helpers.engines.torch.int8 import to_int8
        from helpers.engines.torch.packing import can_pack, pack

        as_stored = choice.dtype == torch.int8
        model: Any = read(folder, None if as_stored else choice.dtype)
        model = model.to(choice.device).eval()
        if choice.device.type == "cpu" and isinstance(model, GPT2LMHeadModel):
            if choice.dtype == torch.int8:
                to_int8(model)
            elif can_pack(model.dtype):
                pack(model)
        # Every call passes the tokens to `generate`. A pad token in the config only makes transformers warn of missing
        # attention masks as soon as one of several sequences has ended and is padded; an end token that the tokenizer does
        # not know would end texts all the same.
        for config in (model.config, model.generation_config):
            config.bos_token_id, config.eos_token_id = (
                tokenizer.bos_token_id,
                tokenizer.eos_token_id,
            )
            config.pad_token_id = None
        for setting, value in followed(request.name, read_settings(folder)).items():
            setattr(model.generation_config, setting, value)
        return model

    def runner(
        self, model: Any, tokenizer: SentencePieceTokenizer, device: torch.device
    ) -> TorchRunner:
        """Our generation loop around a transformers model."""
        from helpers.engines.torch.runner import TorchRunner

        return TorchRunner(model, tokenizer, device)

    def arguments(self, model: Any, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        """The dtype on a GPU; on a CPU what differs from the choice that this machine makes by itself."""
        import torch

        if device.type == "cuda":
            return {"dtype": dtype}  # a GPU that was lost is not asked what suits it
        arguments: dict[str, Any] = {}
        if device.type != "cpu" or torch.cuda.is_available():
            arguments["device"] = device.type
        parameters = parameters_of(model.config.to_dict())
        if device.type == "cpu" and dtype != choose_device("cpu", parameters).dtype:
            arguments["dtype"] = dtype
        return arguments


def read(folder: Path, dtype: torch.dtype | None) -> PreTrainedModel:
    """A model as transformers reads it; without a dtype the weights stay as they are in their file, mapped.

    Weights in a file of safetensors are mapped and converted one after another: never held twice.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype or _dtype_in(weights_file(folder)),
        # Not the folder's own, which need not even be consistent: `engines.generation_config` reads it.
        generation_config=GenerationConfig(),
        trust_remote_code=False,
    )


def _dtype_in(weights: Path | None) -> torch.dtype | str:
    """The dtype that weights have in their file: so they stay mapped and take no memory. A config.json may say another."""
    import torch
    from safetensors import safe_open

    if weights is None or weights.suffix != ".safetensors":
        return "auto"
    with safe_open(weights, framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (not a dict)
    known = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
    kinds &= known.keys()  # old files hold the masks of attention too, as bytes
    return known[kinds.pop()] if len(kinds) == 1 else "auto"


LOADER = TorchLoader()
