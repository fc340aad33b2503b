# %% [markdown] lang="ja"
# # 05b もっと知りたい人へ：Trainer と LoRA
#
# {{badge}}
#
# {{way vectors blocks}}
#
# レッスン 05 の続きです。飛ばしてもかまいません。同じ学習を `transformers` の `Trainer` でもう一度行い、大きいモデルを LoRA で学習します。
#
# **できるようになること**
#
# - 自分のループと `Trainer` が、同じことをすると確かめられます。
# - 学習に必要なメモリを見積もれます。
# - 大きいモデルを LoRA で学習し、小さな行列だけを保存できます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 25 分 | なし（gpt-1b を選ぶと 2.6 GB） | 約 1.2 GB | なくても最後まで動く |

# %% [markdown] lang="en"
# # 05b More: Trainer and LoRA
#
# {{badge}}
#
# {{way vectors blocks}}
#
# This goes deeper than lesson 05; you can skip it. We do the same training once more with `Trainer` of `transformers`, and train a large model with LoRA.
#
# **You will be able to**
#
# - show that your own loop and `Trainer` do the same;
# - estimate the memory that training needs;
# - train a large model with LoRA, and save the small matrices only.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 25 minutes | none (2.6 GB with gpt-1b) | about 1.2 GB | runs to the end without one |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# レッスン 05 と同じ文章とモデルを用意し、同じループで学習しておきます。

# %% [markdown] lang="en"
# Here are the text and model of lesson 05, trained with the same loop.

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

EPOCHS, BATCH, WARMUP, LEARNING_RATE, SEED = 3, 8, 5, 1e-3, 42

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
# `transformers` has a `Trainer` that writes this loop for you. With the same settings it does the same.
#
# **Predict:** to how many digits will the losses agree?
#
# `Trainer` takes a list of dictionaries as data. `labels` are the right answers; shifting them by one is done inside. `report_to="none"`
# says that no record is sent to any service.

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
    [[step + 1, f"{loop_losses[step]:.4f}", f"{trainer_losses[step]:.4f}"] for step in shown],
    header=[say("ステップ", "step"), say("自分のループ", "our loop"), "Trainer"],
    align=["right"] * 3,
)

# %% [markdown] lang="ja"
# 同じシードなら、`Trainer` も同じ順に窓を選びます。計算の順番がわずかに違うので、下のほうのけたが違うことはあります。
#
# `Trainer` は、複数の GPU や途中からの再開など、たくさんのことができます。そのかわり、中が見えません。自分のループなら、どの行も変えられます。

# %% [markdown] lang="en"
# With the same seed, `Trainer` takes the windows in the same order. The last digits may differ, since sums are done in a slightly
# different order.
#
# `Trainer` can do much more, such as several GPUs, or going on where it stopped. In exchange you cannot see inside. In a loop of your
# own, every line is yours to change.

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
# What about `japanese-gpt-1b` with its 1.3 billion weights?
#
# Besides the weights, training needs their gradients, two running means that AdamW remembers, and a copy of the best weights. There are
# as many of each as of the weights, 4 bytes apiece in `float32`: 16 bytes more for every weight. So before starting, we estimate the
# memory.
#
# **LoRA** does not move the weights at all. It adds two small matrices beside them and trains only these. Their narrow side is the
# rank, `RANK`: the smaller, the fewer numbers to train.
#
# The weights may stay in `float16`, and gradients, means and the copy are needed only for the small matrices. Throwing values away and
# computing them anew (gradient checkpointing) saves more.

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
    "training": say("勾配と平均など", "gradients, means and the like"),
    "activations": say("途中の値", "values in the middle"),
    "logits": say("ロジット", "logits"),
}
rows = [[labels[k], *(f"{part[k] / 1e9:.2f} GB" for part in (whole, with_lora))] for k in labels]
total = [f"{sum(part.values()) / 1e9:.1f} GB" for part in (whole, with_lora)]
table(
    [*rows, [say("合計", "in all"), *total]],
    header=["", say("丸ごと（float32）", "as a whole (float32)"), "LoRA (float16)"],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# T4 のメモリは 16 GB です。丸ごとは入りませんが、LoRA なら入る見込みです。
#
# 次のセルの `"auto"` は、GPU があれば `japanese-gpt-1b`（ダウンロード約 2.6 GB）、なければ同梱のモデルです。**ここから下のセルは、どちらでも同じです。** このページは、GPU のないマシンで、同梱のモデルで作りました。本物の T4 と、本物の 13 億の重みでは、試していません。

# %% [markdown] lang="en"
# A T4 has 16 GB. As a whole the model does not fit; with LoRA it should.
#
# `"auto"` in the next cell is `japanese-gpt-1b` where there is a GPU (about 2.6 GB to download), else the bundled model. **The cells below
# are the same for both.** This page was made with the bundled model on a machine without a GPU. Neither a real T4 nor the real 1.3 billion
# weights were tried.

# %%
LORA_MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]

# %% [markdown] lang="ja"
# `peft` は LoRA のためのライブラリです。`c_attn` は、左側のトークンを見わたす `attn`（レッスン 2）の入り口にある行列です。どのトークンから何を受け取るかを決める三つのベクトル（クエリ、キー、バリュー）を作ります。どの層の `c_attn` にも、小さな行列を足します。`lora_alpha ÷ RANK` は、足すときの倍率です。
#
# `half=True` は、もとの重みを GPU では半精度で読み込む設定です。GPT-2 は重みを縦横逆に持っています（`Conv1D`）。`fan_in_fan_out` で、それを `peft` に伝えます。`warnings` の行は、古い名前についての、害のない警告を消します。

# %% [markdown] lang="en"
# `peft` is the library for LoRA. `c_attn` is the matrix at the entrance of `attn`, the part that looks at the tokens to the left
# (lesson 2). It makes three vectors (query, key, value) that decide what is taken from which token. Each layer's `c_attn` gets its small
# matrices. `lora_alpha` ÷ `RANK` scales what is added.
#
# `half=True` loads the weights in half precision on a GPU. GPT-2 keeps its matrices the other way round (`Conv1D`); `fan_in_fan_out` tells
# `peft` so. The `warnings` line silences a harmless warning about an old name.

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
# The loop is the same `fine_tune`. On a `float16` GPU it enlarges the loss before computing gradients, so that small ones do not vanish
# (`GradScaler`). The small matrices themselves are `float32`.
#
# The larger the model, the smaller the learning rate. The 5e-4 for large ones is a value in common use; it was not tried here.

# %% tags=["varies"]
rate = 5e-3 if everything < 1e8 else 5e-4
lora_settings = replace(lora_settings, learning_rate=rate)
lora_run = fine_tune(lora, train_text, held_out_text, lora_settings, show=live_curve())

# %% [markdown] lang="ja"
# 保存するのは、小さな行列だけです。ファイルの大きさを見てください。`japanese-gpt-1b` なら、もとの 2.6 GB に対して、数 MB です。

# %% [markdown] lang="en"
# Only the small matrices are saved. Look at the size of the file. For `japanese-gpt-1b` it is a few MB, against 2.6 GB.

# %% tags=["varies"]
adapter_folder = Path("finetuned") / "adapter"
lora.model.save_pretrained(adapter_folder, save_embedding_layers=False)
for file in sorted(adapter_folder.glob("adapter_*")):
    print(file.name, f"{file.stat().st_size / 1e3:,.0f} kB")

# %% [markdown] lang="ja"
# もとのモデルに小さな行列を付けなおすと、同じモデルに戻ります。また、小さな行列をもとの重みに足しこむ（merge）と、普通のモデルになります。どちらも同じ点数を出すか、書き出しで確かめます。数は、点数の差の最大です。

# %% [markdown] lang="en"
# Put beside a fresh copy of the model, the small matrices give the same model again. Added into its weights (merged), they make an
# ordinary model. Do both give the same scores? The numbers are the largest differences, for the opening line.

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
# The first difference should be 0. The second is very small (`1e-05` means 0.00001): the sums are done in another order. In `float16` on a GPU the merged weights are rounded, and it is larger.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** `RANK` を 16 にすると、`japanese-gpt-1b` で学習する数はいくつになるでしょうか。`adapter_16` に入れてください。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** With a `RANK` of 16, how many numbers are trained in `japanese-gpt-1b`? Put the answer into `adapter_16`.

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
        "That is the number of weights in c_attn itself. Only two narrow matrices are added.",
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
# **Exercise 2.** Start training with a place to save, `fine_tune(..., folder="finetuned/run")`, load the model in the same cell, and stop it with ■. Run the same cell again: from where does it go on?

# %% tags=["exercise"]

# %% tags=["solution", "varies"]
resumable = load_for_training(MODEL)
short = TrainingSettings(steps=6, evaluate_every=3)
print(fine_tune(resumable, train_text, held_out_text, short, folder="finetuned/run").held_out)

# %% [markdown] lang="ja" tags=["solution"]
# 取り分けた文章を最後に測ったところから続きます。そこで途中の状態（チェックポイント）を保存しているからです。CPU では、止めなかったときと同じ数字になります。

# %% [markdown] lang="en"
# From the last time the held-out text was measured: that is where a checkpoint is saved. On a CPU the numbers are those of a run that was never stopped.

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** LoRA で学んだモデルと、05 で丸ごと学んだモデルの続きを、同じシードで三つずつ比べてください。どちらが作家の書きぶりに近いですか。

# %% [markdown] lang="en"
# **Exercise 3 (open).** Compare three continuations of the model trained with LoRA and of the one trained as a whole in lesson 05, with the same seeds. Which comes closer to the author's voice?

# %% tags=["exercise"]
my_comparison = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
my_comparison = say(
    "丸ごと学んだほうが近い。LoRA は、語彙は似るが、文の終わり方は元のままだった。",
    "The one trained as a whole comes closer. With LoRA the words are alike, but sentences still end as before.",
)
print(my_comparison)

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
# - `Trainer` does the same as the loop you write yourself.
# - Training a model as a whole takes 16 more bytes for every weight.
# - For a large model LoRA trains small matrices only, and only these are saved.
#
# {{nav}}
