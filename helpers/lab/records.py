"""Runs to keep and to share: as text, as code, as a file. No widgets here."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import Explained, InputError
from helpers.models import how_loaded
from helpers.results import Generation, Sequence, Step
from helpers.settings import SamplingSettings, generate_arguments

if TYPE_CHECKING:
    from helpers.models import LanguageModel

ENDINGS = ("eos", "max_length", "user")


def as_text(generation: Generation) -> str:
    """A run to keep or to share: its settings, and each of its texts."""
    settings = ", ".join(f"{k}={v}" for k, v in asdict(generation.settings).items())
    texts = [f"{i}. {s.text}" for i, s in enumerate(generation.sequences, start=1)]
    return "\n".join([generation.prompt, settings, *texts])


def as_code(language_model: LanguageModel, generation: Generation) -> str:
    """The plain `model.generate(...)` call that writes a run again; with an engine that has none, ours."""
    first = generation.sequences[0]
    start = first.token_ids[: len(first.token_ids) - len(first.steps)]
    tokenizer, settings = language_model.tokenizer, generation.settings
    if start == tokenizer.encode(generation.prompt, add_special_tokens=False):
        prompt = (
            f"lm.tokenizer.encode(\n    {generation.prompt!r},\n"
            '    add_special_tokens=False,\n    return_tensors="pt",\n)'
        )
    else:
        # Tokens were chosen by hand: there may be no text that encodes to exactly these.
        prompt = f"torch.tensor([{start}])"
    how = [f"{name}={value!r}" for name, value in how_loaded(language_model).items()]
    load = f"load_model({', '.join([repr(language_model.name), *how])})"
    if not language_model.runner.plain_call:
        return (
            "import torch\n\nfrom helpers.models import load_model\n"
            "from helpers.sampling import SamplingSettings, stream_ids\n\n"
            f"lm = {load}\n"
            f"input_ids = {prompt}\n"
            f"settings = {settings!r}\n"
            f"texts = [lm.tokenizer.decode(input_ids[0])] * {len(generation.sequences)}\n"
            f"for event in stream_ids(lm, {generation.prompt!r}, settings, input_ids):\n"
            "    texts[event.sequence] += event.text\n"
            'print("\\n".join(texts))\n'
        )
    arguments = generate_arguments(language_model.tokenizer, settings)
    lines = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    return (
        "import torch\n\nfrom helpers.models import load_model\n\n"
        f"lm = {load}\n"
        f"input_ids = {prompt}.to(lm.device)\n"
        f"torch.manual_seed({settings.seed})\n"
        "output = lm.model.generate(\n    input_ids,\n"
        f"    attention_mask=torch.ones_like(input_ids),\n{lines})\n"
        "for text in lm.tokenizer.batch_decode(output, skip_special_tokens=True):\n    print(text)\n"
    )


class NotSaved(Explained, OSError):
    """A file could not be written. Nothing is lost: neither what was to be saved nor the file's old content."""


def record_path(name: str) -> Path:
    """The file that a reader named, `~` being the home folder.

    Raises:
        InputError: a ValueError; it is not the name of a file.
    """
    try:
        path = Path(name.strip()).expanduser()
    except RuntimeError:
        # `~somebody`, whom this machine does not know.
        path = Path()
    if not path.name or "\0" in name:
        raise InputError(
            "ファイル名がありません。sampling-lab.json のような名前を入れてください。",
            "there is no file name: enter one, such as sampling-lab.json.",
        )
    return path


def save(history: list[Generation], path: Path) -> list[Generation]:
    """Add runs to a file, for `load`; it is written whole, or not at all. Runs that it holds already stay.

    Returns:
        All runs that the file holds now, those it held before first.

    Raises:
        InputError: a ValueError; there is nothing to save, or the file is not a record.
        NotSaved: an OSError; the disk is full, or nothing may be written there.
        OSError: there is such a file, and it cannot be read.
    """
    if not history:
        raise InputError(
            "まだ記録がないので、何も保存していません。先に「生成」を押してください。",
            "there is no run yet, so nothing was saved: press Generate first.",
        )
    before = _runs_in(path)
    runs = [*before, *new_runs(history, before)]
    partial = path.with_name(f"{path.name}.partial")
    try:
        try:
            partial.write_text(to_json(runs), encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise NotSaved(
            f"{path} に保存できませんでした（{why}）。記録は消えていません。空きを作るか、別の場所を指定して、"
            "もう一度保存してください。",
            f"{path} could not be saved ({why}): nothing is lost; free some space or choose another place, and save again.",
        ) from error
    return runs


def load(path: Path) -> list[Generation]:
    """The runs that `save` wrote.

    Raises:
        OSError: the file cannot be read.
        InputError: a ValueError; it is something else.
    """
    return from_json(path.read_bytes().decode("utf-8", errors="replace"))


def new_runs(runs: list[Generation], known: list[Generation]) -> list[Generation]:
    """The runs that are not among those known. A run that was written twice is known if it is there twice."""
    copies = Counter(to_json([run]) for run in known)
    new = []
    for run in runs:
        key = to_json([run])
        if not copies[key]:
            new.append(run)
        copies[key] -= copies[key] > 0
    return new


def _runs_in(path: Path) -> list[Generation]:
    """The runs that a file already holds before it is written."""
    try:
        return load(path)
    except FileNotFoundError:
        return []
    except InputError as error:
        raise InputError(
            f"{path} は、この実験室の記録ではありません。上書きしないように、保存をやめました。"
            "別のファイル名を入れてください。",
            f"{path} is not a record from the lab and was left unchanged: enter another file name.",
        ) from error


def to_json(history: list[Generation]) -> str:
    """Runs as JSON, for `from_json`."""
    return json.dumps([asdict(run) for run in history], ensure_ascii=False, indent=1)


def from_json(text: str) -> list[Generation]:
    """The runs that `to_json` wrote.

    Raises:
        InputError: a ValueError; it is something else.
    """
    try:
        runs = [
            Generation(
                _checked(run["prompt"], str),
                SamplingSettings(**run["settings"]),
                [
                    Sequence(
                        _checked(sequence["text"], str),
                        [_checked(i, int) for i in sequence["token_ids"]],
                        ENDINGS[ENDINGS.index(sequence["stopped"])],
                        [
                            Step(_checked(i, int), float(raw), float(p))
                            for i, raw, p in sequence["steps"]
                        ],
                    )
                    for sequence in run["sequences"]
                ],
            )
            for run in json.loads(text)
        ]
        if not all(run.sequences for run in runs):
            raise ValueError("a run without texts")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "この実験室が保存した記録ではないので、読み込めません。",
            "this is not a record that the lab saved, so it cannot be loaded.",
        ) from error
    return runs


def _checked(value: object, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value
