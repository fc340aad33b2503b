# %% [markdown] lang="ja"
# # 03 文の生成
#
# {{badge}}
#
# {{picture lab}}
#
# {{way scores lottery}}
#
# 文は、確率とくじ引きの繰り返しから生まれます。このレッスンでは、小さなくじでしくみを見てから、上の絵の実験室でスライダーを動かし、最後に、文を書く七行を自分で書きます。
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
# A text grows out of probabilities and random draws, over and over. In this lesson you see how it works on a small lottery, move the sliders of the lab in the picture, and finally write the seven lines that write a text.
#
# **You will be able to**
#
# - run the article's `model.generate(...)` and say what its settings mean;
# - predict what `temperature`, `top_k` and `top_p` do, and check it;
# - write the loop that writes a text.
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
# Choose a model. `"auto"` takes `rinna/japanese-gpt-1b` (a download of about 2.6 GB) where there is a GPU large enough, otherwise the bundled `aozora-mini`. Do not take what it writes for fact.

# %% tags=["varies"]
from helpers.models import load_model

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
model, tokenizer = language_model.model, language_model.tokenizer

# %% [markdown] lang="ja"
# ## 元の記事の呼び出し
#
# 文を id に変え、`generate` に渡し、文に戻します。設定の値は、元の記事と同じです。シードの 12 は、読みやすい文になるものを選びました。
#
# `attention_mask` は「どの id を読むか」の印です。ここでは全部読むので、すべて 1 です。印を渡さないと `transformers` が推測し、`pad` と `</s>` が同じ id のモデルでは推測できません。だから、自分で渡します。

# %% [markdown] lang="en"
# ## The article's call
#
# The text becomes ids, `generate` gets them, and what it returns becomes text again. The settings are the article's; the seed 12 was chosen for readable texts.
#
# The `attention_mask` marks which ids to read. Here all of them are read, so it is all ones. Without it `transformers` guesses, and for models in which `pad` and `</s>` share an id it cannot. So pass it yourself.

# %%
import torch

text = "国境の長いトンネルを抜けると雪国であった。"
input_ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)
attention_mask = torch.ones_like(input_ids)
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}

torch.manual_seed(12)
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
# 三つとも同じ書き出しなのに、途中から違う文になりました。設定の意味は、こうです。一つずつ試すのは [03b](03b_settings.ipynb) です。
#
# | 設定 | 意味 |
# |---|---|
# | `min_length`、`max_length` | 文の長さ。単位は**トークン**で、書き出しも数えます |
# | `do_sample` | `True` はくじを引く、`False` はいつも 1 位を選ぶ（貪欲法） |
# | `top_k`、`top_p` | くじに残す札を選ぶ |
# | `num_return_sequences` | いくつの文を書くか |
# | `pad`、`bos`、`eos` の id | 詰め物、始まり、終わりの印 |

# %% [markdown] lang="en"
# One opening, and from some point on three different texts. This is what the settings mean; [03b](03b_settings.ipynb) tries them one by one.
#
# | Setting | Meaning |
# |---|---|
# | `min_length`, `max_length` | the length of a text, in **tokens**, the opening included |
# | `do_sample` | `True` draws at random, `False` always takes the first (greedy search) |
# | `top_k`, `top_p` | choose which tickets stay in the lottery |
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
# Think of nine words that may follow 「窓の外では、雪が」 ("outside the window, the snow"): falls, piles up, dances, glitters, melts, stops, laughs, runs, and curry. A model gives each a score (logits). Here we made the scores up.
#
# Softmax turns scores into probabilities: `exp` makes all of them positive, then each is divided by the sum.

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
# **Predict:** how often will 「降る」 (falls) come up? Will 「カレー」 (curry)?

# %%
from helpers.charts import table
from helpers.language import say

torch.manual_seed(42)
counts = torch.multinomial(probabilities, num_samples=100, replacement=True).bincount(minlength=9)
expected = [f"{100 * p:.1f}" for p in probabilities.tolist()]
table(
    zip(words, expected, counts.tolist(), strict=True),
    [say("言葉", "word"), say("期待する回数", "expected"), say("出た回数", "drawn")],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# だいたい期待した回数の前後ですが、ぴったりにはなりません。これが「ありそうだが、毎回違う文」のもとです。
#
# ### temperature（温度）
#
# 点数を温度で割ってから、softmax をします。
#
# **予想してみましょう。** 温度を 0.2 に下げると、「降る」の確率は大きくなるでしょうか、小さくなるでしょうか。5 に上げると？

# %% [markdown] lang="en"
# The counts lie around what was expected, but not exactly. This is where "plausible, yet different each time" comes from.
#
# ### Temperature
#
# Divide the scores by the temperature before the softmax.
#
# **Predict:** with a temperature of 0.2, will 「降る」 become more probable or less? And with 5?

# %%
import matplotlib.pyplot as plt

from helpers.charts import percent, use_japanese_font

use_japanese_font()


def side_by_side(lotteries):
    _, panels = plt.subplots(1, len(lotteries), figsize=(10, 3), sharex=True, sharey=True)
    for panel, (name, lottery) in zip(panels, lotteries.items(), strict=True):
        bars = panel.barh(words, lottery, color="#3b82c4")
        panel.bar_label(bars, labels=[percent(p) for p in lottery.tolist()], padding=3)
        panel.set_title(name)
        panel.set_xlim(0, 1.25)
        panel.set_xticks([])
    panels[0].invert_yaxis()
    plt.show()


side_by_side({f"temperature = {t}": (scores / t).softmax(-1) for t in (0.2, 1, 5)})

# %% [markdown] lang="ja"
# 低い温度は、強いものをもっと強くします。0 に近づけると、1 位の確率が 100% に近づき、貪欲法と同じになります。高い温度は、差を小さくします。どこまでも上げると、九つとも同じ確率（9 分の 1）に近づき、でたらめになります。順番は、どの温度でも変わりません。

# %% [markdown] lang="en"
# A low temperature makes the strong stronger. Towards 0, the first approaches 100%: the same as greedy search. A high temperature evens out the differences. Raise it further and further, and all nine approach the same probability, one ninth: pure chance. The order never changes.

# %% [markdown] lang="ja"
# ### `top_k` と `top_p`
#
# どちらも、くじから札を抜きます。残った札の確率は、足して 1 になるように計算しなおされます。
#
# - `top_k`：点数の高い k 個を残します。
# - `top_p`：確率の高い順に足していき、合計が p に届いたところまでを残します。
#
# とがったくじと、平らなくじで試します。青が残った札、斜線が抜かれる前の確率です。
#
# **予想してみましょう。** `top_p = 0.85` で残る数が多いのは、とがったくじと平らなくじの、どちらでしょうか。

# %% [markdown] lang="en"
# ### `top_k` and `top_p`
#
# Both take tickets out of the lottery. The probabilities of those that stay are computed again so that they add up to 1.
#
# - `top_k` keeps the k highest scores.
# - `top_p` adds up the probabilities from the highest and keeps those up to where the sum reaches p.
#
# We try them on a steep lottery and on a flat one. Blue is what is kept; hatched is the probability before the cut.
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
    _, panels = plt.subplots(1, len(lotteries), figsize=(10, 3), sharex=True, sharey=True)
    for panel, (name, (scores, kept)) in zip(panels, lotteries.items(), strict=True):
        panel.barh(words, scores.softmax(-1), color="none", edgecolor="#999", hatch="////")
        panel.barh(
            words, scores.masked_fill(~kept, float("-inf")).softmax(-1), height=0.5, color="#3b82c4"
        )
        panel.set_title(f"{name}: {int(kept.sum())}")
        panel.set_xticks([])
    panels[0].invert_yaxis()
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
# `top_k` always keeps the same number. `top_p` follows the shape: few where the model is sure, many where it hesitates.
#
# `transformers` applies **temperature → top_k → top_p**, in this order. The article's `top_k=500` and `top_p=0.95` use both.

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
# 九枚のくじは、ここまでです。本物のモデルのくじには、語彙の数だけ札があります。次のセルを実行すると、スライダーの付いた実験室が出ます。
#
# **予想してみましょう。** 動かす前に、書いておいてください。
#
# 1. `top_k` を 1 にすると、三つの文はどうなるでしょうか。
# 2. `top_p` を 0.95 から 0.5 に下げると、残るトークンは半分になるでしょうか。
# 3. `temperature` を 0.1 に下げると、三つの文はどのくらい違うでしょうか。

# %% [markdown] lang="en"
# ## The lab
#
# So much for nine tickets. The real model's lottery has one ticket for every token of the vocabulary. The next cell opens a lab with sliders.
#
# **Predict:** before you move anything, write down what you expect.
#
# 1. With `top_k` at 1, what will the three texts look like?
# 2. With `top_p` down from 0.95 to 0.5, will half of the tokens be kept?
# 3. With `temperature` down to 0.1, how different will the three texts be?

# %%
from helpers.lab import SamplingLab
from helpers.sampling import SamplingSettings

lab = SamplingLab(language_model, text, SamplingSettings(seed=12))
lab

# %% tags=["build"]
picture(
    "lab",
    lab.still(),
    say(
        "実験室：スライダー、次のトークンの確率、続き。",
        "The lab: sliders, the probabilities of the next token, and continuations.",
    ),
    width=1100,
)

# %% [markdown] lang="ja"
# <details><summary>答え合わせ</summary>
#
# 1. 三つとも同じ文になります。札が一枚しかないからです。貪欲法と同じです。
# 2. たいてい、半分よりずっと少なくなります。確率の大きい札が少しあれば、0.5 に届くからです。
# 3. よく似た文になります。1 位の札が、ほとんどいつも引かれるからです。
#
# </details>
#
# スライダーは、動いているノートブックでだけ使えます。図の「エントロピー」は、札を一枚引いたときの驚き（−log2(確率)、単位はビット）の平均です。`2**エントロピー` が「実質 何択か」で、同じ確率の札が何枚あるのと同じか、と読みます。

# %% [markdown] lang="en"
# <details><summary>Answers</summary>
#
# 1. All three are equal: there is only one ticket to draw. It is greedy search.
# 2. Usually far fewer than half. A few strong tickets reach 0.5 already.
# 3. Much alike, because the first ticket is drawn nearly always.
#
# </details>
#
# The sliders work only in a running notebook. The entropy in the picture is the mean surprise, −log2(probability) in bits, of drawing one ticket. `2**entropy` is the effective number of choices: as if that many tickets had equal chances.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1. 文を書くループを、自分で書きましょう。** 点数を出し、確率に変え、くじを引き、後ろにつなぐ。これを繰り返すだけです。`...` の三か所を埋めてください。
#
# - 確率に変える：`logits.softmax(-1)`
# - くじを引く：`torch.multinomial(確率, num_samples=1)`
# - つなぐ：`torch.cat([前の列, 新しい列], dim=-1)`。列は、どちらも一行の表です（`new_id[None]` で行を一つ作ります）。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1. Write the loop that writes a text.** Get the scores, turn them into probabilities, draw, append; and again. Fill in the three `...`.
#
# - into probabilities: `logits.softmax(-1)`
# - draw: `torch.multinomial(probabilities, num_samples=1)`
# - append: `torch.cat([the row so far, the new row], dim=-1)`; both are tables of one row (`new_id[None]` makes one).


# %% tags=["exercise"]
def continue_text(ids, length, seed):
    torch.manual_seed(seed)
    for _ in range(length):
        with torch.no_grad():
            (
                model(ids).logits[0, -1].float()
            )  # 最後の位置の点数 || the scores at the last position
        ids = ...  # 後ろにつなぐ || append
    return ids


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
    assert not continue_text(input_ids, 12, 5).equal(continue_text(input_ids, 12, 6)), say(
        "シードを変えても同じ文です。一番を選ばずに、くじを引いていますか。",
        "Another seed gives the same text. Do you draw, or do you take the first?",
    )
    torch.manual_seed(5)
    expected = model.generate(input_ids, **plain)
    assert continue_text(input_ids, 12, 5).equal(expected), say(
        "くじは引けていますが、model.generate と違う文です。確率は softmax(-1) になっていますか。",
        "It draws, but the text differs from model.generate's. Is it softmax(-1)?",
    )
    return say(
        "シードが同じなら、model.generate と一つ残らず同じ id になります。",
        "For one seed, every id equals that of model.generate.",
    )


check(continue_text, test)

# %% tags=["cases"]
LOOP = """def continue_text(ids, length, seed):
    torch.manual_seed(seed)
    for _ in range(length):
        with torch.no_grad():
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
}


# %% tags=["solution"]
def continue_text(ids, length, seed):
    torch.manual_seed(seed)
    for _ in range(length):
        with torch.no_grad():
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
# `True` は、`model.generate` と id が一つ残らず同じという意味です。`generate` の中でしていることは、この繰り返しです。`top_k` や `top_p` は、確率に変える前に、抜く札の点数をマイナス無限大にするだけです。

# %% [markdown] lang="en"
# `True` says that every id equals that of `model.generate`. This loop is what `generate` does inside. `top_k` and `top_p` only set the scores of the tickets they take out to minus infinity, before the softmax.

# %% [markdown] lang="ja"
# ## 両方の切り方を、本物のモデルで
#
# 教材の `next_token_distribution` は、`transformers` が使うのと同じ部品で計算します。図と本当の動きがずれることはありません。元の記事の設定で、`top_k` と `top_p` がそれぞれ何個を抜くかを見ます。

# %% [markdown] lang="en"
# ## Both cuts on the real model
#
# Our `next_token_distribution` computes with the very parts that `transformers` uses, so the picture shows what really happens. With the article's settings, how many tickets do `top_k` and `top_p` each take out?

# %%
from helpers.charts import distribution_chart
from helpers.sampling import next_token_distribution

distribution_chart(next_token_distribution(language_model, text, SamplingSettings()), top=10)

# %% [markdown] lang="ja"
# **練習 2（自由課題）.** 実験室で、「意外だけれど、文としては崩れない」設定を見つけてください。設定とシードと、いちばん気に入った一文を書き、なぜその設定がよいのかを、図の言葉（残った数、実質何択か）で説明してください。

# %% [markdown] lang="en"
# **Exercise 2 (open).** In the lab, find settings that give surprising texts which do not fall apart. Write down the settings, the seed and the text you like best, and explain in the words of the picture (how many are kept, effective choices) why they work.

# %% tags=["exercise"]
my_settings = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
my_settings = say(
    "top_k = 100、top_p = 0.9、temperature = 0.9。残った数は減るが、実質の択数は十より多いので、崩れずに意外な語が出る。",
    "top_k = 100, top_p = 0.9, temperature = 0.9: fewer are kept, but there are still more than ten effective choices, so surprising words come and the text holds.",
)
print(my_settings)

# %% [markdown] lang="ja"
# ## まとめ
#
# - モデルは、次のトークンの確率を出すだけです。文は、くじ引きの繰り返しで伸びます。
# - `temperature` → `top_k` → `top_p` の順に働きます。`top_k` は数の上限、`top_p` は形に合わせた切り方です。
# - 同じモデル、同じ設定、同じシードなら、同じ文になります。
#
# 次は、同じことを GPU で動かします。設定を一つずつ試すなら [03b](03b_settings.ipynb) へ。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - The model only gives probabilities for the next token. A text grows by drawing again and again.
# - `temperature` → `top_k` → `top_p` is the order. `top_k` is a ceiling; `top_p` follows the shape.
# - The same model, settings and seed give the same text.
#
# Next we run the same on a GPU. To try the settings one by one, go to [03b](03b_settings.ipynb).
#
# {{nav}}
