"""The tokenizer against the sentencepiece library itself: `pytest tests/test_tokenizer.py`."""

import json
import shutil

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from rinna_layout import LAYOUTS, make_tokenizer, raw

from helpers import BUNDLED_PATH
from helpers.tokenizer import load_tokenizer, normalize, split_pieces

pytestmark = pytest.mark.colab

OPENING_LINE = "国境の長いトンネルを抜けると雪国であった。"
HARD = [
    "",
    " ",
    "　",
    "\n",
    "雪 国",
    "雪\n\n国",
    "雪   国 ",
    "▁雪▁",
    "𠮷野家で🍣",
    "👨‍👩‍👧‍👦",
    "ｶﾀｶﾅ ①㍻ ＡＢＣ",
    "が" + "か\u3099",
    "<s>",
    "</s>",
    "雪</s>国",
    "<unk>[PAD][CLS][SEP][MASK]",
    "[pad]</S>",
    "Hello, WORLD",
    "\u202eabc\u202c",
    "\0\x01\x7f",
    "é e\u0301 ﬁ",
    "<extra_id_0>",
]
any_text = st.lists(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(["雪", "国", "は", "A", " ", "\n", "\u3099", "▁", "ｶ", "①"]),
        st.sampled_from(["<s>", "</s>", "[PAD]", "<unk>"]),
    ),
    max_size=40,
).map("".join)


@pytest.fixture(scope="module", params=["bundled", *LAYOUTS, "lower-case"])
def pair(request, tmp_path_factory):
    """Our tokenizer, the raw oracle, and whether the text is lower-cased first."""
    if request.param == "bundled":
        folder, lower = BUNDLED_PATH, False
    else:
        lower = request.param == "lower-case"
        layout = "gpt2" if lower else request.param
        folder = make_tokenizer(tmp_path_factory.mktemp(request.param), layout, do_lower_case=lower)
    return load_tokenizer(folder), raw(folder), lower


def assert_equal_to_sentencepiece(pair, text):
    tokenizer, sp, lower = pair
    expected = sp.encode(text.lower() if lower else text)
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert ids == expected
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == expected
    special = {
        sp.piece_to_id(piece)
        for piece in ("<unk>", "<s>", "</s>", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
    }
    assert tokenizer.decode(ids, skip_special_tokens=True) == sp.decode(
        [i for i in expected if i not in special]
    )


@pytest.mark.parametrize("text", [OPENING_LINE, *HARD])
def test_hard_texts_give_the_ids_of_sentencepiece(pair, text):
    assert_equal_to_sentencepiece(pair, text)


@settings(max_examples=400, deadline=None)
@given(text=any_text)
def test_any_text_gives_the_ids_of_sentencepiece(pair, text):
    assert_equal_to_sentencepiece(pair, text)


def test_unknown_characters_are_unk_and_not_the_end_of_the_text(pair):
    tokenizer, sp, _ = pair
    ids = tokenizer.encode("🍣", add_special_tokens=False)
    assert sp.unk_id() in ids
    assert sp.eos_id() not in ids


def test_special_ids_are_those_of_the_file(pair):
    tokenizer, sp, _ = pair
    assert tokenizer.unk_token_id == sp.unk_id()
    assert tokenizer.bos_token_id == sp.bos_id()
    assert tokenizer.eos_token_id == sp.eos_id()
    assert tokenizer.pad_token_id == sp.piece_to_id("[PAD]")


def test_encode_ends_with_eos_unless_told_not_to(pair):
    tokenizer, sp, _ = pair
    bare = tokenizer.encode(OPENING_LINE, add_special_tokens=False)
    assert tokenizer.encode(OPENING_LINE) == [*bare, sp.eos_id()]


def test_decoding_skips_special_tokens_or_spells_them_out(pair):
    tokenizer, sp, _ = pair
    ids = [sp.bos_id(), *sp.encode("雪国の山"), sp.eos_id(), sp.piece_to_id("[PAD]")]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "雪国の山"
    assert tokenizer.decode(ids) == "<s>雪国の山</s>[PAD]"
    assert tokenizer.batch_decode([ids, ids], skip_special_tokens=True) == ["雪国の山"] * 2


def test_decoding_keeps_spaces_at_the_end(pair):
    tokenizer, sp, _ = pair
    ids = [*sp.encode("雪国"), sp.piece_to_id("▁")]
    assert tokenizer.decode(ids, skip_special_tokens=True) == sp.decode(ids) == "雪国 "


def test_an_id_beyond_the_pieces_means_nothing(pair):
    """Models have some more rows than pieces."""
    tokenizer, sp, _ = pair
    beyond = [sp.get_piece_size(), sp.get_piece_size() + 30]
    assert tokenizer.convert_ids_to_tokens(beyond) == [sp.id_to_piece(sp.unk_id())] * 2


def test_a_batch_is_padded_with_the_mask_that_says_so(pair):
    tokenizer, sp, _ = pair
    batch = tokenizer(["雪", OPENING_LINE], padding=True, return_tensors="pt")
    short = int(batch["attention_mask"][0].sum())
    assert short == len(sp.encode("雪")) + 1
    assert set(batch["input_ids"][0, short:].tolist()) == {sp.piece_to_id("[PAD]")}


def test_pieces_carry_the_characters_that_unk_stands_for(pair):
    tokenizer, sp, _ = pair
    pieces = split_pieces(tokenizer, "雪🍣")
    assert [p.token_id for p in pieces] == sp.encode("雪🍣")
    unknown = [p for p in pieces if p.token_id == sp.unk_id()]
    assert "🍣" in "".join(p.surface for p in unknown)
    assert {p.piece for p in unknown} == {"<unk>"}


def test_normalize_shows_what_the_model_reads(pair):
    assert normalize(pair[0], "ｶﾀｶﾅ①㍻") == "カタカナ1平成"


def test_lower_case_only_where_the_model_was_trained_so(tmp_path):
    folder = make_tokenizer(tmp_path / "lower", do_lower_case=True)
    assert load_tokenizer(folder).encode("ABC") == load_tokenizer(folder).encode("abc")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["do_lower_case"] = False
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load_tokenizer(folder).encode("ABC") != load_tokenizer(folder).encode("abc")


def test_unknown_characters_never_spell_a_special_token(tmp_path):
    """A vocabulary without < and >: "</s>" comes out as one unknown piece that reads like the end token."""
    text = tmp_path / "text.txt"
    text.write_text("雪国の山の夜の底\n" * 50, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(tmp_path / "spiece"),
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
    )
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    tokenizer, sp = load_tokenizer(tmp_path), raw(tmp_path)
    assert tokenizer.encode("雪</s>", add_special_tokens=False) == sp.encode("雪</s>")
    assert sp.eos_id() not in tokenizer.encode("雪</s>", add_special_tokens=False)


def test_saved_and_loaded_again_it_is_the_same(pair, tmp_path):
    tokenizer, sp, lower = pair
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert_equal_to_sentencepiece((again, sp, lower), "雪国のＡＢＣと🍣</s>")


def test_a_folder_without_spiece_model_is_explained(tmp_path):
    shutil.copy(BUNDLED_PATH / "tokenizer_config.json", tmp_path)
    with pytest.raises(ValueError, match=r"spiece\.model"):
        load_tokenizer(tmp_path)
