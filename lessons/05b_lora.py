# %% [markdown] lang="ja"
# # 05b もっと知りたい人へ：Trainer と LoRA
#
# {{badge}}
#
# {{picture memory}}
#
# {{way vectors blocks}}
#
# レッスン 05 の続きです。飛ばしてもかまいません。同じ学習を `transformers` の `Trainer` でもう一度行います。そして、大きいモデルを、上の棒のように少ないメモリで学習する LoRA を使います。
#
# **できるようになること**
#
# - 自分のループと `Trainer` が、同じことをすると確かめられます。
# - 学習に必要なメモリを見積もれます。
# - 大きいモデルを LoRA で学習し、小さな行列だけを保存できます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 25 分 | なし（gpt-1b を選ぶと 2.6 GB） | 約 1.5 GB | なくても最後まで動く |

# %% [markdown] lang="en"
# # 05b More: Trainer and LoRA
#
# {{badge}}
#
# {{picture memory}}
#
# {{way vectors blocks}}
#
# This goes deeper than lesson 05; you can skip it. We repeat the same training with the `Trainer` of `transformers`. Then we use LoRA, which trains a large model with much less memory, as the bars above show.
#
# **You will be able to**
#
# - show that your own loop and `Trainer` do the same thing;
# - estimate the memory that training needs;
# - train a large model with LoRA, and save only the small matrices.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 25 minutes | none (2.6 GB with gpt-1b) | about 1.5 GB | runs to the end without one |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# レッスン 05 と同じ文章とモデルを用意し、同じループで学習しておきます。

# %% [markdown] lang="en"
# First we prepare the text and model of lesson 05, and train with the same loop.

# %% tags=["varies"]
from pathlib import Path

import torch

import helpers
from helpers.charts import table
from helpers.finetune import load_for_training, read_document, split_text
from helpers.language import say
from helpers.models import CATALOGUE

MODEL = "aozora-mini"
data = Path(helpers.__file__).resolve().parent.parent / "lessons" / "data"
train_text, held_out_text = split_text(read_document(data / "hananokimura.txt").text, held_out=0.15)
opening = "国境の長いトンネルを抜けると雪国であった。"

before = load_for_training(MODEL)
tokenizer = before.tokenizer
LENGTH = 128
train_ids = [tokenizer.bos_token_id, *tokenizer.encode(train_text, add_special_tokens=False)]
windows = torch.tensor(train_ids).unfold(0, LENGTH, LENGTH - 1)

# %% tags=["varies"]
import time

from torch.nn.functional import cross_entropy
from transformers import get_linear_schedule_with_warmup

EPOCHS, BATCH, WARMUP, LEARNING_RATE, SEED = 2, 8, 5, 1e-4, 42

model = load_for_training(MODEL).model
model.train()
steps = EPOCHS * -(-len(windows) // BATCH)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, steps)
loop_losses = []
start = time.perf_counter()
for epoch in range(EPOCHS):
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(SEED + epoch))
    for rows in order.split(BATCH):
        batch = windows[rows].to(model.device)
        logits = model(input_ids=batch).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loop_losses.append(loss.item())
    print(f"epoch {epoch + 1}: loss {loop_losses[-1]:.3f}")
print(f"{time.perf_counter() - start:.1f} s")

# %% [markdown] lang="ja"
# ## 同じことを `Trainer` で
#
# `transformers` には、このループを書いてくれる `Trainer` があります。設定を同じにすれば、同じことをします。
#
# **予想してみましょう。** 損失の数字は、何けたまで同じになるでしょうか。
#
# `Trainer` は、辞書の列をデータとして受け取ります。`labels` は正解です。一つずらして比べるのは、中でしてくれます。`report_to="none"` は、外のサービスに記録を送らない、という意味です。

# %% [markdown] lang="en"
# ## The same with `Trainer`
#
# `transformers` has a `Trainer` that runs this loop for you. With the same settings it does the same thing.
#
# **Predict:** to how many digits will the losses agree?
#
# `Trainer` takes its data as a list of dictionaries. `labels` are the correct answers; it shifts them by one internally. `report_to="none"` means that nothing is sent to any tracking service.

# %% tags=["varies"]
import tempfile

from transformers import PrinterCallback, Trainer, TrainingArguments

arguments = TrainingArguments(
    output_dir=tempfile.mkdtemp(),
    num_train_epochs=EPOCHS,
    per_device_train_batch_size=BATCH,
    learning_rate=LEARNING_RATE,
    warmup_steps=WARMUP,
    lr_scheduler_type="linear",
    optim="adamw_torch",
    seed=SEED,
    data_seed=SEED,
    logging_steps=1,
    save_strategy="no",
    report_to="none",
    disable_tqdm=True,
    use_cpu=before.device.type == "cpu",
    dataloader_pin_memory=False,
)
trainer = Trainer(
    model=load_for_training(MODEL).model,
    args=arguments,
    train_dataset=[{"input_ids": row, "labels": row} for row in windows],
)
trainer.remove_callback(PrinterCallback)
trainer.train()
trainer_losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(len(loop_losses), len(trainer_losses))

# %% tags=["varies"]
shown = sorted({*range(0, steps, max(1, steps // 5)), steps - 1})
table(
    {
        say("ステップ", "step"): [step + 1 for step in shown],
        say("自分のループ", "our loop"): [f"{loop_losses[step]:.4f}" for step in shown],
        "Trainer": [f"{trainer_losses[step]:.4f}" for step in shown],
    }
)

# %% [markdown] lang="ja"
# 同じシードなら、`Trainer` も同じ順に窓を選びます。計算の順番がわずかに違うので、下のほうのけたが違うことはあります。
#
# `Trainer` は、複数の GPU や途中からの再開など、たくさんのことができます。そのかわり、中が見えません。自分のループなら、どの行も変えられます。

# %% [markdown] lang="en"
# With the same seed, `Trainer` takes the windows in the same order. The last digits may differ, because the additions are done in a slightly different order.
#
# `Trainer` can do much more, such as using several GPUs or resuming where it stopped. In exchange, you cannot see inside. In a loop of your own, you can change every line.

# %% [markdown] lang="ja"
# ## 大きいモデルは LoRA で
#
# 13 億の重みを持つ `japanese-gpt-1b` を学習したくなったら、どうすればよいでしょうか。
#
# 学習には、重みのほかに、勾配と、AdamW が覚えておく二つの平均と、一番よかった重みの写しが要ります。どれも重みと同じ数だけあり、`float32` で 4 バイトずつ、合わせて重み一つに 16 バイトです。始める前に、必要なメモリを見積もります。
#
# **LoRA** は、もとの重みを動かしません。横に小さな行列を二つ足し、それだけを学習します。二つの行列の細いほうの幅が `RANK`（ランク）です。小さいほど、学習する数が減ります。
#
# もとの重みは `float16` のままでよく、勾配も平均も写しも、小さな行列の分だけです。さらに、途中の値を捨てて計算しなおす方法（gradient checkpointing）で、メモリを減らします。

# %% [markdown] lang="en"
# ## Large models: LoRA
#
# What if you want to train `japanese-gpt-1b` with its 1.3 billion weights?
#
# Besides the weights, training needs their gradients, two running averages that AdamW keeps, and a copy of the best weights. Each of these has as many numbers as there are weights, at 4 bytes each in `float32`: 16 extra bytes for every weight. So we estimate the memory before we start.
#
# **LoRA** does not change the original weights at all. It adds two small matrices beside them and trains only those. The width of their narrow side is the rank, `RANK`: the smaller it is, the fewer numbers there are to train.
#
# The original weights can stay in `float16`, and gradients, averages and the copy are needed only for the small matrices. Throwing intermediate values away and recomputing them (gradient checkpointing) saves even more.

# %%
from helpers.finetune import TrainingSettings, fine_tune, live_curve, training_memory

large = CATALOGUE["rinna/japanese-gpt-1b"]
RANK = 8
adapter = large.n_layer * RANK * (large.n_embd + 3 * large.n_embd)
lora_settings = TrainingSettings(
    steps=20, batch_size=4, warmup_steps=2, evaluate_every=5, seed=SEED
)
whole = training_memory(large, large.parameters, settings=lora_settings)
with_lora = training_memory(
    large,
    large.parameters,
    trained=adapter,
    settings=lora_settings,
    weight_bytes=2,
    value_bytes=2,
    gradient_checkpointing=True,
)
labels = {
    "weights": say("重み", "weights"),
    "training": say("勾配と平均など", "gradients, averages etc."),
    "activations": say("途中の値", "intermediate values"),
    "logits": say("ロジット", "logits"),
}


def gigabytes(memory):
    return [f"{size / 1e9:.2f} GB" for size in [*map(memory.get, labels), sum(memory.values())]]


table(
    {
        "": [*labels.values(), say("合計", "total")],
        say("丸ごと（float32）", "in full (float32)"): gigabytes(whole),
        "LoRA (float16)": gigabytes(with_lora),
    }
)

# %% tags=["build"]
from helpers.charts import bar_chart

totals = [sum(part.values()) / 1e9 for part in (whole, with_lora)]
picture(
    "memory",
    bar_chart(
        [say("丸ごと", "in full"), "LoRA"],
        totals,
        title=say(
            "japanese-gpt-1b の学習に使うメモリ（見積もり）",
            "Memory to train japanese-gpt-1b (estimated)",
        ),
        unit="GB",
    ),
    say(
        "japanese-gpt-1b の学習に使うメモリの見積もり。丸ごとと、LoRA。",
        "The estimated memory for training japanese-gpt-1b, in full and with LoRA.",
    ),
)
claim(
    say("丸ごとは入りませんが、LoRA なら入る見込みです。", "with LoRA it should."),
    totals[1] < 16 < totals[0],
)

# %% [markdown] lang="ja"
# T4 のメモリは 16 GB です。丸ごとは入りませんが、LoRA なら入る見込みです。
#
# 次のセルの `"auto"` は、十分な GPU があれば `japanese-gpt-1b`（ダウンロード約 2.6 GB）、なければ同梱のモデルです。**ここから下のセルは、どちらでも同じです。** このページは、GPU のないマシンで、同梱のモデルで作りました。本物の T4 と、本物の 13 億の重みでは、試していません。

# %% [markdown] lang="en"
# A T4 has 16 GB. Trained in full, the model does not fit; with LoRA it should.
#
# `"auto"` in the next cell is `japanese-gpt-1b` if there is a large enough GPU (a download of about 2.6 GB), otherwise the bundled model. **The cells below are the same for both.** This page was made with the bundled model on a machine without a GPU. We have not tried it on a real T4 or with the real 1.3 billion weights.

# %%
LORA_MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]

# %% [markdown] lang="ja"
# `peft` は LoRA のためのライブラリです。`c_attn` は、左側のトークンを見わたす `attn`（レッスン 02）の入り口にある行列です。どのトークンから何を受け取るかを決める三つのベクトル（クエリ、キー、バリュー）を作ります。どの層の `c_attn` にも、小さな行列を足します。`lora_alpha ÷ RANK` は、足すときの倍率です。
#
# `half=True` は、もとの重みを GPU では半精度で読み込む設定です。GPT-2 は重みを縦横逆に持っています（`Conv1D`）。`fan_in_fan_out` で、それを `peft` に伝えます。`warnings` の行は、古い名前についての、害のない警告を消します。

# %% [markdown] lang="en"
# `peft` is the library for LoRA. `c_attn` is the matrix at the input of `attn`, the part that looks at the tokens to the left (lesson 02). It produces three vectors (query, key and value) that determine what is taken from which token. We add small matrices to the `c_attn` of every layer. `lora_alpha` ÷ `RANK` scales what is added.
#
# `half=True` loads the original weights in half precision on a GPU. GPT-2 stores its matrices transposed (`Conv1D`); `fan_in_fan_out` tells `peft` about that. The `warnings` line silences a harmless warning about an old name.

# %% tags=["varies"]
import warnings
from dataclasses import replace

from peft import LoraConfig, get_peft_model
from transformers.pytorch_utils import Conv1D

warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
base = load_for_training(LORA_MODEL, half=True, gradient_checkpointing=True)
attention = base.model.transformer.h[0].attn.c_attn
config = LoraConfig(
    r=RANK,
    lora_alpha=2 * RANK,
    target_modules=["c_attn"],
    fan_in_fan_out=isinstance(attention, Conv1D),
    task_type="CAUSAL_LM",
)
torch.manual_seed(SEED)
lora = replace(base, model=get_peft_model(base.model, config))
trained, everything = lora.model.get_nb_trainable_parameters()
print(f"{trained:,} / {everything:,} = {trained / everything:.2%}")

# %% [markdown] lang="ja"
# 学習のループは、さっきと同じ `fine_tune` です。`float16` の GPU では、小さな勾配が 0 に消えないように、損失を大きくしてから計算します（`GradScaler`）。小さな行列そのものは `float32` です。
#
# 学習率は、モデルが大きいほど小さくします。大きいモデルの 5e-4 は、よく使われる値から選びました。試してはいません。

# %% [markdown] lang="en"
# The loop is the same `fine_tune` as before. On a `float16` GPU it scales the loss up before computing gradients, so that small ones do not vanish (`GradScaler`). The small matrices themselves are `float32`.
#
# The larger the model, the smaller the learning rate. The 5e-4 for large models is a commonly used value; we have not tried it.

# %% tags=["varies"]
rate = 5e-3 if everything < 1e8 else 5e-4
lora_settings = replace(lora_settings, learning_rate=rate)
lora_run = fine_tune(lora, train_text, held_out_text, lora_settings, show=live_curve())

# %% [markdown] lang="ja"
# 保存するのは、小さな行列だけです。ファイルの大きさを見てください。`japanese-gpt-1b` なら、もとの 2.6 GB に対して、数 MB です。

# %% [markdown] lang="en"
# Only the small matrices are saved. Look at the size of the file. For `japanese-gpt-1b` it would be a few MB, compared with 2.6 GB for the whole model.

# %% tags=["varies"]
adapter_folder = Path("finetuned") / "adapter"
lora.model.save_pretrained(adapter_folder, save_embedding_layers=False)
for file in sorted(adapter_folder.glob("adapter_*")):
    print(file.name, f"{file.stat().st_size / 1e3:,.0f} kB")

# %% [markdown] lang="ja"
# もとのモデルに小さな行列を付けなおすと、同じモデルに戻ります。また、小さな行列をもとの重みに足しこむ（merge）と、普通のモデルになります。どちらも同じ点数を出すか、書き出しで確かめます。数は、点数の差の最大です。

# %% [markdown] lang="en"
# Attached to a fresh copy of the original model, the small matrices give the same model again. Merged into the weights, they give an ordinary model. Do both give the same scores? The numbers are the largest differences, for the opening line.

# %% tags=["varies"]
from peft import PeftModel

opening_ids = torch.tensor([lora.tokenizer.encode(opening, add_special_tokens=False)])
opening_ids = opening_ids.to(lora.device)
fresh = load_for_training(base.name, half=True)
reloaded = PeftModel.from_pretrained(fresh.model, adapter_folder).eval()
with torch.no_grad():
    expected = lora.model(input_ids=opening_ids).logits
    print(f"{(reloaded(input_ids=opening_ids).logits - expected).abs().max().item():.1e}")
    merged = reloaded.merge_and_unload()
    print(f"{(merged(input_ids=opening_ids).logits - expected).abs().max().item():.1e}")

# %% tags=["varies"]
from helpers.sampling import SamplingSettings, generate

settings = SamplingSettings(seed=3, num_return_sequences=1)
print(generate(replace(fresh, model=merged), opening, settings).sequences[0].text)

# %% [markdown] lang="ja"
# 一つ目の差は 0 のはずです。二つ目は、足し算の順番が違うので、ごく小さな差が出ます（`1e-05` は 0.00001 のことです）。GPU の `float16` では、足した重みを丸めるので、差はもう少し大きくなります。

# %% [markdown] lang="en"
# The first difference should be 0. The second is very small (`1e-05` means 0.00001), because the additions are done in a different order. In `float16` on a GPU the merged weights are rounded, so it is larger.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** `RANK` を 16 にすると、`japanese-gpt-1b` で学習する数はいくつになるでしょうか。`adapter_16` に入れてください。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** With a `RANK` of 16, how many numbers would be trained in `japanese-gpt-1b`? Put the answer into `adapter_16`.

# %% tags=["exercise"]
adapter_16 = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(number):
    assert number != adapter, say(
        "それは RANK が 8 のときの数です。", "That is the number for a RANK of 8."
    )
    assert number != large.n_embd * 3 * large.n_embd * large.n_layer, say(
        "それは c_attn そのものの重みの数です。足すのは、細い二つの行列だけです。",
        "That is the number of weights in c_attn itself. We only add two narrow matrices.",
    )
    assert number == 2 * adapter, say(
        "二つの行列の大きさは、どちらも RANK に比例します。",
        "The size of both matrices is proportional to RANK.",
    )
    return say(f"{number:,} 個です。RANK に比例します。", f"{number:,}: proportional to RANK.")


check(adapter_16, test)

# %% tags=["cases"]
RIGHT = ["adapter_16 = 2 * adapter", "adapter_16 = 24 * 16 * (2048 + 3 * 2048)"]
WRONG = {"adapter_16 = adapter": "8", "adapter_16 = 24 * 2048 * 3 * 2048": "c_attn"}

# %% tags=["solution"]
adapter_16 = large.n_layer * 16 * (large.n_embd + 3 * large.n_embd)
print(f"{adapter_16:,}")

# %% [markdown] lang="ja"
# **練習 2.** `fine_tune(…, folder="finetuned/run")` のように保存先を付けて学習を始め、途中で ■ を押して止めてください。モデルの読み込みも同じセルに書きます。そのセルをもう一度実行すると、どこから続くでしょうか。

# %% [markdown] lang="en"
# **Exercise 2.** Start a training run that saves its state, with `fine_tune(..., folder="finetuned/run")`. Load the model in the same cell, and stop the run with ■. If you run the cell again, from where does it resume?

# %% tags=["exercise"]

# %% tags=["solution", "varies"]
short = TrainingSettings(steps=6, evaluate_every=3)


def stop_once(run):
    if len(run.losses) == 4 and not stopped:
        stopped.append(True)
        raise KeyboardInterrupt  # ■ を押したのと同じ || as if ■ had been pressed


stopped = []
for _ in range(2):
    resumable = load_for_training(MODEL)
    run = fine_tune(
        resumable, train_text, held_out_text, short, show=stop_once, folder="finetuned/run"
    )
    print(run.stopped, len(run.losses), [step for step, _ in run.held_out])

# %% [markdown] lang="ja" tags=["solution"]
# 取り分けた文章を最後に測ったところから続きます。そこで途中の状態（チェックポイント）を保存しているからです。CPU では、止めなかったときと同じ数字になります。

# %% [markdown] lang="en"
# From the last time the held-out text was measured: that is where a checkpoint is saved. On a CPU the numbers are the same as in a run that was never stopped.

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** LoRA で学んだモデルと、丸ごと学んだモデル（`model`）の続きを、同じシードで比べてください。どちらが作家の書きぶりに近いですか。

# %% [markdown] lang="en"
# **Exercise 3 (open).** Compare continuations by the model trained with LoRA and by the one trained in full (`model`), with the same seeds. Which comes closer to the author's style?

# %% tags=["exercise"]
my_comparison = ""  # @param {type:"string"}

# %% tags=["solution", "varies"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
from helpers.finetune import bits_per_character

model.eval()
models = {
    say("学習の前", "before"): before,
    "LoRA": lora,
    say("丸ごと", "in full"): replace(before, model=model),
}
bits = [bits_per_character(m.model, m.tokenizer, held_out_text) for m in models.values()]
texts = [generate(m, opening, settings).sequences[0].text for m in models.values()]
table(
    {
        say("モデル", "model"): models,
        say("ビット/文字", "bits per character"): [f"{each:.3f}" for each in bits],
        say("続き", "continuation"): [text.removeprefix(opening) for text in texts],
    }
)

# %% [markdown] lang="ja" tags=["solution"]
# 文を読みくらべるだけでは、好みが混ざります。取り分けた文章のビット数が小さいほうが、作家の書きぶりに近いと言えます。

# %% [markdown] lang="en"
# If we only read the texts, our taste gets in the way. The model that needs fewer bits for the held-out text is closer to the author's style.

# %% [markdown] lang="ja"
# ## まとめ
#
# - `Trainer` は、自分で書いたループと同じことをします。
# - 丸ごとの学習には、重み一つに 16 バイトが余分に要ります。
# - 大きいモデルは、LoRA で小さな行列だけを学習し、それだけを保存します。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - `Trainer` does the same as a loop you write yourself.
# - Training a model in full takes 16 extra bytes for every weight.
# - For a large model, LoRA trains only small matrices, and only these are saved.
#
# {{nav}}
