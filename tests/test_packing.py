"""A model with packed matrices against the same as transformers loads it: `pytest tests/test_packing.py`."""

import copy
import pickle
import platform

import pytest
import torch
from rinna_layout import make_model
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.engines.torch import packing
from helpers.finetune import TrainingSettings, accept_old_torchao, fine_tune, load_for_training
from helpers.models import load_model

pytestmark = [
    pytest.mark.processor,
    pytest.mark.skipif(
        platform.machine().lower() not in ("x86_64", "amd64"), reason="only there models are packed"
    ),
]


def packed_layers(model):
    return [m for m in model.modules() if hasattr(m, "packed")]


@pytest.fixture(params=["gpt2", "gpt-1b"])
def pair(request, tmp_path):
    """A model from `load_model` and the same from transformers; they share no memory."""
    folder = make_model(tmp_path / "model", request.param)
    lm = load_model(folder, device="cpu")
    assert len(packed_layers(lm.model)) == 4 * lm.model.config.n_layer + 1
    return lm.model, AutoModelForCausalLM.from_pretrained(folder)


def assert_same_weights(model, plain):
    ours, theirs = model.state_dict(), plain.state_dict()
    assert list(ours) == list(theirs)
    for name, weight in theirs.items():
        assert torch.equal(ours[name], weight), name


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [1, 15, 60])
def test_it_computes_what_it_did(pair, rows, length):
    model, plain = pair
    ids = torch.randint(4, 100, (rows, length), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, plain(ids).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_texts_of_the_bundled_model_are_the_same(dtype):
    if not packing.can_pack(dtype):
        pytest.skip("this processor cannot compute in bfloat16")
    plain, model = (
        AutoModelForCausalLM.from_pretrained(BUNDLED_PATH, dtype=dtype) for _ in range(2)
    )
    packing.pack(model)
    prompts = torch.randint(
        4, plain.config.vocab_size, (6, 12), generator=torch.Generator().manual_seed(1)
    )
    mask = torch.ones_like(prompts)
    texts = [
        m.generate(prompts, attention_mask=mask, do_sample=False, max_length=40)
        for m in (model, plain)
    ]
    assert packed_layers(model)
    if dtype == torch.float32:
        assert torch.equal(*texts)
    else:  # logits of three digits are often equal, and which of two is then taken is a matter of rounding
        with torch.no_grad():
            next_ids = [m(texts[1]).logits.argmax(-1) for m in (model, plain)]
        assert (next_ids[0] == next_ids[1]).float().mean() > 0.9


def test_gradients_are_those_of_ordinary_layers(pair):
    ids = torch.arange(4, 20)[None]
    for m in pair:
        assert not m.training
        m(ids).logits.logsumexp(-1).sum().backward()
    for (name, ours), (_, theirs) in zip(*(m.named_parameters() for m in pair), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_frozen_weights_stay_frozen(pair):
    model, _ = pair
    model.requires_grad_(False)
    assert packed_layers(model)
    model.train()
    assert not packed_layers(model)
    assert not any(p.requires_grad for p in model.parameters())


def test_changed_weights_are_computed_with(pair):
    model, plain = pair
    ids = torch.arange(4, 20)[None]
    for m in pair:
        m.transformer.h[0].mlp.c_fc.weight.data.mul_(3)
        m.transformer.wte.weight.data[5] += 1
        with torch.no_grad():
            m.transformer.wte.weight[7] += 1
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, plain(ids).logits, rtol=1e-4, atol=1e-5)


def test_a_larger_vocabulary_has_its_logits(pair):
    model, plain = pair
    for m in pair:
        m.resize_token_embeddings(m.config.vocab_size + 8, mean_resizing=False)
        with torch.no_grad():
            m.transformer.wte.weight[-8:] = 0.5
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, plain(ids).logits, rtol=1e-4, atol=1e-5)


def test_it_has_as_many_weights(pair):
    model, plain = pair
    assert model.num_parameters() == plain.num_parameters()


def test_it_is_saved_as_any_other(pair, tmp_path):
    model, plain = pair
    assert_same_weights(model, plain)
    model.save_pretrained(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert_same_weights(again, plain)
    assert packed_layers(model)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_has_ordinary_layers(pair, copied):
    model, plain = pair
    twin = copied(model)
    assert not packed_layers(twin) and packed_layers(model)
    assert_same_weights(twin, plain)
    assert twin.lm_head.weight is twin.transformer.wte.weight


def test_moved_to_another_dtype_it_has_ordinary_layers(pair):
    model, plain = pair
    model, plain = model.to(torch.float64), plain.to(torch.float64)
    assert not packed_layers(model)
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, plain(ids).logits)


def test_other_weights_can_be_loaded_into_it(pair):
    model, plain = pair
    with torch.no_grad():
        for weight in plain.parameters():
            weight.add_(0.5)
    model.load_state_dict(plain.state_dict())
    assert_same_weights(model, plain)
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, plain(ids).logits)


def test_training_mode_brings_back_weights_that_learn(pair):
    model, plain = pair
    model.train()
    ids = torch.arange(4, 20)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    matrix = model.transformer.h[0].mlp.c_fc.weight
    assert matrix.grad.abs().sum() > 0
    assert_same_weights(model, plain)


def test_a_model_that_writes_can_be_fine_tuned():
    lm = load_model(BUNDLED_MODEL, device="cpu")
    before = lm.model.state_dict()["transformer.h.0.mlp.c_fc.weight"]
    settings = TrainingSettings(steps=2, length=32, batch_size=2, evaluate_every=2, keep_best=False)
    fine_tune(lm, "雪が降っている。" * 60, "雪が降っている。" * 20, settings)
    assert not torch.equal(lm.model.state_dict()["transformer.h.0.mlp.c_fc.weight"], before)


def test_a_model_to_train_is_not_packed():
    assert not packed_layers(load_for_training(BUNDLED_MODEL, device="cpu").model)


def test_it_can_be_trained_with_an_adapter_and_be_merged_with_it(pair):
    import peft

    accept_old_torchao()
    model, plain = pair
    settings = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    adapted = peft.get_peft_model(model, settings)
    ids = torch.arange(4, 20)[None]
    adapted(input_ids=ids, labels=ids).loss.backward()
    learning = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert learning and all("lora_" in name for name in learning)
    assert all(p.grad.abs().sum() > 0 for name, p in learning.items() if "lora_B" in name)
    with torch.no_grad():
        for p in learning.values():
            p.normal_(0, 0.5)
        expected = adapted(input_ids=ids).logits
        merged = adapted.merge_and_unload()(ids).logits
        torch.testing.assert_close(merged, expected, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(merged, plain(ids).logits, rtol=1e-3, atol=1e-4)


def refuse(*arguments):
    raise RuntimeError("could not create a primitive descriptor")


@pytest.mark.parametrize("missing", ["operator", "routine", "oneDNN", "x86"])
def test_where_it_cannot_be_done_or_was_not_measured_models_stay_as_they_are(monkeypatch, missing):
    if missing == "operator":
        monkeypatch.setattr(torch.ops, "mkldnn", object())
    elif missing == "routine":
        monkeypatch.setattr(packing, "_multiply", refuse)
    elif missing == "oneDNN":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    else:
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    model = load_model(BUNDLED_MODEL, device="cpu").model
    assert type(model.transformer.h[0].attn.c_attn) is Conv1D and not packed_layers(model)


def test_half_precision_is_left_alone():
    lm = load_model(BUNDLED_MODEL, device="cpu", dtype=torch.float16)
    assert lm.dtype == torch.float16 and not packed_layers(lm.model)
