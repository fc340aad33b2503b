"""The rehearsal of a class: `pytest tests/test_rehearse.py`."""

import pytest

from helpers import rehearse
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate

pytestmark = pytest.mark.usefixtures("english")
SHORT = ["--max-length", "30", "--num-return-sequences", "2"]


def test_it_prints_what_everybody_will_see(capsys: pytest.CaptureFixture[str]):
    assert rehearse.main(["雪", "駅の", "--seeds", "3", "5", *SHORT]) == 0
    said = capsys.readouterr().out
    lm = load_model("aozora-mini", device="cpu")
    settings = SamplingSettings(max_length=30, min_length=30, num_return_sequences=2, seed=5)
    for sequence in generate(lm, "駅の", settings).sequences:
        assert sequence.text in said.replace("【", "").replace("】", "")
    assert said.count("seed 3") == said.count("seed 5") == 2


def test_the_texts_are_those_of_a_cpu_also_where_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # A GPU that cannot be used here: whoever chooses it fails.
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "H200")
    assert rehearse.main(["雪", "--seeds", "3", *SHORT]) == 0
    assert "aozora-mini, cpu" in capsys.readouterr().out


def test_words_are_marked_and_their_seeds_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("helpers.masking.words_to_mask", lambda: {"雪": ("雪国",)})
    assert rehearse.marked("雪国の雪") == ("雪国の【雪】", 1)
    assert rehearse.main(["初雪", "--seeds", "1", *SHORT]) == 0
    said = capsys.readouterr().out
    assert "▲[1] 初【雪】" in said and "Seeds with one: 1" in said


def test_what_cannot_be_rehearsed_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert rehearse.main(["雪", "--top-p", "2"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and "top_p" in said.err
