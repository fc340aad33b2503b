# %% [markdown] lang="ja"
# # 04 GPU を使う
#
# {{badge}}
#
# {{picture sizes}}
#
# {{way vectors blocks scores}}
#
# 元の記事の最後の手順です。計算を GPU に移して、文をもっと速く書かせます。上の棒は、同じモデルが数の形式によってどれだけのメモリを使うかです。GPU がないマシンでも、最後まで動きます。
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
# {{picture sizes}}
#
# {{way vectors blocks scores}}
#
# This is the article's last step: moving the work to a GPU so that texts are written faster. The bars above show how much memory one model takes in different number formats. You can run the whole lesson without a GPU, too.
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
# Generating text is nearly all multiplication and addition. Each operation is easy, but there are a great many. A CPU does complicated jobs, a few at a time. A GPU does thousands of simple ones at once. So the larger the model, the more a GPU helps.
#
# `True` means that this machine has one.

# %% tags=["varies"]
import torch

print(torch.cuda.is_available())
if torch.cuda.is_available():
    print(torch.cuda.get_device_name())
else:
    print(
        say(
            "GPU は見つかりません。このレッスンは CPU だけで最後まで動きます。",
            "No GPU was found. You can run the whole lesson on the CPU.",
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
# {{picture menu}}
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
# {{picture menu}}
#
# When the article was written, the option in step 3 was simply called "GPU".

# %% tags=["build"]
from pathlib import Path

import helpers

images = Path(helpers.__file__).resolve().parent.parent / "docs" / "images"
picture(
    "menu",
    (images / f"gpu-runtime-{LANG}.svg").read_text(encoding="utf-8"),
    say("Colab で GPU を選ぶ手順。", "How to choose a GPU in Colab."),
    width=760,
)

# %% [markdown] lang="ja"
# 気をつけることが二つあります。
#
# - ランタイムのタイプを変えると、別のマシンになります。変数もダウンロードしたモデルも消えます。**GPU は最初に選びましょう。**
# - 無料の GPU には数に限りがあります。使えないと言われたら、CPU のまま進むか、時間をおいてください。

# %% [markdown] lang="en"
# Two things to know:
#
# - Changing the runtime type gives you another machine. Variables and downloaded models are gone. **Choose the GPU first.**
# - Free GPUs are limited. If Colab has none for you, go on with the CPU or try again later.


# %% [markdown] lang="ja"
# ## モデルはどこにあるか
#
# 小さいモデルを、まず CPU に読み込みます。モデルの中身は、数の並び（重み）です。重みには、置き場所（device）と、数の形式（dtype）があります。

# %% [markdown] lang="en"
# ## Where is the model?
#
# We load the small model, on the CPU to begin with. A model consists of arrays of numbers, its weights. Weights have a place (the device) and a number format (the dtype).

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
# We choose `"cuda"` if there is a GPU and `"cpu"` otherwise, and move the model there. Written this way, the same code runs on both kinds of machine.

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
# The numbers that a tokenizer produces are always on the CPU. If the model is on the GPU, its input must be moved there too.

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
# What if you forget? A GPU and a CPU have separate memories. If one factor of a product is in the other memory, the processor doing the multiplication cannot see it. That is why both must be in the same place.
#
# We try it with `meta`, a pretend device that every machine has.

# %% tags=["varies"]
here = torch.ones(3)
elsewhere = torch.ones(3, device="meta")
try:
    here + elsewhere
except RuntimeError as error:
    print(error)

# %% [markdown] lang="ja"
# `expected device` や `same device` という言葉を見たら、`.to(model.device)` の書き忘れを疑ってください。
#
# もう一つ、よくある間違いがあります。モデルの `.to` はモデルそのものを移します。入力の `.to` は、移した**写し**を返します。だから `input_ids = ` と受け取る必要があります。

# %% [markdown] lang="en"
# When you see `expected device` or `same device`, look for a missing `.to(model.device)`.
#
# Another common mistake: `.to` on a model moves the model itself, but `.to` on an input returns a moved **copy**. So you have to keep the result, with `input_ids = `.

# %%
ids = torch.tensor([1, 2, 3])
ids.to("meta")
print(ids.device)

ids = ids.to("meta")
print(ids.device)

# %% [markdown] lang="ja"
# ## 元の記事の GPU 版を動かす
#
# これで、元の記事の GPU 版が読めます。`attention_mask` とシードを足し、文は一つにしました。GPU がないマシンでは、同じコードが CPU で動きます。

# %% [markdown] lang="en"
# ## The article's GPU version
#
# Now you can read the article's GPU version. We added the `attention_mask` and a seed, and ask for one text only. Without a GPU the same code runs on the CPU.

# %% tags=["varies"]
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}

torch.manual_seed(15)
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

print(tokenizer.decode(output[0], skip_special_tokens=True))

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
# How many tokens per second? Three things make the measurement fair:
#
# - **Warm-up**: the first run includes preparations, so we discard it.
# - **Waiting**: a GPU returns before its work is done. `synchronize` waits until it has finished.
# - **Equal length**: `min_new_tokens` and `max_new_tokens` are the same.

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
# **予想してみましょう。** このマシンでは、一秒に何トークン書けるでしょうか。GPU があるなら、CPU の何倍でしょうか。

# %% [markdown] lang="en"
# **Predict:** how many tokens per second can this machine write? And if it has a GPU, how many times as many as on the CPU?

# %% tags=["varies"]
from helpers.language import say

for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
    speed = tokens_per_second(model.to(device))
    print(device, f"{speed:.0f}", say("トークン/秒", "tokens/s"))

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
# The dtype determines how many bytes hold one weight. Three are common:
#
# - `float32`: 4 bytes. Precise, with a wide range.
# - `float16`: 2 bytes. About half the digits, and no large numbers.
# - `bfloat16`: 2 bytes. Nearly the range of `float32`, but even fewer digits.
#
# We store one third and 70000 in each.

# %%
from helpers.charts import table

dtypes = [torch.float32, torch.float16, torch.bfloat16]
names = [str(dtype).removeprefix("torch.") for dtype in dtypes]
thirds = [torch.tensor(1 / 3, dtype=dtype).item() for dtype in dtypes]
large = [torch.tensor(70000.0, dtype=dtype).item() for dtype in dtypes]
table(
    {
        "dtype": names,
        say("バイト", "bytes"): [dtype.itemsize for dtype in dtypes],
        say("1/3 を入れると", "one third becomes"): [f"{number:.9f}" for number in thirds],
        say("70000 を入れると", "70000 becomes"): [f"{number:.0f}" for number in large],
        say("一番大きい数", "largest number"): [f"{torch.finfo(d).max:.2g}" for d in dtypes],
    },
    align=["left", "right", "right", "right", "right"],
)


# %% [markdown] lang="ja"
# `inf` は「大きすぎて表せない」という意味です。`bfloat16` は範囲は広いのですが、けた数が少ないので、70000 が 70144 に丸められました。
#
# では、モデルの大きさはどう変わるでしょうか。

# %% [markdown] lang="en"
# `inf` means "too large for this format". `bfloat16` has the range but few digits, so 70000 was rounded to 70144.
#
# How does this change the size of the model?

# %%
import copy

from helpers.charts import bar_chart

in_dtype = {dtype: copy.deepcopy(model).to("cpu", dtype) for dtype in dtypes}
sizes = [in_dtype[dtype].get_memory_footprint() / 1e6 for dtype in dtypes]
bar_chart(names, sizes, title=say("重みの大きさ", "Size of the weights"), unit="MB")

# %% [markdown] lang="ja"
# 半分になりました。
#
# **予想してみましょう。** CPU での速さも、二倍になるでしょうか。

# %% [markdown] lang="en"
# Half the size.
#
# **Predict:** will it also be twice as fast on the CPU?

# %% tags=["varies"]
cpu_speed = {dtype: tokens_per_second(in_dtype[dtype], tokens=15) for dtype in dtypes}
bar_chart(
    names,
    cpu_speed.values(),
    title=say("CPU での速さ", "Speed on the CPU"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% tags=["varies"]
from helpers.device import bfloat16_unit

unit = bfloat16_unit()
none = say("なし", "none")
print(say("この CPU の bfloat16 の回路:", "This CPU's unit for bfloat16:"), unit or none)
times = say("倍（float32 を 1 として）", "times float32")
for dtype in dtypes[1:]:
    print(dtype, f"{cpu_speed[dtype] / cpu_speed[torch.float32]:.2f}", times)

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
# Many CPUs are not good at 2-byte formats (half precision). They convert each number to `float32` first, which can make things slower. CPUs with special units (AMX or AVX512-BF16) are the exception: there, `bfloat16` can be faster than `float32`.
#
# Which `dtype` where? The compute capability is NVIDIA's number for a GPU's generation.
#
# | Device | Has units for | What these lessons choose |
# |---|---|---|
# | CPU (most) | `float32` | `float32` |
# | CPU with AMX or AVX512-BF16 | `float32`, `bfloat16` | `bfloat16` from 300 million weights up, otherwise `float32` |
# | T4 (7.5) | `float32`, `float16` | `float16` |
# | A100, L4 and others (8.0 or higher) | all of them | `bfloat16`, which copes with large numbers |
#
# A model's file has a dtype too. By default, `transformers` now loads the weights in the file's dtype. The file of `rinna/japanese-gpt-1b` is in half precision, so if you load it as the article does, it is in half precision on a CPU as well. To be sure, write `from_pretrained(..., dtype=torch.float32)`.

# %% [markdown] lang="ja"
# ## どのモデルが載るか
#
# 必要なメモリは、だいたい計算できます。重みの数 × 一つのバイト数が土台です。計算の途中の値なども要るので、1.6 倍を見込みます。1.6 は、`japanese-gpt-1b` と同じ形のモデルを CPU の `float32` で動かして測りました。GPU や int8 では測っていないので、目安です。

# %% [markdown] lang="en"
# ## Which models fit?
#
# You can estimate the memory you need: the number of weights, times the bytes of each, times 1.6 for intermediate values and the like. The 1.6 was measured on a model with the shape of `japanese-gpt-1b`, in `float32` on a CPU. It was not measured on a GPU or in int8, so treat it as a rough guide.

# %%
from helpers.models import CATALOGUE


def needed(itemsize):
    return [f"{info.memory_bytes(itemsize) / 1e9:.2f} GB" for info in CATALOGUE.values()]


table(
    {
        say("モデル", "model"): CATALOGUE,
        "float32": needed(4),
        "float16, bfloat16": needed(2),
        "int8": needed(1),
    }
)

# %% tags=["build"]
large = CATALOGUE["rinna/japanese-gpt-1b"]
picture(
    "sizes",
    bar_chart(
        ["float32", "float16, bfloat16", "int8"],
        [large.memory_bytes(size) / 1e9 for size in (4, 2, 1)],
        title=say(
            "japanese-gpt-1b が使うメモリ（見積もり）", "Memory for japanese-gpt-1b (estimated)"
        ),
        unit="GB",
    ),
    say(
        "japanese-gpt-1b が使うメモリの見積もりを、三つの数の形式で比べた棒。",
        "Bars: the estimated memory for japanese-gpt-1b in three number formats.",
    ),
)

# %% [markdown] lang="ja"
# このマシンの空きと比べてください。GB は 10 億バイトです。Colab の画面では、CPU ランタイムが 12.7 GB と出ますが、単位は GiB（約 10.7 億バイト）なので、この表の単位では約 13.6 GB です。T4 のメモリは 16 GB です。Python と PyTorch の分も要るので、ぎりぎりは避けてください。本物の T4 と、本物の 13 億の重みでは、試していません。

# %% [markdown] lang="en"
# Compare this with what is free on your machine. GB means 1,000,000,000 bytes. Colab shows 12.7 GB for its CPU runtime, but counts in GiB (about 1.07 GB each), so that is about 13.6 GB in the units of this table. A T4 has 16 GB. Python and PyTorch need some memory too, so leave some room. We have not tried this on a real T4 or with the real 1.3 billion weights.

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
# If the GPU runs out of memory, you see `CUDA out of memory. Tried to allocate ...`: the program asked for that much more, and it was not available. Nothing is broken. Try these, in order:
#
# 1. a smaller `num_return_sequences`
# 2. a shorter `max_length`
# 3. loading in `float16`
# 4. a smaller model
# 5. deleting models you no longer need (the code below)
# 6. if all else fails, restart the runtime and run everything from the top

# %% [markdown] lang="ja"
# 使い終わったモデルを消すには、変数を消してから、PyTorch が取っておいたメモリを返させます。`del` だけでは、返らないことがあります。上で作った三つの写しで、書き方を見ておきましょう。この写しは CPU にありますが、GPU でも書き方は同じです。

# %% [markdown] lang="en"
# To get rid of a model, delete its variable, then have PyTorch release the memory it holds on to. `del` alone may not be enough. Here is how to do it with the three copies made above. They are on the CPU, but the code is the same for a GPU.

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
# There is a lot you can do:
#
# - **a smaller model**: the bundled `aozora-mini` runs at once on any machine;
# - **fewer and shorter texts**: `num_return_sequences=1`, `max_length=50`;
# - **patience**: `japanese-gpt-1b` runs on a CPU too; it just takes time;
# - **one byte per weight**: see [04b](04b_cpu.ipynb);
# - **the classroom's GPU**: see "The class server" below;
# - **a Mac**: the GPU of an Apple chip is used only if you write `device="mps"`. We have not measured it for these lessons.

# %% [markdown] lang="ja"
# ## 教材の関数で
#
# ここまでの判断をまとめたのが `choose_device` です。答えと**理由**を返します。ないものを頼むと、次に何をすればよいかを言います。

# %% [markdown] lang="en"
# ## With our own functions
#
# `choose_device` makes these decisions for you and returns its choice with the **reason**. If you ask for something the machine does not have, it tells you what to do.

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
# `load_model` chooses the model and its `dtype`, loads the model and moves it to the device; with `"auto"` it also says why it chose that model. `"auto"` is `rinna/japanese-gpt-1b` if there is a large enough GPU (a download of about 2.6 GB). `generate` moves the input to where the model is.

# %% tags=["varies"]
from helpers.sampling import SamplingSettings, generate

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
print(language_model.name, language_model.device, language_model.dtype)

start = time.perf_counter()
generation = generate(language_model, text, SamplingSettings(seed=15))
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
# 一台の GPU を、教室の全員で使えます。先生が `make serve MODEL=rinna/japanese-gpt-1b` でサーバーを立て、アドレスと合い言葉（キー）を配ります。あなたの側で変わるのは、`load_model` の一行だけです。重みは先生の GPU にあり、あなたのマシンは id を送って、id を受け取ります。サーバーがなければ、次のセルは何もしません。

# %% [markdown] lang="en"
# ## The class server
#
# A whole class can share one GPU. The teacher starts a server with `make serve MODEL=rinna/japanese-gpt-1b` and hands out its address and key. On your side only the line with `load_model` changes. The weights stay on the teacher's GPU; your machine sends ids and gets ids back. Without a server, the next cell does nothing.

# %% tags=["varies"]
SERVER = ""  # @param {type:"string"}
KEY = ""  # @param {type:"string"}

if SERVER:
    import os

    os.environ["HELPERS_SERVER_KEY"] = KEY
    shared = load_model("auto", engine="server", url=SERVER)
    print(generate(shared, text, SamplingSettings(seed=15)).sequences[0].text)
else:
    print(
        say(
            "サーバーのアドレスがないので、飛ばします。",
            "No server address given, so this is skipped.",
        )
    )

# %% [markdown] lang="ja"
# ## CPU と GPU で文は違う
#
# 同じモデル、同じ設定、同じシードでも、CPU と GPU では文が違います。乱数の作り方と、計算の細かい丸めが違うからです。`dtype` が違えば、丸めはもっと違います。どちらかが間違いというわけではありません。このページの文は CPU で作りました。Colab の GPU では試していません。

# %% [markdown] lang="en"
# ## CPU and GPU write different texts
#
# Even with the same model, settings and seed, a CPU and a GPU write different texts, because they generate random numbers and round differently. With a different `dtype` the rounding differs even more. Neither text is wrong. The texts on this page were written on a CPU; we have not tried a Colab GPU.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 次のコードは、GPU のあるマシンで失敗します。どのマシンでも動くように直した関数を書いてください。返すのは、`model` と同じ場所にある `ids` です。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** This code fails on a machine with a GPU. Rewrite the function so that it works on any machine: it returns `ids` on the device where `model` is.


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
            "The function does not return a tensor. Return it, as in return ids.",
        )
        assert moved.device.type == place, say(
            "入力の .to は、移した写しを返します。ids = ids.to(...) と受け取りましたか。",
            "`.to` on an input returns a moved copy. Did you keep it, with ids = ids.to(...)?",
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


ids = torch.tensor([1, 2, 3])
elsewhere = SimpleNamespace(device=torch.device("meta"))
print(ids.device, "→", move(ids, elsewhere).device)

# %% [markdown] lang="ja"
# **練習 2.** 文の数を 1、2、4、8 と増やして、一秒に書けるトークンの合計を測ってください。どこまで増えるでしょうか。

# %% [markdown] lang="en"
# **Exercise 2.** Increase the number of texts: 1, 2, 4, 8. Measure how many tokens per second are written in total. How far does it go up?

# %% tags=["exercise"]

# %% tags=["solution", "varies"]
sizes = [1, 2, 4, 8]
totals = [tokens_per_second(model, sequences=size) for size in sizes]
bar_chart(sizes, totals, unit=say("トークン/秒", "tokens/s"))

# %% [markdown] lang="ja" tags=["solution"]
# 同時に進める文が多いほど、合計は増えます。あるところから先は、マシンの力の限界で増え方が小さくなります。GPU では、その限界がずっと先にあります。

# %% [markdown] lang="en"
# The more texts advance together, the more tokens in total. At some point the gain gets smaller, as the machine reaches its limit. On a GPU that limit is much further away.

# %% tags=["build"]
claim(
    say(
        "同時に進める文が多いほど、合計は増えます。",
        "The more texts advance together, the more tokens in total.",
    ),
    totals[-1] > totals[0],
)

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** あなたのマシンで `rinna/japanese-gpt-1b` を動かすとしたら、どのデバイスで、どの `dtype` にしますか。上の表と、このマシンの空きから、理由を書いてください。

# %% [markdown] lang="en"
# **Exercise 3 (open).** If you were to run `rinna/japanese-gpt-1b` on your machine, on which device would you run it, and in which `dtype`? Give your reasons, based on the table above and the free memory of this machine.

# %% tags=["exercise"]
my_choice = ""  # @param {type:"string"}

# %% tags=["solution", "varies"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
free = psutil.virtual_memory().available
for itemsize, name in ((4, "float32"), (2, "float16, bfloat16"), (1, "int8")):
    fits = CATALOGUE["rinna/japanese-gpt-1b"].memory_bytes(itemsize) < free
    print(name, say("入る", "fits") if fits else say("入らない", "does not fit"))
my_choice = say(
    "CPU では float32（AMX か AVX512-BF16 があれば bfloat16）。入らなければ int8。T4 があれば float16 を選ぶ。",
    "On a CPU, float32 (bfloat16 with AMX or AVX512-BF16), or int8 if that does not fit; with a T4, float16.",
)
print(my_choice)

# %% [markdown] lang="ja"
# ## まとめ
#
# - Colab の GPU は「ランタイムのタイプを変更」で、最初に選びます。
# - モデルと入力を同じ場所に置きます。入力の `.to` は、受け取るのを忘れないでください。
# - `dtype` は数の形式で、重み一つのバイト数、精度、範囲を決めます。ふつうの CPU では `float32`、T4 では `float16`、A100 などでは `bfloat16` を使います。
# - GPU がなくても、小さいモデルと短い文で学べます。
#
# CPU の速さの限界と int8、`no_grad`、KV キャッシュは、[04b](04b_cpu.ipynb) にあります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - In Colab, choose the GPU first, under **Change runtime type**.
# - Model and input must be in the same place. Keep what `.to` on an input returns.
# - The `dtype` is the number format: it determines the bytes, precision and range of a weight. Use `float32` on most CPUs, `float16` on a T4, `bfloat16` on an A100 and the like.
# - Without a GPU you can learn with a small model and short texts.
#
# What limits a CPU's speed, int8, `no_grad` and the KV cache are covered in [04b](04b_cpu.ipynb).
#
# {{nav}}
