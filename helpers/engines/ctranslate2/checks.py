"""What CTranslate2 needs and cannot do here, checked before any work, one sentence each; and installing it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from helpers.errors import Explained, InputError

# The extra "ctranslate2" of pyproject.toml. From 4.8 on it lays weights out for Intel's processors when it loads them.
REQUIREMENT = "ctranslate2>=4.8,<5"
# GPT-2's activations by their names in transformers, and CTranslate2's for the same function.
ACTIVATIONS = {
    "gelu_new": "GELUTanh",
    "gelu_pytorch_tanh": "GELUTanh",
    "gelu_fast": "GELUTanh",
    "gelu": "GELU",
    "relu": "RELU",
}


class EngineUnavailable(Explained, RuntimeError):
    """CTranslate2 is missing, or cannot run this model here; the message names the command or the other engine."""


def install_engine() -> None:
    """Install CTranslate2 into a running notebook if it is missing; nothing installed is changed.

    Raises:
        EngineUnavailable: it cannot be installed.
    """
    from helpers.environment import NotInstalled, add

    try:
        add(REQUIREMENT)
    except NotInstalled as error:
        raise EngineUnavailable(
            "ctranslate2 を入れられませんでした。ネットワークを確かめて、もう一度実行するか、"
            f'pip install "{REQUIREMENT}" を試してください。なくても engine="torch" は使えます。',
            "ctranslate2 could not be installed: check the network and run this again, or try "
            f'pip install "{REQUIREMENT}"; engine="torch" works without it.',
        ) from error


def require_ctranslate2() -> None:
    """Raise `EngineUnavailable` unless a fitting CTranslate2 is installed and this processor can run int8."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    command = f'pip install "{REQUIREMENT}"'
    if find_spec("ctranslate2") is None:
        raise EngineUnavailable(
            f'engine="ctranslate2" には ctranslate2 が要ります。{command} で入れるか、'
            'engine="torch" を使ってください。',
            f'engine="ctranslate2" needs ctranslate2: install it with {command}, or use engine="torch".',
        )
    try:
        import ctranslate2

        usable = Version(ctranslate2.__version__) in SpecifierSet(REQUIREMENT[len("ctranslate2") :])
    except (ImportError, OSError) as error:
        raise EngineUnavailable(
            f'ctranslate2 を読み込めません。{command} で入れ直すか、engine="torch" を使ってください。',
            f'ctranslate2 cannot be loaded: reinstall it with {command}, or use engine="torch".',
        ) from error
    if not usable:
        raise EngineUnavailable(
            f"ctranslate2 {ctranslate2.__version__} では動きません。{command} で入れ直して、カーネルを再起動するか、"
            'engine="torch" を使ってください。',
            f"ctranslate2 {ctranslate2.__version__} is not supported: reinstall it with {command} and restart the "
            'kernel, or use engine="torch".',
        )
    if "int8" not in ctranslate2.get_supported_compute_types("cpu"):
        raise EngineUnavailable(
            'この CPU では int8 の計算ができません。engine="torch" を使ってください。',
            'this processor cannot compute in int8: use engine="torch".',
        )


def check_config(name: str, config: dict[str, Any]) -> None:
    """Raise `InputError` if a config.json is not of a GPT-2 that the engine computes as transformers does."""
    kind = config.get("model_type")
    unlike = [
        key
        for key, usual in (
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
        )
        if config.get(key, usual) != usual
    ]
    activation = config.get("activation_function", "gelu_new")
    if activation not in ACTIVATIONS:
        unlike.append(f"activation_function = {activation}")
    if kind != "gpt2" or unlike:
        what = ", ".join(unlike) or f"model_type = {kind}"
        raise InputError(
            f'{name} は engine="ctranslate2" に変換できません（{what}）。engine="torch" を使ってください。',
            f'{name} cannot be converted for engine="ctranslate2" ({what}): use engine="torch".',
        )


def check_settings(name: str, settings: dict[str, Any]) -> None:
    """Raise `InputError` if a model's folder sets what transformers follows and the engine does not."""
    if settings:
        what = ", ".join(f"{key} = {value}" for key, value in settings.items())[:200]
        raise InputError(
            f'{name} の設定にある {what} は、engine="ctranslate2" では使えません。'
            'engine="torch" を使ってください。',
            f'the configuration of {name} has {what}, which engine="ctranslate2" does not support: '
            'use engine="torch".',
        )
