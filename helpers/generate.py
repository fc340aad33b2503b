"""Continue a Japanese sentence from the command line: `python -m helpers.generate [PROMPT]`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Sequence as Arguments
from dataclasses import asdict

from helpers.language import say

OPENING_LINE = "国境の長いトンネルを抜けると雪国であった。"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.generate",
        description=say(
            "日本語の文の続きを、モデルに書かせます。", "Have a model continue a Japanese sentence."
        ),
    )
    parser.add_argument("prompt", nargs="?", default=OPENING_LINE, metavar="PROMPT")
    parser.add_argument("--model", default="auto", metavar="M")
    for option, kind in (
        ("top-k", int),
        ("top-p", float),
        ("temperature", float),
        ("min-length", int),
        ("max-length", int),
        ("num-return-sequences", int),
        ("seed", int),
    ):
        parser.add_argument(f"--{option}", type=kind, metavar=option[0].upper())
    parser.add_argument(
        "--json",
        action="store_true",
        help=say("結果を JSON だけで出力します。", "print the result as JSON and nothing else"),
    )
    return parser


def main(arguments: Arguments[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 2 for bad input, which is said in one line on stderr."""
    for output in (sys.stdout, sys.stderr):
        # A Windows console in cp932 has no 𠮷 and would raise.
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(encoding="utf-8")
    options = vars(_parser().parse_args(arguments))
    prompt, name, as_json = (options.pop(key) for key in ("prompt", "model", "json"))

    # Imported only now: `--help` and a mistyped option should answer at once.
    from helpers.models import load_model
    from helpers.sampling import SamplingSettings, encode_prompt, generate

    try:
        settings = SamplingSettings(**{k: v for k, v in options.items() if v is not None})
        # "auto" prints its choice, which this command says in its own way.
        with contextlib.redirect_stdout(io.StringIO()):
            language_model = load_model(name)
        encode_prompt(language_model, prompt, settings)
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
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2

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
        for number, sequence in enumerate(generation.sequences, 1):
            print(f"[{number}] {sequence.text}\n")
        print(say(f"シード: {generation.settings.seed}", f"Seed: {generation.settings.seed}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
