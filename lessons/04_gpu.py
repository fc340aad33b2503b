# %% [markdown] lang="ja"
# # 04 GPU を使う
#
# {{badge}}
#
# {{way vectors blocks scores}}
#
# 元の記事の最後の手順です。計算を GPU に移して、文をもっと速く書かせます。GPU がないマシンでも、最後まで動きます。
#
# **できるようになること**
#
# - Colab で GPU を選べます。
# - GPU があるかどうかを調べ、モデルと入力を同じ場所に置けます。
# - 速さとメモリを測り、自分のマシンに合う `dtype` とモデルを選べます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 40 分 | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | なくても最後まで動く |

# %% [markdown] lang="en"
# # 04 Using a GPU
#
# {{badge}}
#
# {{way vectors blocks scores}}
#
# This is the article's last step: we move the work to a GPU and have texts written faster. The lesson runs to the end without one as well.
#
# **You will be able to**
#
# - choose a GPU in Colab;
# - find out whether there is a GPU, and put model and input in the same place;
# - measure speed and memory, and choose a `dtype` and a model that suit your machine.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 40 minutes | none (0.15 to 2.6 GB with another model) | about 1 GB | runs to the end without one |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# ## GPU とは
#
# 文を書く計算は、ほとんどが掛け算と足し算です。一つの計算は簡単ですが、数がとても多いのです。CPU は、込み入った仕事を、一度に数個ずつ片づけます。GPU は、簡単な計算を何千も同時に進めます。だから大きなモデルほど、GPU が役に立ちます。
#
# `True` なら、このマシンに GPU があります。

# %% [markdown] lang="en"
# ## What a GPU is
#
# Writing text is nearly all multiplying and adding. Each sum is easy, but there are very many. A CPU does hard jobs a few at a time. A GPU does thousands of easy ones at once. So the larger the model, the more a GPU helps.
#
# `True` says that this machine has one.

# %% tags=["varies"]
import torch

print(torch.cuda.is_available())
if torch.cuda.is_available():
    print(torch.cuda.get_device_name())
else:
    print(
        say(
            "GPU は見つかりません。このレッスンは CPU だけで最後まで動きます。",
            "No GPU was found. This lesson runs to the end on the CPU alone.",
        )
    )

# %% [markdown] lang="ja"
# ## Colab で GPU を選ぶ
#
# 1. 上のメニューで「ランタイム」を開きます。
# 2. 「ランタイムのタイプを変更」を選びます。
# 3. 「ハードウェア アクセラレータ」で「T4 GPU」を選びます。
# 4. 「保存」を押します。
# 5. 最初のセルから、もう一度実行します。
#
# 元の記事が書かれたころの画面では、3 の選択肢の名前はただの「GPU」でした。

# %% [markdown] lang="en"
# ## Choosing a GPU in Colab
#
# 1. Open **Runtime** in the menu at the top.
# 2. Choose **Change runtime type**.
# 3. Under **Hardware accelerator** choose **T4 GPU**.
# 4. Press **Save**.
# 5. Run the notebook again from its first cell.
#
# When the article was written, the choice in step 3 was simply called GPU.

# %% tags=["hide"]
# @title Colab のメニュー || Colab's menu
from pathlib import Path

from IPython.display import SVG

import helpers

root = Path(helpers.__file__).resolve().parent.parent
SVG(filename=str(root / "docs" / "images" / f"gpu-runtime-{LANG}.svg"))

# %% [markdown] lang="ja"
# 気をつけることが二つあります。
#
# - ランタイムのタイプを変えると、別のマシンになります。変数もダウンロードしたモデルも消えます。**GPU は最初に選びましょう。**
# - 無料の GPU には数に限りがあります。使えないと言われたら、CPU のまま進むか、時間をおいてください。

# %% [markdown] lang="en"
# Two things to know:
#
# - Changing the runtime type gives you another machine. Variables and downloaded models are gone. **Choose the GPU first.**
# - Free GPUs are limited. If Colab has none for you, go on with the CPU or come back later.


# %% [markdown] lang="ja"
# ## モデルはどこにあるか
#
# 小さいモデルを、まず CPU に読み込みます。モデルの中身は、数の並び（重み）です。重みには、置き場所（device）と、数の形式（dtype）があります。

# %% [markdown] lang="en"
# ## Where is the model?
#
# We load the small model, on the CPU first. A model consists of arrays of numbers, its weights. Weights have a place (the device) and a
# number format (the dtype).

# %%
from helpers.models import load_model

small = load_model("aozora-mini", device="cpu")
model, tokenizer = small.model, small.tokenizer

weight = next(model.parameters())
print(weight.device, weight.dtype)

# %% [markdown] lang="ja"
# ## モデルを移す：`model.to`
#
# GPU があれば `"cuda"`、なければ `"cpu"` と決めて、モデルをそこへ移します。こう書くと、同じコードがどちらのマシンでも動きます。

# %% [markdown] lang="en"
# ## Moving the model: `model.to`
#
# We say `"cuda"` where there is a GPU and `"cpu"` elsewhere, and move the model there. Written so, the same code runs on both kinds of
# machine.

# %% tags=["varies"]
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = model.to(device)
print(model.device)

# %% [markdown] lang="ja"
# ## 入力も同じ場所へ
#
# トークナイザーが作る数字は、いつも CPU にできます。モデルが GPU にあるなら、入力も GPU に移さなければなりません。

# %% [markdown] lang="en"
# ## The input goes to the same place
#
# The numbers a tokenizer makes are always on the CPU. If the model is on the GPU, its input must go there too.

# %% tags=["varies"]
text = "国境の長いトンネルを抜けると雪国であった。"
input_ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
print(input_ids.device)

input_ids = input_ids.to(model.device)
print(input_ids.device)


# %% [markdown] lang="ja"
# 忘れるとどうなるでしょうか。GPU と CPU は、別々のメモリを持っています。掛け算の相手が別のメモリにあると、計算する部品からは見えません。だから、同じ場所にそろえます。
#
# どのマシンにもある `meta` という見せかけの場所で、試します。

# %% [markdown] lang="en"
# What if you forget? A GPU and a CPU have memories of their own. If the other factor of a product lies in the other memory, the unit that computes cannot see it. That is why both must be in the same place.
#
# We try it with `meta`, a make-believe device that every machine has.

# %% tags=["varies"]
here = torch.ones(3)
elsewhere = torch.ones(3, device="meta")
try:
    here + elsewhere
except RuntimeError as error:
    print(type(error).__name__, error)

# %% [markdown] lang="ja"
# `expected device` や `same device` という言葉を見たら、`.to(model.device)` の書き忘れを疑ってください。
#
# もう一つ、よくある間違いがあります。モデルの `.to` はモデルそのものを移します。入力の `.to` は、移した**写し**を返します。だから `input_ids = ` と受け取る必要があります。

# %% [markdown] lang="en"
# When you read `expected device` or `same device`, look for a forgotten `.to(model.device)`.
#
# One more common slip: `.to` of a model moves the model itself, but `.to` of an input returns a moved **copy**. So you have to keep it,
# with `input_ids = `.

# %%
ids = torch.tensor([1, 2, 3])
ids.to("meta")
print(ids.device)

ids = ids.to("meta")
print(ids.device)

# %% [markdown] lang="ja"
# ## 元の記事の GPU 版を動かす
#
# これで、元の記事の GPU 版が読めます。`attention_mask` を足し、シードは 12 にしました（読みやすい文になるものを選びました）。GPU がないマシンでは、同じコードが CPU で動きます。

# %% [markdown] lang="en"
# ## The article's GPU version
#
# Now the article's GPU version can be read. We added the `attention_mask`, and the seed 12, chosen for a readable text. Without a GPU the
# same code runs on the CPU.

# %% tags=["varies"]
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}

torch.manual_seed(12)
with torch.no_grad():
    output = model.generate(
        input_ids.to(model.device),
        attention_mask=torch.ones_like(input_ids),
        min_length=50,
        max_length=100,
        do_sample=True,
        top_k=500,
        top_p=0.95,
        num_return_sequences=1,
        **special,
    )

generated_sentences = tokenizer.batch_decode(output, skip_special_tokens=True)
for number, sentence in enumerate(generated_sentences, 1):
    print(f"[{number}] {sentence}\n")

# %% [markdown] lang="ja"
# ## 速さを測る
#
# 一秒に何トークン書けるかを測ります。正しく測るために、三つのことをします。
#
# - **慣らし運転**：最初の一回は準備の時間が入るので、捨てます。
# - **待つ**：GPU は仕事を頼まれると、終わる前に返事をします。`synchronize` で終わるまで待ちます。
# - **長さをそろえる**：`min_new_tokens` と `max_new_tokens` を同じにします。

# %% [markdown] lang="en"
# ## Measuring speed
#
# How many tokens a second? Three things make the measurement fair:
#
# - **Warming up**: the first run includes preparations, so it is thrown away.
# - **Waiting**: a GPU answers before its work is done. `synchronize` waits until it is.
# - **One length**: `min_new_tokens` and `max_new_tokens` are equal.

# %%
import time


def wait_for(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_to_write(model, tokens, sequences):
    ids = input_ids.to(model.device)
    wait_for(model.device)
    start = time.perf_counter()
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        do_sample=True,
        num_return_sequences=sequences,
        **special,
    )
    wait_for(model.device)
    return time.perf_counter() - start


def tokens_per_second(model, tokens=30, sequences=3):
    seconds_to_write(model, 3, sequences)
    best = min(seconds_to_write(model, tokens, sequences) for _ in range(3))
    return tokens * sequences / best


# %% [markdown] lang="ja"
# このマシンにある場所を全部試します。GPU がなければ、棒は一本だけです。
#
# **予想してみましょう。** 一秒に何トークン書けるでしょうか。GPU があるなら、何倍でしょうか。

# %% [markdown] lang="en"
# We try every place this machine has. Without a GPU there is one bar.
#
# **Predict:** how many tokens a second? And with a GPU, how many times as many?

# %% tags=["varies"]
from helpers.charts import bar_chart
from helpers.language import say

devices = [torch.device("cpu")]
if torch.cuda.is_available():
    devices.append(torch.device("cuda"))

speeds = [tokens_per_second(model.to(device)) for device in devices]
bar_chart(
    [device.type for device in devices],
    speeds,
    title=say("小さいモデルの速さ", "Speed of the small model"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% [markdown] lang="ja"
# ## 数の形式：dtype
#
# 重み一つを何バイトで持つかを決めるのが dtype です。よく使うのは三つです。
#
# - `float32`：4 バイト。けた数（精度）が多く、広い範囲の数を表せます。
# - `float16`：2 バイト。けた数は半分ほどで、大きな数は表せません。
# - `bfloat16`：2 バイト。`float32` と同じくらい大きな数を表せます。そのかわり、けた数はもっと少なくなります。
#
# 三分の一と 70000 を入れて、どうなるか見ます。

# %% [markdown] lang="en"
# ## Number formats: dtype
#
# The dtype says how many bytes hold one weight. Three are common:
#
# - `float32`: 4 bytes. Precise, with a wide range.
# - `float16`: 2 bytes. About half the digits, and no large numbers.
# - `bfloat16`: 2 bytes. Nearly the range of `float32`, but still fewer digits.
#
# We put one third and 70000 into each.

# %%
from helpers.charts import table

dtypes = [torch.float32, torch.float16, torch.bfloat16]
table(
    [
        [
            str(dtype).removeprefix("torch."),
            dtype.itemsize,
            f"{torch.tensor(1 / 3, dtype=dtype).item():.9f}",
            f"{torch.tensor(70000.0, dtype=dtype).item():.0f}",
            f"{torch.finfo(dtype).max:.2g}",
        ]
        for dtype in dtypes
    ],
    header=[
        "dtype",
        say("バイト", "bytes"),
        say("1/3 を入れると", "one third becomes"),
        say("70000 を入れると", "70000 becomes"),
        say("一番大きい数", "largest number"),
    ],
    align=["left", "right", "right", "right", "right"],
)


# %% [markdown] lang="ja"
# `inf` は「大きすぎて表せない」という意味です。`bfloat16` は範囲は広いのですが、けた数が少ないので、70000 が 70144 に丸められました。
#
# では、モデルの大きさはどう変わるでしょうか。

# %% [markdown] lang="en"
# `inf` means: too large for this format. `bfloat16` has the range but few digits: 70000 was rounded to 70144.
#
# And the size of the model?

# %%
import copy

in_dtype = {dtype: copy.deepcopy(model).to("cpu", dtype) for dtype in dtypes}
bar_chart(
    [str(dtype).removeprefix("torch.") for dtype in dtypes],
    [in_dtype[dtype].get_memory_footprint() / 1e6 for dtype in dtypes],
    title=say("重みの大きさ", "Size of the weights"),
    unit="MB",
)

# %% [markdown] lang="ja"
# 半分になりました。
#
# **予想してみましょう。** CPU での速さも、二倍になるでしょうか。

# %% [markdown] lang="en"
# It is halved.
#
# **Predict:** is it twice as fast on the CPU, then?

# %% tags=["varies"]
cpu_speed = {dtype: tokens_per_second(in_dtype[dtype], tokens=15) for dtype in dtypes}
bar_chart(
    [str(dtype).removeprefix("torch.") for dtype in dtypes],
    cpu_speed.values(),
    title=say("CPU での速さ", "Speed on the CPU"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% tags=["varies"]
from helpers.device import bfloat16_unit

unit = bfloat16_unit()
print(
    say("この CPU の bfloat16 の回路:", "This CPU's unit for bfloat16:"),
    unit or say("なし", "none"),
)
for dtype in dtypes[1:]:
    print(
        dtype,
        f"{cpu_speed[dtype] / cpu_speed[torch.float32]:.2f}",
        say("倍（float32 を 1 として）", "times float32"),
    )

# %% [markdown] lang="ja"
# 多くの CPU は、2 バイトの形式（半精度）の計算が得意ではありません。毎回 `float32` に直してから計算するので、かえって遅くなることがあります。例外は、専用の回路（AMX や AVX512-BF16）を持つ CPU です。あれば、`bfloat16` が `float32` より速いことがあります。
#
# どこで、どの `dtype` を使うかをまとめます。compute capability は、NVIDIA の GPU の世代を表す番号です。
#
# | 場所 | 回路 | この教材の選び方 |
# |---|---|---|
# | CPU（ふつう） | `float32` | `float32` |
# | CPU（AMX か AVX512-BF16） | `float32`、`bfloat16` | 重みが 3 億以上なら `bfloat16`、小さければ `float32` |
# | T4（7.5） | `float32`、`float16` | `float16` |
# | A100、L4 など（8.0 以上） | どれも | `bfloat16`（大きな数に強い） |
#
# モデルのファイルにも dtype があります。今の `transformers` は、何も言わなければファイルの dtype で読み込みます。`rinna/japanese-gpt-1b` のファイルは半精度なので、元の記事のとおりに読み込むと、CPU でも半精度になります。`from_pretrained(..., dtype=torch.float32)` と書くのが確実です。

# %% [markdown] lang="en"
# Many CPUs are not good at formats of 2 bytes (half precision). They convert each number to `float32` first, which can make it slower. CPUs with units of their own for it (AMX or AVX512-BF16) are the exception: there `bfloat16` can be faster than `float32`.
#
# Which `dtype` where? The compute capability is NVIDIA's number for the generation of a GPU.
#
# | Place | Units for | What these lessons choose |
# |---|---|---|
# | a CPU (most) | `float32` | `float32` |
# | a CPU with AMX or AVX512-BF16 | `float32`, `bfloat16` | `bfloat16` from 300 million weights on, `float32` below |
# | T4 (7.5) | `float32`, `float16` | `float16` |
# | A100, L4 and others (8.0 or more) | all of them | `bfloat16`, which copes with large numbers |
#
# A model's file has a dtype too. Unless told otherwise, `transformers` now loads in the file's dtype. The file of `rinna/japanese-gpt-1b` is in half precision, so loaded as in the article it is in half precision on a CPU as well. `from_pretrained(..., dtype=torch.float32)` is the sure way.

# %% [markdown] lang="ja"
# ## どのモデルが載るか
#
# 必要なメモリは、だいたい計算できます。重みの数 × 一つのバイト数が土台です。計算の途中の値なども要るので、1.6 倍を見込みます。1.6 は、`japanese-gpt-1b` と同じ形のモデルを CPU の `float32` で動かして測りました。GPU や int8 では測っていないので、目安です。

# %% [markdown] lang="en"
# ## Which models fit?
#
# The memory needed can be estimated: the number of weights times the bytes of each, times 1.6 for values in the middle of the calculation and the like. The 1.6 was measured with a model of the shape of `japanese-gpt-1b`, in `float32` on a CPU. It was not measured on a GPU or in int8, so take it as a rough guide.

# %%
from helpers.models import CATALOGUE

table(
    [
        [info.name, *(f"{info.memory_bytes(itemsize) / 1e9:.2f} GB" for itemsize in (4, 2, 1))]
        for info in CATALOGUE.values()
    ],
    header=[say("モデル", "model"), "float32", "float16, bfloat16", "int8"],
    align=["left", "right", "right", "right"],
)

# %% [markdown] lang="ja"
# このマシンの空きと比べてください。GB は 10 億バイトです。Colab の画面では、CPU ランタイムが 12.7 GB と出ますが、単位は GiB（約 10.7 億バイト）なので、この表の単位では約 13.6 GB です。T4 のメモリは 16 GB です。Python と PyTorch の分も要るので、ぎりぎりは避けてください。本物の T4 と、本物の 13 億の重みでは、試していません。

# %% [markdown] lang="en"
# Compare with what is free here. GB means 1,000,000,000 bytes. Colab shows 12.7 GB for its CPU runtime, counted in GiB (about 1.07 GB), so it is about 13.6 GB in the units of this table. A T4 has 16 GB. Python and PyTorch need some too, so leave room. Neither a real T4 nor the real 1.3 billion weights were tried.

# %% tags=["varies"]
import psutil

print(say("このプロセス", "this process"), f"{psutil.Process().memory_info().rss / 1e9:.2f} GB")
print(
    say("マシンの空き", "free on this machine"), f"{psutil.virtual_memory().available / 1e9:.1f} GB"
)
if torch.cuda.is_available():
    free, total = torch.cuda.mem_get_info()
    print(say("GPU の空き", "free on the GPU"), f"{free / 1e9:.1f} / {total / 1e9:.1f} GB")

# %% [markdown] lang="ja"
# ## `CUDA out of memory` が出たら
#
# GPU のメモリが足りないと、`CUDA out of memory. Tried to allocate ...` と出ます。「あとこれだけ欲しかったが、空きがない」という意味です。マシンは壊れていません。次の順に試してください。
#
# 1. `num_return_sequences` を減らす
# 2. `max_length` を短くする
# 3. `float16` で読み込む
# 4. 小さいモデルにする
# 5. 使い終わったモデルを消す（下のコード）
# 6. それでもだめなら、ランタイムを再起動して、最初から実行する

# %% [markdown] lang="en"
# ## When it says `CUDA out of memory`
#
# If the GPU's memory does not suffice, you read `CUDA out of memory. Tried to allocate ...`: so much more
# was wanted, and it is not there. Nothing is broken. Try, in this order:
#
# 1. fewer `num_return_sequences`
# 2. a shorter `max_length`
# 3. loading in `float16`
# 4. a smaller model
# 5. deleting models you no longer need (the code below)
# 6. if all fails: restart the runtime and run from the top

# %% [markdown] lang="ja"
# 使い終わったモデルを消すには、変数を消してから、PyTorch が取っておいたメモリを返させます。`del` だけでは、返らないことがあります。上で作った三つの写しで、書き方を見ておきましょう。この写しは CPU にありますが、GPU でも書き方は同じです。

# %% [markdown] lang="en"
# To get rid of a model, delete its variable, then have PyTorch hand back the memory it holds. `del` alone may not be enough. Here
# is how, with the three copies made above. They are on the CPU, but for a GPU you write the same.

# %%
import gc

del in_dtype
gc.collect()
torch.cuda.empty_cache()

# %% [markdown] lang="ja"
# ## GPU がないとき
#
# できることはたくさんあります。
#
# - **小さいモデルを使う**：同梱の `aozora-mini` は、どのマシンでもすぐ動きます。
# - **文の数を減らす、短くする**：`num_return_sequences=1`、`max_length=50`
# - **待つ**：`japanese-gpt-1b` も CPU で動きます。時間がかかるだけです。
# - **重みを 1 バイトにする**：[04b](04b_cpu.ipynb) で試します。
# - **教室の GPU を使う**：下の「教室のサーバー」です。
# - **Mac**：Apple シリコンの GPU は `device="mps"` と書いたときだけ使います。この教材では測っていません。

# %% [markdown] lang="en"
# ## Without a GPU
#
# There is much you can do:
#
# - **a smaller model**: the bundled `aozora-mini` runs at once on any machine;
# - **fewer and shorter texts**: `num_return_sequences=1`, `max_length=50`;
# - **patience**: `japanese-gpt-1b` runs on a CPU too, it only takes time;
# - **one byte a weight**: see [04b](04b_cpu.ipynb);
# - **the class's GPU**: see "The class's server" below;
# - **a Mac**: the GPU of an Apple chip is used only if you write `device="mps"`. It was not measured for these lessons.

# %% [markdown] lang="ja"
# ## 教材の関数で
#
# ここまでの判断をまとめたのが `choose_device` です。答えと**理由**を返します。ないものを頼むと、次に何をすればよいかを言います。

# %% [markdown] lang="en"
# ## With our own functions
#
# `choose_device` makes these decisions and returns the answer with its **reason**. If you ask for what the machine does not have, it tells you what to do.

# %% tags=["varies"]
from helpers.device import choose_device

print(choose_device().reason)
for place in ("cpu", "cuda", "mps"):
    try:
        print(place, "→", choose_device(place).reason)
    except ValueError as error:
        print(place, "→", error)

# %% [markdown] lang="ja"
# `load_model` は、モデルを選び、`dtype` を決め、読み込んで、移すところまで行います。`"auto"` なら、選んだ理由も表示します。`"auto"` は、十分な GPU があれば `rinna/japanese-gpt-1b` です（約 2.6 GB のダウンロード）。入力は、`generate` がモデルと同じ場所に移します。

# %% [markdown] lang="en"
# `load_model` chooses the model and its `dtype`, loads it and moves it; with `"auto"` it says why it chose. `"auto"` is `rinna/japanese-gpt-1b` where there is a GPU large enough (a download of about 2.6 GB). `generate` puts the input where the model is.

# %% tags=["varies"]
from helpers.sampling import SamplingSettings, generate

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
print(language_model.name, language_model.device, language_model.dtype)

start = time.perf_counter()
generation = generate(language_model, text, SamplingSettings(seed=12))
seconds = time.perf_counter() - start
written = sum(len(sequence.steps) for sequence in generation.sequences)
print(generation.sequences[0].text)
print(
    f"{written / seconds:.0f}",
    say("トークン/秒（三つの文を合わせて）", "tokens/s (three texts together)"),
)

# %% [markdown] lang="ja"
# ## 教室のサーバー
#
# 一台の GPU を、教室の全員で使えます。先生が `make serve MODEL=rinna/japanese-gpt-1b` でサーバーを立て、住所と合い言葉（キー）を配ります。あなたの側で変わるのは、`load_model` の一行だけです。重みは先生の GPU にあり、あなたのマシンは id を送って、id を受け取ります。サーバーがなければ、次のセルは何もしません。

# %% [markdown] lang="en"
# ## The class's server
#
# A whole class can share one GPU. The teacher starts a server with `make serve MODEL=rinna/japanese-gpt-1b` and hands out its address and key. On your side only the line with `load_model` changes. The weights stay on the teacher's GPU; your machine sends ids and receives ids. Without a server the next cell does nothing.

# %% tags=["varies"]
SERVER = ""  # @param {type:"string"}
KEY = ""  # @param {type:"string"}

if SERVER:
    import os

    os.environ["HELPERS_SERVER_KEY"] = KEY
    shared = load_model("auto", engine="server", url=SERVER)
    print(generate(shared, text, SamplingSettings(seed=12)).sequences[0].text)
else:
    print(
        say(
            "サーバーの住所がないので、飛ばします。",
            "There is no server's address, so this is skipped.",
        )
    )

# %% [markdown] lang="ja"
# ## CPU と GPU で文は違う
#
# 同じモデル、同じ設定、同じシードでも、CPU と GPU では文が違います。乱数の作り方と、計算の細かい丸めが違うからです。`dtype` が違えば、丸めはもっと違います。どちらかが間違いというわけではありません。このページの文は CPU で作りました。Colab の GPU では試していません。

# %% [markdown] lang="en"
# ## CPU and GPU write different texts
#
# The same model, settings and seed: still a CPU and a GPU write different texts, since they make their random numbers and round their sums differently. With another `dtype` the rounding differs even more. Neither text is wrong. The texts on this page were made on a CPU; a Colab GPU was not tried.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 次のコードは、GPU のあるマシンで失敗します。どのマシンでも動くように直した関数を書いてください。返すのは、`model` と同じ場所にある `ids` です。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** This code fails on a machine with a GPU. Write a function that runs on any machine: it returns `ids` in the place where `model` is.


# %% tags=["exercise"]
def move(ids, model):
    ids.to(model.device)  # どこがいけないでしょうか || what is wrong here?
    return ...


# %% tags=["check"]
# @title 答え合わせ || Check
from types import SimpleNamespace

from helpers.answers import check


def test(move):
    for place in ("cpu", "meta"):
        moved = move(torch.tensor([[1, 2, 3]]), SimpleNamespace(device=torch.device(place)))
        assert isinstance(moved, torch.Tensor), say(
            "テンソルを返していません。return ids のように返してください。",
            "It does not return a tensor: write return ids.",
        )
        assert moved.device.type == place, say(
            "入力の .to は、移した写しを返します。ids = ids.to(...) と受け取りましたか。",
            "`.to` of an input returns a moved copy. Did you keep it, with ids = ids.to(...)?",
        )
    return say(
        "どこにモデルがあっても、入力が付いていきます。",
        "The input follows the model wherever it is.",
    )


check(move, test)

# %% tags=["cases"]
RIGHT = [
    "def move(ids, model):\n    ids = ids.to(model.device)\n    return ids",
    "move = lambda ids, model: ids.to(device=model.device)",
]
WRONG = {
    "def move(ids, model):\n    ids.to(model.device)\n    return ids": "ids = ids.to",
    "def move(ids, model):\n    ids = ids.to(model.device)": "return",
}


# %% tags=["solution"]
def move(ids, model):
    ids = ids.to(model.device)
    return ids


# %% [markdown] lang="ja"
# **練習 2.** 文の数を 1、2、4、8 と増やして、一秒に書けるトークンの合計を測ってください。どこまで増えるでしょうか。

# %% [markdown] lang="en"
# **Exercise 2.** Let the number of texts grow: 1, 2, 4, 8. Measure how many tokens a second are written in all. How far does it grow?

# %% tags=["exercise"]

# %% tags=["solution", "varies"]
sizes = [1, 2, 4, 8]
bar_chart(
    sizes,
    [tokens_per_second(model, sequences=size) for size in sizes],
    unit=say("トークン/秒", "tokens/s"),
)

# %% [markdown] lang="ja" tags=["solution"]
# 同時に進める文が多いほど、合計は増えます。あるところから先は、マシンの力の限界で増え方が小さくなります。GPU では、その限界がずっと先にあります。

# %% [markdown] lang="en"
# The more texts go forward together, the more tokens in all. From some point on it grows less, at the limit of the machine. On a GPU that limit lies much further out.

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** あなたのマシンで `rinna/japanese-gpt-1b` を動かすとしたら、どのデバイスで、どの `dtype` にしますか。上の表と、このマシンの空きから、理由を書いてください。

# %% [markdown] lang="en"
# **Exercise 3 (open).** If you were to run `rinna/japanese-gpt-1b` on your machine: on which device, and in which `dtype`? Give the reason from the table above and what is free here.

# %% tags=["exercise"]
my_choice = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
my_choice = say(
    "CPU で int8。表では約 2 GB で、空きに収まる。GPU があれば、T4 の float16 を選ぶ。",
    "On the CPU in int8: about 2 GB by the table, which fits into what is free. With a GPU, float16 on a T4.",
)
print(my_choice)

# %% [markdown] lang="ja"
# ## まとめ
#
# - Colab の GPU は「ランタイムのタイプを変更」で、最初に選びます。
# - モデルと入力を同じ場所に置きます。入力の `.to` は、受け取るのを忘れないでください。
# - `dtype` は数の形式で、重み一つのバイト数、精度、範囲を決めます。CPU では `float32`、T4 では `float16` を使います。
# - GPU がなくても、小さいモデルと短い文で学べます。
#
# CPU の速さの限界と int8、`no_grad`、KV キャッシュは、[04b](04b_cpu.ipynb) にあります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - In Colab choose the GPU first, under **Change runtime type**.
# - Model and input must be in the same place. Keep what `.to` of an input returns.
# - The `dtype` is the number format: it sets bytes, precision and range of a weight. Use `float32` on a CPU, `float16` on a T4.
# - Without a GPU you can learn with a small model and short texts.
#
# The limit of a CPU's speed, int8, `no_grad` and the KV cache are in [04b](04b_cpu.ipynb).
#
# {{nav}}
