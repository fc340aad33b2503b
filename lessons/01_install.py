# %% [markdown] lang="ja"
# # 01 はじめての文と、ライブラリ
#
# {{badge}}
#
# {{picture opening}}
#
# 上の絵は、川端康成『雪国』の最初の一文と、言語モデルが書いた続きです。このあとすぐ、あなたのコンピューターにも書かせます。

# %% [markdown] lang="en"
# # 01 A first text, and the libraries
#
# {{badge}}
#
# {{picture opening}}
#
# Above: the first sentence of Kawabata's *Snow Country*, and what a language model wrote next. In a moment your own computer will write, too.

# %% [markdown] lang="ja"
# ## さっそく書かせる
#
# コードのセルは、左の ▶ を押すか、選んで **Shift + Enter** で動きます。上から順に実行してください。最初は準備のセルです。教材と足りないライブラリを用意します。次のセルが、続きを書かせます。細かい意味は、まだわからなくてかまいません。

# %% [markdown] lang="en"
# ## Let it write
#
# To run a code cell, press ▶ to its left, or select it and press **Shift + Enter**. Run the cells from top to bottom. First comes the setup cell: it fetches the lessons and any missing libraries. The next one writes. You need not understand every detail yet.

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %%
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from helpers import BUNDLED_PATH
from helpers.tokenizer import load_tokenizer

logging.disable_progress_bar()
tokenizer = load_tokenizer(BUNDLED_PATH)
model = AutoModelForCausalLM.from_pretrained(BUNDLED_PATH, dtype=torch.float32)

PROMPT = "国境の長いトンネルを抜けると雪国であった。"
# "pt" は、torch の表の形で受け取る指定です。 || "pt" asks for torch tables (tensors).
inputs = tokenizer(PROMPT, return_tensors="pt", add_special_tokens=False)
torch.manual_seed(12)
output = model.generate(
    **inputs, min_length=50, max_length=60, do_sample=True, top_k=500, top_p=0.95
)
print(tokenizer.decode(output[0], skip_special_tokens=True))

# %% [markdown] lang="ja"
# 書けました。書いたのは、教材に同梱した `aozora-mini` です。青空文庫の作品から学んだ小さなモデルで、どのパソコンでもすぐに動きます。文の意味は、よく通らないことがあります。
#
# **先に知っておいてほしいこと。** 言語モデルは「ありそうな続き」を書くだけで、本当かどうかを確かめません。事実でないことを、もっともらしく書きます。人を傷つける表現が出ることもあります。学んだ文章に、そうした表現が含まれているからです。
#
# ## このレッスンについて
#
# **できるようになること**
#
# - 数行のコードで、書き出しの続きを書かせることができます。
# - transformers・sentencepiece・torch の役割を、一言ずつで説明できます。
# - シードを決めて、同じ文をもう一度出すことができます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 授業で約 18 分 | なし | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# That was `aozora-mini`, the model that comes with these lessons. It is small and learned from Aozora Bunko, a library of public-domain Japanese literature. It runs at once on any computer, and what it writes often makes little sense.
#
# **One thing to know first.** A language model writes what is likely to come next; it does not check whether that is true. It can state falsehoods in a convincing tone. It can also write offensive things, because the texts it learned from contain them.
#
# ## About this lesson
#
# **You will be able to**
#
# - have an opening line continued with a few lines of code;
# - say in a few words what transformers, sentencepiece and torch each do;
# - set the seed and get the same text again.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 18 minutes in class | none | about 1 GB | not needed |

# %% [markdown] lang="ja"
# ## 三つのライブラリ
#
# {{way text}}
#
# 文が続きになるまでの道です。三つのライブラリが分担します。
#
# | ライブラリ | 役割 | 上のコードでは |
# |---|---|---|
# | `sentencepiece` | 文を「トークン」という部品に切り、番号（id）にします | `tokenizer` の中 |
# | `transformers` | モデルの設計図、重みの読み込み、文を作る手順を持っています | `from_pretrained`、`generate` |
# | `torch`（PyTorch） | 実際の計算をします。CPU でも GPU でも動きます | すべての計算と、くじ引き |
#
# この教材は、「rinna 社が構築した GPT-2 モデルを使ってみる」（2022 年 12 月）という短い記事から生まれました。Colab にライブラリを入れ、`rinna/japanese-gpt-1b` を読み込み、同じ一文の続きを書かせ、GPU に移した記事です。この教材では「元の記事」と呼び、同じ順に進みます。

# %% [markdown] lang="en"
# ## Three libraries
#
# {{way text}}
#
# This is the way from a text to its continuation. Three libraries share the work.
#
# | Library | What it does | In the code above |
# |---|---|---|
# | `sentencepiece` | cuts the text into pieces called tokens and turns them into numbers (ids) | inside `tokenizer` |
# | `transformers` | provides the blueprint of the model, loads its weights, and generates text | `from_pretrained`, `generate` |
# | `torch` (PyTorch) | does the actual computing, on a CPU or a GPU | all the arithmetic, and the random draws |
#
# These lessons grew out of a short Japanese article, 「rinna 社が構築した GPT-2 モデルを使ってみる」 ("Trying the GPT-2 models that rinna built", December 2022). It installed libraries on Colab, loaded `rinna/japanese-gpt-1b`, had the same line continued, and moved it to a GPU. We call it "the article" and follow its steps.

# %% [markdown] lang="ja"
# ## シード
#
# `generate` は、モデルが出した確率に従って、次のトークンをくじ引きで選びます。だから、実行するたびに違う文になるはずです。
#
# コンピューターのくじは、「シード」という数から計算で作られます。`torch.manual_seed(12)` は、シードを 12 に決めます。（読みやすい文になるものを選びました。）
#
# **予想してみましょう。** シード 2、2、14 で三回書かせると、同じになるのはどれとどれでしょうか。次のセルの `""` の間（Colab では右の欄）に書いて、実行してください。採点はしません。

# %% [markdown] lang="en"
# ## The seed
#
# `generate` samples each next token: it draws at random, with the probabilities that the model gives. So the text should differ from run to run.
#
# But a computer calculates its random numbers, starting from a number called the seed. `torch.manual_seed(12)` sets the seed to 12. (We chose one that gives a readable text.)
#
# **Predict:** we generate three times, with the seeds 2, 2 and 14. Which texts will be the same? Write your guess between the `""` of the next cell (on Colab, in the box on the right) and run it. Nobody grades it.


# %%
def write(seed):
    torch.manual_seed(seed)
    ids = model.generate(**inputs, max_length=40, do_sample=True)
    return tokenizer.decode(ids[0], skip_special_tokens=True)


first, second, third = write(2), write(2), write(14)
print(first, second, third, sep="\n\n")
print(first == second, first == third)

# %% [markdown] lang="ja"
# 同じシードの二つは同じで、三つ目は違います。シードが同じでも、長さなどの設定が違えば、別の文になります。教室の全員が同じ設定とシードを使えば、同じ文を見ながら話し合えます。
#
# CPU と GPU では、乱数の作り方と計算の細かい丸めが違うので、同じシードでも違う文になります。CPU どうしなら、ほとんどの場合、同じ文です。

# %% [markdown] lang="en"
# The two texts with the same seed are the same; the third differs. With different settings, such as the length, even the same seed gives a different text. If a whole class uses the same settings and seed, everybody talks about the same text.
#
# A CPU and a GPU generate random numbers and round differently, so the same seed gives different texts. Two CPUs nearly always agree.

# %% [markdown] lang="ja"
# ## 教材の関数で書く
#
# 毎回あのコードを書くのは大変です。教材の `helpers` には、同じことをする短い関数があります。設定の初期値は、元の記事と同じです。
#
# `load_model` は、モデルとトークナイザーをまとめて読み込みます。`generate` は、中で同じ `model.generate` を呼びます。

# %% [markdown] lang="en"
# ## With our own functions
#
# Nobody wants to write all that every time. Our `helpers` package has short functions that do the same. Their default settings are the article's.
#
# `load_model` loads the model and its tokenizer together. `generate` calls the same `model.generate` inside.

# %%
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate

language_model = load_model("aozora-mini", device="cpu")
settings = SamplingSettings(seed=12, max_length=60, num_return_sequences=1)
generation = generate(language_model, PROMPT, settings)
print(generation.sequences[0].token_ids == output[0].tolist())

# %% [markdown] lang="ja"
# `True` は、最初に書かせた文と id の列まで同じという意味です。では、何のための関数でしょうか。間違った設定を、計算の前に、わかる言葉で知らせます。GPU があれば使います。そして、選んだトークンの確率を残します。
#
# 残した確率を使うと、最初の絵になります。色は、モデルがそのトークンをどのくらい「ありそう」と思ったかです。自信を持って書いたのは、どこでしょうか。
#
# <details><summary>答え（押すと開きます）</summary>
#
# たいてい、助詞や句読点です。名前や名詞は、当てにくいところです。
#
# </details>

# %% [markdown] lang="en"
# `True` means that the ids are exactly those of the first text. So what are these functions for? They report a wrong setting in plain words before any work is done. They use a GPU if there is one. And they keep the probability of every token that was drawn.
#
# These probabilities give us the picture from the top of the page. The colour shows how likely the model thought each token was. Where was it sure of itself?
#
# <details><summary>Answer (click to open)</summary>
#
# Mostly at particles and punctuation. Names and nouns are hard to guess.
#
# </details>

# %%
from helpers.charts import probability_text

probability_text(generation.sequences[0], language_model.tokenizer)

# %% tags=["build"]
steps = generation.sequences[0].steps
pieces = [tokenizer.convert_ids_to_tokens(step.token_id) for step in steps]
easy = [
    s.raw for s, p in zip(steps, pieces, strict=True) if p in set("はがをにのでとへもや、。「」")
]
others = [
    s.raw
    for s, p in zip(steps, pieces, strict=True)
    if p not in set("はがをにのでとへもや、。「」")
]
claim(
    say("たいてい、助詞や句読点です。", "Mostly at particles and punctuation."),
    sum(easy) / len(easy) > sum(others) / len(others),
)
picture(
    "opening",
    probability_text(generation.sequences[0], tokenizer),
    say(
        "『雪国』の最初の一文と、モデルが書いた続き。",
        "The first sentence of Snow Country, and a continuation by the model.",
    ),
    width=690,
)

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 自分で考えた書き出しの続きを、シード 708 で一つ書かせて、`my_text` に入れてください。まず `my_opening` に書き出しを入れます。上の `generate` のセルをまねて、`PROMPT` を `my_opening` に、シードを 708 に替え、`max_length` は消します。書かれた文は `.sequences[0].text` です。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Write an opening of your own, have it continued once with the seed 708, and put the text into `my_text`. First put your opening into `my_opening`. Then start from the cell with `generate` above: write `my_opening` in place of `PROMPT`, set the seed to 708, and leave out `max_length`. The text is in `.sequences[0].text`.

# %% tags=["exercise"]
my_opening = ""
my_text = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(text):
    assert my_opening.strip() and my_opening != "国境の長いトンネルを抜けると雪国であった。", say(
        "my_opening に、自分の書き出しを入れてください。",
        "Put an opening of your own into my_opening.",
    )
    right = generate(language_model, my_opening, SamplingSettings(seed=708, num_return_sequences=1))
    assert isinstance(text, str) and text.startswith(right.sequences[0].text[: len(my_opening)]), (
        say(
            "my_text が my_opening の続きではありません。my_text に入れるのは、generate の結果の .sequences[0].text です。",
            "my_text does not continue my_opening. It should be .sequences[0].text of what generate returns.",
        )
    )
    short = text[:-1] and right.sequences[0].text.startswith(text[:-1])
    assert text == right.sequences[0].text or not short, say(
        "シードは合っていますが、途中で終わっています。max_length を書かずに、もう一度書かせてください。",
        "The seed is right, but the text is too short. Leave out max_length and generate again.",
    )
    assert text == right.sequences[0].text, say(
        "シード 708 の文ではありません。SamplingSettings(seed=708, num_return_sequences=1) になっていますか。",
        "This is not the text for seed 708. Did you use SamplingSettings(seed=708, num_return_sequences=1)?",
    )
    return say(
        "シードが 708 なら、CPU ではほとんどの場合、だれが書かせてもこの文になります。",
        "With the seed 708, nearly everybody on a CPU gets exactly this text.",
    )


check(my_text, test)

# %% tags=["cases"]
RIGHT = [
    'my_opening = "雪の夜である。"\nmy_text = generate(language_model, my_opening, SamplingSettings(seed=708, num_return_sequences=1)).sequences[0].text',
    """my_opening = "山の宿に着いた。"
lm = language_model
ids = lm.tokenizer(my_opening, return_tensors="pt", add_special_tokens=False)
torch.manual_seed(708)
out = lm.model.generate(**ids, do_sample=True, min_length=50, max_length=100, top_k=500, top_p=0.95, pad_token_id=lm.tokenizer.pad_token_id)
my_text = lm.tokenizer.decode(out[0], skip_special_tokens=True)""",
    """PROMPT = "山の宿に着いた。"
my_opening = PROMPT
my_text = generate(language_model, PROMPT, SamplingSettings(seed=708, num_return_sequences=1)).sequences[0].text""",
]
WRONG = {
    'my_opening = "雪の夜である。"\nmy_text = generate(language_model, my_opening, SamplingSettings(seed=7, num_return_sequences=1)).sequences[0].text': "SamplingSettings(seed=708",
    'my_opening = "雪の夜である。"\nmy_text = generate(language_model, my_opening, SamplingSettings(seed=708, max_length=60, num_return_sequences=1)).sequences[0].text': "max_length",
    "my_opening = PROMPT\nmy_text = generate(language_model, my_opening, SamplingSettings(seed=708, num_return_sequences=1)).sequences[0].text": "my_opening",
}

# %% tags=["solution"]
my_opening = "駅を出ると、細かい雪が音もなく降りつづけていた。"
mine = generate(language_model, my_opening, SamplingSettings(seed=708, num_return_sequences=1))
my_text = mine.sequences[0].text
print(my_text)

# %% [markdown] lang="ja"
# **練習 2（自由課題）.** 同じ書き出しの続きを、シードを変えて二つ書かせ、もっともらしいほうを、となりの人に選んでもらってください。あなたならどちらを選びますか。理由を一文で書いてください。

# %% [markdown] lang="en"
# **Exercise 2 (open).** Have one opening continued with two different seeds, and let your neighbour choose the more plausible text. Which one would you choose? Give your reason in one sentence.

# %% tags=["exercise"]
my_reason = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
for seed in (1, 2):
    two = generate(language_model, PROMPT, SamplingSettings(seed=seed, num_return_sequences=1))
    print(two.sequences[0].text, end="\n\n")
my_reason = say(
    "だれが何をしているのかが、最後までわかるほうを選びました。",
    "I chose the one in which I can tell to the end who is doing what.",
)
print(my_reason)

# %% [markdown] lang="ja"
# ## まとめ
#
# - `sentencepiece` が文を id にし、`transformers` のモデルを `torch` が計算します。
# - 次のトークンは、モデルの確率に従ってくじで選びます。シードを決めれば、同じ文を再現できます。
# - 書かれたことが正しいとは限りません。
#
# 次のレッスンでは、文がどう id になり、id から何が計算されるのかを見ます。

# %% [markdown] lang="en"
# ## Summary
#
# - `sentencepiece` turns text into ids; `torch` runs the model that `transformers` defines.
# - The next token is drawn at random, with the model's probabilities. Set the same seed, and you get the same text again.
# - What the model writes is not necessarily true.
#
# The next lesson shows how text becomes ids, and what is computed from them.

# %% [markdown] lang="ja" tags=["more"]
# ## うまく動かないとき
#
# ここから先は、困ったときに読むところです。
#
# | 表示 | 意味 | すること |
# |---|---|---|
# | `[ ]` | まだ実行していません | ▶ か Shift + Enter |
# | `[*]` | 実行中か、順番待ちです（Colab では丸い印が回ります） | 待ちます |
# | `NameError: ... is not defined` | 上のセルを飛ばしています | 上から順に実行します |
# | `No module named 'yukiguni'` | 教材を取得できませんでした | ネットワークを確かめて、準備のセルをもう一度実行します |
# | 「Google が作成したものではない」（Colab） | GitHub のノートブックには必ず出ます | 中身を確かめて「このまま実行」を押します |
#
# こんがらがったら、再起動して上からやり直すのが近道です。Colab では「ランタイム」→「セッションを再起動する」、JupyterLab では「カーネル」→「カーネルの再起動」です。自分の変更を Colab で残すには、「ファイル」→「ドライブにコピーを保存」を使います。

# %% [markdown] lang="en"
# ## If something does not work
#
# The rest of this page is for when you are stuck.
#
# | You see | It means | Do this |
# |---|---|---|
# | `[ ]` | not run yet | ▶ or Shift + Enter |
# | `[*]` | running, or waiting for its turn (Colab shows a spinning circle) | wait |
# | `NameError: ... is not defined` | a cell above was skipped | run the cells from the top |
# | `No module named 'yukiguni'` | the lessons could not be fetched | check the network and run the setup cell again |
# | "This notebook was not authored by Google" (Colab) | Colab says this about every notebook from GitHub | look through it, then press "Run anyway" |
#
# If you get lost, restart and run everything again from the top: Runtime > Restart session on Colab, Kernel > Restart Kernel… in JupyterLab. To keep your changes on Colab, use File > Save a copy in Drive.

# %% [markdown] lang="ja"
# ### まるごと点検する
#
# 教材の `diagnose` は、ライブラリ、デバイス、メモリ、ディスク、ネットワーク、フォント、トークナイザー、同梱モデルを調べます。調べるだけで、何も変えません。`[OK]` はそのままで大丈夫、`[NG]` は `→` のあとが次にすること、`[--]` はなくても困らないものです。
#
# ターミナルでは、教材のフォルダーで `.venv/bin/python -m helpers.doctor` とすると、同じものが出ます。だれかに聞くときは、これを全部添えてください。ここに保存してある結果は、GPU もネットワークもないパソコンのものです。

# %% [markdown] lang="en"
# ### Check everything at once
#
# Our `diagnose` looks at libraries, device, memory, disk, network, fonts, tokenizer and the bundled model. It only looks; it changes nothing. `[OK]` needs nothing, `[NG]` tells you what to do after `→`, and `[--]` marks what the lessons can do without.
#
# In a terminal, `.venv/bin/python -m helpers.doctor` in the lessons' folder prints the same. When you ask for help, include all of it. The result stored here is from a computer without a GPU or a network.

# %% tags=["varies"]
from helpers.doctor import diagnose

findings = diagnose()

# %% [markdown] lang="ja"
# ### バージョンを確かめる
#
# 三つのライブラリが入っているかは、標準ライブラリの `importlib.metadata` で確かめられます。Colab には、最初から入っています。

# %% [markdown] lang="en"
# ### Versions
#
# Python's own `importlib.metadata` tells you whether the three libraries are installed. On Colab they are preinstalled.

# %% tags=["varies"]
from importlib.metadata import version

for name in ("torch", "transformers", "sentencepiece"):
    print(name, version(name))

# %% [markdown] lang="ja"
# ### 入れる前に確かめ、動いているときに更新しない
#
# 元の記事は `!pip install transformers` から始まります。今の Colab では `Requirement already satisfied`（もう入っています）と出るだけです。だから、入れる前に確かめます。
#
# Python は `import` のときにライブラリをメモリへ読み込み、終わるまでそれを使います。途中で `pip install --upgrade` をすると、ディスクの中身だけが新しくなり、古い部品と新しい部品が混ざって、わかりにくいエラーになります。
#
# - **torch と numpy** は、ほかの多くのライブラリの土台です。
# - **ipywidgets** には、ブラウザー側の相棒があります。片方だけを替えると、スライダーが表示されなくなります。
#
# だから準備のセルは、足りないものだけを足し、あるものには触れません。混ざっていないかは、メモリにある方（`__version__`）とディスクにある方（`version()`）を比べるとわかります。

# %% [markdown] lang="en"
# ### Check before you install, and never upgrade what is running
#
# The article begins with `!pip install transformers`. On Colab today that prints `Requirement already satisfied`, and nothing else happens. So check before you install.
#
# On `import`, Python loads a library into memory and keeps using that copy until it exits. If you run `pip install --upgrade` in the meantime, only the files on disk change. Old and new parts then get mixed, and the errors are hard to understand.
#
# - **torch and numpy** are what many other libraries build on.
# - **ipywidgets** has a counterpart in the browser. Replace only one of the two, and the sliders no longer appear.
#
# That is why the setup cell adds what is missing and leaves alone what is there. To see whether parts are mixed, compare what is in memory (`__version__`) with what is on disk (`version()`).

# %% tags=["varies"]
import sentencepiece
import transformers

for module in (torch, transformers, sentencepiece):
    print(module.__name__, module.__version__, version(module.__name__))

# %% [markdown] lang="ja"
# 全部のライブラリの、使える範囲（`requirements.txt`）と試したバージョン（`constraints.txt`）です。✗ があったら、自分のパソコンでは `make run` をやり直します。Colab では、`jupyterlab` と `ctranslate2` の ✗ は問題ありません。ほかに ✗ があって動かないときは、「ランタイムのタイプを変更」から、少し前のランタイムのバージョンを選べます。

# %% [markdown] lang="en"
# All libraries, with the range that works (`requirements.txt`) and the version we tested (`constraints.txt`). If you see ✗ on your own computer, run `make run` again. On Colab, ✗ for `jupyterlab` and `ctranslate2` is fine; if another ✗ stops something from working, "Change runtime type" lets you pick a slightly older runtime version.

# %% tags=["varies", "hide"]
# @title バージョンの表 || Table of versions
from helpers.charts import table
from helpers.doctor.packages import check_packages
from helpers.language import say

PURPOSES = {
    "torch": say("計算をする", "computes"),
    "transformers": say("モデルの設計図と読み込み", "blueprints and loading of models"),
    "sentencepiece": say("文とトークンの変換", "text to tokens and back"),
    "protobuf": say("トークナイザーの設定を読む", "reads tokenizer files"),
    "safetensors": say("重みのファイルを読み書きする", "reads and writes weight files"),
    "accelerate": say("大きいモデルの配置と学習", "placing and training large models"),
    "peft": say("大きいモデルの追加学習（05）", "fine-tuning large models (05)"),
    "tqdm": say("進み具合の表示", "progress bars"),
    "matplotlib": say("グラフ", "graphs"),
    "matplotlib-fontja": say("グラフの日本語の文字", "Japanese letters in graphs"),
    "ipywidgets": say("スライダーとボタン（03）", "sliders and buttons (03)"),
    "ipykernel": say("ノートブックの Python を動かす", "runs the notebook's Python"),
    "jupyterlab": say("ノートブックの画面", "shows the notebook"),
    "jupyterlab-language-pack-ja-JP": say("その日本語版", "the same in Japanese"),
    "ctranslate2": say("CPU で速く書く（04b）", "faster text on a CPU (04b)"),
}
rows = []
for finding in check_packages():
    if package := finding.values:
        mark = "✓" if finding.status == "OK" else "✗"
        limits = package["range"].replace(",", ", ")
        found, pin = package["installed"] or "—", package["tested"] or "—"
        rows.append([finding.name, PURPOSES.get(finding.name, ""), found, mark, limits, pin])

header = say(
    "ライブラリ、役割、入っているもの、✓、使える範囲、試したもの",
    "Library, For, Installed, ✓, Range, Tested",
)
table(rows, header.split(say("、", ", ")))

# %% [markdown] lang="ja"
# ### 自分のパソコンで動かす
#
# ターミナル（コマンドを打ちこむ画面）で、教材を取得（clone）し、そのフォルダーで `make run` を実行します。専用の環境を作り、書き出しの続きを三つ表示するところまで進みます。そのあと `make lab` で、レッスンの写しが開きます。
#
# ```
# git clone {{repository}}
# cd yukiguni-notebooks
# make run
# make lab
# ```
#
# Windows と macOS の手順は、[README]({{repository}}/blob/{{branch}}/README.ja.md) にあります。

# %% [markdown] lang="en"
# ### On your own computer
#
# In a terminal (the window for typing commands), clone the repository and run `make run` in its folder. It creates an environment of its own and prints three continuations of the opening line. Then `make lab` opens a copy of the lessons.
#
# ```
# git clone {{repository}}
# cd yukiguni-notebooks
# make run
# make lab
# ```
#
# The steps for Windows and macOS are in the [README]({{repository}}/blob/{{branch}}/README.md).

# %% [markdown] lang="ja"
# {{nav}}

# %% [markdown] lang="en"
# {{nav}}
