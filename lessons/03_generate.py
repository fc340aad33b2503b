# %% [markdown] lang="ja"
# # 03 文の生成
#
# {{badge}}
#
# {{picture lab}}
#
# {{way scores lottery}}
#
# 文は、確率とくじ引きの繰り返しから生まれます。小さなくじでしくみを見てから、上の絵の実験室を動かし、最後に、文を書く七行のうち、かなめの三行を自分で書きます。
#
# **できるようになること**
#
# - 元の記事の `model.generate(...)` を動かし、設定の意味を言えます。
# - `temperature`、`top_k`、`top_p` の働きを予想し、確かめられます。
# - 文を書くループを、自分で書けます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 授業で約 28 分 | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 03 Generating text
#
# {{badge}}
#
# {{picture lab}}
#
# {{way scores lottery}}
#
# A text grows by looking at probabilities and drawing at random, over and over. You will see how this works on a small lottery, try out the lab in the picture, and finally write three of the seven lines that generate a text.
#
# **You will be able to**
#
# - run the article's `model.generate(...)` and say what its settings mean;
# - predict what `temperature`, `top_k` and `top_p` do, and check your prediction;
# - write the generation loop yourself.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 28 minutes in class | none (0.15 to 2.6 GB with another model) | about 1 GB | not needed |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# モデルを選びます。`"auto"` は、十分な GPU があれば `rinna/japanese-gpt-1b`（約 2.6 GB のダウンロード）を、なければ同梱の `aozora-mini` を選びます。書かれた文を、事実として使わないでください。

# %% [markdown] lang="en"
# Choose a model. `"auto"` takes `rinna/japanese-gpt-1b` (a download of about 2.6 GB) if there is a large enough GPU, otherwise the bundled `aozora-mini`. Do not take what it writes as fact.

# %% tags=["varies"]
from helpers.models import load_model

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
model, tokenizer = language_model.model, language_model.tokenizer

# %% [markdown] lang="ja"
# ## 元の記事の呼び出し
#
# 文を id に変え、`generate` に渡し、文に戻します。設定の値は、元の記事と同じです。シードの 15 は、読みやすい文になるものを選びました。
#
# `attention_mask` は「どの id を読むか」の印です。長さの違う文を並べるときは、短い文に `pad` を詰め、そこを 0 にします。ここでは全部読むので、すべて 1 です。

# %% [markdown] lang="en"
# ## The article's call
#
# Turn the text into ids, pass them to `generate`, and turn the result back into text. The settings are the article's; we picked the seed 15 because its texts are readable.
#
# The `attention_mask` marks which ids to read. When texts of different lengths are processed together, the short ones are filled up with `pad`, and the mask is 0 there. Here everything is read, so it is all ones.

# %%
import torch

text = "国境の長いトンネルを抜けると雪国であった。"
input_ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)  # モデルのある場所へ（04） || to where the model is (04)
attention_mask = torch.ones_like(input_ids)
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}

torch.manual_seed(15)
output = model.generate(
    input_ids,
    attention_mask=attention_mask,
    min_length=50,
    max_length=100,
    do_sample=True,
    top_k=500,
    top_p=0.95,
    num_return_sequences=3,
    **special,
)
for sentence in tokenizer.batch_decode(output, skip_special_tokens=True):
    print(sentence, end="\n\n")

# %% [markdown] lang="ja"
# 一つのシードで決まるのは、くじの列の全体です。三つの文は、その列の別々のくじを使うので、途中から違う文になります。設定の意味は、こうです（一つずつ試すのは [03b](03b_settings.ipynb)）。
#
# | 設定 | 意味 |
# |---|---|
# | `min_length`、`max_length` | 文の長さ。単位は**トークン**で、書き出しも数えます（`max_new_tokens` は新しい分だけ）。`</s>` を引くか、`max_length` に届くと終わります |
# | `do_sample` | `True` はくじを引く、`False` はいつも 1 位を選ぶ（貪欲法。同じ言い回しを繰り返しやすい） |
# | `top_k`、`top_p` | くじに残す札（トークン一つが一枚）を選ぶ |
# | `num_return_sequences` | いくつの文を書くか |
# | `pad`、`bos`、`eos` の id | 詰め物、始まり、終わりの印 |

# %% [markdown] lang="en"
# A seed fixes one long row of random draws. The three texts use different draws from that row, so at some point they part. This is what the settings mean; [03b](03b_settings.ipynb) tries them one by one.
#
# | Setting | Meaning |
# |---|---|
# | `min_length`, `max_length` | the length of a text in **tokens**, including the opening (`max_new_tokens` counts only new ones). A text ends when `</s>` is drawn or `max_length` is reached |
# | `do_sample` | `True` samples (draws at random); `False` always takes the most probable token (greedy search, which tends to repeat itself) |
# | `top_k`, `top_p` | decide which tickets (one for each token) stay in the lottery |
# | `num_return_sequences` | how many texts to write |
# | the ids of `pad`, `bos`, `eos` | the marks for padding, beginning and end |

# %% [markdown] lang="ja"
# ## 小さなくじで考える
#
# 「窓の外では、雪が」の次に来る言葉を、九つだけ考えます。モデルは、言葉ごとに点数（logits）を出します。ここでは私たちが点数を決めました。
#
# 点数を確率に変えるのが softmax です。`exp` で全部プラスにして、合計で割ります。

# %% [markdown] lang="en"
# ## A small lottery
#
# Take nine words that might follow 「窓の外では、雪が」 ("outside the window, the snow"): falls, piles up, dances, glitters, melts, stops, laughs, runs, and curry. A model gives each word a score (the scores are called logits). Here we made them up.
#
# Softmax turns scores into probabilities: `exp` makes them all positive, then each is divided by their sum.

# %%
from helpers.charts import bar_chart

words = ["降る", "積もる", "舞う", "光る", "解ける", "止む", "笑う", "走る", "カレー"]
scores = torch.tensor([3.0, 2.4, 2.0, 1.5, 1.2, 0.8, -0.5, -1.0, -3.0])

weights = scores.exp()
probabilities = weights / weights.sum()
bar_chart(words, probabilities, title="softmax", unit="%")

# %% [markdown] lang="ja"
# この確率のとおりに、くじを 100 回引きます。
#
# **予想してみましょう。** 「降る」は何回出るでしょうか。「カレー」は出るでしょうか。

# %% [markdown] lang="en"
# Now draw 100 times with these probabilities.
#
# **Predict:** how many times will 「降る」 (falls) come up? Will 「カレー」 (curry) come up at all?

# %%
from helpers.charts import table
from helpers.language import say

torch.manual_seed(42)
drawn = torch.multinomial(probabilities, num_samples=100, replacement=True)
table(
    {
        say("言葉", "word"): words,
        say("期待する回数", "expected"): [f"{100 * p:.1f}" for p in probabilities.tolist()],
        say("出た回数", "drawn"): drawn.bincount(minlength=len(words)).tolist(),
    }
)

# %% [markdown] lang="ja"
# 多くは期待した回数の近くですが、ぴったりにはなりません。ずっと多いもの、少ないものもあります。これが「ありそうだが、毎回違う文」のもとです。
#
# ### temperature（温度）
#
# 点数を温度で割ってから、softmax をします。
#
# **予想してみましょう。** 温度を 0.2 に下げると、「降る」の確率は大きくなるでしょうか、小さくなるでしょうか。5 に上げると？

# %% [markdown] lang="en"
# Most counts are near what we expected, but not exact; some are well off. This is why texts are plausible and yet different each time.
#
# ### Temperature
#
# Divide the scores by the temperature before the softmax.
#
# **Predict:** at a temperature of 0.2, does 「降る」 become more probable or less? And at 5?

# %%
import matplotlib.pyplot as plt

from helpers.charts import percents, use_japanese_font

use_japanese_font()


def side_by_side(lotteries):
    _, panels = plt.subplots(1, len(lotteries), figsize=(7, 3), sharex=True, sharey=True)
    for panel, (name, lottery) in zip(panels, lotteries.items(), strict=True):
        bars = panel.barh(words, lottery, color="#3b82c4")
        panel.bar_label(bars, labels=percents(lottery.tolist()), padding=3)
        panel.set_title(name)
        panel.set_xlim(0, 1.6)
        panel.set_xticks([])
    panels[0].invert_yaxis()
    plt.show()


side_by_side({f"temperature = {t}": (scores / t).softmax(-1) for t in (0.2, 1, 5)})

# %% [markdown] lang="ja"
# 低い温度は、強いものをもっと強くします。0 に近づけると、1 位の確率が 100% に近づき、貪欲法と同じになります。高い温度は、差を小さくします。どこまでも上げると、九つとも同じ確率（9 分の 1）に近づき、でたらめになります。順番は、どの温度でも変わりません。

# %% [markdown] lang="en"
# A low temperature makes the strong stronger. As it goes to 0, the top word approaches 100%, which is greedy search. A high temperature evens out the differences. As it grows without limit, all nine approach the same probability, one ninth: pure chance. The order never changes.

# %% [markdown] lang="ja"
# ### `top_k` と `top_p`
#
# どちらも、くじから札を抜きます。残った札の確率は、足して 1 になるように計算しなおされます。
#
# - `top_k`：点数の高い k 個を残します。
# - `top_p`：確率の高い順に足していき、合計が p に届いたところまでを残します。
#
# とがったくじ（1 位がとても強い）と、平らなくじ（差が小さい）で試します。青が残った札、斜線が抜かれる前の確率です。
#
# **予想してみましょう。** `top_p = 0.85` で残る数が多いのは、とがったくじと平らなくじの、どちらでしょうか。

# %% [markdown] lang="en"
# ### `top_k` and `top_p`
#
# Both take tickets out of the lottery. The probabilities of the remaining tickets are rescaled so that they add up to 1.
#
# - `top_k` keeps the k highest scores.
# - `top_p` adds up the probabilities, highest first, and keeps tickets until the sum reaches p.
#
# We try both on a steep lottery (a strong favourite) and on a flat one (small differences). Blue is what is kept; hatched is the probability before the cut.
#
# **Predict:** with `top_p = 0.85`, which lottery keeps more tickets, the steep one or the flat one?


# %%
def kept_by_top_k(scores, k):
    return scores >= scores.topk(k).values[-1]


def kept_by_top_p(scores, p):
    probabilities, order = scores.softmax(-1).sort(descending=True)
    sum_before = probabilities.cumsum(-1) - probabilities
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[order[sum_before < p]] = True
    return kept


def show_cuts(lotteries):
    _, panels = plt.subplots(2, 2, figsize=(7, 5), sharex=True, sharey=True, layout="constrained")
    for panel, (name, (scores, kept)) in zip(panels.flat, lotteries.items(), strict=True):
        panel.barh(words, scores.softmax(-1), color="none", edgecolor="#999", hatch="////")
        panel.barh(
            words, scores.masked_fill(~kept, float("-inf")).softmax(-1), height=0.5, color="#3b82c4"
        )
        panel.set_title(f"{name}: {int(kept.sum())}")
        panel.set_xticks([])
    panels[0, 0].invert_yaxis()
    plt.show()


steep, flat = scores * 1.5, scores / 3
show_cuts(
    {
        say("とがった、top_k = 4", "steep, top_k = 4"): (steep, kept_by_top_k(steep, 4)),
        say("平ら、top_k = 4", "flat, top_k = 4"): (flat, kept_by_top_k(flat, 4)),
        say("とがった、top_p = 0.85", "steep, top_p = 0.85"): (steep, kept_by_top_p(steep, 0.85)),
        say("平ら、top_p = 0.85", "flat, top_p = 0.85"): (flat, kept_by_top_p(flat, 0.85)),
    }
)

# %% [markdown] lang="ja"
# `top_k` はいつも同じ数を残します。`top_p` は形に合わせます。モデルが自信を持っているときは少しだけ、迷っているときはたくさん残します。
#
# `transformers` は **temperature → top_k → top_p** の順に働きます。元の記事の `top_k=500`、`top_p=0.95` は、その両方です。

# %% [markdown] lang="en"
# `top_k` always keeps the same number. `top_p` adapts to the shape: few where the model is sure, many where it hesitates.
#
# `transformers` applies **temperature → top_k → top_p**, in this order. The article uses both cuts, `top_k=500` and `top_p=0.95`.

# %% tags=["build"]
claim(
    say("`top_k` はいつも同じ数を残します。", "`top_k` always keeps the same number."),
    kept_by_top_k(steep, 4).sum() == kept_by_top_k(flat, 4).sum(),
)
claim(
    say(
        "モデルが自信を持っているときは少しだけ、迷っているときはたくさん残します。",
        "few where the model is sure, many where it hesitates.",
    ),
    kept_by_top_p(steep, 0.85).sum() < kept_by_top_p(flat, 0.85).sum(),
)

# %% [markdown] lang="ja"
# ## 実験室
#
# 本物のモデルのくじには、語彙の数だけ札があります。次のセルで実験室を開きます。スライダーを動かすと図と「残り」の数が変わり、「生成」を押すと文を三つ書きます。「記事の設定」で元に戻ります。
#
# **予想してみましょう。** 動かす前に、書いておいてください。
#
# 1. `top_k` を 1 にすると、三つの文はどうなるでしょうか。
# 2. `top_p` を 0.95 から 0.5 に下げると、残るトークンは半分になるでしょうか。
# 3. `temperature` を 0.1 に下げると、三つの文は、A：同じ、B：似ている、C：まったく違う、のどれでしょうか。

# %% [markdown] lang="en"
# ## The lab
#
# The real model's lottery has a ticket for every token in its vocabulary. The next cell opens the lab. Move a slider, and the picture and the number of tokens kept change; press "Generate", and it writes three texts. The button "the article" takes you back to the article's settings.
#
# **Predict:** before you move anything, write down what you expect.
#
# 1. With `top_k` at 1, what will the three texts look like?
# 2. With `top_p` lowered from 0.95 to 0.5, will half as many tokens be kept?
# 3. With `temperature` lowered to 0.1, will the three texts be A: equal, B: similar, or C: quite different?

# %%
from helpers.lab import SamplingLab
from helpers.sampling import SamplingSettings

lab = SamplingLab(language_model, text, SamplingSettings(seed=15))
lab

# %% tags=["build"]
from helpers.sampling import generate, next_token_distribution

picture(
    "lab",
    lab.still(),
    say(
        "実験室：スライダー、次のトークンの確率、続き。",
        "The lab: sliders, the probabilities of the next token, and continuations.",
    ),
    width=1100,
)


def three(**changes):
    settings = SamplingSettings(seed=15, **changes)
    answer = generate(language_model, text, settings).sequences
    return next_token_distribution(language_model, text, settings).kept, [s.text for s in answer]


claim(
    say("1. 三つとも同じ文になります。", "1. All three are equal"),
    len({*three(top_k=1)[1]}) == 1,
)
claim(
    say(
        "2. たいてい、半分よりずっと少なくなります。",
        "2. Usually far fewer than half",
    ),
    three(top_p=0.5)[0] < three()[0] / 4,
)
claim(
    say(
        "途中の一回の違いから、別の言い回しに分かれることもあります。",
        "A single different draw can still lead to another phrase.",
    ),
    len({*three(temperature=0.1)[1]}) > 1
    and len({each[: len(text) + 4] for each in three(temperature=0.1)[1]}) == 1,
)

# %% [markdown] lang="ja"
# <details><summary>答え合わせ（押すと開きます）</summary>
#
# 1. 三つとも同じ文になります。札が一枚しかないからです。貪欲法と同じです。
# 2. たいてい、半分よりずっと少なくなります。確率の大きい札が少しあれば、0.5 に届くからです。
# 3. たいてい B です。1 位の札がほとんどいつも引かれるので、どの文も決まりきった言い回しになります。途中の一回の違いから、別の言い回しに分かれることもあります。
#
# </details>
#
# スライダーが動くのは、動いているノートブックと、ブラウザーの実験室です。図の「エントロピー」は、札を一枚引いたときの驚き（−log2(確率)、単位はビット）の平均です。`2**エントロピー` が「実質 何択か」で、同じ確率の札が何枚あるのと同じか、と読みます。ほかのボタンは、[実験室の説明]({{repository}}/blob/{{branch}}/docs/lab.md)にあります。

# %% [markdown] lang="en"
# <details><summary>Answers (click to open)</summary>
#
# 1. All three are equal: only one ticket is left to draw. This is greedy search.
# 2. Usually far fewer than half, because a few strong tickets already add up to 0.5.
# 3. Usually B. The top ticket is drawn nearly every time, so every text falls into stock phrases. A single different draw can still lead to another phrase.
#
# </details>
#
# The sliders work in a running notebook and in the lab in the browser. The entropy in the picture is the average surprise, −log2(probability) in bits, of drawing one ticket. `2**entropy` is the effective number of choices: the draw is as uncertain as one among that many equally likely tickets. The other buttons are described in [the lab's guide]({{repository}}/blob/{{branch}}/docs/lab.md).

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1. 文を書くループを、自分で書きましょう。** 点数を出し、確率に変え、くじを引き、後ろにつなぐ。これを繰り返すだけです。`...` の三か所を埋めてください。（`@torch.no_grad()` は「学習はしない」という印です。）
#
# - 確率に変える：`logits.softmax(-1)`
# - くじを引く：`torch.multinomial(確率, num_samples=1)`
# - つなぐ：`torch.cat([前の列, 新しい列], dim=-1)`。どちらも一行の表で、引いた `new_id` は `new_id[None]` とすると一行の表になります。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1. Write the generation loop.** Get the scores, turn them into probabilities, draw, append, and repeat. Fill in the three `...`. (`@torch.no_grad()` says that we are not training.)
#
# - turn into probabilities: `logits.softmax(-1)`
# - draw: `torch.multinomial(probabilities, num_samples=1)`
# - append: `torch.cat([the row so far, the new row], dim=-1)`. Both are tables with one row; `new_id[None]` turns the new id into one.


# %% tags=["exercise"]
@torch.no_grad()
def continue_text(ids, length, seed):
    torch.manual_seed(seed)  # くじの列を決める || fixes the row of draws
    for _ in range(length):  # 繰り返す || repeat
        logits = model(ids).logits[0, -1].float()  # 最後の位置の点数 || scores, last position
        chances = ...  # 確率に変える || turn into probabilities
        new_id = ...  # くじを引く || draw
        ids = ...  # 後ろにつなぐ || append
    return ids  # 書き出しと続き || the opening and what follows


# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check

plain = {
    "do_sample": True,
    "top_k": 0,
    "min_new_tokens": 12,
    "max_new_tokens": 12,
    "attention_mask": attention_mask,
    **special,
}


def test(continue_text):
    one = continue_text(input_ids, 1, 5)
    shape = (1, input_ids.shape[1] + 1)
    assert tuple(one.shape) == shape, say(
        f"1 トークン書いたあとの形が {tuple(one.shape)} です。{shape} になるように、後ろにつないでください。",
        f"After one token the shape is {tuple(one.shape)}. Append so that it becomes {shape}.",
    )
    assert one[:, :-1].equal(input_ids), say(
        "新しい id が後ろにありません。[前の列, 新しい列] の順につないでください。",
        "The new id is not at the end. Append in the order [the row so far, the new row].",
    )
    assert not continue_text(input_ids, 12, 5).equal(continue_text(input_ids, 12, 6)), say(
        "シードを変えても同じ文です。一番を選ばずに、くじを引いていますか。",
        "A different seed gives the same text. Do you draw, or always take the most probable?",
    )
    torch.manual_seed(5)
    expected = model.generate(input_ids, **plain)
    assert continue_text(input_ids, 12, 5).equal(expected), say(
        "くじは引けていますが、model.generate と違う文です。確率は softmax(-1) になっていますか。",
        "It draws, but the text is not the one model.generate writes. Are the probabilities softmax(-1)?",
    )
    return say(
        "シードが同じなら、model.generate と一つ残らず同じ id になります。",
        "With the same seed, every id is the one model.generate gives.",
    )


check(continue_text, test)

# %% tags=["cases"]
LOOP = """@torch.no_grad()
def continue_text(ids, length, seed):
    torch.manual_seed(seed)
    for _ in range(length):
        logits = model(ids).logits[0, -1].float()
        chances = CHANCES
        new_id = DRAW
        ids = APPEND
    return ids
"""


def loop(
    chances="logits.softmax(-1)",
    draw="torch.multinomial(chances, num_samples=1)",
    append="torch.cat([ids, new_id[None]], dim=-1)",
):
    return LOOP.replace("CHANCES", chances).replace("DRAW", draw).replace("APPEND", append)


RIGHT = [
    loop(),
    loop(
        chances="logits.exp() / logits.exp().sum()", append="torch.cat((ids, new_id.view(1, 1)), 1)"
    ),
]
WRONG = {
    loop(draw="chances.argmax()[None]"): say("シード", "seed"),
    loop(append="new_id[None]"): "(1, 1)",
    loop(append="torch.cat([new_id[None], ids], dim=-1)"): say("後ろ", "at the end"),
}


# %% tags=["solution"]
@torch.no_grad()
def continue_text(ids, length, seed):
    torch.manual_seed(seed)
    for _ in range(length):
        logits = model(ids).logits[0, -1].float()
        chances = logits.softmax(-1)
        new_id = torch.multinomial(chances, num_samples=1)
        ids = torch.cat([ids, new_id[None]], dim=-1)
    return ids


mine = continue_text(input_ids, 12, seed=5)
torch.manual_seed(5)
print(mine.equal(model.generate(input_ids, **plain)))
print(tokenizer.decode(mine[0]))

# %% [markdown] lang="ja" tags=["solution"]
# `True` は、`model.generate` と id が一つ残らず同じという意味です。`generate` の中でしていることは、この繰り返しです。`top_k` や `top_p` は、確率に変える前に、抜く札の点数をマイナス無限大にするだけです。`exp` をするとちょうど 0 になります。

# %% [markdown] lang="en"
# `True` means that every id is the one `model.generate` gives. This loop is what `generate` does inside. `top_k` and `top_p` merely set the scores of the tickets they remove to minus infinity before the softmax; `exp` of that is exactly 0.

# %% [markdown] lang="ja"
# **練習 2（自由課題）.** 実験室で、「意外だけれど、文としては崩れない」設定を見つけてください。設定とシードと、いちばん気に入った一文を書き、なぜその設定がよいのかを、図の言葉（残った数、実質何択か）で説明してください。

# %% [markdown] lang="en"
# **Exercise 2 (open).** In the lab, look for settings that give surprising texts which still hold together. Write down the settings, the seed and the text you like best, and explain in the picture's terms (tokens kept, effective choices) why they work.

# %% tags=["exercise"]
my_settings = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
from helpers.sampling import generate, next_token_distribution

chosen = SamplingSettings(top_k=100, top_p=0.9, temperature=0.9, seed=4, num_return_sequences=1)
for settings in (SamplingSettings(), chosen):
    lottery = next_token_distribution(language_model, text, settings)
    print(lottery.kept, f"{2**lottery.entropy:.1f}")
print(generate(language_model, text, chosen).sequences[0].text)

# %% [markdown] lang="ja" tags=["solution"]
# 数は「残った数、実質何択か」で、上が元の記事の設定、下が `top_k = 100`、`top_p = 0.9`、`temperature = 0.9` です。めったに出ない札を抜いたので、文は崩れにくくなります。それでも択数は一つではないので、意外な言葉も出ます。

# %% [markdown] lang="en"
# The numbers are tokens kept and effective choices: first with the article's settings, then with `top_k = 100`, `top_p = 0.9`, `temperature = 0.9`. With the rarest tickets gone, the text is less likely to fall apart. There is still more than one choice, so surprising words can come up.

# %% tags=["build"]
claim(
    say(
        "それでも択数は一つではないので、意外な言葉も出ます。",
        "There is still more than one choice, so surprising words can come up.",
    ),
    2**lottery.entropy > 5,
)

# %% [markdown] lang="ja" tags=["more"]
# ## もっと：両方の切り方を、本物のモデルで
#
# 実験室の図は、教材の `next_token_distribution` が計算しています。`transformers` が使うのと同じ部品で計算するので、図と本当の動きはずれません。元の記事の設定で、`top_k` と `top_p` がそれぞれ何個を抜くかを、コードで見ます。

# %% [markdown] lang="en"
# ## More: both cuts on the real model
#
# The lab's picture is computed by our `next_token_distribution`. It uses the same parts as `transformers`, so the picture shows what really happens. With the article's settings, how many tickets do `top_k` and `top_p` each remove?

# %%
from helpers.charts import distribution_chart
from helpers.sampling import next_token_distribution

distribution_chart(next_token_distribution(language_model, text, SamplingSettings()), top=10)

# %% [markdown] lang="ja"
# ## まとめ
#
# - モデルは、次のトークンの確率を出すだけです。文は、くじ引きの繰り返しで伸びます。
# - `temperature` → `top_k` → `top_p` の順に働きます。`top_k` は数の上限、`top_p` は形に合わせた切り方です。
# - 同じモデル、同じ設定、同じシードなら、同じパソコンで同じ文になります。
#
# 次は、同じことを GPU で動かします。設定を一つずつ試すなら [03b](03b_settings.ipynb) へ。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - The model only gives probabilities for the next token. A text grows by drawing again and again.
# - The order is `temperature` → `top_k` → `top_p`. `top_k` limits the number; `top_p` adapts to the shape.
# - The same model, settings and seed give the same text on the same computer.
#
# Next we run the same on a GPU. To try the settings one by one, go to [03b](03b_settings.ipynb).
#
# {{nav}}
