"""The command line: `pytest tests/test_generate.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.generate import OPENING_LINE, main
from helpers.language import set_language

ROOT = Path(__file__).resolve().parent.parent
FEW = ["--model", "aozora-mini", "--max-length", "60", "--seed", "7"]


pytestmark = pytest.mark.usefixtures("english")


def test_json_is_all_that_is_printed(capsys):
    assert main(["雪国", *FEW, "--num-return-sequences", "2", "--top-k", "40", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"model", "device", "dtype", "reason", "settings", "sequences"}
    assert answer["model"] == "aozora-mini"
    assert (answer["settings"]["top_k"], answer["settings"]["seed"]) == (40, 7)
    assert len(answer["sequences"]) == 2
    for sequence in answer["sequences"]:
        assert set(sequence) == {"text", "token_ids", "stopped"}
        assert sequence["text"].startswith("雪国")
        assert sequence["stopped"] in ("eos", "max_length")
        assert len(sequence["token_ids"]) <= 60


def test_a_seed_repeats_the_whole_answer(capsys):
    main([*FEW, "--json"])
    first = capsys.readouterr().out
    main([*FEW, "--json"])
    assert capsys.readouterr().out == first


def test_the_reader_sees_device_model_reason_and_three_continuations(capsys, monkeypatch):
    monkeypatch.setenv("HELPERS_MODEL", "aozora-mini")
    assert main(["--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count(OPENING_LINE) == 3
    for word in ("aozora-mini", "cpu", "float32", "HELPERS_MODEL"):
        assert word in said


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["", *FEW], "prompt"),
        (["--top-p", "1.5"], "top_p"),
        (["--top-k", "-3"], "top_k"),
        (["--temperature", "nan"], "temperature"),
        (["--min-length", "90", "--max-length", "80"], "min_length"),
        (["--max-length", "100000", "--model", "aozora-mini"], "max_length"),
        (["--num-return-sequences", "0"], "num_return_sequences"),
        (["--model", "gpt-9"], "gpt-9"),
        (["--engine", "ctranslate2", "--dtype", "float32"], "dtype"),
    ],
)
def test_bad_input_is_one_line_on_stderr(capsys, arguments, field):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert field in err
    assert len(err.strip().splitlines()) == 1


def test_a_short_text_can_be_asked_for_by_its_length_alone(capsys):
    assert main(["雪国", "--model", "aozora-mini", "--max-length", "20", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert all(len(s["token_ids"]) <= 20 for s in answer["sequences"])


@pytest.mark.parametrize(
    ("way", "dtype"), [(["--dtype", "bfloat16"], "bfloat16"), (["--engine", "ctranslate2"], "int8")]
)
def test_a_way_to_save_memory_can_be_asked_for(capsys, monkeypatch, tmp_path, way, dtype):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    assert main(["雪国", *FEW, *way, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dtype"] == dtype


def test_characters_the_model_cannot_see_are_named(capsys):
    assert main(["寿司🍣を", *FEW, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "🍣" in err and "寿" not in err
    json.loads(out)
    assert main(["雪国", *FEW]) == 0
    assert capsys.readouterr().err == ""


def test_sentences_follow_the_language(capsys):
    set_language("ja")
    main(["--top-p", "2"])
    assert "指定してください" in capsys.readouterr().err
    with pytest.raises(ValueError, match="fr"):
        set_language("fr")


@pytest.mark.process
@pytest.mark.parametrize(
    ("locale", "word"),
    [("ja_JP.UTF-8", "デバイス"), pytest.param("C.UTF-8", "Device", marks=pytest.mark.slow)],
)
def test_a_console_that_is_not_utf8_gets_every_character(locale, word):
    environment = os.environ | {"LANG": locale, "PYTHONIOENCODING": "cp932", "LC_ALL": locale}
    environment.pop("HELPERS_LANG", None)
    done = subprocess.run(
        [sys.executable, "-m", "helpers.generate", "𠮷野家で", *FEW],
        capture_output=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert word in done.stdout.decode("utf-8")


@pytest.mark.process
def test_importing_helpers_loads_nothing_heavy():
    code = "import sys, helpers; print(sorted({'torch', 'transformers', 'ipywidgets', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


LOADED = """
import sys
names = {name.partition(".")[0] for name, m in list(sys.modules.items()) if "site-packages" in (getattr(m, "__file__", None) or "")}
print(json.dumps(sorted(names)))
"""


@pytest.mark.slow
@pytest.mark.process
def test_the_command_loads_nothing_but_torch_transformers_and_what_they_load():
    """Its start is torch's and transformers' own, and sentencepiece's."""
    from benchmarks.start_up import LIBRARIES

    ours = f"from helpers.generate import main; main(['--model', 'aozora-mini', *{FEW!r}])"
    loaded = []
    for code in (LIBRARIES, ours):
        command = [sys.executable, "-c", f"import json\n{code}\n{LOADED}"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT)
        assert done.returncode == 0, done.stderr
        loaded.append(set(json.loads(done.stdout.splitlines()[-1])))
    libraries, command = loaded
    assert "torch" in libraries and "sentencepiece" in command
    assert command - libraries <= {"sentencepiece", "_sentencepiece", "psutil", "google"}
