"""The lab's state as plain data: what is asked of the model, what came of it. No widgets here."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from helpers.errors import Explained, InputError
from helpers.language import say
from helpers.models import how_loaded
from helpers.sampling import (
    Distribution,
    Generation,
    SamplingSettings,
    SettingsError,
    Step,
    StreamEvent,
    distribution_from_logits,
    encode_prompt,
    generate_arguments,
    next_token_logits,
    stream_ids,
)
from helpers.sampling import Sequence as Written

if TYPE_CHECKING:
    from helpers.models import LanguageModel


class Preset(NamedTuple):
    """Settings with a name; `why` says in one line what they show."""

    name: str
    settings: SamplingSettings
    why: str


def presets() -> list[Preset]:
    """The settings that the lab offers: the article's first."""
    return [
        Preset(
            say("記事の設定", "the article"),
            SamplingSettings(),
            say(
                "top_k=500、top_p=0.95：上位 500 個のうち、確率の合計が 95% になるまでから引きます。",
                "top_k=500, top_p=0.95: draws from the top 500, as far as they sum up to 95%.",
            ),
        ),
        Preset(
            say("貪欲", "greedy"),
            SamplingSettings(do_sample=False, num_return_sequences=1),
            say(
                "いつも確率が最大のトークンを選びます。くじを引かないので、結果は 1 通りです。",
                "Always takes the most probable token. Nothing is drawn, so there is one result.",
            ),
        ),
        Preset(
            say("おとなしい", "tame"),
            SamplingSettings(top_k=20, top_p=0.8, temperature=0.7),
            say(
                "確率の高いものをさらに選びやすくします。無難ですが、同じ言い方が増えます。",
                "Favours what is probable already: safe, and it repeats itself more.",
            ),
        ),
        Preset(
            say("奔放", "wild"),
            SamplingSettings(top_k=0, top_p=1.0, temperature=1.5),
            say(
                "何も除外せず、確率をならします。意外な語が出るかわりに、文が崩れます。",
                "Cuts nothing and evens the odds: surprising words, and sentences fall apart.",
            ),
        ),
    ]


def top_k_scale(vocab_size: int) -> list[int]:
    """The steps of a slider for top_k: 0 (off), each number to 10, then ever larger steps to the vocabulary."""
    steps = {*range(min(10, vocab_size) + 1), vocab_size}
    decade = 10
    while decade < vocab_size:
        for part in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80):
            steps.add(min(decade * part // 10, vocab_size))
        decade *= 10
    return sorted(steps)


def nearest(scale: Sequence[float], value: float) -> int:
    """The index of the step nearest to a value; the lower one where two are as near."""
    return min(range(len(scale)), key=lambda i: abs(scale[i] - value))


class Draft(NamedTuple):
    """Where a text stands: the typed prompt, and the tokens that were chosen after it one by one.

    The tokens stay tokens: `▁` at the end of a text would be lost on the way through text.
    """

    prompt: str
    chosen: tuple[int, ...] = ()

    def then(self, token_id: int) -> Draft:
        """The draft with one more token."""
        return Draft(self.prompt, (*self.chosen, token_id))


def draft_before(
    language_model: LanguageModel, generation: Generation, sequence: int, step: int
) -> Draft:
    """The draft that stood before a new token was drawn: `step` counts a sequence's new tokens from 0."""
    written = generation.sequences[sequence]
    prompt_tokens = encode_prompt(language_model, generation.prompt).shape[1]
    end = len(written.token_ids) - len(written.steps) + step
    return Draft(generation.prompt, tuple(written.token_ids[prompt_tokens:end]))


def draft_of(language_model: LanguageModel, generation: Generation) -> Draft:
    """The draft that a run was written from: its prompt, and the tokens that had been chosen after it.

    Raises:
        InputError: a ValueError; another model wrote it, whose tokens are other ones.
    """
    first = generation.sequences[0]
    draft = draft_before(language_model, generation, sequence=0, step=0)
    start = first.token_ids[: len(first.token_ids) - len(first.steps)]
    if encode_draft(language_model, draft)[0].tolist() != start:
        raise InputError(
            say(
                "この記録は別のモデルが書いたものなので、トークンが合いません。書いたモデルを読み込むと、戻せます。",
                "another model wrote this run, so its tokens do not fit: load that model to return to it.",
            )
        )
    return draft


def encode_draft(
    language_model: LanguageModel, draft: Draft, settings: SamplingSettings | None = None
) -> torch.Tensor:
    """The draft's ids, int64 of shape (1, number of tokens), checked as `encode_prompt` checks a prompt.

    Raises:
        SettingsError: see `encode_prompt`; the chosen tokens count as the prompt does.
    """
    ids = encode_prompt(language_model, draft.prompt, settings)
    if not draft.chosen:
        return ids
    chosen = torch.tensor([draft.chosen], device=ids.device)
    ids = torch.cat([ids, chosen], dim=1)
    tokens = ids.shape[1]
    if tokens >= language_model.n_positions:
        raise SettingsError(
            "prompt",
            say(
                f"ここまでで {tokens} トークンになり、このモデルはこれより先を書けません。「戻る」を押してください。",
                f"the text has {tokens} tokens, and this model cannot go beyond: go back.",
            ),
        )
    if settings is not None and tokens >= settings.max_length:
        raise SettingsError(
            "max_length",
            say(
                f"ここまでで {tokens} トークンあり、max_length = {settings.max_length} では続きを書けません。"
                f"max_length を {tokens + 1} 以上にするか、「戻る」を押してください。",
                f"the text has {tokens} tokens, so max_length = {settings.max_length} leaves no room: "
                f"give at least {tokens + 1}, or go back.",
            ),
        )
    return ids


def stream_draft(
    language_model: LanguageModel,
    draft: Draft,
    settings: SamplingSettings,
    should_stop: Callable[[], bool],
) -> Iterator[StreamEvent]:
    """As `helpers.sampling.stream`, from a draft: what it returns counts the chosen tokens to the prompt."""
    input_ids = encode_draft(language_model, draft, settings)
    return stream_ids(language_model, draft.prompt, settings, input_ids, should_stop)


def draw(distribution: Distribution, times: int, seed: int) -> list[int]:
    """Token ids drawn from a distribution; a single one is what `model.generate` draws first with that seed."""
    in_order_of_ids = torch.empty_like(distribution.final)
    in_order_of_ids[distribution.token_ids] = distribution.final
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(in_order_of_ids, times, replacement=True, generator=generator).tolist()


class NextToken:
    """The distribution of the next token. The model runs when the text changes, never for a setting."""

    def __init__(self, language_model: LanguageModel) -> None:
        self.language_model = language_model
        self._draft: Draft | None = None
        self._logits: torch.Tensor | None = None

    def distribution(self, draft: Draft, settings: SamplingSettings) -> Distribution:
        """The distribution after a draft, as `next_token_distribution` gives it.

        Raises:
            SettingsError: see `encode_draft`.
            FloatingPointError: the model computed NaN.
        """
        # One token needs no room for a whole text: the lengths play no part.
        input_ids = encode_draft(self.language_model, draft)
        if self._logits is None or draft != self._draft:
            self._logits = next_token_logits(self.language_model, input_ids)
            self._draft = draft
        return distribution_from_logits(self.language_model, input_ids, self._logits, settings)


KANA_AND_KANJI = {
    "kanji": re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff々〆〇]"),
    "hiragana": re.compile(r"[ぁ-ゟ]"),
    "katakana": re.compile(r"[ァ-ヿㇰ-ㇿｦ-ﾟ]"),
}


def script_shares(text: str) -> dict[str, float]:
    """The share (0 to 1) of kanji, hiragana, katakana and other characters in a text, white space left out."""
    letters = "".join(text.split())
    counts = {name: len(kind.findall(letters)) for name, kind in KANA_AND_KANJI.items()}
    counts["other"] = len(letters) - sum(counts.values())
    return {name: count / max(len(letters), 1) for name, count in counts.items()}


def as_text(generation: Generation) -> str:
    """A run to keep or to hand on: its settings, and each of its texts."""
    settings = ", ".join(f"{k}={v}" for k, v in asdict(generation.settings).items())
    texts = [f"{i}. {s.text}" for i, s in enumerate(generation.sequences, start=1)]
    return "\n".join([generation.prompt, settings, *texts])


def as_code(language_model: LanguageModel, generation: Generation) -> str:
    """The plain `model.generate(...)` call that writes a run again; with CTranslate2, which has none, ours."""
    first = generation.sequences[0]
    start = first.token_ids[: len(first.token_ids) - len(first.steps)]
    tokenizer, settings = language_model.tokenizer, generation.settings
    if start == tokenizer.encode(generation.prompt, add_special_tokens=False):
        prompt = (
            f"lm.tokenizer.encode(\n    {generation.prompt!r},\n"
            '    add_special_tokens=False,\n    return_tensors="pt",\n)'
        )
    else:
        # Tokens were chosen by hand: no text need stand for exactly these.
        prompt = f"torch.tensor([{start}])"
    how = [f"{name}={value!r}" for name, value in how_loaded(language_model).items()]
    load = f"load_model({', '.join([repr(language_model.name), *how])})"
    if language_model.engine == "ctranslate2":
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


def to_json(history: Sequence[Generation]) -> str:
    """Runs as JSON, for `from_json`."""
    return json.dumps([asdict(run) for run in history], ensure_ascii=False, indent=1)


class NotSaved(Explained, OSError):
    """A file could not be written. What was to be saved is still there, and so is the file's old content."""


def record_path(name: str) -> Path:
    """The file that a reader named, `~` being the home folder.

    Raises:
        InputError: a ValueError; it is no name of a file.
    """
    try:
        path = Path(name.strip()).expanduser()
    except RuntimeError:
        # `~somebody`, whom this machine does not know.
        path = Path()
    if not path.name or "\0" in name:
        raise InputError(
            say(
                "ファイル名がありません。sampling-lab.json のような名前を入れてください。",
                "there is no file name: give one, sampling-lab.json for example.",
            )
        )
    return path


def save(history: Sequence[Generation], path: Path) -> list[Generation]:
    """Add runs to a file, for `load`; it is written whole, or not at all. Runs that it holds already stay.

    Returns:
        All runs that the file holds now, those it held before first.

    Raises:
        InputError: a ValueError; there is nothing to save, or the file is something else than a record.
        NotSaved: an OSError; the disk is full, or nothing may be written there.
        OSError: there is such a file, and it cannot be read.
    """
    if not history:
        raise InputError(
            say(
                "まだ記録がないので、何も保存していません。先に「生成」を押してください。",
                "there is no run yet, so nothing was saved: press Generate first.",
            )
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
            say(
                f"{path} に保存できませんでした（{why}）。記録は消えていません。空きを作るか、別の場所を指定して、"
                "もう一度保存してください。",
                f"{path} could not be saved ({why}): nothing is lost; make room or name another place, and save again.",
            )
        ) from error
    return runs


def _runs_in(path: Path) -> list[Generation]:
    """What a file that is to be written holds already."""
    try:
        return load(path)
    except FileNotFoundError:
        return []
    except InputError as error:
        raise InputError(
            say(
                f"{path} は、この実験室の記録ではありません。上書きしないように、保存をやめました。"
                "別のファイル名を入れてください。",
                f"{path} is not a record of the lab; it was left as it is: give another file name.",
            )
        ) from error


def new_runs(runs: Sequence[Generation], known: Sequence[Generation]) -> list[Generation]:
    """The runs that are not among those known. What was written twice is known when it is there twice."""
    copies = Counter(to_json([run]) for run in known)
    new = []
    for run in runs:
        key = to_json([run])
        if not copies[key]:
            new.append(run)
        copies[key] -= copies[key] > 0
    return new


def load(path: Path) -> list[Generation]:
    """The runs that `save` wrote.

    Raises:
        OSError: the file cannot be read.
        InputError: a ValueError; it is something else.
    """
    return from_json(path.read_bytes().decode("utf-8", errors="replace"))


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
                    Written(
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
            say(
                "この実験室が保存した記録ではないので、読み込めません。",
                "this is not a record that the lab saved, so it cannot be loaded.",
            )
        ) from error
    return runs


ENDINGS = ("eos", "max_length", "user")


def _checked(value: object, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
