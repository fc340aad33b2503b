"""What int8 weights cost in quality: `python -m benchmarks.int8_bits`.

Bits a character of the bundled model on the excerpt that comes with the training code (held-out text), in float32,
with CTranslate2's int8 weights ("int8"), and with `dtype=torch.int8` where the processor has VNNI ("torch_int8"). Fewer
is better.
"""

import json
import sys
from types import SimpleNamespace

from benchmarks.measure import machine
from helpers import BUNDLED_MODEL
from helpers.console import run


def measure() -> dict[str, float]:
    """Bits a character by engine. The same on every run of one machine."""
    import torch

    from helpers.engines.torch import int8
    from helpers.models import load_model
    from training.evaluate import excerpt_bits

    plain = load_model(BUNDLED_MODEL, device="cpu")
    fast = load_model(BUNDLED_MODEL, engine="ctranslate2")
    processor = plain.tokenizer.sp_model

    # The evaluation asks a GPT-2 for its last vectors and then for their logits; this engine gives logits at once.
    engine = SimpleNamespace(
        transformer=lambda window: (fast.model.all_logits(window),), lm_head=lambda logits: logits
    )

    bits = {
        "float32": excerpt_bits(plain.model, processor)["bits_per_character"],
        "int8": excerpt_bits(engine, processor)["bits_per_character"],
    }
    if int8.can_compute():
        ours = load_model(BUNDLED_MODEL, dtype=torch.int8)
        bits["torch_int8"] = excerpt_bits(ours.model, processor)["bits_per_character"]
    return bits


def main() -> None:
    bits = measure()
    bits["difference"] = round(bits["int8"] - bits["float32"], 4)
    print(json.dumps({"machine": machine(), "bits_per_character": bits}))


if __name__ == "__main__":
    sys.exit(run(main))
