"""Continue a Japanese sentence from the command line: `python -m helpers.generate [PROMPT]`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import warnings
from collections.abc import Sequence as Arguments
from dataclasses import asdict
from typing import TYPE_CHECKING

from helpers import OPENING_LINE
from helpers.console import INTERRUPTED, add_settings, given_settings, run
from helpers.engines import DEFAULT_ENGINE, ENGINES
from helpers.errors import Explained
from helpers.language import say

if TYPE_CHECKING:
    from helpers.sampling import Generation
    from helpers.tokenizer import SentencePieceTokenizer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.generate",
        description=say(
            "日本語の文の続きを、モデルに書かせます。", "Have a model continue a Japanese sentence."
        ),
    )
    parser.add_argument(
        "prompt",
        nargs="?",
        default=OPENING_LINE,
        metavar="PROMPT",
        help=say(
            "書き出し。空白があれば引用符で囲みます（『雪国』の書き出し）",
            "the opening, in quotes if it has spaces (the opening line of 『雪国』)",
        ),
    )
    parser.add_argument(
        "--model",
        default="auto",
        metavar="M",
        help=say(
            "auto、aozora-mini、rinna/japanese-gpt-1b など、またはモデルのフォルダー（auto）",
            "auto, aozora-mini, a hub id such as rinna/japanese-gpt-1b, or a folder (auto)",
        ),
    )
    parser.add_argument(
        "--engine",
        default=DEFAULT_ENGINE,
        choices=ENGINES,
        help=say(
            "ctranslate2 は CPU 用で、メモリが少なくて済みます。server は環境変数 HELPERS_SERVER のサーバーです（torch）",
            "ctranslate2 runs on a CPU and needs less memory; server is the one named by HELPERS_SERVER (torch)",
        ),
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16", "int8"),
        help=say(
            "重みの形式（デバイスに合うもの）", "dtype of the weights (whatever suits the device)"
        ),
    )
    add_settings(parser)
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help=say(
            "同じ数なら同じ文章になる（毎回ちがう数）",
            "the same number gives the same text (a new one each time)",
        ),
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help=say("結果を JSON だけで出力します。", "print the result as JSON and nothing else"),
    )
    return parser


def _warn_of_unknown(tokenizer: SentencePieceTokenizer, prompt: str) -> None:
    """Say on stderr which characters the model cannot see: its text shows nothing in their place."""
    from helpers.tokenizer import split_pieces

    pieces = split_pieces(tokenizer, prompt)
    if unknown := "".join(p.surface for p in pieces if p.token_id == tokenizer.unk_token_id):
        print(
            say(
                f"注意: 「{unknown}」はこのモデルの語彙にないので、モデルには見えません。",
                f"Note: “{unknown}” is not in this model's vocabulary, so the model cannot see it.",
            ),
            file=sys.stderr,
        )


def _print_texts(generation: Generation) -> None:
    for number, sequence in enumerate(generation.sequences, 1):
        print(f"[{number}] {sequence.text}\n", flush=True)


def main(arguments: Arguments[str] | None = None) -> int:
    """Run the command; returns the exit status.

    It is 0, 2 for what cannot be done, which is said in one line on stderr, or 130 if the reader interrupted it.
    """
    options = vars(_parser().parse_args(arguments))
    prompt, name, engine, dtype, as_json = (
        options.pop(key) for key in ("prompt", "model", "engine", "dtype", "json")
    )

    # Imported only now: `--help` and a mistyped option should answer at once.
    import torch

    from helpers.models import load_model
    from helpers.sampling import encode_prompt, generate

    try:
        settings = given_settings(**options)
        # "auto" prints its choice, which this command says in its own way.
        with (
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(record=True) as noted,
        ):
            language_model = load_model(name, engine=engine, dtype=dtype and getattr(torch, dtype))
        for warning in noted:
            print(warning.message, file=sys.stderr)
        encode_prompt(language_model, prompt, settings)
        _warn_of_unknown(language_model.tokenizer, prompt)
        if not as_json:
            dtype = str(language_model.dtype).removeprefix("torch.")
            print(
                say(
                    f"モデル: {language_model.name}\nデバイス: {language_model.device}（{dtype}）\n"
                    f"理由: {language_model.reason}\n",
                    f"Model: {language_model.name}\nDevice: {language_model.device} ({dtype})\n"
                    f"Why: {language_model.reason}\n",
                ),
                flush=True,
            )
        generation = generate(language_model, prompt, settings)
    except BrokenPipeError:
        raise
    except (Explained, ValueError, OSError) as error:
        partial = getattr(error, "generation", None)
        if partial is not None and not as_json:
            _print_texts(partial)
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(str(error) or say("中断しました。", "Interrupted."), file=sys.stderr)
        return INTERRUPTED

    if as_json:
        json.dump(
            {
                "model": language_model.name,
                "device": str(language_model.device),
                "dtype": str(language_model.dtype).removeprefix("torch."),
                "reason": language_model.reason,
                "settings": asdict(generation.settings),
                "sequences": [
                    {"text": s.text, "token_ids": s.token_ids, "stopped": s.stopped}
                    for s in generation.sequences
                ],
            },
            sys.stdout,
            ensure_ascii=False,
        )
        print()
    else:
        _print_texts(generation)
        print(say(f"シード: {generation.settings.seed}", f"Seed: {generation.settings.seed}"))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
