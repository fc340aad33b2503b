"""What int8 weights cost in quality: `python -m benchmarks.int8_bits`.

Bits a character of the bundled model on the excerpt that comes with the training code (held-out text), once in float32
and once with CTranslate2's int8 weights. Fewer is better.
"""

import json
from types import SimpleNamespace

from benchmarks.measure import machine
from helpers import BUNDLED_MODEL


def measure() -> dict[str, float]:
    """Bits a character by engine. The same on every run of one machine."""
    from helpers.models import load_model
    from training.evaluate import excerpt_bits

    plain = load_model(BUNDLED_MODEL, device="cpu")
    fast = load_model(BUNDLED_MODEL, engine="ctranslate2")
    processor = plain.tokenizer.sp_model

    def int8(window):
        return SimpleNamespace(logits=fast.model.logits(window))

    return {
        "float32": excerpt_bits(plain.model, processor)["bits_per_character"],
        "int8": excerpt_bits(int8, processor)["bits_per_character"],
    }


def main() -> None:
    bits = measure()
    bits["difference"] = round(bits["int8"] - bits["float32"], 4)
    print(json.dumps({"machine": machine(), "bits_per_character": bits}))


if __name__ == "__main__":
    main()
