"""What a model's folder itself says about generating (generation_config.json): followed under its own name, or ignored.

Everything that writes or draws must treat it the same way. What acts only on the probabilities of one token is followed: it
is a logits processor, which our loop, `model.generate` and the picture of the next token all use.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from helpers.language import say

# By the name of the processor that transformers makes of it.
SETTING_OF = {
    "MinLengthLogitsProcessor": "min_length",
    "RepetitionPenaltyLogitsProcessor": "repetition_penalty",
    "TemperatureLogitsWarper": "temperature",
    "TopKLogitsWarper": "top_k",
    "TopPLogitsWarper": "top_p",
    "EpsilonLogitsWarper": "epsilon_cutoff",
    "EtaLogitsWarper": "eta_cutoff",
    "ExponentialDecayLengthPenalty": "exponential_decay_length_penalty",
    "ForcedEOSTokenLogitsProcessor": "forced_eos_token_id",
    "MinPLogitsWarper": "min_p",
    "NoBadWordsLogitsProcessor": "bad_words_ids",
    "NoRepeatNGramLogitsProcessor": "no_repeat_ngram_size",
    "SequenceBiasLogitsProcessor": "sequence_bias",
    "SuppressTokensAtBeginLogitsProcessor": "begin_suppress_tokens",
    "SuppressTokensLogitsProcessor": "suppress_tokens",
    "TopHLogitsWarper": "top_h",
    "TypicalLogitsWarper": "typical_p",
}
# Those that our calls set themselves; they also pass the special tokens to `generate`.
OF_EACH_CALL = {"do_sample", "max_length", "min_length", "repetition_penalty", "temperature"}
OF_EACH_CALL |= {"top_k", "top_p"}
TOKENS = {"bos_token_id", "eos_token_id", "pad_token_id"}
FOLLOWED = set(SETTING_OF.values()) - OF_EACH_CALL
# The values with which a setting changes nothing, besides None, False, 0 and the empty list.
OFF = {
    "num_beams": 1,
    "num_return_sequences": 1,
    "num_beam_groups": 1,
    "typical_p": 1,
    "use_cache": True,
}
# How a result is returned, and how transformers computes it: our calls set these themselves.
SILENT = {"output_attentions", "output_hidden_states", "output_logits", "output_scores"}
SILENT |= {"return_dict_in_generate", "transformers_version", "use_cache"}


def read_settings(folder: Path) -> dict[str, Any]:
    """A folder's settings that are not off; without a generation_config.json those of its config.json, as in transformers."""
    from transformers import GenerationConfig

    file = folder / "generation_config.json"
    if not file.is_file():
        file = folder / "config.json"
    known = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    return {
        name: value
        for name, value in json.loads(file.read_text(encoding="utf-8")).items()
        if name in known and value not in (None, False, 0, [], OFF.get(name))
    }


def followed(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Those that everything here follows, and those that each call sets; one warning names the others."""
    ours = {k: v for k, v in settings.items() if k in FOLLOWED | OF_EACH_CALL}
    aside = {k: v for k, v in settings.items() if k not in ours.keys() | TOKENS | SILENT}
    if aside:
        what = ", ".join(f"{key} = {value}" for key, value in aside.items())[:200]
        warnings.warn(
            say(
                f"{name} のフォルダーの設定のうち、{what} は使いません（ここで選ぶ設定だけで書きます）。",
                f"{name} has settings in its folder that are ignored here: {what}.",
            ),
            stacklevel=4,  # whoever called load_model
        )
    return ours
