# %% [markdown] lang="ja"
# # 04 GPU を使う
#
# {{badge}}
#
# 計算を GPU に移して、文をもっと速く書かせます。GPU がないマシンでも、最後まで動きます。
#
# **できるようになること**
#
# - Colab で GPU を選べます。
# - GPU があるかどうかを調べ、モデルと入力を同じ場所に置けます。
# - `float32` と `float16`、`no_grad` の違いを、速さとメモリで説明できます。
# - 自分のマシンで、速さとメモリを測れます。
# - GPU がないとき、メモリが足りないときに、次の一手を選べます。
# - CPU で文を速く書かせ、速さの限界を見積もれます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 40 分（実行だけなら約 1 分） | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | なくても最後まで動く |

# %% [markdown] lang="en"
# # 04 Using a GPU
#
# {{badge}}
#
# We move the work to a GPU and have texts written faster. The lesson runs to the end without one as well.
#
# **You will be able to**
#
# - choose a GPU in Colab
# - find out whether there is a GPU, and put model and input in the same place
# - explain `float32`, `float16` and `no_grad` by their speed and memory
# - measure speed and memory on your own machine
# - choose what to do without a GPU, or when memory runs out
# - have a CPU write faster, and estimate the limit of its speed
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 40 minutes (running it: about 1 minute) | none (0.15 to 2.6 GB with another model) | about 1 GB | runs to the end without one |

# %% [markdown] lang="ja"
# ## 準備
#
# 準備のセルを実行します。説明はレッスン 1 にあります。

# %% [markdown] lang="en"
# ## Setup
#
# Run the setup cell. Lesson 1 explains it.

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# ## モデルを選ぶ
#
# 前半は、どこでもすぐ動く同梱の小さいモデルを使います。ここで選ぶモデルは、後半で使います。
#
# `"auto"` は、使える GPU があれば `rinna/japanese-gpt-1b` です（ダウンロード約 2.6 GB）。なければ同梱の `aozora-mini` です（ダウンロードなし）。
# ほかは、xsmall が約 150 MB、small が約 440 MB、medium が約 1.3 GB です。

# %% [markdown] lang="en"
# ## Choosing a model
#
# The first half uses the small bundled model, which runs anywhere at once. The model chosen here is for the second half.
#
# `"auto"` is `rinna/japanese-gpt-1b` where there is a GPU that holds it (about 2.6 GB to download), else the bundled `aozora-mini`
# (no download). The others: xsmall about 150 MB, small about 440 MB, medium about 1.3 GB.

# %%
MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]

# %% [markdown] lang="ja"
# ## GPU とは
#
# 文を書く計算は、ほとんどが掛け算と足し算です。一つの計算は簡単ですが、数がとても多いのです。CPU は、込み入った仕事を、一度に数個ずつ片づけます。GPU は、簡単な計算を何千も同時に進めます。だから大きなモデルほど、GPU が役に立ちます。

# %% [markdown] lang="en"
# ## What a GPU is
#
# Writing text is nearly all multiplying and adding. Each sum is easy, but there are very many. A CPU does hard jobs a few at a time. A
# GPU does thousands of easy ones at once. So the larger the model, the more a GPU helps.

# %% [markdown] lang="ja"
# ## GPU があるか調べる
#
# 元の記事と同じ調べ方です。`True` なら GPU があります。

# %% [markdown] lang="en"
# ## Is there a GPU?
#
# The check is the article's. `True` means yes.

# %% tags=["varies"]
import torch

torch.cuda.is_available()

# %% tags=["varies"]
from helpers.language import say

if torch.cuda.is_available():
    name = torch.cuda.get_device_name()
    print(say(f"GPU があります: {name}", f"There is a GPU: {name}"))
else:
    print(
        say(
            "GPU は見つかりません。このレッスンは CPU だけで最後まで動きます。"
            "Colab では、次の手順で GPU を使えます。",
            "No GPU was found. This lesson runs to the end on the CPU alone. "
            "In Colab you get one with the steps below.",
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

# %%
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
# 忘れるとどうなるでしょうか。どのマシンにもある `meta` という見せかけの場所で、試します。場所の違う二つを足すと、エラーになります。GPU でも同じ種類のエラーが出ます。

# %% [markdown] lang="en"
# What if you forget? We try it with `meta`, a make-believe device that every machine has. Adding two things in different places fails.
# With a GPU the error is of the same kind.

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
# これで、元の記事の GPU 版が読めます。名前の付け間違いを直し、`attention_mask` を足しました（レッスン 3）。GPU がないマシンでは、同じコードが CPU で動きます。

# %% [markdown] lang="en"
# ## The article's GPU version
#
# Now the article's GPU version can be read. Its names are put right and the `attention_mask` is added (lesson 3). Without a GPU the
# same code runs on the CPU.

# %% tags=["varies"]
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}

torch.manual_seed(42)
with torch.no_grad():
    output = model.generate(
        input_ids.to(model.device),
        attention_mask=torch.ones_like(input_ids),
        min_length=50,
        max_length=100,
        do_sample=True,
        top_k=500,
        top_p=0.95,
        num_return_sequences=3,
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
# このマシンにある場所を全部試します。GPU がなければ、棒は一本だけです。**GPU があるなら、何倍速いか予想してください。小さいモデルでは、差は小さいかもしれません。**

# %% [markdown] lang="en"
# We try every place this machine has. Without a GPU there is one bar. **With a GPU, guess how many times faster it is. For a small model
# the difference may be small.**

# %% tags=["varies"]
from helpers.charts import bar_chart

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
# 三分の一と 70000 を入れて、どうなるか見ます。**どの形式で、おかしなことが起きるでしょうか。**

# %% [markdown] lang="en"
# ## Number formats: dtype
#
# The dtype says how many bytes hold one weight. Three are common:
#
# - `float32`: 4 bytes. Precise, with a wide range.
# - `float16`: 2 bytes. About half the digits, and no large numbers.
# - `bfloat16`: 2 bytes. Nearly the range of `float32`, but still fewer digits.
#
# We put one third and 70000 into each. **Where does something odd happen?**

# %%
from helpers.charts import table

dtypes = [torch.float32, torch.float16, torch.bfloat16]
table(
    [
        [
            str(dtype).removeprefix("torch."),
            dtype.itemsize,
            f"{torch.tensor(1 / 3, dtype=dtype).item():.9f}",
            torch.tensor(70000.0, dtype=dtype).item(),
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
# 半分になりました。では、速さも二倍になるでしょうか。**CPU で予想してから、測ってください。**

# %% [markdown] lang="en"
# It is halved. Is it twice as fast, then? **Guess for the CPU, then measure.**

# %% tags=["varies"]
cpu_speed = {dtype: tokens_per_second(in_dtype[dtype], tokens=15) for dtype in dtypes}
bar_chart(
    [str(dtype).removeprefix("torch.") for dtype in dtypes],
    cpu_speed.values(),
    title=say("CPU での速さ", "Speed on the CPU"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% tags=["varies"]
for dtype in dtypes[1:]:
    ratio = cpu_speed[dtype] / cpu_speed[torch.float32]
    name = str(dtype).removeprefix("torch.")
    print(
        say(
            f"このマシンの CPU では、{name} の速さは float32 の {ratio:.2f} 倍です。",
            f"On this machine's CPU, {name} runs at {ratio:.2f} times the speed of float32.",
        )
    )

# %% [markdown] lang="ja"
# 多くの CPU は、2 バイトの形式（半精度）の計算が得意ではありません。毎回 `float32` に直してから計算するので、かえって遅くなることがあります。だからこの教材では、CPU ではふつう `float32` を使います。`bfloat16` の回路（AMX か AVX512-BF16）がある CPU で、3 億以上の重みを持つモデルを使うときだけ、`bfloat16` を選びます。
#
# GPU には、半精度のための回路があります。ただし種類によります。
#
# - Colab の T4（compute capability 7.5。これは NVIDIA の GPU の世代を表す番号です）：`float16` の回路があり、`bfloat16` の回路はありません。→ `float16`
# - compute capability 8.0 以上の GPU：両方あります。→ 大きな数に強い `bfloat16`

# %% [markdown] lang="en"
# Many CPUs are not good at formats of 2 bytes (half precision). They convert each number to `float32` first, which can make it slower. So
# on a CPU we normally use `float32`. Only where the CPU has circuits for `bfloat16` (AMX or AVX512-BF16), and the model has 300 million
# weights or more, do we choose `bfloat16`.
#
# GPUs have circuits for half precision, but it depends on the kind:
#
# - Colab's T4 (compute capability 7.5; NVIDIA's number for the generation) has them for `float16`, not for `bfloat16`. → `float16`
# - GPUs of compute capability 8.0 or more have both. → `bfloat16`, which copes with large numbers

# %% [markdown] lang="ja"
# モデルのファイルにも dtype があります。今の `transformers` は、何も言わなければファイルの dtype で読み込みます。`rinna/japanese-gpt-1b` のファイルは半精度です。だから元の記事のとおりに読み込むと、CPU でも半精度になります。読み込むときに `dtype=` を書くのが確実です。
#
# ```python
# model = AutoModelForCausalLM.from_pretrained("rinna/japanese-gpt-1b", dtype=torch.float32)
# ```

# %% [markdown] lang="en"
# A model's file has a dtype too. Unless told otherwise, `transformers` now loads in the file's dtype. The file of
# `rinna/japanese-gpt-1b` is in half precision, so loaded as in the article it is in half precision on a CPU as well. Saying `dtype=` is
# the sure way:
#
# ```python
# model = AutoModelForCausalLM.from_pretrained("rinna/japanese-gpt-1b", dtype=torch.float32)
# ```

# %% [markdown] lang="ja"
# ## `torch.no_grad`
#
# PyTorch は、計算の途中の値を取っておきます。あとで学習（重みの調整）に使うためです。文を書くだけなら、いりません。`torch.no_grad()` は「取っておかなくてよい」と伝えます。
#
# 取っておかれる値の大きさを測ります。コードは少し長いので、表だけ見てもかまいません。**`no_grad` の中では、何 MB でしょうか。**

# %% [markdown] lang="en"
# ## `torch.no_grad`
#
# PyTorch keeps values from the middle of a calculation, for training (adjusting the weights) later on. Writing text does not need them.
# `torch.no_grad()` says: no need to keep them.
#
# We measure how much is kept. The code is a little long; the table is what matters. **How many MB inside `no_grad`?**

# %% tags=["varies"]
from contextlib import nullcontext

model = model.to("cpu")
weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
batch = input_ids.to("cpu").repeat(3, 6)


def kept_in(mode):
    kept = {}

    def remember(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with mode, torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        logits = model(batch).logits
    size = sum(size for place, size in kept.items() if place not in weights)
    return [logits.requires_grad, f"{size / 1e6:.1f} MB"]


modes = {
    say("何もしない", "nothing"): nullcontext(),
    "torch.no_grad()": torch.no_grad(),
    "torch.inference_mode()": torch.inference_mode(),
}
table(
    [[name, *kept_in(mode)] for name, mode in modes.items()],
    header=["", "requires_grad", say("取っておかれる値", "values kept")],
    align=["left", "left", "right"],
)

# %% [markdown] lang="ja"
# `requires_grad` が `True` の結果は、学習に使えます。そのかわり、メモリを使います。
#
# `torch.inference_mode()` は `no_grad` より一歩進んだものです。PyTorch の内部の記録も省きます。そのかわり、できた値はあとで学習に使えません。

# %% [markdown] lang="en"
# A result whose `requires_grad` is `True` can be used for training. It costs memory.
#
# `torch.inference_mode()` goes a step further than `no_grad` and drops some of PyTorch's internal records too. In return, what comes out
# can never be used for training.

# %% [markdown] lang="ja"
# では、元の記事の `with torch.no_grad():` がないと、`generate` はメモリをたくさん使うのでしょうか。`no_grad` なしで呼んで、確かめます。

# %% [markdown] lang="en"
# So without the article's `with torch.no_grad():`, does `generate` use much memory? We call it without and look.

# %%
result = model.generate(
    input_ids.to("cpu"),
    attention_mask=torch.ones_like(input_ids.to("cpu")),
    max_new_tokens=3,
    return_dict_in_generate=True,
    output_logits=True,
    **special,
)
print(result.logits[0].requires_grad)

# %% [markdown] lang="ja"
# `False` です。`generate` は、中で自分で `no_grad` を使っています。元の記事の書き方は、間違いではありませんが、なくても同じです。`model(...)` を直接呼ぶときは、自分で書く必要があります。

# %% [markdown] lang="en"
# `False`: `generate` uses `no_grad` by itself. The article's way is not wrong, but makes no difference. When you call `model(...)`
# directly, it is up to you.

# %% [markdown] lang="ja"
# ## メモリを測る
#
# CPU のメモリは、プロセス（このノートブックを動かしているプログラム）が使っている量を見ます。GPU のメモリは、PyTorch が最大でどれだけ使ったかを見ます。

# %% [markdown] lang="en"
# ## Measuring memory
#
# For the CPU we ask how much memory the process (the program that runs this notebook) uses. For the GPU, PyTorch knows the most it has
# used.

# %% tags=["varies"]
import psutil

rows = [
    [
        say("このプロセスのメモリ", "memory of this process"),
        f"{psutil.Process().memory_info().rss / 1e9:.2f} GB",
    ],
    [
        say("マシンのメモリ（全部）", "memory of the machine, in all"),
        f"{psutil.virtual_memory().total / 1e9:.1f} GB",
    ],
    [
        say("マシンのメモリ（空き）", "memory of the machine, free"),
        f"{psutil.virtual_memory().available / 1e9:.1f} GB",
    ],
]
if torch.cuda.is_available():
    torch.cuda.reset_peak_memory_stats()
    seconds_to_write(model.to("cuda"), 30, 3)
    free, total = torch.cuda.mem_get_info()
    rows += [
        [
            say("GPU：書いている間の最大", "GPU: peak while writing"),
            f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB",
        ],
        [say("GPU：全部", "GPU: in all"), f"{total / 1e9:.1f} GB"],
        [say("GPU：空き", "GPU: free"), f"{free / 1e9:.1f} GB"],
    ]
table(rows, header=[say("何のメモリか", "what"), say("大きさ", "size")], align=["left", "right"])

# %% [markdown] lang="ja"
# ## どのモデルが載るか
#
# 必要なメモリは、だいたい計算できます。重みの数 × 一つのバイト数が土台です。計算の途中の値なども要るので、1.6 倍を見込みます。この 1.6 は、`japanese-gpt-1b` と同じ形のモデルを CPU で動かして測った値から決めました。GPU では測っていないので、目安です。
#
# 比べる相手は、Colab の CPU ランタイム（12.7 GB）と T4（16 GB）です。

# %% [markdown] lang="en"
# ## Which models fit?
#
# The memory needed can be estimated: the number of weights times the bytes of each, times 1.6 for values in the middle of the
# calculation and the like. The 1.6 comes from a measurement with a model of the shape of `japanese-gpt-1b` on a CPU. It was not
# measured on a GPU, so take it as a rough guide.
#
# We compare with Colab's CPU runtime (12.7 GB) and a T4 (16 GB).

# %%
from helpers.models import CATALOGUE

rows = []
for info in CATALOGUE.values():
    on_cpu, on_t4 = info.memory_bytes(torch.float32), info.memory_bytes(torch.float16)
    rows.append(
        [
            info.name,
            f"{info.parameters / 1e6:,.0f} M",
            f"{on_cpu / 1e9:.2f} GB",
            f"{on_cpu / 12.7e9:.0%}",
            f"{on_t4 / 1e9:.2f} GB",
            f"{on_t4 / 16e9:.0%}",
        ]
    )
table(
    rows,
    header=[
        say("モデル", "model"),
        say("重みの数", "weights"),
        "CPU, float32",
        say("12.7 GB のうち", "of 12.7 GB"),
        "T4, float16",
        say("16 GB のうち", "of 16 GB"),
    ],
    align=["left", "right", "right", "right", "right", "right"],
)

# %% [markdown] lang="ja"
# 100% より小さければ、載る見込みです。表の値のほかに、Python と PyTorch の分も要ります（さきほどの「このプロセスのメモリ」の大部分）。GPU も、準備だけで一部が使われます。ぎりぎりは避けてください。ここで試したのは CPU だけです。本物の T4 と、本物の 13 億の重みでは、試していません。

# %% [markdown] lang="en"
# Below 100% a model should fit. Python and PyTorch come on top (they are most of "memory of this process" above), and part of a GPU is
# taken by preparations alone, so leave some room. Only a CPU was tried here: neither a
# real T4 nor the real weights of the 1.3 billion model.

# %% [markdown] lang="ja"
# ### 文の数と長さもメモリを使う
#
# モデルは、読んだトークンごとに計算の結果を覚えておきます（KV キャッシュ）。トークン一つ分の大きさは「2 × 層の数 × 次元 × バイト数」です。文の数と長さに比例して増えます。`japanese-gpt-1b` を `float16` で動かすときの大きさを計算します。

# %% [markdown] lang="en"
# ### The number and length of texts cost memory too
#
# For every token it has read, the model remembers results (the KV cache). For one token that is 2 × layers × width × bytes, and it grows
# with the number of texts and their length. Here is the size for `japanese-gpt-1b` in `float16`.

# %%
large = CATALOGUE["rinna/japanese-gpt-1b"]
per_token = 2 * large.n_layer * large.n_embd * torch.float16.itemsize
lengths = [100, 500, 1000]
table(
    [
        [sequences, *(f"{per_token * sequences * length / 1e9:.2f} GB" for length in lengths)]
        for sequences in (1, 3, 30, 100)
    ],
    header=[
        say("文の数", "texts"),
        *(f"{length} {say('トークン', 'tokens')}" for length in lengths),
    ],
    align=["right"] * 4,
)

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
# - **文の数を減らす**：`num_return_sequences=1`
# - **短くする**：`max_length=50`
# - **待つ**：`japanese-gpt-1b` も CPU で動きます。時間がかかるだけです。
# - **速いエンジンを使う**：CPU 用のエンジンがあります。あとの「CPU で速く書く」で試します。
#
# 文の数と長さの効き目を測ります。**文の数を三分の一にすると、時間も三分の一になるでしょうか。**

# %% [markdown] lang="en"
# ## Without a GPU
#
# There is much you can do:
#
# - **a smaller model**: the bundled `aozora-mini` runs at once on any machine
# - **fewer texts**: `num_return_sequences=1`
# - **shorter texts**: `max_length=50`
# - **patience**: `japanese-gpt-1b` runs on a CPU too, it only takes time
# - **a fast engine**: there is one made for CPUs; see "Writing fast on a CPU" below
#
# Let us measure the number and the length. **With a third of the texts, will it take a third of the time?**

# %% tags=["varies"]
model = model.to("cpu")
choices = [(3, 60), (1, 60), (3, 20), (1, 20)]
seconds_to_write(model, 3, 3)
times = [
    min(seconds_to_write(model, tokens, sequences) for _ in range(3))
    for sequences, tokens in choices
]
bar_chart(
    [
        say(f"{sequences} 文 × {tokens} トークン", f"{sequences} × {tokens} tokens")
        for sequences, tokens in choices
    ],
    times,
    title=say("CPU でかかった時間", "Time on the CPU"),
    unit=say("秒", "s"),
)

# %% [markdown] lang="ja"
# 時間は、長さにほぼ比例します。トークンは一つずつ順番に書くしかないからです。文の数は、あまり効かないことが多いです。三つの文は同時に進むからです。

# %% [markdown] lang="en"
# The time grows nearly in step with the length, because tokens can only be written one after another. The number of texts often matters
# less, because three texts go forward together.

# %% [markdown] lang="ja"
# ### Mac の GPU（MPS）
#
# Apple シリコンの Mac の GPU は、PyTorch では `mps` というデバイスです（MPS は、Apple の計算用ソフトウェアの名前です）。このレッスンでは測っていません。教材のヘルパーは、`device="mps"` と書いたときだけ使います。

# %% [markdown] lang="en"
# ### The GPU of a Mac (MPS)
#
# PyTorch reaches the GPU of a Mac with an Apple chip as the device `mps`, after Apple's software MPS. It was not measured for this
# lesson. Our helpers use it only if you write `device="mps"`.

# %% [markdown] lang="ja"
# ## ヘルパー：`choose_device`
#
# ここまでの判断をまとめます。GPU があるか。どの dtype がよいか。ヘルパーの `choose_device` は、答えと**理由**を返します。

# %% [markdown] lang="en"
# ## The helper `choose_device`
#
# Is there a GPU? Which dtype suits it? The helper `choose_device` makes these decisions and returns the answer with its **reason**.

# %% tags=["varies"]
from helpers.device import choose_device

choice = choose_device()
print(choice.device)
print(choice.dtype)
print(choice.reason)

# %% [markdown] lang="ja"
# 場所を自分で決めることもできます。ないものを頼むと、次に何をすればよいかを言います。

# %% [markdown] lang="en"
# You can also ask for a place. If the machine does not have it, you are told what to do.

# %% tags=["varies"]
for place in ("cpu", "cuda", "mps"):
    try:
        print(place, "→", choose_device(place).reason)
    except ValueError as error:
        print(place, "→", error)

# %% [markdown] lang="ja"
# ## ヘルパー：`load_model`
#
# `load_model` は、モデルを選び、dtype を決め、読み込んで、移すところまで行います。はじめに `MODEL` で選んだモデルを読み込みます。`"auto"` なら、選んだ理由も表示します。

# %% [markdown] lang="en"
# ## The helper `load_model`
#
# `load_model` chooses the model and its dtype, loads it and moves it. Here comes the model you chose at the top. With `"auto"` it says
# why it chose.

# %% tags=["varies"]
language_model = load_model(MODEL)
print(language_model.name, language_model.device, language_model.dtype)

# %% [markdown] lang="ja"
# 入力は、ヘルパーの `generate` がモデルと同じ場所に移します。元の記事の設定で三つ書かせます。慣らし運転をしていないので、速さには最初の準備の時間も入ります。

# %% [markdown] lang="en"
# The helper `generate` puts the input where the model is. Here are three texts with the article's settings. There is no warming up, so
# the speed includes the first preparations.

# %% tags=["varies"]
from helpers.sampling import SamplingSettings, generate

start = time.perf_counter()
generation = generate(language_model, text, SamplingSettings(seed=42))
seconds = time.perf_counter() - start

for number, sequence in enumerate(generation.sequences, 1):
    print(f"[{number}] {sequence.text}\n")
written = sum(len(sequence.steps) for sequence in generation.sequences)
print(
    say(
        f"{written} トークンを {seconds:.1f} 秒で書きました（{written / seconds:.0f} トークン/秒）。",
        f"{written} tokens in {seconds:.1f} s ({written / seconds:.0f} tokens/s).",
    )
)

# %% [markdown] lang="ja"
# ## CPU と GPU で文は違う
#
# 同じモデル、同じ設定、同じシードでも、CPU と GPU では文が違います。乱数の作り方と、計算の細かい丸めが違うからです。dtype が違えば、丸めはもっと違います。どちらかが間違いというわけではありません。このページは CPU だけで作りました。
#
# 小さいモデルで、このマシンにある場所を全部試します。GPU がなければ、一行だけ出ます。

# %% [markdown] lang="en"
# ## CPU and GPU write different texts
#
# The same model, settings and seed: still a CPU and a GPU write different texts, since they make their random numbers and round
# their sums differently. With another dtype the rounding differs even more. Neither text is wrong. This page was made on a CPU only.
#
# We try every place this machine has, with the small model. Without a GPU there is one line.

# %% tags=["varies"]
for device in devices:
    model = model.to(device)
    ids = input_ids.to(device)
    torch.manual_seed(42)
    answer = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        top_k=500,
        top_p=0.95,
        max_new_tokens=30,
        **special,
    )
    print(f"[{device.type}]", tokenizer.decode(answer[0], skip_special_tokens=True))

# %% [markdown] lang="ja"
# ## CPU で速く書く
#
# GPU がなくても、もう少し速くできます。まず、CPU の速さを決めているものを考えます。
#
# トークンを一つ書くたびに、モデルの重みを**全部**、メモリから読みます。13 億の重みは、`float32` なら 5.2 GB です。計算そのものより、読むほうに時間がかかります。だから、速さには限界があります。
#
# > 一秒に進めるステップ ≦ 一秒に読めるバイト数 ÷ 重みのバイト数
#
# 一秒に読めるバイト数（メモリの帯域）を測ります。たくさんの数を足すだけなら、かかる時間のほとんどは、読む時間です。

# %% [markdown] lang="en"
# ## Writing fast on a CPU
#
# There is more to gain without a GPU. What decides a CPU's speed?
#
# For every token it writes, a model reads **all** its weights from memory. In `float32`, 1.3 billion weights are 5.2 GB. Reading them
# takes longer than computing. So there is a limit:
#
# > steps a second ≤ bytes read a second ÷ bytes of the weights
#
# We measure how many bytes this machine reads a second (its memory bandwidth). Adding up many numbers is hardly more than reading them.

# %% tags=["varies"]
numbers = torch.ones(64_000_000)


def seconds_to_read():
    start = time.perf_counter()
    numbers.sum()
    return time.perf_counter() - start


bandwidth = numbers.nbytes / min(seconds_to_read() for _ in range(10))
print(f"{bandwidth / 1e9:.1f} GB/s")

# %% [markdown] lang="ja"
# ### ふつうの書き方
#
# 測り方は前と同じです。慣らし運転をして、三回のうち一番よい値を取ります。`"auto"` のときは同梱のモデルを、ほかを選んだときはそのモデルを、CPU で動かします。もう CPU に読み込んであれば、それを使います（大きいモデルを二つ置くと、メモリが足りなくなります）。
#
# `ready` は、あとで使う int8 のエンジンのための行です。このエンジンは、文を書き終えると、次の文の準備を始めます。測るのは、準備が終わってからです。

# %% [markdown] lang="en"
# ### The plain way
#
# We measure as before: a run to warm up, then the best of three. With `"auto"` this is the bundled model, otherwise the one you chose,
# on the CPU. If it is there already, we use that one: two large models would not fit into memory.
#
# `ready` is for the int8 engine that comes later. When it has written a text, it prepares for the next one. We measure when it is done.


# %% tags=["varies"]
def writing_speed(language_model, tokens=60, sequences=3):
    prompt = language_model.tokenizer.encode(text, add_special_tokens=False)
    length = len(prompt) + tokens
    settings = SamplingSettings(
        min_length=length, max_length=length, num_return_sequences=sequences, seed=1
    )
    generate(language_model, text, settings)
    times = []
    for _ in range(3):
        if language_model.engine == "ctranslate2":
            language_model.model.ready()
        start = time.perf_counter()
        generate(language_model, text, settings)
        times.append(time.perf_counter() - start)
    return tokens * sequences / min(times)


plain_name = "aozora-mini" if MODEL == "auto" else MODEL
if (language_model.name, language_model.device.type) == (plain_name, "cpu"):
    plain = language_model
else:
    plain = load_model(plain_name, device="cpu")
plain_dtype = str(plain.dtype).removeprefix("torch.")
plain_bytes = plain.model.get_memory_footprint()
plain_speed = writing_speed(plain)
print(say(f"{plain_speed:.0f} トークン/秒", f"{plain_speed:.0f} tokens/s"))

# %% [markdown] lang="ja"
# ### 行列の並べ方
#
# 重みの多くは、行列（縦横に並んだ数）です。`load_model` は、CPU では、行列の中の数を、メモリの中で並べ替えます（packing）。どの数も同じままで、置く順番だけが変わります。掛け算のとき、次に使う数が次の場所にあると、速く読めるからです。並べ替えと掛け算は、PyTorch の中にある oneDNN という部品がします。
#
# 効き目を、同梱のモデルで測ります。並べ替える前の速さは、上で使った `model` で測ります。`.to` で移したときに、もとの順番に戻っているからです。並べ替えたあとの速さは、`load_model` で読み込んだばかりのモデルで測ります。
#
# Intel や AMD の CPU（x86）でないとき（Apple シリコンなど）は、測っていないので、並べ替えません。そのときは、二本の棒がほぼ同じ長さになります。

# %% [markdown] lang="en"
# ### The order of a matrix
#
# Most weights are in matrices, numbers in rows and columns. On a CPU `load_model` puts a matrix's numbers into another order in memory
# (packing). Every number stays as it is; only its place changes. In a multiplication the next number then lies in the next place, and is
# read faster. oneDNN, a part of PyTorch, does the packing and the multiplying.
#
# We measure on the bundled model what that gains. The `model` we used above went back to its first order when `.to` moved it; a model
# fresh from `load_model` is packed.
#
# On processors other than those of Intel and AMD (x86), an Apple chip for one, it was not measured, and nothing is packed: there both bars
# are about as long.

# %% tags=["varies"]
from dataclasses import replace

first_speed = writing_speed(replace(small, model=model.to("cpu")))
packed_speed = writing_speed(load_model("aozora-mini", device="cpu"))
bar_chart(
    [say("並べ替える前", "before packing"), say("並べ替えたあと", "packed")],
    [first_speed, packed_speed],
    title=say("行列の並べ方と速さ", "The order of the matrices, and the speed"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% [markdown] lang="ja"
# 足し算の順番も変わるので、点数の最後のけたは違うことがあります。上の「ふつうの書き方」は、並べ替えたモデルの速さでした。

# %% [markdown] lang="en"
# The sums are made in another order too, so the last digits of a score may differ. The speed of "the plain way" above was that of a packed
# model.

# %% [markdown] lang="ja"
# ### 重みを 1 バイトにする：int8
#
# 重みが小さければ、読む時間も短くなります。そこで、重み一つを 1 バイトの整数（`int8`）で持ちます。`float32` の四分の一です。
#
# 代わりに、数が粗くなります。一つの重みが取れる値は 255 通りだけです。**計算の結果は `float32` と同じにはなりません。** 同じシードでも、違う文になります。
#
# これを CPU でうまく動かすのが、CTranslate2 というライブラリです。まだ入っていなければ、ここで入れます。

# %% [markdown] lang="en"
# ### One byte a weight: int8
#
# Smaller weights take less time to read. So each weight is kept as an integer of one byte (`int8`), a quarter of `float32`.
#
# The price is coarser numbers: a weight can have only 255 different values. **The results are not those of `float32`**, and one seed
# gives another text.
#
# CTranslate2 is a library that does this well on CPUs. If it is missing, it is installed here.

# %% tags=["varies"]
from importlib.metadata import version

from helpers.fast import install_engine

install_engine()
print("ctranslate2", version("ctranslate2"))

# %% [markdown] lang="ja"
# `load_model` に `engine="ctranslate2"` と書くだけです。はじめて使うモデルは、ここで int8 に変換され、キャッシュに残ります。二回目からは、読み込むだけです。`generate` の使い方は変わりません。

# %% [markdown] lang="en"
# All you write is `engine="ctranslate2"` in `load_model`. A model used for the first time is converted to int8 here, and kept in the
# cache; from then on it is only loaded. `generate` is used as before.

# %% tags=["varies"]
fast = load_model(plain.name, engine="ctranslate2")
print(fast.engine, fast.device, fast.dtype)

for number, sequence in enumerate(generate(fast, text, SamplingSettings(seed=42)).sequences, 1):
    print(f"[{number}] {sequence.text}\n")

# %% [markdown] lang="ja"
# 速さと限界を並べます。限界は、三つの文が同時に進むとして計算しました。**グラフを見る前に予想してください。int8 は何倍速いでしょうか。限界の何割まで届くでしょうか。**

# %% [markdown] lang="en"
# Now the speeds beside their limits, which are computed for three texts going forward together. **Guess before you look: how many times
# faster is int8, and how near does each come to its limit?**

# %% tags=["varies"]
fast_bytes = (fast.model.folder / "model.bin").stat().st_size
fast_speed = writing_speed(fast)

bar_chart(
    [
        plain_dtype,
        say(f"{plain_dtype} の限界", f"limit of {plain_dtype}"),
        "int8",
        say("int8 の限界", "limit of int8"),
    ],
    [plain_speed, 3 * bandwidth / plain_bytes, fast_speed, 3 * bandwidth / fast_bytes],
    title=say("CPU での速さとメモリの限界", "Speed on the CPU and the limit set by memory"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% tags=["varies"]
print(
    say(
        f"int8 の速さは {plain_dtype} の {fast_speed / plain_speed:.1f} 倍です。",
        f"int8 runs at {fast_speed / plain_speed:.1f} times the speed of {plain_dtype}.",
    )
)
for name, speed, size in (
    (plain_dtype, plain_speed, plain_bytes),
    ("int8", fast_speed, fast_bytes),
):
    share = speed / (3 * bandwidth / size)
    print(
        say(
            f"{name}: 限界の {share:.0%}、重み {size / 1e6:,.0f} MB",
            f"{name}: {share:.0%} of the limit, weights {size / 1e6:,.0f} MB",
        )
    )

# %% [markdown] lang="ja"
# 同梱のモデルでは、どちらも限界からずいぶん遠いはずです。重みがとても小さいので、読む時間はわずかです。CPU の中のキャッシュに収まれば、この限界は当てはまりません。時間の大部分は、1 ステップごとの段取り（小さな計算を一つずつ頼む手間）に使われています。ここで int8 のエンジンのほうが速いとすれば、読む量よりも段取りが軽いからです。
#
# 大きいモデルでは話が変わり、読む量がほとんどを決めます。`japanese-gpt-1b` と同じ形での測定は、[ベンチマークのページ]({{repository}}/blob/{{branch}}/benchmarks/README.md)にあります。

# %% [markdown] lang="en"
# With the bundled model both should be far from their limits. Its weights are so small that reading them takes hardly any time. Where they
# fit into the CPU's cache, this limit does not apply. Most of the time goes into the overhead of each step, that is, into asking for many
# small calculations one by one. Where the int8 engine is faster here, it is because it has less overhead, not because it reads less.
#
# With a large model it is the other way round: what is read decides nearly everything. The
# [page of benchmarks]({{repository}}/blob/{{branch}}/benchmarks/README.md) has measurements in the shape of `japanese-gpt-1b`.

# %% [markdown] lang="ja"
# ### int8 で質は落ちるか
#
# 数が粗くなると、予想も悪くなるでしょうか。夏目漱石『吾輩は猫である』の書き出しで測ります。1 文字を当てるのに必要な情報量（ビット）は、小さいほどよい予想です。

# %% [markdown] lang="en"
# ### Does int8 cost quality?
#
# Do coarser numbers make worse guesses? We measure it on the opening of 『吾輩は猫である』 by Natsume Soseki: the information (in bits) needed
# for each character. Less is better.

# %%
passage = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
)
ids = plain.tokenizer.encode(passage, return_tensors="pt", add_special_tokens=False)


def bits_per_character(logits):
    log_probabilities = logits[0, :-1].log_softmax(-1)
    chosen = log_probabilities.gather(1, ids[0, 1:, None])
    return -chosen.sum().item() / torch.tensor(2.0).log().item() / len(passage)


# %% tags=["varies"]
with torch.no_grad():
    plain_logits = plain.model(ids).logits.float()
table(
    [
        [plain_dtype, f"{bits_per_character(plain_logits):.3f}"],
        ["int8", f"{bits_per_character(fast.model.logits(ids)):.3f}"],
    ],
    header=[say("重み", "weights"), say("ビット/文字", "bits per character")],
    align=["left", "right"],
)

# %% [markdown] lang="ja"
# 差はわずかなはずです。もっと長い文章での測定も、ベンチマークのページにあります。
#
# このエンジンには、できないことがあります。
#
# - `repetition_penalty` は使えません（書き出しを数えないので、意味が変わります）。使おうとすると、始める前に断ります。
# - GPU では使いません。
# - シードが同じなら文も同じになるのは、同じマシンの中だけのことです。
#
# 確かめてみましょう。

# %% [markdown] lang="en"
# The difference should be small. The page of benchmarks has it for a longer text.
#
# There are things this engine cannot do:
#
# - `repetition_penalty` is refused before anything starts: it would leave out the opening, and so mean something else.
# - It is not used on a GPU.
# - One seed gives one text on one machine only.
#
# Let us see.

# %%
from helpers.settings import SettingsError

try:
    generate(fast, text, SamplingSettings(repetition_penalty=1.2))
except SettingsError as error:
    print(error)

# %%
twice = [generate(fast, text, SamplingSettings(seed=7)).sequences[0].text for _ in range(2)]
print(twice[0] == twice[1])

# %% [markdown] lang="ja"
# ### PyTorch だけで int8 を使う
#
# int8 の行列も、並べ替えて（packing）速く読めます。`load_model` に `dtype=torch.int8` と書きます。計算するのは、また PyTorch の中の oneDNN です。ほかのライブラリも、変換の待ち時間もいりません。代わりに、読み込むたびに int8 に丸めます。書くときに使うのは `transformers` の `generate` のままなので、`repetition_penalty` も使えます。
#
# 1 バイトどうしの掛け算をまちがえずに足すには、CPU に VNNI という回路がいります。2019 年ごろからの Intel や、2022 年ごろからの AMD の CPU の多くにあります。`can_compute` は、小さな計算をして確かめます。ないときは、CTranslate2 を使ってください。

# %% [markdown] lang="en"
# ### int8 with PyTorch alone
#
# Matrices of int8 can be packed too. Write `dtype=torch.int8` in `load_model`. It is again oneDNN, a part of PyTorch, that computes: no other
# library, no conversion to wait for; instead the weights are rounded to int8 each time they are loaded. The text is still written by
# `generate` of `transformers`, so `repetition_penalty` works as well.
#
# To multiply bytes and add them up without a mistake, a CPU needs units called VNNI. Many of Intel's have had them since about 2019, of AMD's
# since about 2022. `can_compute` finds out with a small calculation. Without them, use CTranslate2.

# %% tags=["varies"]
from helpers.int8 import can_compute

if can_compute():
    in_int8 = load_model(plain.name, dtype=torch.int8)
    int8_speed = writing_speed(in_int8)
    with torch.no_grad():
        bits = bits_per_character(in_int8.model(ids).logits)
    print(say(f"{int8_speed:.0f} トークン/秒", f"{int8_speed:.0f} tokens/s"))
    print(say(f"{bits:.3f} ビット/文字", f"{bits:.3f} bits per character"))
else:
    print(say("この CPU には VNNI がありません。", "This CPU has no VNNI."))

# %% [markdown] lang="ja"
# 同梱のモデルでは、速くならないはずです。読む量がもともと少なく、一歩ごとに入力を 1 バイトに丸める手間が増えるからです。大きいモデルで、どれだけ速くなるかは、ベンチマークのページにあります。

# %% [markdown] lang="en"
# With the bundled model it should not be faster: there is little to read anyway, and rounding the input to bytes at each step is work too. How
# much a large model gains is on the page of benchmarks.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** `japanese-gpt2-medium` を `float32` で動かすのに必要なメモリを、`memory_bytes` を使わずに計算してください。重みの数は `CATALOGUE` から取り、1.6 倍します。
#
# <details><summary>解答</summary>
#
# ```python
# medium = CATALOGUE["rinna/japanese-gpt2-medium"]
# print(medium.parameters * 4 * 1.6 / 1e9, "GB")
# print(medium.memory_bytes(torch.float32) / 1e9, "GB")
# ```
#
# </details>

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Without `memory_bytes`, compute the memory that `japanese-gpt2-medium` needs in `float32`. Take the number of weights from
# `CATALOGUE` and multiply by 1.6 at the end.
#
# <details><summary>Solution</summary>
#
# ```python
# medium = CATALOGUE["rinna/japanese-gpt2-medium"]
# print(medium.parameters * 4 * 1.6 / 1e9, "GB")
# print(medium.memory_bytes(torch.float32) / 1e9, "GB")
# ```
#
# </details>

# %% [markdown] lang="ja"
# **練習 2.** 次のコードは GPU のあるマシンで失敗します。直してください。
#
# ```python
# model.to("cuda")
# ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
# ids.to("cuda")
# model.generate(ids, max_new_tokens=20, **special)
# ```
#
# <details><summary>解答</summary>
#
# 三行目が写しを捨てています。`ids = ` で受け取ります。`"cuda"` のかわりに `device` を使うと、GPU のないマシンでも動きます。
#
# ```python
# device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# model.to(device)
# ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
# ids = ids.to(device)
# model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, **special)
# ```
#
# </details>

# %% [markdown] lang="en"
# **Exercise 2.** On a machine with a GPU this code fails. Mend it.
#
# ```python
# model.to("cuda")
# ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
# ids.to("cuda")
# model.generate(ids, max_new_tokens=20, **special)
# ```
#
# <details><summary>Solution</summary>
#
# The third line throws its copy away; keep it with `ids = `. With `device` instead of `"cuda"` it runs without a GPU too.
#
# ```python
# device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# model.to(device)
# ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
# ids = ids.to(device)
# model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, **special)
# ```
#
# </details>

# %% [markdown] lang="ja"
# **練習 3.** 文の数を 1、2、4、8、16 と増やして、一秒に書けるトークンの合計を測ってください。どこまで増えるでしょうか。
#
# <details><summary>解答</summary>
#
# ```python
# counts = [1, 2, 4, 8, 16]
# bar_chart(counts, [tokens_per_second(model, sequences=count) for count in counts])
# ```
#
# 同時に進める文が多いほど、合計は増えます。あるところから先は、マシンの力の限界で増え方が小さくなります。GPU では、その限界がずっと先にあります。
#
# </details>

# %% [markdown] lang="en"
# **Exercise 3.** Let the number of texts grow: 1, 2, 4, 8, 16. Measure how many tokens a second are written in all. How far does it
# grow?
#
# <details><summary>Solution</summary>
#
# ```python
# counts = [1, 2, 4, 8, 16]
# bar_chart(counts, [tokens_per_second(model, sequences=count) for count in counts])
# ```
#
# The more texts go forward together, the more tokens in all. From some point on it grows less, at the limit of the machine. On a GPU
# that limit lies much further out.
#
# </details>

# %% [markdown] lang="ja"
# ## まとめ
#
# - Colab の GPU は「ランタイムのタイプを変更」で、最初に選びます。
# - モデルと入力を同じ場所に置きます。入力の `.to` は、受け取るのを忘れないでください。
# - dtype は数の形式で、重み一つのバイト数、精度、範囲を決めます。CPU では `float32`、T4 では `float16` を使います。
# - `generate` は、中で `no_grad` を使います。
# - メモリは、重みの数 × バイト数と、文の数 × 長さで決まります。
# - GPU がなくても、小さいモデルと短い文で学べます。大きいモデルには `dtype=torch.int8` や `engine="ctranslate2"` があります。
# - CPU の速さの限界は、メモリを読む速さで決まります。int8 は読む量を減らし、そのぶん数は粗くなります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - In Colab choose the GPU first, under **Change runtime type**.
# - Model and input must be in the same place. Keep what `.to` of an input returns.
# - The dtype is the number format: it sets bytes, precision and range of a weight. Use `float32` on a CPU, `float16` on a T4.
# - `generate` uses `no_grad` by itself.
# - Memory is the number of weights × bytes, plus the number of texts × length.
# - Without a GPU you can learn with a small model and short texts; for large models there are `dtype=torch.int8` and
#   `engine="ctranslate2"`.
# - Reading memory is what limits a CPU. With int8 there is less to read, and the numbers are coarser.
#
# {{nav}}
