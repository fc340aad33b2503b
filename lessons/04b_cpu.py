# %% [markdown] lang="ja"
# # 04b もっと知りたい人へ：CPU で速く書く
#
# {{badge}}
#
# {{picture reading}}
#
# {{way vectors blocks scores}}
#
# レッスン 04 の続きです。飛ばしても、05 に進めます。CPU の速さを決めているものを考え、重みを 1 バイトにして、どこまで速くなるかを測ります。上の棒は、`japanese-gpt-1b` がトークンを一つ書くたびに読む、重みの量です。
#
# **できるようになること**
#
# - 速さの限界を、メモリを読む速さから見積もれます。
# - int8 の二つの使い方と、その代償を説明できます。
# - `no_grad` と KV キャッシュが、メモリにどう効くかを言えます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 30 分 | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 2.1 GB | 不要 |

# %% [markdown] lang="en"
# # 04b More: writing fast on a CPU
#
# {{badge}}
#
# {{picture reading}}
#
# {{way vectors blocks scores}}
#
# This goes deeper than lesson 04. You can skip it and go on to 05. What determines how fast a CPU writes? We store each weight in one byte and measure how much faster that is. The bars above show how much `japanese-gpt-1b` has to read for every token it writes.
#
# **You will be able to**
#
# - estimate the speed limit from how fast memory can be read;
# - explain two ways to use int8, and what they cost;
# - say how `no_grad` and the KV cache affect memory.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 30 minutes | none (0.15 to 2.6 GB with another model) | about 2.1 GB | not needed |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% tags=["varies"]
import time

import torch

from helpers.charts import bar_chart, table
from helpers.language import say
from helpers.models import CATALOGUE, load_model
from helpers.sampling import SamplingSettings, generate

MODEL = "aozora-mini"  # @param ["aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
plain = load_model(MODEL, device="cpu")
text = "国境の長いトンネルを抜けると雪国であった。"

# %% [markdown] lang="ja"
# ## 速さの限界
#
# トークンを一つ書くたびに、モデルの重みを**全部**、メモリから読みます。13 億の重みは、`float32` なら 5.2 GB です。計算そのものより、読むほうに時間がかかります。だから、速さには限界があります。
#
# > 一秒に進めるステップ ≦ 一秒に読めるバイト数 ÷ 重みのバイト数
#
# 一秒に読めるバイト数（メモリの帯域）を測ります。二つの数の列をかけて足すだけなら、かかる時間のほとんどは、読む時間です。

# %% [markdown] lang="en"
# ## The speed limit
#
# For every token it writes, a model reads **all** its weights from memory. In `float32`, 1.3 billion weights are 5.2 GB. Reading them takes longer than the arithmetic. So there is a limit:
#
# > steps per second ≤ bytes read per second ÷ bytes of the weights
#
# We measure how many bytes this machine can read per second (its memory bandwidth). Multiplying two rows of numbers and adding up takes hardly longer than reading them.

# %% tags=["varies"]
first, second = torch.ones(32_000_000), torch.ones(32_000_000)


def seconds_to_read():
    start = time.perf_counter()
    first.dot(second)
    return time.perf_counter() - start


bandwidth = (first.nbytes + second.nbytes) / min(seconds_to_read() for _ in range(10))
print(f"{bandwidth / 1e9:.1f} GB/s")

# %% [markdown] lang="ja"
# 本当に読む時間で決まるのか、`japanese-gpt-1b` の行列と同じ大きさの掛け算で確かめます。2048 × 8192 の行列（67 MB）を二十個、順に使います。同じものを何度も使うと、CPU の中のキャッシュに残ってしまうからです。

# %% [markdown] lang="en"
# Is it really the reading that decides? We check with multiplications of the size found in `japanese-gpt-1b`: twenty matrices of 2048 × 8192 (67 MB each), used in turn. A single matrix used again and again could stay in the CPU's cache.

# %% tags=["varies"]
matrices = [torch.randn(8192, 2048) for _ in range(20)]
vector = torch.randn(2048)


def seconds_for_all():
    start = time.perf_counter()
    for matrix in matrices:
        matrix @ vector
    return time.perf_counter() - start


read = sum(matrix.nbytes for matrix in matrices) / min(seconds_for_all() for _ in range(5))
print(
    f"{read / 1e9:.1f} GB/s = {read / bandwidth:.0%}", say("（帯域に対して）", "of the bandwidth")
)
del matrices

# %% [markdown] lang="ja"
# 100% に近いほど、計算ではなく、読む時間で速さが決まっています。帯域も測った値なので、100% を少し超えることがあります。ほかの仕事が動いていると、どちらも低く出ます。半分ほどなら、もう一度測ってください。
#
# ## ふつうの書き方
#
# 慣らし運転をして、三回のうち一番よい値を取ります。`runner.ready()` は、前の文の後片づけが終わるまで待ちます。

# %% [markdown] lang="en"
# The closer this is to 100%, the more it is reading, not arithmetic, that sets the pace. The bandwidth is measured too, so it can come out a little above 100%. Both figures drop when the machine is busy; if you see about half, measure again.
#
# ## The plain way
#
# After a warm-up run, we take the best of three. `runner.ready()` waits until the previous text has been cleaned up.


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
        language_model.runner.ready()
        start = time.perf_counter()
        generate(language_model, text, settings)
        times.append(time.perf_counter() - start)
    return tokens * sequences / min(times)


plain_dtype = str(plain.dtype).removeprefix("torch.")
plain_bytes = plain.model.get_memory_footprint()
plain_speed = writing_speed(plain)
print(say(f"{plain_speed:.0f} トークン/秒", f"{plain_speed:.0f} tokens/s"))

# %% [markdown] lang="ja"
# ## 行列の並べ方
#
# 重みの多くは、行列（縦横に並んだ数）です。`load_model` は、CPU では、行列の中の数を、メモリの中で並べ替えます（packing）。どの数も同じままで、置く順番だけが変わります。掛け算のとき、次に使う数が次の場所にあると、速く読めるからです。並べ替えと掛け算は、PyTorch の中にある oneDNN という部品がします。
#
# 効き目を、同梱のモデルで測ります。モデルを `.to` で移すと、もとの順番に戻ります。それと、読み込んだばかりのモデルを比べます。
#
# Intel や AMD の CPU（x86）でないとき（Apple シリコンなど）は、測っていないので、並べ替えません。そのときは、二本の棒がほぼ同じ長さになります。

# %% [markdown] lang="en"
# ## The order of a matrix
#
# Most weights are in matrices: numbers arranged in rows and columns. On a CPU, `load_model` rearranges the numbers of a matrix in memory (packing). Every number stays the same; only its place changes. During a multiplication, the next number needed is then in the next place and is read faster. oneDNN, a part of PyTorch, does the packing and the multiplying.
#
# We measure on the bundled model how much that gains. Moving a model with `.to` restores the original order; a model fresh from `load_model` is packed.
#
# On processors other than Intel's and AMD's (x86), such as Apple chips, we have not measured it, so nothing is packed. There, both bars are about the same length.

# %% tags=["varies"]
from dataclasses import replace

small = load_model("aozora-mini", device="cpu")
first_speed = writing_speed(replace(small, model=small.model.to("cpu")))
packed_speed = writing_speed(load_model("aozora-mini", device="cpu"))
bar_chart(
    [say("並べ替える前", "before packing"), say("並べ替えたあと", "packed")],
    [first_speed, packed_speed],
    title=say("行列の並べ方と速さ", "The order of the matrices, and the speed"),
    unit=say("トークン/秒", "tokens/s"),
)

# %% [markdown] lang="ja"
# 足し算の順番も変わるので、点数の最後のけたは違うことがあります。

# %% [markdown] lang="en"
# The additions are done in a different order too, so the last digits of a score may differ.

# %% [markdown] lang="ja"
# ## 重みを 1 バイトにする：int8
#
# 重みが小さければ、読む時間も短くなります。そこで、重み一つを 1 バイトの整数（`int8`）で持ちます。`float32` の四分の一です。
#
# 代わりに、数が粗くなります。一つの重みが取れる値は 255 通りだけです。**計算の結果は `float32` と同じにはなりません。** 同じシードでも、違う文になります。
#
# これを CPU でうまく動かすのが、CTranslate2 というライブラリです。まだ入っていなければ、ここで入れます。

# %% [markdown] lang="en"
# ## One byte per weight: int8
#
# Smaller weights take less time to read. So we store each weight as a one-byte integer (`int8`), a quarter of the size of `float32`.
#
# The price is coarser numbers: a weight can take only 255 different values. **The results are not the same as in `float32`**, and the same seed gives a different text.
#
# CTranslate2 is a library that does this well on CPUs. If it is missing, it is installed here.

# %% tags=["varies"]
from importlib.metadata import version

from helpers.engines.ctranslate2 import install_engine

install_engine()
print("ctranslate2", version("ctranslate2"))

# %% [markdown] lang="ja"
# `load_model` に `engine="ctranslate2"` と書くだけです。はじめて使うモデルは、ここで int8 に変換され、キャッシュに残ります。二回目からは、読み込むだけです。`generate` の使い方は変わりません。

# %% [markdown] lang="en"
# Just write `engine="ctranslate2"` in `load_model`. The first time you use a model, it is converted to int8 and kept in the cache; after that it is only loaded. `generate` works as before.

# %% tags=["varies"]
fast = load_model(plain.name, engine="ctranslate2")
print(fast.engine, fast.device, fast.dtype)

settings = SamplingSettings(seed=15, num_return_sequences=1)
print(generate(fast, text, settings).sequences[0].text)

# %% [markdown] lang="ja"
# 速さと限界を並べます。限界は、三つの文が同時に進むとして計算しました。
#
# **予想してみましょう。** int8 は何倍速いでしょうか。限界の何割まで届くでしょうか。

# %% [markdown] lang="en"
# Now we compare the speeds with their limits, which are computed for three texts advancing together.
#
# **Predict:** how many times faster is int8, and how close does each come to its limit?

# %% tags=["varies"]
fast_bytes = (fast.model.folder / "model.bin").stat().st_size
fast_speed = writing_speed(fast)

limit, fast_limit = 3 * bandwidth / plain_bytes, 3 * bandwidth / fast_bytes
bar_chart(
    [
        plain_dtype,
        say(f"{plain_dtype} の限界", f"limit of {plain_dtype}"),
        "int8",
        say("int8 の限界", "limit of int8"),
    ],
    [plain_speed, limit, fast_speed, fast_limit],
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
for name, share, size in (
    (plain_dtype, plain_speed / limit, plain_bytes),
    ("int8", fast_speed / fast_limit, fast_bytes),
):
    print(
        say(
            f"{name}: 限界の {share:.0%}、重み {size / 1e6:,.0f} MB",
            f"{name}: {share:.0%} of the limit, weights {size / 1e6:,.0f} MB",
        )
    )

# %% tags=["build"]
large = CATALOGUE["rinna/japanese-gpt-1b"].parameters
picture(
    "reading",
    bar_chart(
        ["float32", "float16", "int8"],
        [large * size / 1e9 for size in (4, 2, 1)],
        title=say(
            "トークン一つごとに読む重み（japanese-gpt-1b）",
            "Weights read for every token (japanese-gpt-1b)",
        ),
        unit="GB",
    ),
    say(
        "japanese-gpt-1b がトークン一つごとに読む重みの量。float32、float16、int8。",
        "How much japanese-gpt-1b reads for every token, in float32, float16 and int8.",
    ),
)

# %% [markdown] lang="ja"
# 同梱のモデルでは、どちらも限界からずいぶん遠いはずです。上で見た大きい行列と違って、重みがとても小さいので、読む時間はわずかです。CPU の中のキャッシュに収まれば、この限界は当てはまりません。時間の大部分は、1 ステップごとの段取り（小さな計算を一つずつ頼む手間）に使われています。ここで int8 のエンジンのほうが速いとすれば、読む量よりも段取りが軽いからです。
#
# 大きいモデルでは話が変わり、読む量がほとんどを決めます。`japanese-gpt-1b` と同じ形での測定は、[ベンチマークのページ]({{repository}}/blob/{{branch}}/benchmarks/README.md)にあります。

# %% [markdown] lang="en"
# With the bundled model, both should be far from their limits. Unlike the large matrices above, its weights are so small that reading them takes hardly any time. If they fit into the CPU's cache, this limit does not even apply. Most of the time goes into the overhead of each step: launching many small calculations one by one. If the int8 engine is faster here, that is because it has less overhead, not because it reads less.
#
# With a large model it is the other way round: the amount of data read decides nearly everything. The [benchmarks page]({{repository}}/blob/{{branch}}/benchmarks/README.md) has measurements on a model with the shape of `japanese-gpt-1b`.

# %% [markdown] lang="ja"
# ## int8 で質は落ちるか
#
# 数が粗くなると、予想も悪くなるでしょうか。夏目漱石『吾輩は猫である』の書き出しで測ります。1 文字を当てるのに必要な情報量（ビット）は、小さいほどよい予想です。

# %% [markdown] lang="en"
# ## Does int8 cost quality?
#
# Do coarser numbers make worse predictions? We measure this on the opening of 『吾輩は猫である』 (I Am a Cat) by Natsume Soseki, as the information (in bits) needed for each character. Less is better.

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
bits = [bits_per_character(plain_logits), bits_per_character(fast.model.all_logits(ids))]
table(
    {
        say("重み", "weights"): [plain_dtype, "int8"],
        say("ビット/文字", "bits per character"): [f"{each:.3f}" for each in bits],
    }
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
# The difference should be small. The benchmarks page has results for a longer text.
#
# There are things this engine cannot do:
#
# - `repetition_penalty` is rejected before anything starts: the engine would not count the opening, so the setting would mean something else.
# - It is not used on a GPU.
# - The same seed gives the same text only on the same machine.
#
# Let us check.

# %%
from helpers.sampling import SettingsError

try:
    generate(fast, text, SamplingSettings(repetition_penalty=1.2))
except SettingsError as error:
    print(error)

# %%
twice = [generate(fast, text, SamplingSettings(seed=7)).sequences[0].text for _ in range(2)]
print(twice[0] == twice[1])

# %% [markdown] lang="ja"
# ## PyTorch だけで int8 を使う
#
# int8 の行列も、並べ替えて（packing）速く読めます。`load_model` に `dtype=torch.int8` と書きます。計算するのは、また PyTorch の中の oneDNN です。ほかのライブラリも、変換の待ち時間もいりません。代わりに、読み込むたびに int8 に丸めます。書くときに使うのは `transformers` の `generate` のままなので、`repetition_penalty` も使えます。
#
# 1 バイトどうしの掛け算をまちがえずに足すには、CPU に VNNI という回路がいります。2019 年ごろからの Intel や、2022 年ごろからの AMD の CPU の多くにあります。`can_compute` は、小さな計算をして確かめます。ないときは、CTranslate2 を使ってください。

# %% [markdown] lang="en"
# ## int8 with PyTorch alone
#
# Matrices in int8 can be packed too. Write `dtype=torch.int8` in `load_model`. The computing is again done by oneDNN, a part of PyTorch. You need no other library and no conversion; instead, the weights are rounded to int8 each time the model is loaded. The text is still written by the `generate` of `transformers`, so `repetition_penalty` works as well.
#
# To multiply bytes and add them up without errors, a CPU needs units called VNNI. Many Intel CPUs have had them since about 2019, many AMD CPUs since about 2022. `can_compute` finds out with a small calculation. If yours has none, use CTranslate2.

# %% tags=["varies"]
from helpers.engines.torch.int8 import can_compute

if can_compute():
    in_int8 = load_model(plain.name, dtype=torch.int8)
    int8_speed = writing_speed(in_int8)
    with torch.no_grad():
        int8_bits = bits_per_character(in_int8.model(ids).logits)
    print(say(f"{int8_speed:.0f} トークン/秒", f"{int8_speed:.0f} tokens/s"))
    print(say(f"{int8_bits:.3f} ビット/文字", f"{int8_bits:.3f} bits per character"))
else:
    print(say("この CPU には VNNI がありません。", "This CPU has no VNNI units."))
    print(say("PyTorch だけの int8 は使えません。", "int8 with PyTorch alone cannot be used."))
    print(say("CTranslate2 の int8 を使ってください。", "Use the int8 of CTranslate2."))

# %% [markdown] lang="ja"
# 同梱のモデルでは、あまり速くならないはずです。読む量がもともと少なく、1 ステップごとに入力を 1 バイトに丸める手間が増えるからです。大きいモデルで、どれだけ速くなるかは、ベンチマークのページにあります。

# %% [markdown] lang="en"
# With the bundled model it should not be much faster: there is little to read anyway, and rounding the input to bytes at each step is extra work. How much a large model gains is on the benchmarks page.

# %% [markdown] lang="ja"
# ## `torch.no_grad`
#
# PyTorch は、計算の途中の値を取っておきます。あとで学習（重みの調整）に使うためです。文を書くだけなら、いりません。`torch.no_grad()` は「取っておかなくてよい」と伝えます。
#
# 取っておかれる値の大きさを測ります。コードは少し長いので、畳んであります。
#
# **予想してみましょう。** `no_grad` の中では、何 MB でしょうか。

# %% [markdown] lang="en"
# ## `torch.no_grad`
#
# PyTorch keeps the intermediate values of a calculation so that it can train (adjust the weights) later on. Generating text does not need them. `torch.no_grad()` tells PyTorch not to keep them.
#
# We measure how much is kept. The code is folded; the table is what matters.
#
# **Predict:** how many MB inside `no_grad`?

# %% tags=["varies", "hide"]
# @title 取っておかれる値 || Values kept
from contextlib import nullcontext

model = small.model
weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
input_ids = small.tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
batch = input_ids.repeat(3, 6)


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
# A result whose `requires_grad` is `True` can be used for training. That costs memory.
#
# `torch.inference_mode()` goes a step further than `no_grad` and skips some of PyTorch's internal bookkeeping too. In return, the results can never be used for training.

# %% [markdown] lang="ja"
# では、元の記事の `with torch.no_grad():` がないと、`generate` はメモリをたくさん使うのでしょうか。`no_grad` なしで呼んで、確かめます。

# %% [markdown] lang="en"
# So without the article's `with torch.no_grad():`, does `generate` use a lot of memory? We call it without and see.

# %%
result = model.generate(
    input_ids,
    attention_mask=torch.ones_like(input_ids),
    max_new_tokens=3,
    return_dict_in_generate=True,
    output_logits=True,
    pad_token_id=small.tokenizer.pad_token_id,
)
print(result.logits[0].requires_grad)

# %% [markdown] lang="ja"
# `False` です。`generate` は、中で自分で `no_grad` を使っています。元の記事の書き方は、間違いではありませんが、なくても同じです。`model(...)` を直接呼ぶときは、自分で書く必要があります。

# %% [markdown] lang="en"
# `False`: `generate` uses `no_grad` internally. Writing it, as the article does, is not wrong, but makes no difference. When you call `model(...)` directly, you have to write it yourself.

# %% [markdown] lang="ja"
# ## 文の数と長さもメモリを使う
#
# モデルは、読んだトークンごとに計算の結果を覚えておきます（KV キャッシュ）。トークン一つ分の大きさは「2 × 層の数 × 次元 × バイト数」です。文の数と長さに比例して増えます。`japanese-gpt-1b` を `float16` で動かすときの大きさを計算します。

# %% [markdown] lang="en"
# ## The number and length of texts cost memory too
#
# For every token it has read, the model remembers its results (the KV cache). For one token that takes 2 × layers × width × bytes, and it grows with the number of texts and their length. Here is the size for `japanese-gpt-1b` in `float16`.

# %%
large = CATALOGUE["rinna/japanese-gpt-1b"]
per_token = 2 * large.n_layer * large.n_embd * torch.float16.itemsize
texts = [1, 3, 30, 100]


def cache(length):
    return [f"{per_token * number * length / 1e9:.2f} GB" for number in texts]


table(
    {
        say("文の数", "texts"): texts,
        say("100 トークン", "100 tokens"): cache(100),
        say("500 トークン", "500 tokens"): cache(500),
        say("1000 トークン", "1000 tokens"): cache(1000),
    }
)

# %% [markdown] lang="ja"
# 時間のほうはどうでしょうか。
#
# **予想してみましょう。** 文の数を三分の一にすると、時間も三分の一になるでしょうか。長さを三分の一にすると？

# %% [markdown] lang="en"
# And the time?
#
# **Predict:** with a third as many texts, will it take a third of the time? And with texts a third as long?


# %% tags=["varies"]
def seconds_to_write(tokens, sequences):
    length = input_ids.shape[1] + tokens
    settings = SamplingSettings(
        min_length=length, max_length=length, num_return_sequences=sequences, seed=1
    )
    start = time.perf_counter()
    generate(plain, text, settings)
    return time.perf_counter() - start


choices = [(3, 60), (1, 60), (3, 20), (1, 20)]
times = [min(seconds_to_write(tokens, texts) for _ in range(3)) for texts, tokens in choices]
bar_chart(
    [f"{texts} × {tokens}" for texts, tokens in choices],
    times,
    title=say("文の数 × トークンの数", "texts × tokens"),
    unit=say("秒", "s"),
)

# %% [markdown] lang="ja"
# 長さは、時間にほぼそのまま効きます。トークンは一つずつ順番に書くしかないからです。文の数を三分の一にしても、時間は三分の一にはなりません。三つの文は、一緒に進むからです。

# %% [markdown] lang="en"
# Time grows almost in proportion to the length, because tokens can only be written one after another. A third of the texts does not take a third of the time, because three texts advance together.

# %% tags=["build"]
claim(
    say(
        "文の数を三分の一にしても、時間は三分の一にはなりません。",
        "A third of the texts does not take a third of the time",
    ),
    times[1] > times[0] / 2.5,
)

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** `japanese-gpt-1b` を `float32` と int8 で動かすとき、この CPU で一秒に進めるステップの限界を計算し、`limits` に二つの数を入れてください。帯域は `bandwidth`、重みの数は `CATALOGUE` にあります。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Work out the limit in steps per second for `japanese-gpt-1b` on this CPU, in `float32` and in int8, and put the two numbers into `limits`. The bandwidth is `bandwidth`; the number of weights is in `CATALOGUE`.

# %% tags=["exercise"]
limits = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(limits):
    weights = CATALOGUE["rinna/japanese-gpt-1b"].parameters
    in_float32, in_int8 = limits
    assert abs(in_int8 / in_float32 - 4) < 0.01, say(
        "int8 の重みは float32 の四分の一なので、限界は四倍です。",
        "int8 weights take a quarter of the space of float32, so the limit is four times as high.",
    )
    assert abs(in_float32 - bandwidth / (4 * weights)) < 0.01 * in_float32, say(
        "帯域を、重みのバイト数（重みの数 × 4）で割ってください。",
        "Divide the bandwidth by the size of the weights in bytes (number of weights × 4).",
    )
    return say("実際の速さは、この限界より下になります。", "The actual speed is below this limit.")


check(limits, test)

# %% tags=["cases"]
RIGHT = [
    'limits = [bandwidth / CATALOGUE["rinna/japanese-gpt-1b"].parameters / size for size in (4, 1)]',
    'n = CATALOGUE["rinna/japanese-gpt-1b"].parameters\nlimits = (bandwidth / (4 * n), bandwidth / n)',
]
WRONG = {
    'limits = [bandwidth / CATALOGUE["rinna/japanese-gpt-1b"].parameters] * 2': say(
        "四倍", "four times"
    ),
    'n = CATALOGUE["rinna/japanese-gpt-1b"].parameters\nlimits = (bandwidth / n, 4 * bandwidth / n)': "× 4",
}

# %% tags=["solution", "varies"]
weights = CATALOGUE["rinna/japanese-gpt-1b"].parameters
limits = [bandwidth / (weights * size) for size in (4, 1)]
bar_chart(["float32", "int8"], limits, unit=say("ステップ/秒", "steps/s"))

# %% [markdown] lang="ja"
# **練習 2（自由課題）.** あなたなら、授業で GPU のないパソコンに、どのモデルをどの形（`float32`、int8、CTranslate2）で載せますか。速さ、メモリ、待ち時間、文の質のどれを重く見たかを書いてください。

# %% [markdown] lang="en"
# **Exercise 2 (open).** Which model, and in which form (`float32`, int8, CTranslate2), would you put on a classroom computer without a GPU? Write down what mattered most to you: speed, memory, waiting time, or the quality of the texts.

# %% tags=["exercise"]
my_choice = ""  # @param {type:"string"}

# %% tags=["solution", "varies"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
print(say("速さの比:", "ratio of speeds:"), f"{fast_speed / plain_speed:.1f}")
print(say("大きさの比:", "ratio of sizes:"), f"{fast_bytes / plain_bytes:.2f}")
print(say("ビット/文字の差:", "difference in bits per character:"), f"{bits[1] - bits[0]:+.3f}")
my_choice = say(
    "速くて小さく、質の差が小さいので、CTranslate2 の int8 を選びます。",
    "int8 with CTranslate2: faster and smaller, and the loss in quality is small.",
)
print(my_choice)

# %% [markdown] lang="ja"
# ## まとめ
#
# - CPU の速さの限界は、メモリを読む速さで決まります。int8 は読む量を減らし、そのぶん数は粗くなります。
# - `generate` は、中で `no_grad` を使います。
# - メモリは、重みの数 × バイト数と、文の数 × 長さで決まります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - What limits a CPU is how fast it reads memory. With int8 there is less to read, but the numbers are coarser.
# - `generate` uses `no_grad` internally.
# - Memory depends on the number of weights × bytes, and on the number of texts × length.
#
# {{nav}}
