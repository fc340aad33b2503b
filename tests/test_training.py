"""The room of training: split, layout, trainer, baselines, shipped figures.

Run: python -m pytest tests/test_training.py (under a minute, no corpus needed)
"""

import csv
import dataclasses
import json
import math
import random
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sentencepiece as spm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from training import corpus, evaluate, export, pairs, tokenizer, train
from training.muon import orthogonal
from training.ngram import KneserNey
from training.vocabulary import EMBEDDINGS, in_vocabulary, shared_pieces

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "helpers" / "aozora_mini"
AUTHORS = corpus.read_authors()


# --- corpus -----------------------------------------------------------------------------------


def test_authors_are_in_the_public_domain():
    authors = corpus.read_authors()
    assert all(author.died <= 1967 for author in authors.values())
    assert "川端康成" not in {author.name for author in authors.values()}
    assert sum(author.role == "held-out" for author in authors.values()) >= 3
    with open(ROOT / "training" / "authors.csv", encoding="utf-8", newline="") as file:
        assert len(authors) == sum(1 for _ in csv.DictReader(file))


def test_an_author_still_protected_is_refused(tmp_path):
    path = tmp_path / "authors.csv"
    path.write_text("person_id,name,died,role,aliases\n000001,ある人,1972,train,\n", "utf-8")
    with pytest.raises(ValueError, match="1972"):
        corpus.read_authors(path)


def _library(folder, title, author, person="000148", number=1, body="", footer="底本：「本」\n"):
    place = folder / "cards" / person / "files" / f"{number}_ruby_1"
    place.mkdir(parents=True)
    body = body or "　駅に着いた。雪が降っていると思った。\n" * 40
    text = f"{title}\n{author}\n\n{body}\n\n{footer}".replace("\n", "\r\n")
    (place / f"{number}_ruby_1.txt").write_bytes(text.encode("cp932"))


@pytest.mark.process
def test_build_keeps_and_leaves_out(tmp_path):
    texts = tmp_path / "texts"
    _library(texts, "甲", "夏目漱石", number=1)
    _library(texts, "甲", "夏目漱石", number=2)
    _library(texts, "乙", "夏目漱石", number=3, footer="底本：「本」\nクリエイティブ・コモンズ\n")
    _library(texts, "丙", "夏目漱石", number=4, body="　さう思つた。やうだつたといふ。\n" * 60)
    _library(texts, "丁", "ある人\n夏目漱石訳", number=5)
    _library(texts, "戊", "ある人", number=6)
    _library(texts, "己", "夏目漱石", number=7, footer="終")
    _library(texts, "庚", "夏目漱石", number=8, body="短い。")
    _library(texts, "辛", "夏目漱石", number=9, body="雪のふる夜の\n" * 90)
    _library(texts, "壬", "新美南吉", person="000121", number=10)
    _library(texts, "癸", "川端康成", person="999999", number=11)
    summary = corpus.build(texts, tmp_path / "work")
    works = corpus.read_corpus(tmp_path / "work")
    assert {(work.author, work.title) for work in works} == {("夏目漱石", "甲"), ("新美南吉", "壬")}
    assert {work.split for work in works if work.author == "新美南吉"} == {"held-out"}
    assert summary["left_out"] == {
        "second-edition": 1,
        "creative-commons": 1,
        "old-kana": 1,
        "other-person": 2,
        "no-footer": 1,
        "short": 1,
        "verse": 1,
    }


def test_the_catalogue_decides_where_it_is_given(tmp_path):
    columns = (
        "作品ID,文字遣い種別,作品著作権フラグ,人物ID,姓,名,役割フラグ,没年月日,人物著作権フラグ"
    )
    rows = [
        "000001,新字新仮名,なし,000148,夏目,漱石,著者,1916-12-09,なし",
        "000002,新字旧仮名,なし,000148,夏目,漱石,著者,1916-12-09,なし",
        "000003,新字新仮名,なし,000148,夏目,漱石,著者,1916-12-09,なし",
        "000003,新字新仮名,なし,009999,ある,人,翻訳者,1990-01-01,あり",
        "000004,新字新仮名,あり,000148,夏目,漱石,著者,1916-12-09,なし",
    ]
    path = tmp_path / "catalogue.csv"
    path.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8-sig")
    assert corpus.read_catalogue(path, corpus.read_authors()) == {"1"}


def test_no_texts_is_one_clear_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="clone"):
        corpus.build(tmp_path, tmp_path / "work")


@given(st.text(min_size=1, max_size=8))
def test_a_title_has_one_split_and_held_out_authors_have_no_other(title):
    for author in AUTHORS.values():
        split = corpus.split_of(author, title)
        assert split == corpus.split_of(author, title)
        assert (split == "held-out") == (author.role == "held-out")


@pytest.mark.process
def test_volumes_of_one_title_share_a_split(tmp_path):
    texts = tmp_path / "texts"
    for number in range(60):
        header = f"題{number % 20}\n巻{number // 20}"
        _library(texts, header, "夏目漱石", number=number + 1)
    corpus.build(texts, tmp_path / "work")
    splits = {}
    for work in corpus.read_corpus(tmp_path / "work"):
        splits.setdefault(work.title.split(" ")[0], set()).add(work.split)
    assert len(splits) == 20 and all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("そうだろうと言った。でしょうね。", False),
        ("さうだらうと言つた。でせうね。ゐる。", True),
        ("かつて山に登った。", False),
        ("", False),
    ],
)
def test_old_kana(text, old):
    assert (corpus.old_kana_share(text) > corpus.OLD_KANA_LIMIT) == old


# --- tokenizer and layout ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def processor():
    return spm.SentencePieceProcessor(model_file=str(MODEL / "spiece.model"))


def test_special_tokens_stand_in_rinnas_order(processor):
    pieces = ["<unk>", "<s>", "</s>", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    assert [processor.id_to_piece(i) for i in range(7)] == pieces
    assert processor.is_unknown(0) and all(processor.is_control(i) for i in range(1, 7))
    assert processor.encode("𠮷")[-1] == 0
    assert not {1, 2, 3, 4, 5, 6} & set(processor.encode("<s>あ</s>[PAD][CLS][SEP][MASK]"))


@settings(max_examples=50)
@given(text=st.text(alphabet="雪国の駅あいうアイウ、。「」ABC１２３①㍻ｶﾞ", max_size=30))
def test_round_trip_is_nfkc(processor, text):
    pieces = processor.encode(text, out_type=str)
    assert "".join(pieces).replace("▁", "") == unicodedata.normalize("NFKC", text)


def test_layout_is_rinnas(processor):
    files = {path.name for path in MODEL.iterdir() if not path.name.startswith((".", "__"))}
    assert files == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer_config.json",
    }
    read = {name: json.loads((MODEL / name).read_text("utf-8")) for name in files if "json" in name}
    config = read["config.json"]
    assert config["architectures"] == ["GPT2LMHeadModel"] and config["model_type"] == "gpt2"
    assert config["vocab_size"] == len(processor)
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    assert config.get("pad_token_id") is None
    assert config["n_positions"] >= 512 and config["tie_word_embeddings"] is True
    assert read["generation_config.json"] == {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    assert read["special_tokens_map.json"] == names
    tokens = read["tokenizer_config.json"]
    assert names.items() <= tokens.items()
    assert tokens["tokenizer_class"] == "T5Tokenizer"
    assert tokens["extra_ids"] == 0 and tokens["additional_special_tokens"] == []
    assert tokens["do_lower_case"] is False


def test_weights_are_half_precision_and_small():
    path = MODEL / "model.safetensors"
    assert path.stat().st_size <= 24_000_000
    weights = load_file(path).values()
    assert {value.dtype for value in weights} == {torch.float16}
    assert all(torch.isfinite(value).all() for value in weights)


def test_the_articles_tokenizer_class_opens_it(processor):
    pytest.importorskip("google.protobuf")
    from transformers import T5Tokenizer

    stock = T5Tokenizer.from_pretrained(MODEL)
    text = "国境の長いトンネルを抜けると雪国であった。"
    assert stock.encode(text, add_special_tokens=False) == processor.encode(text)


def test_card_opens_with_front_matter():
    card = (MODEL / "README.md").read_text("utf-8")
    assert card.startswith("---\n") and card.index("\n---\n", 4) > 0
    for word in ("language:", "license:", "青空文庫", "English"):
        assert word in card


# --- training ---------------------------------------------------------------------------------

LINES = ["雪が降る。", "駅に灯がともる。", "娘は窓をあけた。", "「寒いね」と男は言った。", ""] * 60
VOCAB = 33
SMALL = train.Recipe(
    layers=1, width=32, heads=2, batch=1024, lengths=((0.0, 128), (0.5, 256)), warmup_steps=5
)


@pytest.fixture(scope="module")
def small_ids(tmp_path_factory):
    random.seed(0)
    lines = random.sample(LINES, len(LINES))
    path = tmp_path_factory.mktemp("spm") / "spiece.model"
    small = tokenizer.train_tokenizer(lines, path, vocab_size=VOCAB, coverage=1.0)
    work = corpus.Work("1", "1", "", "", "train", "\n".join(lines))
    ids = tokenizer.encode_works([work] * 3, small)
    assert ids.dtype == np.uint16 and ids[0] == 1 and ids[-1] == 2
    assert [small.id_to_piece(i) for i in range(7)] == list(tokenizer.SPECIAL)
    return ids


def _rows(folder):
    with open(folder / "loss.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _losses(folder):
    return [float(row["loss"]) for row in _rows(folder)]


def test_thirty_steps_lower_the_loss_and_resume_to_the_same_numbers(small_ids, tmp_path):
    def run(name, **options):
        return train.train(
            small_ids,
            tmp_path / name,
            SMALL,
            VOCAB,
            steps=30,
            checkpoint_seconds=0,
            validation=small_ids[:1200],
            **options,
        )

    whole = run("whole")
    losses = _losses(tmp_path / "whole")
    assert len(losses) == 30 and losses[-1] < 0.8 * losses[0]
    run("killed", stop_after=13)
    assert len(_losses(tmp_path / "killed")) == 13
    again = run("killed")
    assert _losses(tmp_path / "killed") == losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not list(tmp_path.rglob("*.partial"))


def test_two_workers_learn_what_one_does(small_ids):
    models = []
    for count in (1, 2):
        model = train.make_model(SMALL, VOCAB)
        team = train.Workers(model, count, torch.float32)
        inputs, targets = train.Blocks(small_ids, 0).rows(0, 4, 128)
        loss = team.loss(inputs, targets, train=True)
        models.append((float(loss), [p.grad.clone() for p in model.parameters()]))
    assert models[0][0] == pytest.approx(models[1][0], rel=1e-5)
    for one, two in zip(models[0][1], models[1][1], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-6)


def test_loss_is_the_models_own(small_ids):
    model = train.make_model(SMALL, VOCAB)
    inputs, targets = train.Blocks(small_ids, 0).rows(0, 1, 512)
    ours = train.loss_of(model, inputs, targets) / targets.numel()
    own = model(inputs).logits
    theirs = torch.nn.functional.cross_entropy(own.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(ours, theirs)


def test_a_resumed_run_can_finish_early(small_ids, tmp_path):
    train.train(small_ids, tmp_path, SMALL, VOCAB, minutes=60, stop_after=3)
    train.train(small_ids, tmp_path, SMALL, VOCAB, minutes=60, finish_in=0.02)
    with open(tmp_path / "loss.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) > 3 and float(rows[-1]["seconds"]) < 60
    assert float(rows[-1]["factor"]) < float(rows[0]["factor"])


def test_another_recipe_does_not_resume(small_ids, tmp_path):
    train.train(small_ids, tmp_path, SMALL, VOCAB, steps=2)
    other = train.Recipe(layers=1, width=32, heads=4)
    with pytest.raises(ValueError, match="another recipe"):
        train.train(small_ids, tmp_path, other, VOCAB, steps=2)


def test_a_run_goes_on_from_the_weights_of_another_behind_its_tokens(small_ids, tmp_path):
    first = train.train(small_ids, tmp_path / "first", SMALL, VOCAB, steps=30)
    blocks = train.Blocks(small_ids, SMALL.seed)
    after = 30 * max(1, SMALL.batch // train.BLOCK)
    more = dataclasses.replace(SMALL, tokens_before=after * train.BLOCK, warmup_steps=10**9)
    run = {"steps": 1, "weights": first.state_dict()}
    train.train(small_ids, tmp_path / "more", more, VOCAB, **run)
    (row,) = _rows(tmp_path / "more")
    assert (
        int(row["tokens"]) == more.tokens_before + max(1, SMALL.batch // train.BLOCK) * train.BLOCK
    )
    # A step's loss is that of the weights before it: here those of the first run, on what it had not read.
    inputs, targets = blocks.rows(after, max(1, SMALL.batch // train.BLOCK), int(row["length"]))
    with torch.no_grad():
        wanted = train.loss_of(first, inputs, targets).item() / targets.numel()
    assert float(row["loss"]) == pytest.approx(wanted, abs=0.02)


def _constant_run(ids, folder, **options):
    recipe = dataclasses.replace(SMALL, constant=True, warmup_steps=1)
    return train.train(ids, folder, recipe, VOCAB, checkpoint_seconds=0, steps=10**6, **options)


def test_constant_rates_stay_until_another_run_lets_them_fall(small_ids, tmp_path):
    _constant_run(small_ids, tmp_path / "constant", stop_after=17)
    assert {row["factor"] for row in _rows(tmp_path / "constant")} == {"1.0"}
    before = (tmp_path / "constant" / "checkpoint.pt").read_bytes()

    def decay(name, **options):
        source = tmp_path / "constant" / "checkpoint.pt"
        return _constant_run(small_ids, tmp_path / name, decay_from=source, **options)

    whole = decay("decayed").state_dict()
    factors = [float(row["factor"]) for row in _rows(tmp_path / "decayed")]
    # 17 steps and 3 more are 20, of which 3 are 15%.
    assert factors == pytest.approx([1.0] * 17 + [1, 2 / 3, 1 / 3], abs=1e-3)
    assert (tmp_path / "constant" / "checkpoint.pt").read_bytes() == before
    # Killed and started again by the same command it ends where the whole one did.
    decay("killed", stop_after=18)
    again = decay("killed").state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    # The constant run goes on at its rates, also after others went off from it.
    _constant_run(small_ids, tmp_path / "constant", stop_after=19)
    assert {row["factor"] for row in _rows(tmp_path / "constant")} == {"1.0"}


def test_a_decay_takes_as_long_as_it_is_told(small_ids, tmp_path):
    _constant_run(small_ids, tmp_path / "constant", stop_after=3)
    source = tmp_path / "constant" / "checkpoint.pt"
    _constant_run(small_ids, tmp_path / "decayed", decay_from=source, finish_in=5)
    rows = _rows(tmp_path / "decayed")
    assert [row["factor"] for row in rows[3:]] == ["1.0", "0.8", "0.6", "0.4", "0.2"]


def test_a_decay_of_another_recipe_is_refused(small_ids, tmp_path):
    _constant_run(small_ids, tmp_path / "constant", stop_after=1)
    other = dataclasses.replace(SMALL, warmup_steps=1, batch=2048)
    source = tmp_path / "constant" / "checkpoint.pt"
    with pytest.raises(ValueError, match="another recipe"):
        train.train(small_ids, tmp_path / "no", other, VOCAB, steps=9, decay_from=source)


def test_a_model_goes_over_into_another_vocabulary(tmp_path):
    old = tokenizer.train_tokenizer(LINES, tmp_path / "old.model", vocab_size=VOCAB, coverage=1.0)
    lines = [*LINES, *["雪が降る駅。", "鹿が降る。"] * 40]
    new = tokenizer.train_tokenizer(lines, tmp_path / "new.model", vocab_size=36, coverage=1.0)
    model = train.make_model(SMALL, VOCAB)
    weights = in_vocabulary(model.state_dict(), old, new)
    model = train.make_model(SMALL, 36)
    model.load_state_dict(weights)
    before, after = train.make_model(SMALL, VOCAB).state_dict(), model.state_dict()
    name = "transformer.wte.weight"
    pieces = [{p.id_to_piece(i): i for i in range(len(p))} for p in (old, new)]
    both = set(pieces[0]) & set(pieces[1])
    assert set(tokenizer.SPECIAL) < both and shared_pieces(old, new) == len(both) == 33
    for piece in both:
        assert torch.equal(after[name][pieces[1][piece]], before[name][pieces[0][piece]]), piece
    for piece in ("▁雪が降る", "が降る"):
        parts = [pieces[0][character] for character in piece]
        torch.testing.assert_close(after[name][pieces[1][piece]], before[name][parts].mean(0))
    # 鹿 is in no old piece: it starts where the mean of all is.
    torch.testing.assert_close(after[name][pieces[1]["鹿"]], before[name].mean(0))
    assert all(torch.equal(after[n], before[n]) for n in before if n not in EMBEDDINGS)


def test_blocks_cover_the_corpus_once_an_epoch():
    ids = np.arange(512 * 9 + 1, dtype=np.uint16)
    blocks = train.Blocks(ids, seed=3)
    for epoch in range(2):
        inputs, targets = blocks.rows(epoch * 9, 9, 128)
        assert sorted(inputs.flatten().tolist()) == list(range(512 * 9))
        assert torch.equal(targets, inputs + 1)


def test_rows_that_open_a_paragraph_get_a_leading_bos():
    ids = np.arange(10, 10 + 513, dtype=np.uint16)
    opens = np.zeros(1000, dtype=bool)
    opens[10 + 256] = True
    inputs, targets = train.Blocks(ids, 0, opens).rows(0, 1, 256)
    assert inputs[0].tolist() == list(range(10, 266))
    assert inputs[1].tolist() == [1, *range(266, 521)]
    assert targets[1].tolist() == list(range(266, 522))


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (24, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_orthogonal_is_roughly_the_polar_factor(shape, dtype):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    scale = max(1.0, shape[1] / shape[0]) ** 0.5
    result = orthogonal(matrix, dtype=dtype) / scale
    assert result.dtype == torch.float32
    assert torch.linalg.svdvals(result).sub(1).abs().max() < 0.4
    cosine = torch.nn.functional.cosine_similarity(result.flatten(), (u @ v).flatten(), dim=0)
    assert cosine > 0.95


def test_export_of_a_checkpoint_keeps_its_logits(small_ids, tmp_path):
    model = train.train(small_ids, tmp_path / "run", SMALL, VOCAB, steps=3).eval()
    lines = tmp_path / "spiece.model"
    tokenizer.train_tokenizer(LINES, lines, vocab_size=VOCAB, coverage=1.0)
    loaded = export.load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    export.export(loaded, lines, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(export.LAYOUT)
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.tensor([[1, 9, 8, 7]])
    torch.testing.assert_close(read(ids).logits, model(ids).logits, atol=5e-3, rtol=0)


# --- evaluation -------------------------------------------------------------------------------


def _kneser_ney_by_the_book(ids, order, vocab):
    """Chen & Goodman's formulas over plain dictionaries; returns probability(history, word)."""
    grams = {order: Counter(tuple(ids[i : i + order]) for i in range(len(ids) - order + 1))}
    for n in range(order - 1, 0, -1):
        grams[n] = Counter(gram[1:] for gram in grams[n + 1])
    discounts = {}
    for n, counts in grams.items():
        n1, n2, n3, n4 = (sum(c == k for c in counts.values()) for k in (1, 2, 3, 4))
        y = n1 / max(1.0, n1 + 2 * n2)
        raw = [1 - 2 * y * n2 / n1 if n1 else 1, 2 - 3 * y * n3 / n2 if n2 else 2]
        raw.append(3 - 4 * y * n4 / n3 if n3 else 3)
        discounts[n] = [0.0] + [min(max(d, 0.0), k) for k, d in enumerate(raw, 1)]

    def probability(history, word, n):
        if n == 0:
            return 1 / vocab
        history = history[len(history) - (n - 1) :]
        counts = {g[-1]: c for g, c in grams[n].items() if g[:-1] == history}
        lower = probability(history, word, n - 1)
        total = sum(counts.values())
        if not total:
            return lower
        given_up = sum(discounts[n][min(c, 3)] for c in counts.values())
        own = counts.get(word, 0)
        return (own - discounts[n][min(own, 3)] + given_up * lower) / total

    return lambda history, word: probability(history, word, min(order, len(history) + 1))


def test_kneser_ney_equals_the_formulas():
    rng = np.random.default_rng(5)
    ids = (rng.zipf(1.4, 600) % 9).astype(np.uint16)
    fast, slow = KneserNey(ids, 3, 9), _kneser_ney_by_the_book(ids.tolist(), 3, 9)
    text = (rng.zipf(1.4, 80) % 9).astype(np.uint16)
    words = text.tolist()
    expected = [slow(tuple(words[max(0, i - 2) : i]), words[i]) for i in range(1, len(words))]
    np.testing.assert_allclose(fast.probabilities(text), expected, rtol=1e-9)


def test_kneser_ney_sums_to_one():
    ids = (np.random.default_rng(0).zipf(1.5, 3000) % 7).astype(np.uint16)
    model = KneserNey(ids, 5, 7)
    for context in ([0, 1, 2, 3], [6, 6, 6, 6], [5, 0, 5, 0]):
        rows = [model.probabilities(np.array([*context, w], dtype=np.uint16))[-1] for w in range(7)]
        assert sum(rows) == pytest.approx(1)


def test_window_bits_equal_one_pass_and_count_each_token_once():
    model = train.make_model(SMALL, VOCAB).eval()
    ids = np.random.default_rng(0).integers(7, VOCAB, 1000).tolist()
    logits = model(torch.tensor([ids[:256]])).logits[0, :-1]
    exact = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:256]), reduction="sum")
    bits = evaluate.model_bits(model, ids[:256])
    assert bits.shape == (255,) and bits.sum() == pytest.approx(exact.item() / math.log(2))
    # What a text opens with costs the same, however long it is.
    whole = evaluate.model_bits(model, ids)
    for opening in (256, 512, 384):
        np.testing.assert_allclose(
            evaluate.model_bits(model, ids[:opening]), whole[: opening - 1], rtol=1e-4
        )
    with torch.no_grad():
        model.transformer.wte.weight.zero_()  # uniform: log2(VOCAB) bits for each token
    assert evaluate.model_bits(model, ids) == pytest.approx(np.full(999, math.log2(VOCAB)))


def test_copied_shares_count_characters_inside_long_copies():
    rng = random.Random(0)
    source = "".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(300))
    other = "".join(chr(rng.randrange(0x9000, 0x9F00)) for _ in range(60))
    groups = {
        "half": [other[:40] + source[100:140]],
        "too short to count": [source[:29] + other, source[-29:]],
        "whole": [source[7:], source[:30]],
        "none": ["短い"],
    }
    assert evaluate.copied_shares(groups, ["駅", source]) == {
        "half": 0.5,
        "too short to count": 0,
        "whole": 1,
        "none": 0,
    }


@given(st.text(min_size=30, max_size=64))
def test_window_hashes_are_those_of_a_polynomial(text):
    expected = []
    for at in range(len(text) - 29):
        value = 0
        for character in text[at : at + 30]:
            value = (value * 0x9E3779B97F4A7C15 + ord(character)) % (1 << 64)
        expected.append(value)
    assert evaluate.window_hashes(text).tolist() == expected


def test_pairs_hide_their_order_until_all_are_judged(tmp_path):
    old, new = ([f"{name}{n}。" for n in range(40)] for name in ("旧", "新"))
    pairs.write(old, new, tmp_path, seed=5)
    page = (tmp_path / pairs.PAGE).read_text("utf-8")
    assert all(page.count(text) == 1 for text in old + new)
    with pytest.raises(ValueError, match="not judged"):
        pairs.result(tmp_path)
    with pytest.raises(FileExistsError):
        pairs.write(old, new, tmp_path, seed=6)
    # A judge who always finds the new text, and one who always takes A.
    sides = ["A" if f"**A** {text}" in page else "B" for text in new]
    assert sides.count("A") == 20 and sides != sorted(sides)
    for verdicts, won in ((sides, 40), (["A"] * 40, 20)):
        rows = [f"{n},{verdict}" for n, verdict in enumerate(verdicts, 1)]
        (tmp_path / pairs.JUDGEMENTS).write_text("\n".join(["pair,better", *rows]), "utf-8")
        assert pairs.result(tmp_path) == (won, 40)


def test_baselines_are_charged_for_what_they_do_not_spell():
    held = evaluate.Passages([[1, 5, 0]], ["雪🍣"], unknown=1)
    bits = evaluate.baseline_bits(held, {"5-gram": 8.0}, primer="")
    assert bits["5-gram"] == 4 and bits["5-gram, unknown spelled"] == (8 + 13) / 2
    assert bits["xz"] == bits["xz, primed"] and "xz, unknown spelled" not in bits


def test_distinct():
    assert evaluate.distinct([[1, 2, 1, 2, 1]], 2) == 2 / 4
    assert len(list(pairwise([1, 2, 1, 2, 1]))) == 4


def test_compression_primed_by_the_text_itself_is_nearly_free():
    rng = random.Random(0)
    text = "".join(rng.choice("雪国駅灯娘窓男女") for _ in range(2000))
    alone, primed = evaluate.compressed_bits(text), evaluate.compressed_bits(text, text)
    assert primed["xz"] < alone["xz"] / 4
    assert primed["ppm"] < alone["ppm"]
    assert min(alone.values()) / len(text) >= 3  # eight signs at random hold three bits each


def test_shipped_weights_give_the_shipped_figures(processor):
    figures = json.loads((ROOT / "training" / "evaluation.json").read_text("utf-8"))["excerpt"]
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    measured = evaluate.excerpt_bits(model, processor)
    assert measured["tokens"] == figures["tokens"]
    assert measured["characters"] == figures["characters"]
    assert measured["bits_per_character"] == pytest.approx(figures["bits_per_character"], abs=2e-3)


def test_shipped_figures_are_within_what_the_card_says():
    figures = json.loads((ROOT / "training" / "evaluation.json").read_text("utf-8"))
    card = (MODEL / "README.md").read_text("utf-8")
    assert figures["generation"]["characters"] >= 20_000
    assert figures["generation"]["copied_share"] < 0.02
    for split in ("test", "held-out"):
        bits = figures[split]["bits_per_character"]
        assert bits["model, unknown spelled"] < min(bits["xz, primed"], bits["ppm, primed"])
        assert f"{bits['model']:.2f}" in card
