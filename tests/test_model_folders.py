"""Model folders as people have them: `pytest tests/test_model_folders.py`. The oracle is transformers or sentencepiece."""

import json
import shutil
import threading
import warnings
from pathlib import Path

import pytest
import sentencepiece
import torch
from rinna_layout import LAYOUTS, SPECIAL, TEXT, make_model, make_tokenizer, raw
from transformers import GPT2Config, GPT2LMHeadModel

from helpers.errors import InputError
from helpers.finetune import load_for_training
from helpers.finetune.windows import bits_per_character, make_windows
from helpers.hub import ModelUnavailable
from helpers.models import choose_model, load_model
from helpers.sampling import SamplingSettings, generate, next_token_distribution, stream
from helpers.tokenizer import load_tokenizer, normalize, split_pieces

PROMPT = "雪国であった。"
SHORT = SamplingSettings(min_length=1, max_length=30, top_k=20, seed=3)
pytestmark = pytest.mark.usefixtures("english")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("folders") / "model", "gpt-1b")


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "model"))


def edit(folder, file, **changes):
    """Write entries of a JSON file; None takes one out."""
    path = folder / file
    values = json.loads(path.read_text("utf-8")) if path.exists() else {}
    values = {k: v for k, v in (values | changes).items() if v is not None}
    path.write_text(json.dumps(values), encoding="utf-8")


def texts_of(lm, settings=SHORT, prompt=PROMPT):
    """The ids from `generate` and from `stream`; both have the texts that their events say."""
    written = generate(lm, prompt, settings)
    events, streamed = stream(lm, prompt, settings), None
    texts = [""] * len(written.sequences)
    while streamed is None:
        try:
            event = next(events)
            texts[event.sequence] += event.text
        except StopIteration as end:
            streamed = end.value
    given = lm.tokenizer.encode(prompt, add_special_tokens=False)
    start = lm.tokenizer.decode(given, skip_special_tokens=True)
    assert [start + text for text in texts] == [s.text for s in streamed.sequences]
    ids = [s.token_ids for s in written.sequences]
    assert ids == [s.token_ids for s in streamed.sequences]
    return ids


@pytest.mark.parametrize(
    "hidden",
    [
        {"num_beams": 4},
        {"num_return_sequences": 5},
        {"penalty_alpha": 0.6, "top_k": 4},
        {"stop_strings": ["。"]},
        {"prompt_lookup_num_tokens": 3},
        {"max_time": 1e-9},
        {"guidance_scale": 1.5},
        {"dola_layers": "low"},
        {"cache_implementation": "static"},
        {"remove_invalid_values": True},
        {"max_new_tokens": 2, "min_new_tokens": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("do_sample", [True, False])
def test_what_cannot_be_followed_by_all_is_put_aside_with_a_sentence(
    original, folder, hidden, do_sample
):
    edit(folder, "generation_config.json", **hidden)
    with pytest.warns(UserWarning, match="are ignored") as noted:
        lm = load_model(folder, device="cpu")
    said = [str(w.message) for w in noted if "are ignored" in str(w.message)]
    assert len(said) == 1 and all(name in said[0] for name in hidden if name != "top_k")
    settings = SamplingSettings(min_length=1, max_length=30, do_sample=do_sample, seed=3)
    assert texts_of(lm, settings) == texts_of(load_model(original, device="cpu"), settings)


def test_what_stands_in_a_folder_for_each_call_and_does_nothing_is_not_mentioned(original, folder):
    edit(folder, "generation_config.json", num_beams=1, top_k=3, temperature=0.1, use_cache=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lm = load_model(folder, device="cpu")
    assert texts_of(lm) == texts_of(load_model(original, device="cpu"))


@pytest.mark.parametrize(
    "hidden",
    [
        {"suppress_tokens": list(range(60, 120))},
        {"bad_words_ids": [[i] for i in range(60, 120)]},
        {"min_p": 0.3},
        {"typical_p": 0.5},
        {"epsilon_cutoff": 0.1},
        {"begin_suppress_tokens": list(range(60, 120))},
    ],
    ids=str,
)
def test_a_setting_that_is_followed_is_shown_under_its_own_name(folder, hidden):
    edit(folder, "generation_config.json", **hidden)
    lm = load_model(folder, device="cpu")
    name = next(iter(hidden))
    shown = next_token_distribution(lm, PROMPT, SHORT)
    assert shown.removed(name) > 0 and set(shown.cut) <= {name, "top_k", "top_p"}
    # The first tokens that the plain call of transformers draws are among those that the picture leaves.
    left = {c.token_id for c in shown.candidates if c.cut_by is None}
    ids = lm.tokenizer.encode(PROMPT, add_special_tokens=False, return_tensors="pt")
    plain = lm.model.generate(
        ids, do_sample=True, top_k=20, top_p=0.95, num_return_sequences=200, max_new_tokens=1,
        pad_token_id=lm.tokenizer.pad_token_id,
    )  # fmt: skip
    assert set(plain[:, -1].tolist()) <= left
    assert {row[ids.shape[1]] for row in texts_of(lm)} <= left


def grown(folder, rows):
    """The same model with more rows."""
    model = GPT2LMHeadModel.from_pretrained(folder)
    model.resize_token_embeddings(rows, mean_resizing=False)
    model.save_pretrained(folder)


def test_added_tokens_are_one_id_each_everywhere(folder):
    pieces = raw(folder).get_piece_size()
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|user|>!"]})
    tokenizer.add_tokens(["ユキグニ"])
    tokenizer.save_pretrained(folder)
    grown(folder, len(tokenizer))
    lm = load_model(folder, device="cpu")
    text = "<|user|>!雪国<|user|> ユキグニの夜</s>"
    # transformers' own way, from before it forgot this layout's ids: each part by itself.
    sp = raw(folder)
    wanted = [pieces + 1, *sp.encode("雪国"), pieces, pieces + 2, *sp.encode("の夜</s>")]
    ids = lm.tokenizer.encode(text, add_special_tokens=False)
    assert ids == wanted
    assert [p.token_id for p in split_pieces(lm.tokenizer, text)] == wanted
    assert split_pieces(lm.tokenizer, text)[0].surface == "<|user|>!"
    assert "<|user|>!" in normalize(lm.tokenizer, text)
    decode = lm.tokenizer.decode
    assert decode([pieces, *sp.encode("雪")]) == "<|user|>雪"
    assert decode([pieces, *sp.encode("雪")], skip_special_tokens=True) == "雪"
    assert decode([pieces + 2], skip_special_tokens=True) == "ユキグニ"
    assert texts_of(lm, prompt=text)
    # A token that names an end is ordinary text when somebody types it.
    assert lm.tokenizer.eos_token_id not in ids


def test_text_beside_an_added_token_is_lower_case_where_the_model_was_trained_so(tmp_path):
    tokenizer = load_tokenizer(make_tokenizer(tmp_path, do_lower_case=True))
    tokenizer.add_tokens(["ユキグニ"])
    ids = tokenizer.encode("ABCユキグニABC", add_special_tokens=False)
    sp = raw(tmp_path)
    assert ids == [*sp.encode("abc"), sp.get_piece_size(), *sp.encode("abc")]


@pytest.mark.parametrize("missing", ["bos_token", "eos_token", "pad_token", "unk_token"])
def test_a_special_token_may_be_missing(folder, missing):
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        edit(folder, file, **{missing: None})
    lm = load_model(folder, device="cpu")
    assert getattr(lm.tokenizer, missing) is None
    written = generate(lm, PROMPT, SHORT)
    ids = texts_of(lm)
    if (
        missing == "eos_token"
    ):  # nothing ends a text but its length, whatever the folder's configuration says
        assert {len(row) for row in ids} == {30}
        assert {s.stopped for s in written.sequences} == {"max_length"}
        assert lm.tokenizer.encode("雪") == raw(folder).encode("雪")
    assert next_token_distribution(lm, PROMPT, SHORT).candidates
    trained = load_for_training(folder, "cpu")
    assert len(make_windows(trained.tokenizer, PROMPT * 40, 16)) > 1
    assert bits_per_character(trained.model, trained.tokenizer, PROMPT * 40) > 0


@pytest.mark.parametrize(
    "same", [("pad_token", "</s>"), ("bos_token", "</s>"), ("unk_token", "[PAD]")]
)
def test_special_tokens_may_be_equal(folder, same):
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        edit(folder, file, **dict([same]))
    texts_of(load_model(folder, device="cpu"))


@pytest.mark.parametrize("beyond", ["bos_token", "eos_token", "pad_token", "cls_token"])
def test_a_special_token_without_a_row_is_put_aside_with_a_sentence(folder, beyond):
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        edit(folder, file, **{beyond: "<|new|>"})
    with pytest.warns(UserWarning, match=rf"{beyond} <\|new\|>.*no row"):
        lm = load_model(folder, device="cpu")
    texts_of(lm)
    texts_of(lm, prompt="<|new|>雪")
    assert max(lm.tokenizer.encode("<|new|>雪")) < lm.vocab_size


def test_a_vocabulary_that_does_not_fit_the_weights_is_said_before_they_are_read(folder):
    edit(folder, "config.json", vocab_size=raw(folder).get_piece_size() - 1)
    (folder / "model.safetensors").write_bytes(b"not read")
    with pytest.raises(InputError, match=r"does not match its weights.*spiece\.model"):
        load_model(folder, device="cpu")


def test_added_tokens_without_rows_are_said(folder):
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens(["ユキグニ"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match=r"1 added tokens.*resize_token_embeddings"):
        load_model(folder, device="cpu")


def test_a_vocabulary_of_another_model_is_suspected(folder):
    grown(folder, 5000)
    with pytest.warns(UserWarning, match="5000 rows, but spiece.model has only"):
        texts_of(load_model(folder, device="cpu"))


def test_a_configuration_of_another_size_is_said(folder):
    edit(folder, "config.json", n_embd=48)
    with pytest.raises(ModelUnavailable, match=r"config\.json.*does not match its weights"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("file", ["spiece.model", "config.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_known(folder, file):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    (folder / file).write_text(pointer, encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=f"{file}.*git lfs pull"):
        load_model(folder, device="cpu")
    with pytest.raises(ModelUnavailable, match=f"{file}.*git lfs pull"):
        load_tokenizer(folder)


def test_names_as_people_type_them(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    for name in ("~/model", f" {folder}\n", f"{folder}\u3000", f'"{folder}"'):
        lm = load_model(name, device="cpu")
        assert lm.name == str(folder)
        assert load_tokenizer(name).vocab_size == lm.tokenizer.vocab_size
        monkeypatch.setenv("HELPERS_MODEL", name)
        assert load_model(device="cpu").name == str(folder)
    monkeypatch.setenv("HELPERS_MODEL", " ")
    assert choose_model(type("Cpu", (), {"device": torch.device("cpu")}))[0] == "aozora-mini"


@pytest.fixture(scope="module")
def bytes_folder(tmp_path_factory):
    """A tiny model whose vocabulary spells rare characters in bytes."""
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "spiece"), vocab_size=400,
        byte_fallback=True, character_coverage=0.99, hard_vocab_limit=False, minloglevel=2,
        normalization_rule_name="nmt_nfkc", **LAYOUTS["gpt-1b"],
    )  # fmt: skip
    special = {k: v for k, v in SPECIAL.items() if k.split("_")[0] in ("unk", "bos", "eos", "pad")}
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        (folder / file).write_text(json.dumps(special), encoding="utf-8")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=raw(folder).get_piece_size(), n_positions=64, n_embd=32, n_layer=1, n_head=2
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_characters_in_bytes_come_whole_and_add_up(bytes_folder):
    lm = load_model(bytes_folder, device="cpu")
    sp = raw(bytes_folder)
    prompt = "雪🍣𠮷"
    assert any(sp.is_byte(i) for i in sp.encode(prompt))
    pieces = split_pieces(lm.tokenizer, prompt)
    assert "".join(p.surface for p in pieces).strip("▁") == prompt
    assert all(len(p.surface) <= 1 for p in pieces if sp.is_byte(p.token_id))
    for seed in range(30):
        texts_of(
            lm, SamplingSettings(min_length=1, max_length=60, top_k=0, top_p=1.0, seed=seed), prompt
        )


def test_the_end_is_the_tokenizers_whatever_the_folder_says(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    wrong = config["eos_token_id"] + 7
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": wrong}))
    lm = load_model(folder, device="cpu")
    end = raw(folder).eos_id()
    assert lm.model.config.eos_token_id == lm.model.generation_config.eos_token_id == end


@pytest.mark.parametrize("character", ["é", "鱻", "🍣"])
def test_a_character_in_bytes_is_unfinished_until_its_last(bytes_folder, character):
    tokenizer, sp = load_tokenizer(bytes_folder), raw(bytes_folder)
    ids = [sp.piece_to_id(f"<0x{byte:02X}>") for byte in character.encode()]
    found = [tokenizer.unfinished(ids[:n]) for n in range(1, len(ids) + 1)]
    assert found == [*range(1, len(ids)), 0]


def test_a_stream_from_the_middle_of_a_character_begins_with_that_character(bytes_folder):
    from helpers.sampling import stream_ids

    lm = load_model(bytes_folder, device="cpu")
    sp = raw(bytes_folder)
    ids = sp.encode("雪🍣")
    for cut in range(1, 4):
        given = ids[:-cut]
        settings = SamplingSettings(min_length=1, max_length=60, top_k=0, top_p=1.0, seed=cut)
        events = stream_ids(lm, "雪🍣", settings, torch.tensor([given]))
        texts = ["雪"] * 3
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                assert [s.text for s in end.value.sequences] == texts
                break
            texts[event.sequence] += event.text


@pytest.mark.parametrize("between", ["[PAD]", "<unk>"])
def test_a_special_token_among_the_bytes_of_a_character_does_not_end_it(bytes_folder, between):
    from helpers.sampling.generation import _GrowingText, whole_text

    tokenizer, sp = load_tokenizer(bytes_folder), raw(bytes_folder)
    ids = [sp.piece_to_id(f"<0x{byte:02X}>") for byte in "鱻".encode()]
    for place in range(1, len(ids) + 1):
        written = [*ids[:place], tokenizer.convert_tokens_to_ids(between), *ids[place:]]
        growing = _GrowingText(tokenizer, [])
        assert "".join(map(growing.add, written)) == whole_text(tokenizer, written) == "鱻"
        assert whole_text(tokenizer, written[:-2]) == ""


def test_threads_that_write_at_once_each_get_the_text_of_their_seed(original):
    lm = load_model(original, device="cpu")
    wanted = {seed: texts_of(lm, SamplingSettings(max_length=60, seed=seed)) for seed in range(6)}
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = {}

    def write(seed):
        written = generate(lm, PROMPT, SamplingSettings(max_length=60, seed=seed))
        found[seed] = [s.token_ids for s in written.sequences]

    threads = [threading.Thread(target=write, args=(seed,)) for seed in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == wanted
    assert torch.equal(torch.get_rng_state(), before)
