# %% [markdown] lang="ja"
# # 00 実験室
#
# {{badge}}
#
# {{picture lab}}
#
# 川端康成『雪国』の最初の一文の続きを、言語モデルに書かせる実験室です。スライダーを動かすと、次に来るトークン（文の部品）の確率がすぐに変わり、「生成」を押すと文が伸びていきます。
#
# 三つのセルを、上から順に実行してください。セルの左の ▶ を押すか、**Shift + Enter** です。初めての方は、[レッスン 01](01_install.ipynb) から始めると、しくみから順にわかります。
#
# | かかる時間 | ダウンロード | GPU |
# |---|---|---|
# | 好きなだけ（準備は約 1 分） | なし | 不要 |

# %% [markdown] lang="en"
# # 00 The lab
#
# {{badge}}
#
# {{picture lab}}
#
# A lab in which a language model continues the opening line of Kawabata's *Snow Country*. Move a slider, and the probabilities of the next token (a small part of a text) change at once; press "Generate", and the text grows.
#
# Run the three cells from top to bottom: press ▶ at the left of a cell, or **Shift + Enter**. If this is your first time, [lesson 01](01_install.ipynb) explains everything step by step.
#
# | time | download | GPU |
# |---|---|---|
# | as long as you like (about a minute to get ready) | none | not needed |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# モデルを選びます。`"auto"` は、十分な GPU があれば `rinna/japanese-gpt-1b`（約 2.6 GB のダウンロード）を、なければ同梱の `aozora-mini` を選びます。
#
# モデルが書くことは、事実とは限りません。人を傷つける言葉が出ることもあります。

# %% [markdown] lang="en"
# Choose a model. `"auto"` takes `rinna/japanese-gpt-1b` (a download of about 2.6 GB) where there is a GPU large enough for it, otherwise the bundled `aozora-mini`.
#
# What a model writes need not be true, and it can offend.

# %% tags=["varies"]
from helpers.models import load_model

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)

# %%
from helpers.lab import SamplingLab
from helpers.sampling import SamplingSettings

lab = SamplingLab(
    language_model, "国境の長いトンネルを抜けると雪国であった。", SamplingSettings(seed=15)
)
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
# スライダーが変えるのは、文が続きになるまでの道の、最後の「くじ引き」です。ほかの場所は、[レッスン 01](01_install.ipynb) から順に見ていきます。
#
# {{way lottery}}
#
# {{nav}}

# %% [markdown] lang="en"
# The sliders change the lottery, the last step on the way from a text to its continuation. The lessons visit the other steps in turn, from [lesson 01](01_install.ipynb) on.
#
# {{way lottery}}
#
# {{nav}}
