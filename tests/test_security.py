"""No code from a model, no markup from a text, nothing in what we ship that could hold code: `pytest tests/test_security.py`."""

import ast
import inspect
import io
import pickle
import pickletools
import re
import struct
import subprocess
import sys
import warnings
import zipfile
from base64 import b64decode
from html.parser import HTMLParser
from types import SimpleNamespace

import nbformat
import pytest
import sentencepiece
import torch
from hub_client import Client, fingerprint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_hub import hub
from rinna_layout import make_model
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from helpers import charts
from helpers.hub import ModelUnavailable
from helpers.lab.records import as_code, from_json, to_json
from helpers.language import set_language
from helpers.models import load_model
from helpers.sampling import (
    Generation,
    SamplingSettings,
    Sequence,
    Step,
    generate,
    next_token_distribution,
)
from helpers.tokenizer import load_tokenizer
from tools.project import ROOT, project_files

FILES = project_files()
NAME = "rinna/japanese-gpt2-small"


@pytest.fixture(autouse=True)
def japanese():
    set_language("ja")


# --- what we ship


def holds_pickle(body: bytes) -> bool:
    """Whether a file can run code when it is loaded: a pickle, or an archive with one, as torch.save writes."""
    if zipfile.is_zipfile(io.BytesIO(body)):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return any(holds_pickle(archive.read(name)) for name in archive.namelist())
    body = body.rstrip()
    if body[-1:] != b".":
        return False
    # Protocol 2 or later begins with its number and ends with a stop. The older ones are nothing but their operations.
    return re.match(rb"\x80[\x02-\x05]", body) is not None or is_a_list_of_operations(body)


def is_a_list_of_operations(body: bytes) -> bool:
    try:
        operations = list(pickletools.genops(body))
    except (ValueError, IndexError, struct.error, OverflowError):
        return False
    return operations[-1][2] == len(body) - 1


def test_the_check_knows_a_pickle():
    saved = io.BytesIO()
    torch.save({"weights": torch.ones(2)}, saved)
    assert holds_pickle(saved.getvalue())
    assert all(holds_pickle(pickle.dumps({"a": [1]}, protocol)) for protocol in range(6))
    assert all(holds_pickle(pickle.dumps(print, protocol)) for protocol in range(6))
    assert holds_pickle(pickle.dumps(SimpleNamespace(a="雪"), 0) + b"\n")
    assert (
        not holds_pickle(b"text.")
        and not holds_pickle(b"")
        and not holds_pickle("\x80雪。".encode())
    )


def test_nothing_we_ship_is_a_pickle():
    assert [name for name in FILES if holds_pickle((ROOT / name).read_bytes())] == []
    kinds = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz", ".joblib", ".h5")
    assert [name for name in FILES if name.endswith(kinds)] == []


@pytest.mark.process
def test_the_installed_packages_agree_with_each_other():
    """What an audit can see without a network; .github/workflows/audit.yml asks for known vulnerabilities."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout


def sources():
    """The code of the project: Python files outside the tests, and the code cells of all notebooks."""
    for name in FILES:
        if name == "tools/facts.py":
            continue  # It runs cells of the lessons' own sources, when they are built.
        text = (ROOT / name).read_text(encoding="utf-8") if name.endswith((".py", ".ipynb")) else ""
        if name.endswith(".py") and not name.startswith("tests/"):
            yield name, text
        elif name.endswith(".ipynb"):
            cells = nbformat.reads(text, as_version=4).cells
            code = [cell.source for cell in cells if cell.cell_type == "code"]
            yield name, "\n".join(code)


def dangers(source: str) -> list[str]:
    """Calls by which input could become code: shells, pickles, remote code."""
    found = [line for line in source.splitlines() if re.match(r"\s*[!%]", line)]
    for node in ast.walk(ast.parse("\n".join(x for x in source.splitlines() if x not in found))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if "pickle" in names and names != ["pickle", "UnpicklingError"]:
                found.append(ast.unparse(node))
            found += [name for name in names if name in ("marshal", "shelve", "dill", "joblib")]
        if not isinstance(node, ast.Call):
            continue
        name, text = ast.unparse(node.func), ast.unparse(node)
        if name == "subprocess.getoutput" and isinstance(node.args[0], ast.Constant):
            continue  # a fixed command, as the setup cell's: no input is in it
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name in ("eval", "exec", "compile") or re.search(
            r"\bos\.(system|popen|exec|spawn)", name
        ):
            found.append(text)
        if re.search(r"\b(subprocess\.\w+|Popen|create_subprocess_\w+)$", name) and (
            given.get("shell", "False") != "False"
            or "shell" in name
            or "output" in name.removeprefix("subprocess.check_output")
            or (node.args and isinstance(node.args[0], ast.JoinedStr | ast.Constant | ast.BinOp))
        ):
            found.append(text)
        if name == "torch.load" and given.get("weights_only") != "True":
            found.append(text)
        if given.get("trust_remote_code", "False") != "False":
            found.append(text)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.system('ls ' + name)",
        "import subprocess\nsubprocess.run(f'pip install {x}', shell=True)",
        "subprocess.run('ls')",
        "subprocess.getoutput(command)",
        "subprocess.getoutput(f'git clone {address}')",
        "asyncio.create_subprocess_shell(command)",
        "import pickle",
        "from pickle import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=trusted)",
        "eval(text)",
        "!pip install {name}",
        "%run $file",
    ],
)
def test_the_check_knows_what_is_dangerous(source):
    assert dangers(source)


def test_no_input_can_become_code():
    assert {name: found for name, text in sources() if (found := dangers(text))} == {}


def test_models_are_loaded_without_their_code():
    """Where a model's own configuration may name classes, transformers would ask the reader whether to run them."""
    calls = [
        node
        for file in sorted((ROOT / "helpers").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and re.match(r"Auto\w+\.from_", ast.unparse(node.func))
    ]
    assert calls
    for call in calls:
        assert "trust_remote_code=False" in ast.unparse(call)


# --- what models bring


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    with hub({}) as served:
        client = Client(tmp_path_factory.mktemp("home"), served.address)
        yield client, served
        client.close()


def write_evil_code(folder, marker, model_type):
    """Make a folder's configuration point to code of its own, which leaves a mark if it runs."""
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n", encoding="utf-8")
    config = (folder / "config.json").read_text(encoding="utf-8")
    own = '{"auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},'
    config = config.replace("{", own, 1).replace(
        '"model_type": "gpt2"', f'"model_type": "{model_type}"'
    )
    (folder / "config.json").write_text(config, encoding="utf-8")


@pytest.mark.process
@pytest.mark.parametrize("model_type", ["gpt2", "evil"])
def test_code_in_a_repository_is_neither_fetched_nor_run(reader, tmp_path, model_type):
    client, served = reader
    folder, marker = make_model(tmp_path / "model"), tmp_path / "ran"
    write_evil_code(folder, marker, model_type)
    served.models = {f"someone/{model_type}": folder}
    answer = client.loads(f"someone/{model_type}")
    assert (answer["error"] is None) == (model_type == "gpt2")
    assert not marker.exists()
    assert not [r for r in served.requests if r[1].endswith(".py")]
    # From a folder, where the code lies ready.
    if model_type == "gpt2":
        load_model(folder, device="cpu")
    else:
        with pytest.raises(ModelUnavailable, match=folder.name):
            load_model(folder, device="cpu")
    assert not marker.exists()


def test_safetensors_are_preferred_where_there_are_both(reader, tmp_path):
    client, served = reader
    folder = make_model(tmp_path / "model")
    expected = fingerprint(GPT2LMHeadModel.from_pretrained(folder))
    other = {name: weights + 1 for name, weights in load_file(folder / "model.safetensors").items()}
    torch.save(other, folder / "pytorch_model.bin")
    assert fingerprint(load_model(folder, device="cpu").model) == expected
    served.models = {NAME: folder}
    served.requests.clear()
    answer = client.loads(NAME)
    assert answer["weights"] == expected
    assert answer["warnings"] == []
    assert not [r for r in served.requests if r[1].endswith(".bin")]


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("plain", [True, False], ids=["bare", "zipped"])
def test_a_malicious_pickle_does_not_run(tmp_path, plain, language):
    set_language(language)
    folder, marker = make_model(tmp_path / "model", safe=False), tmp_path / "ran"
    weights = {"transformer.wte.weight": Evil(marker)}
    file = folder / "pytorch_model.bin"
    if plain:
        file.write_bytes(pickle.dumps(weights, protocol=2))
    else:
        torch.save(weights, file)
    with (
        pytest.warns(UserWarning, match="pytorch_model.bin"),
        pytest.raises(ModelUnavailable, match=r"pytorch_model\.bin") as caught,
    ):
        load_model(folder, device="cpu")
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)
    # The mark would have been left.
    pickle.loads(pickle.dumps(weights)).clear()
    assert marker.exists()


# --- what texts bring

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</span></div><iframe srcdoc=x>",
    "&lt;script&gt;",
    "<!--",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "]]><style>*{display:none}</style>",
    "${7*7}{{7*7}}",
]
hostile = st.one_of(
    st.sampled_from(ATTACKS),
    st.lists(
        st.sampled_from([*ATTACKS, "<", ">", '"', "'", "&", "雪", "\n", "\u202e", "\0"]), max_size=6
    ).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=10),
)
repeatable = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


class Markup(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[str] = []
        self.comments = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        # What is shown on hovering or read aloud is text, whatever it says.
        spoken = ("title", "aria-label")
        self.values += [value or "" for name, value in attrs if name not in spoken]

    def handle_comment(self, data):
        self.comments += 1


OURS = {
    "div", "span", "b", "sub", "small", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td", "progress",
    "svg", "rect", "line", "text", "circle", "polyline",
}  # fmt: skip


DRAWING = re.compile(r'<img src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]*)" alt=')


def assert_harmless(html: str) -> None:
    # A drawing is looked into as if it stood in the page.
    html = DRAWING.sub(lambda m: f"{b64decode(m[1]).decode()}<div aria-label=", html)
    markup = Markup(html)
    assert markup.tags <= OURS
    assert not [
        name
        for name in markup.attributes
        if name.startswith("on") or name in ("src", "href", "srcdoc")
    ]
    assert markup.comments == 0
    assert not [value for value in markup.values if "alert(" in value or "*{" in value]


@pytest.fixture(scope="module")
def hostile_model(tmp_path_factory):
    """A model whose vocabulary is full of markup: these pieces come out of it, whatever goes in."""
    folder = make_model(tmp_path_factory.mktemp("hostile"))
    text = folder / "text.txt"
    text.write_text("雪国の山の夜の底\n" * 50, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "spiece"),
        vocab_size=120,
        hard_vocab_limit=False,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        control_symbols=["[PAD]", "[CLS]", "[SEP]", "[MASK]"],
        user_defined_symbols=[attack.replace(" ", "▁") for attack in ATTACKS],
    )
    pieces = load_tokenizer(folder).vocab_size
    weights = load_file(folder / "model.safetensors")
    weights["transformer.wte.weight"] = weights["transformer.wte.weight"][:pieces].clone()
    config = (folder / "config.json").read_text(encoding="utf-8")
    config = re.sub(r'"vocab_size": \d+', f'"vocab_size": {pieces}', config)
    (folder / "config.json").write_text(config, encoding="utf-8")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return load_model(folder, device="cpu")


def pictures(lm, distribution, texts: list[str], ids: list[int]):
    """Each public function of helpers.charts that makes HTML, on these texts and tokens; by name."""
    a, b, c = texts
    start = lm.tokenizer.encode("雪国", add_special_tokens=False)
    first = Sequence(a, [*start, *ids], "eos", [Step(i, 0.1, 0.2) for i in ids])
    second = Sequence(b, [*start, *ids[1:]], "user", [Step(i, 0.3, 1.0) for i in ids[1:]])
    run = Generation(c, SamplingSettings(), [first, second])
    plain = charts.plain_text(a, b)
    yield "token_chips", charts.token_chips(lm.tokenizer, a)
    yield "chosen_chips", charts.chosen_chips(lm.tokenizer, ids)
    yield "distribution_chart", charts.distribution_chart(distribution, 60, {ids[0]: 3}, title=a)
    yield "probability_text", charts.probability_text(first, lm.tokenizer, mark=0)
    yield "table", charts.table([[a, b], [plain, 1]], [b, c], caption=a)
    yield "cards", charts.cards([plain, a], [b, c])
    yield "generation_cards", charts.generation_cards(run, lm.tokenizer)
    yield "comparison", charts.comparison(first, second, lm.tokenizer)
    yield "normalization", charts.normalization(a, b)
    yield "vertical_text", charts.vertical_text(a)
    yield "plain_text", plain
    yield "progress_bar", charts.progress_bar(1, 2, a)
    yield "problem", charts.problem(a)
    yield "bar_chart", charts.bar_chart([a, b], [0.5, 1.0], title=c, unit=a, highlight=0)
    yield "loss_curve", charts.loss_curve([2.0, 1.0], [(0, 2.0), (2, 1.0)], 2, a)


@pytest.fixture(scope="module")
def distribution(hostile_model):
    settings = SamplingSettings(top_k=20, top_p=0.9)
    return next_token_distribution(hostile_model, "雪国", settings)


@settings(repeatable, max_examples=60)
@given(data=st.data())
def test_no_text_becomes_markup_in_any_picture(hostile_model, distribution, data):
    texts = data.draw(st.lists(hostile, min_size=3, max_size=3))
    last = hostile_model.tokenizer.vocab_size - 1
    ids = data.draw(st.lists(st.integers(0, last), min_size=2, max_size=6))
    seen = set()
    for name, picture in pictures(hostile_model, distribution, texts, ids):
        assert_harmless(picture)
        seen.add(name)
    makers = {
        name
        for name, function in inspect.getmembers(charts, inspect.isfunction)
        if function.__module__.startswith(charts.__name__)
        and not name.startswith("_")
        and function.__annotations__.get("return") == "Html"
    }
    assert makers == seen


def test_the_check_knows_markup():
    for attack in ATTACKS[:4]:
        with pytest.raises(AssertionError):
            assert_harmless(f"<div title='{attack}'>{attack}</div>")


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_becomes_markup_in_the_lab(hostile_model, attack, tmp_path):
    import ipywidgets as widgets

    from helpers.lab import SamplingLab

    short = SamplingSettings(min_length=0, max_length=40, top_k=0, top_p=1.0, seed=3)
    lab = SamplingLab(hostile_model, attack, short)
    lab.generate()
    assert lab.error is None
    run = lab.history[-1]
    lab.history_pane.file_box.value = str(tmp_path / f"{len(attack)}<b>.json")
    lab.history_pane.save_button.click()
    lab.history_pane.file_box.value = attack
    lab.history_pane.load_button.click()
    assert lab.error is not None

    def shown(widget):
        if isinstance(widget, widgets.HTML):
            yield widget.value
        for child in getattr(widget, "children", ()):
            yield from shown(child)

    values = [lab.still(), *shown(lab.view), *(v for pane in lab.panes for v in shown(pane.view))]
    assert len(values) > 10
    for value in values:
        assert_harmless(value)
    assert from_json(to_json([run])) == [run]


@settings(repeatable, max_examples=200)
@given(prompt=st.one_of(hostile, st.sampled_from(['"""', "\\", "'''\nimport os", "{lm}", "\r\n#"])))
def test_the_code_of_a_run_holds_its_text_as_data(hostile_model, prompt):
    ids = hostile_model.tokenizer.encode(prompt, add_special_tokens=False)
    run = Generation(prompt, SamplingSettings(seed=1), [Sequence(prompt, ids, "user", [])])
    innocent = Generation("雪", run.settings, [Sequence("雪", [9], "user", [])])
    innocent_ids = hostile_model.tokenizer.encode("雪", add_special_tokens=False)
    innocent.sequences[0].token_ids[:] = innocent_ids

    def shape(code: str) -> list[str]:
        return [type(node).__name__ for node in ast.walk(ast.parse(code))]

    code = as_code(hostile_model, run)
    assert shape(code) == shape(as_code(hostile_model, innocent))
    constants = [n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant)]
    assert prompt in constants


@pytest.mark.parametrize(
    "broken",
    [
        "[" * 100_000,
        '[{"prompt": 1, "settings": {}, "sequences": []}]',
        '[{"prompt": "a", "settings": {}, "sequences": []}]',
        '[{"prompt": "a", "settings": {"top_k": "<b>"}, "sequences": []}]',
        '[{"prompt": "a", "settings": {}, "sequences": [{"text": 5, "token_ids": [], "stopped": "eos", "steps": []}]}]',
        '[{"prompt": "a", "settings": {}, "sequences": [{"text": "", "token_ids": ["<b>"], "stopped": "eos", "steps": []}]}]',
        '[{"prompt": "a", "settings": {}, "sequences": [{"text": "", "token_ids": [], "stopped": "<b>", "steps": []}]}]',
        '[{"prompt": "a", "settings": {}, "sequences": [{"text": "", "token_ids": [], "stopped": "eos", "steps": [[1]]}]}]',
        '{"prompt": "a"}',
        "5",
    ],
)
def test_a_record_from_somebody_else_is_checked_before_it_is_shown(broken):
    with pytest.raises(ValueError, match="記録"):
        from_json(broken)


def test_a_run_made_here_can_be_loaded_again(hostile_model):
    short = SamplingSettings(min_length=0, max_length=30, top_k=0, seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = generate(hostile_model, ATTACKS[0], short)
    assert from_json(to_json([run])) == [run]
