# %% [markdown] lang="ja"
# # 01 ライブラリの準備
#
# {{badge}}
#
# 日本語の文の続きを、コンピューターに書かせる教材です。rinna 社の GPT-2（文の続きを書く言語モデル）を試した短い記事をもとにしています。最初のレッスンでは、道具がそろっているかを確かめて、さっそく一つ書かせてみます。
#
# **できるようになること**
#
# - transformers・sentencepiece・torch の役割を、一言ずつで説明できます。
# - ライブラリのバージョンを自分で確かめられます。
# - 動いているノートブックでライブラリを更新してはいけない理由がわかります。
# - 数行のコードで、書き出しの続きを書かせることができます。
# - シードを決めて、同じ文をもう一度出すことができます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 20 分（目安。実行だけなら約 30 秒） | なし | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 01 The libraries
#
# {{badge}}
#
# These lessons have a computer continue Japanese text. They grew out of a short article that tried rinna's GPT-2, a language model that continues text. In this first lesson you check that the tools are there, and then have a first text written at once.
#
# **You will be able to**
#
# - say in a few words what transformers, sentencepiece and torch each do;
# - check the versions of the libraries yourself;
# - explain why libraries must not be upgraded while a notebook is running;
# - continue an opening line in a few lines of code;
# - fix the seed and get the same text again.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 20 minutes (an estimate; running it: about 30 s) | none | about 1 GB | not needed |

# %% [markdown] lang="ja"
# ## ノートブックの動かし方
#
# ノートブックは「セル」が並んだものです。コードのセルを選んで **Shift + Enter** を押すと、そのセルが実行され、結果がすぐ下に出ます。
#
# 上から順に実行してください。下のセルは、上のセルで作った変数を使います。`NameError: ... is not defined` と出たら、たいてい、上のセルを飛ばしています。

# %% [markdown] lang="en"
# ## How to use a notebook
#
# A notebook is a column of cells. Select a code cell and press **Shift + Enter**: the cell runs, and its result appears right below.
#
# Run the cells from top to bottom. Later cells use what earlier ones made. `NameError: ... is not defined` mostly means that a cell above was skipped.

# %% [markdown] lang="ja"
# セルの左の `[ ]` は、そのセルの状態です。
#
# | 表示 | 意味 |
# |---|---|
# | `[ ]` | まだ実行していません |
# | `[*]` | 実行中か、順番を待っています（Colab では、丸い印が回ります） |
# | `[3]` | 終わりました。3 番目に実行したセルです |

# %% [markdown] lang="en"
# The `[ ]` to the left of a cell tells its state.
#
# | You see | Meaning |
# |---|---|
# | `[ ]` | not run yet |
# | `[*]` | running, or waiting for its turn (Colab shows a turning circle) |
# | `[3]` | finished; it was the third cell to run |

# %% [markdown] lang="ja"
# うまくいかなくなったら、再起動して上からやり直すのが近道です。変数がすべて消えて、まっさらになります。
#
# - **Colab**：「ランタイム」→「セッションを再起動する」
# - **JupyterLab**：「Kernel」→「Restart Kernel…」

# %% [markdown] lang="en"
# When things get muddled, restart and run again from the top. All variables are gone then, and you start clean.
#
# - **Colab**: Runtime > Restart session
# - **JupyterLab**: Kernel > Restart Kernel…

# %% [markdown] lang="ja"
# Colab は、「このノートブックは Google が作成したものではない」という警告を出します。GitHub にあるノートブックを開くと、作者が Google でないかぎり必ず出るものです。壊れているという意味ではありません。中身は[リポジトリ]({{repository}})ですべて読めます。信用できると思ったら、そのまま実行してください。

# %% [markdown] lang="en"
# Colab warns that this notebook was not authored by Google. It says so of every notebook from GitHub that Google did not write; nothing is broken. You can read all of the code in the [repository]({{repository}}). If you trust it, run it anyway.

# %% [markdown] lang="ja"
# ## 準備のセル
#
# どのレッスンにも、最初にこのセルがあります。することは三つです。
#
# 1. 教材のフォルダー（`helpers` があるところ）を探します。なければ、`git clone` で取得します。
# 2. 足りないライブラリだけを入れます。入っているものは変えません。
# 3. 表示の言葉を決めます。`LANG` がその設定です。
#
# 中のコードは、今は読まなくてかまいません。

# %% [markdown] lang="en"
# ## The setup cell
#
# Every lesson begins with this cell. It does three things.
#
# 1. It looks for the folder of these lessons (the one with `helpers`) and fetches it if it is not there.
# 2. It installs only the libraries that are missing and leaves the others as they are.
# 3. It sets the language of the labels: that is `LANG`.
#
# There is no need to read its code now.

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# ## 三つのライブラリ
#
# 文が続きになるまでに、三つのライブラリが働きます。
#
# | ライブラリ | 役割 |
# |---|---|
# | `sentencepiece` | 文を「トークン」という小さな部品に切り、番号（id）に置きかえます。逆もします |
# | `transformers` | GPT-2 などのモデルの設計図と、重み（学習で決まった数）の読み込み方、文を作る手順を持っています |
# | `torch`（PyTorch） | 実際の計算をします。大量のかけ算と足し算を、CPU でも GPU でも動かします |
#
# ```text
# 文 ─ sentencepiece ─▶ id の列 ─ transformers と torch ─▶ 次のトークンの確率 ─▶ 一つ選んで、繰り返す
# ```

# %% [markdown] lang="en"
# ## Three libraries
#
# Three libraries work together to turn a text into its continuation.
#
# | Library | Its part |
# |---|---|
# | `sentencepiece` | cuts the text into small parts called tokens and turns them into numbers (ids), and back |
# | `transformers` | holds the blueprints of models such as GPT-2, loads their weights (the numbers set by training), and knows how to generate text |
# | `torch` (PyTorch) | does the computing: a great many multiplications and additions, on a CPU or a GPU |
#
# ```text
# text ─ sentencepiece ─▶ ids ─ transformers with torch ─▶ probabilities of the next token ─▶ pick one, repeat
# ```

# %% [markdown] lang="ja"
# ## 入れる前に、確かめる
#
# 元の記事は `!pip install transformers` から始まります。（`!` で始まる行は、ターミナルの命令です。）
#
# **予想してみましょう。** 今の Colab でこれを実行すると、何が起きるでしょうか。

# %% [markdown] lang="en"
# ## Check before you install
#
# The article begins with `!pip install transformers`. (A line with `!` is a command for the terminal.)
#
# **Predict:** what happens if you run that on Colab today?

# %% [markdown] lang="ja"
# <details><summary>答え</summary>
#
# ほぼ何も起きません。三つとも Colab に最初から入っているので、pip は `Requirement already satisfied`（もう入っています）と答えて終わります。だから、入れる前に確かめます。
#
# </details>

# %% [markdown] lang="en"
# <details><summary>Answer</summary>
#
# Next to nothing. All three are preinstalled on Colab, so pip says `Requirement already satisfied`, and stops. So check before you install.
#
# </details>

# %% [markdown] lang="ja"
# 確かめるには、標準ライブラリの `importlib.metadata` が使えます。入っているライブラリのバージョンを答えてくれます。

# %% [markdown] lang="en"
# Python's own `importlib.metadata` can check: it tells the version of a library that is installed.

# %% tags=["varies"]
from importlib.metadata import version

for name in ("torch", "transformers", "sentencepiece"):
    print(name, version(name))

# %% [markdown] lang="ja"
# ## 動いているときに更新しない
#
# Python は `import` のときにライブラリをメモリへ読み込み、終わるまでそれを使います。その途中で `pip install --upgrade` をすると、ディスクの中身だけが新しくなります。メモリの古い部品と、あとから読み込む新しい部品が混ざって、わかりにくいエラーになります。
#
# - **torch と numpy** は、ほかの多くのライブラリの土台です。土台だけを替えると、上に乗っているものが動かなくなります。
# - **ipywidgets** には、ブラウザー側の相棒があります。片方だけを替えると、スライダーやボタンが表示されなくなります。
#
# だから準備のセルは、足りないものだけを足し、あるものには触れません。

# %% [markdown] lang="en"
# ## Never upgrade what is running
#
# On `import`, Python reads a library into memory and works with that copy until it ends. If you run `pip install --upgrade` meanwhile, only the files on disk become new. Old parts in memory then meet new parts from disk, and the errors that follow are hard to understand.
#
# - **torch and numpy** are the ground that many other libraries stand on. Replace the ground alone, and what stands on it falls.
# - **ipywidgets** has a partner in the browser. Replace only one of the two, and sliders and buttons no longer appear.
#
# That is why the setup cell adds what is missing and touches nothing that is there.

# %% [markdown] lang="ja"
# 更新が混ざっていないかは、調べられます。メモリにある方は `__version__`、ディスクにある方は `version()` が答えます。二つが同じなら大丈夫です。（torch と transformers の読み込みには、数秒かかります。）

# %% [markdown] lang="en"
# You can see whether that has happened. `__version__` tells what is in memory, `version()` what is on disk. If the two agree, all is well. (Importing torch and transformers takes a few seconds.)

# %% tags=["varies"]
import sentencepiece
import torch
import transformers

for module in (torch, transformers, sentencepiece):
    print(module.__name__, module.__version__, version(module.__name__))

# %% [markdown] lang="ja"
# ## 全部のバージョンの表
#
# この教材が使うライブラリは `requirements.txt` に、試したときのバージョンは `constraints.txt` に書いてあります。まず、この二つを読みます。
#
# この先の三つのコードは、実行するだけで、読み飛ばしてかまいません。見てほしいのは、最後の表です。

# %% [markdown] lang="en"
# ## A table of all versions
#
# What these lessons use is listed in `requirements.txt`; the versions we tested stand in `constraints.txt`. First, read both.
#
# Run the next three cells, but feel free to skip their code; the table after them is what matters.

# %%
import re

from packaging.requirements import Requirement

from helpers.environment import REQUIREMENTS

CONSTRAINTS = REQUIREMENTS.with_name("constraints.txt")

lines = [line.split("#")[0].strip() for line in REQUIREMENTS.read_text("utf-8").splitlines()]
required = [Requirement(line) for line in lines if line]
pins = CONSTRAINTS.read_text("utf-8") if CONSTRAINTS.is_file() else ""
tested = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", pins, flags=re.MULTILINE))

# %% [markdown] lang="ja"
# 次は、それぞれの役割です。

# %% [markdown] lang="en"
# Next, what each of them is for.

# %%
from helpers.language import say

PURPOSES = {
    "torch": say("計算をする", "computes"),
    "transformers": say("モデルの設計図と読み込み", "blueprints and loading of models"),
    "sentencepiece": say("文とトークンの変換", "text to tokens and back"),
    "protobuf": say("トークナイザーの設定を読む", "reads tokenizer files"),
    "safetensors": say("重みのファイルを読み書きする", "reads and writes weight files"),
    "accelerate": say("大きいモデルの配置と学習", "placing and training large models"),
    "peft": say("大きいモデルの追加学習（レッスン 5）", "fine-tuning large models (lesson 5)"),
    "tqdm": say("進み具合の表示", "progress bars"),
    "matplotlib": say("グラフ", "graphs"),
    "matplotlib-fontja": say("グラフの日本語の文字", "Japanese letters in graphs"),
    "ipywidgets": say("スライダーとボタン（レッスン 3）", "sliders and buttons (lesson 3)"),
    "ipykernel": say("ノートブックの Python を動かす", "runs the notebook's Python"),
    "jupyterlab": say("ノートブックの画面", "shows the notebook"),
}

# %% [markdown] lang="ja"
# インストールされていないライブラリを `version()` に聞くと、例外が出ます。Colab には独自の画面があり、`jupyterlab` は入っていません。そこで、例外を「—」に変える小さな関数を作ります。

# %% [markdown] lang="en"
# Asking `version()` about a library that is not installed raises an exception. Colab has a screen of its own, for instance, and no `jupyterlab`. A small function turns the exception into "—".

# %%
from importlib.metadata import PackageNotFoundError


def installed_version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "—"


# %% [markdown] lang="ja"
# 表にします。「使える範囲」は `requirements.txt` にある条件です。入っているバージョンがその範囲にあれば ✓、なければ ✗ が付きます。「試したバージョン」と少し違っていても、範囲の中ならそのままで大丈夫です。

# %% [markdown] lang="en"
# Now the table. "Range" is the condition in `requirements.txt`; ✓ means that the installed version lies within it, ✗ that it does not. If yours differs a little from the one we tested but lies in the range, leave it as it is.

# %% tags=["varies"]
from helpers.charts import table

rows = []
for package in required:
    found = installed_version(package.name)
    fits = found != "—" and package.specifier.contains(found, prereleases=True)
    purpose = PURPOSES.get(package.name, "")
    bounds = [f"{bound.operator} {bound.version}" for bound in package.specifier]
    limits = ", ".join(sorted(bounds, reverse=True))
    pin = tested.get(package.name, "—")
    rows.append((package.name, purpose, found, "✓" if fits else "✗", limits, pin))

table(
    rows,
    [
        say("ライブラリ", "Library"),
        say("役割", "What it is for"),
        say("入っているバージョン", "Installed"),
        "✓",
        say("使える範囲", "Range"),
        say("試したバージョン", "Tested"),
    ],
)

# %% [markdown] lang="ja"
# ✗ の付いたライブラリがあったら、こうします。
#
# - **自分のパソコン**：この教材専用の環境で `make run` をやり直します。ほかの環境のライブラリには触れません。
# - **Colab**：`jupyterlab` の ✗ は、問題ありません。ほかに ✗ があっても、まずはこのまま進んでください。Colab の更新の直後で動かないときは、「ランタイムのタイプを変更」から、少し前のランタイムのバージョンを選べます。

# %% [markdown] lang="en"
# If a library has ✗:
#
# - **On your own computer**, run `make run` again. It works in an environment made for these lessons and leaves your other ones alone.
# - **On Colab**, ✗ for `jupyterlab` is as it should be. If there are others, try going on first. If something fails right after an update of Colab, "Change runtime type" lets you choose a somewhat older runtime version.

# %% [markdown] lang="ja"
# ## まるごと点検する
#
# 表で見たのは、ライブラリだけです。教材の `diagnose` は、デバイス（CPU か GPU か）、メモリ、ディスク、ネットワーク、フォント、トークナイザー、同梱モデルも調べます。調べるだけで、何も変えません。
#
# | 印 | 意味 |
# |---|---|
# | `[OK]` | そのままで大丈夫です |
# | `[NG]` | このままではレッスンが動きません。`→` のあとが、次にすることです |
# | `[--]` | なくても困りません（GPU やネットワークなど） |

# %% [markdown] lang="en"
# ## Check everything at once
#
# The table was about libraries alone. Our `diagnose` also looks at the device (CPU or GPU), memory, disk, network, fonts, tokenizer and the bundled model. It only looks; it changes nothing.
#
# | Mark | Meaning |
# |---|---|
# | `[OK]` | fine as it is |
# | `[NG]` | the lessons will not run like this; the next step follows the `→` |
# | `[--]` | the lessons do without it (a GPU or the network, for instance) |

# %% tags=["varies"]
from helpers.doctor import diagnose

findings = diagnose()

# %% [markdown] lang="ja"
# ターミナルでは、教材のフォルダーで `.venv/bin/python -m helpers.doctor` とすると、同じものが出ます。困ったことをだれかに聞くときは、これを全部添えてください。話が早くなります。
#
# ここに保存してある結果は、GPU のないパソコンで、ネットワークを切って作りました。だから `[--]` があります。

# %% [markdown] lang="en"
# In a terminal, `.venv/bin/python -m helpers.doctor` in the folder of the lessons prints the same. When you ask somebody for help, send all of it along.
#
# The results stored here were made without a GPU and with the network cut: hence the `[--]`.

# %% [markdown] lang="ja"
# ## 自分のパソコンで動かす
#
# コマンドは二つです。リポジトリを取得（clone）して、そのフォルダーで `make run` を実行します。専用の環境を作り、ライブラリを入れ、書き出しの続きを三つ表示するところまで進みます。そのあと `make lab` で、このノートブックが開きます。
#
# Windows と macOS の手順は、[README]({{repository}}/blob/{{branch}}/README.ja.md) にあります。

# %% [markdown] lang="en"
# ## On your own computer
#
# It takes two commands: clone the repository, and run `make run` in its folder. That makes an environment of its own, installs the libraries, and prints three continuations of the opening line. Then `make lab` opens these notebooks.
#
# The steps for Windows and macOS are in the [README]({{repository}}/blob/{{branch}}/README.md).

# %% [markdown] lang="ja"
# ## 最初の文
#
# 道具がそろいました。続きを書かせてみましょう。
#
# このレッスンで使うモデルは、教材に同梱した `aozora-mini` です。青空文庫の作品から学んだ小さなモデルで、どのパソコンでもすぐに動きます。元の記事で使われた `rinna/japanese-gpt-1b` は 100 倍以上大きく、ずっと上手です。aozora-mini の文は、意味がよく通らないことがあります。

# %% [markdown] lang="en"
# ## The first text
#
# The tools are there. Let us have something written.
#
# The model of this lesson is `aozora-mini`, which comes with these lessons. It is a small model that learned from works in Aozora Bunko, the library of public-domain Japanese literature, and it runs at once on any computer. The article's `rinna/japanese-gpt-1b` is more than a hundred times larger and writes far better. What aozora-mini writes often makes little sense.

# %% [markdown] lang="ja"
# **先に知っておいてほしいこと。** 言語モデルは「ありそうな続き」を書くだけで、本当かどうかを確かめません。事実でないことを、もっともらしく書きます。人を傷つける表現が出ることもあります。学んだ文章に、そうした表現が含まれているからです。出てきた文は、そのつもりで読んでください。

# %% [markdown] lang="en"
# **One thing to know first.** A language model writes what is likely to come next; it does not check whether it is true. It states falsehoods in a plausible tone. It can also write things that offend, because the texts it learned from contain such things. Read what it writes with that in mind.

# %% [markdown] lang="ja"
# まず、`transformers` だけでやってみます。モデルの重みと、トークナイザー（文を id に変える係）を読み込みます。
#
# - `disable_progress_bar()` は、読み込みの進み具合を示す棒を消します。小さいモデルは一瞬で終わるので、要りません。
# - `dtype=torch.float32` は、重みを 32 ビットの小数で持つ、という指定です。CPU では、これが確実です。
# - トークナイザーには、教材の `load_tokenizer` を使います。`transformers` のものを使わない理由は、レッスン 2 で見ます。

# %% [markdown] lang="en"
# First with `transformers` alone. Load the model's weights and its tokenizer, which turns text into ids.
#
# - `disable_progress_bar()` hides the bar that shows the loading. A small model is there in a moment.
# - `dtype=torch.float32` holds the weights as 32-bit numbers, the safe choice on a CPU.
# - The tokenizer comes from our `load_tokenizer`. Lesson 2 shows why we do not take the one in `transformers`.

# %%
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from helpers import BUNDLED_PATH
from helpers.tokenizer import load_tokenizer

logging.disable_progress_bar()
tokenizer = load_tokenizer(BUNDLED_PATH)
model = AutoModelForCausalLM.from_pretrained(BUNDLED_PATH, dtype=torch.float32)

# %% [markdown] lang="ja"
# 書き出しは、川端康成の『雪国』の最初の一文です。トークナイザーが、これを id の列にします。
#
# `return_tensors="pt"` は、PyTorch のテンソル（数の表）で受け取る指定です。表の一行が、一つの文です。`add_special_tokens=False` の理由は、レッスン 2 で見ます。
#
# 一緒にできる `attention_mask` は、「どの id を読むか」の印です。ここでは全部読むので、すべて 1 です。

# %% [markdown] lang="en"
# The opening line is the first sentence of Kawabata Yasunari's novel 『雪国』 (*Snow Country*). The tokenizer turns it into ids.
#
# `return_tensors="pt"` asks for a PyTorch tensor, a table of numbers with one row for each text. Lesson 2 explains `add_special_tokens=False`.
#
# The `attention_mask` beside them marks which ids to read. Here all of them are read, so it is all ones.

# %%
PROMPT = "国境の長いトンネルを抜けると雪国であった。"
inputs = tokenizer(PROMPT, return_tensors="pt", add_special_tokens=False)
print(inputs["input_ids"])
print(inputs["attention_mask"])

# %% [markdown] lang="ja"
# `generate` が続きを作ります。`**inputs` と書くと、id の列と印の両方が渡ります。印を渡さないと、`transformers` は自分で推測し、警告を出すことがあります。
#
# ほかの設定の意味は、レッスン 3 で一つずつ見ます。`torch.manual_seed(0)` は、すぐあとで説明します。

# %% [markdown] lang="en"
# `generate` writes the continuation. `**inputs` hands over both the ids and the mask. Without the mask, `transformers` has to guess it and may warn you.
#
# Lesson 3 explains the other settings one by one. `torch.manual_seed(0)` is the topic right after this.

# %%
torch.manual_seed(0)
output = model.generate(
    **inputs,
    min_length=50,
    max_length=100,
    do_sample=True,
    top_k=500,
    top_p=0.95,
    pad_token_id=tokenizer.pad_token_id,
)
print(tokenizer.decode(output[0], skip_special_tokens=True))

# %% [markdown] lang="ja"
# ## シード
#
# `generate` は、モデルが出した確率に従って、次のトークンをくじ引きで選びます。だから、実行するたびに違う文になるはずです。
#
# コンピューターのくじは、「シード」という数から計算で作られます。シードが同じなら、くじの出方も同じです。`torch.manual_seed(0)` は、シードを 0 に決めます。

# %% [markdown] lang="en"
# ## The seed
#
# `generate` draws each next token by lot, with the probabilities the model gives. So the text ought to differ from run to run.
#
# But a computer makes its lots by calculation, from a number called the seed. With the same seed, the same lots come out. `torch.manual_seed(0)` sets the seed to 0.

# %% [markdown] lang="ja"
# **予想してみましょう。** 次のセルは、シード 0、0、1 で三回書かせます。三つの文のうち、同じになるのはどれとどれでしょうか。

# %% [markdown] lang="en"
# **Predict:** the next cell writes three times, with the seeds 0, 0 and 1. Which of the three texts will be equal?


# %%
def write(seed):
    torch.manual_seed(seed)
    ids = model.generate(**inputs, max_length=40, do_sample=True)
    return tokenizer.decode(ids[0], skip_special_tokens=True)


first, second, third = write(0), write(0), write(1)
print(first, second, third, sep="\n\n")
print(first == second, first == third)

# %% [markdown] lang="ja"
# 最初の二つは同じで、三つ目は違います。教室の全員が同じシードを使えば、同じ文を見ながら話し合えます。
#
# 同じになるのは、同じ計算をしたときです。CPU と GPU では、乱数の作り方と計算の細かい丸めが違うので、同じシードでも違う文になります。CPU どうしなら、ほとんどの場合、同じ文です。ただし、CPU の種類やライブラリのバージョンが違うと、丸めの差で途中から分かれることがあります。

# %% [markdown] lang="en"
# The first two are equal, the third is not. If a whole class uses one seed, everybody talks about the same text.
#
# That holds as long as the computation is the same. A CPU and a GPU make their random numbers and round their sums differently, so they give different texts for one seed. Two CPUs nearly always agree, but another kind of CPU or other versions of the libraries may round differently, and the texts then part on the way.

# %% [markdown] lang="ja"
# ## 教材の関数で書く
#
# 同じことを、教材の `helpers` でもできます。`load_model` は、モデルとトークナイザーをまとめて読み込みます。`generate` の設定は `SamplingSettings` に入れます。設定の初期値は、元の記事と同じです。
#
# このレッスンでは、GPU のあるパソコンでも同じ文になるように、`device="cpu"` と指定します。

# %% [markdown] lang="en"
# ## With our own functions
#
# The `helpers` of these lessons do the same. `load_model` loads model and tokenizer together. The settings go into `SamplingSettings`, whose defaults are the article's.
#
# We say `device="cpu"` here, so that the text is the same on a computer with a GPU, too.

# %%
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate

language_model = load_model("aozora-mini", device="cpu")
generation = generate(language_model, PROMPT, SamplingSettings(seed=0, num_return_sequences=1))
print(generation.sequences[0].text)

# %% [markdown] lang="ja"
# さっきの `model.generate` の結果と、id の列まで同じかどうかを確かめます。

# %% [markdown] lang="en"
# Is this the same as what `model.generate` gave, id by id?

# %%
print(generation.sequences[0].token_ids == output[0].tolist())

# %% [markdown] lang="ja"
# 同じです。`helpers` は別の方法ではなく、`model.generate` を呼んでいます。では、何のためにあるのでしょうか。
#
# - 間違った設定を、計算の前に、わかる言葉で知らせます。
# - デバイスと `dtype` を選び、その理由を言います。
# - 選んだトークンの確率を残します。

# %% [markdown] lang="en"
# It is. The `helpers` are not a different method: they call `model.generate`. What are they for, then?
#
# - They tell you of a wrong setting in plain words, before any computing.
# - They choose the device and the `dtype`, and say why.
# - They keep the probability of every token that was chosen.

# %% [markdown] lang="ja"
# 残した確率を使うと、こんな絵になります。色は、モデルがそのトークンをどのくらい「ありそう」と思っていたかを表します。モデルが自信を持って書いたのは、どこでしょうか。

# %% [markdown] lang="en"
# The kept probabilities make a picture. The colour shows how likely the model thought each token was. Where was it sure of itself?

# %%
from helpers.charts import probability_text

probability_text(generation.sequences[0], language_model.tokenizer)

# %% [markdown] lang="ja"
# ## 練習
#
# 1. シードを自分の誕生日（たとえば 708）にして、書かせてください。となりの人と同じシードにすると、どうなりますか。
# 2. 書き出しを、自分で考えた文に変えてください。短い書き出し（「雪」など）と長い書き出しでは、どちらの続きが自然ですか。
# 3. `SamplingSettings(min_length=0, max_length=5)` として `generate` を呼んでください。エラーの文から、`max_length` が何を数えているかを読み取ってください。

# %% [markdown] lang="en"
# ## Exercises
#
# 1. Use your birthday as the seed (say, 708). What happens if your neighbour uses the same seed?
# 2. Write an opening of your own. Which is continued more naturally, a short one (such as 「雪」) or a long one?
# 3. Call `generate` with `SamplingSettings(min_length=0, max_length=5)`. What does the error message tell you about what `max_length` counts?

# %% [markdown] lang="ja"
# <details><summary>練習 1 の解答</summary>
#
# ```python
# generation = generate(language_model, PROMPT, SamplingSettings(seed=708))
# for sequence in generation.sequences:
#     print(sequence.text)
# ```
#
# 同じシード、同じ書き出し、同じ設定なら、となりの人とも同じ文になります。どれかを変えると、たいてい違う文になります。
#
# </details>
#
# <details><summary>練習 2 の解答</summary>
#
# ```python
# for opening in ("雪", "駅を出ると、細かい雪が音もなく降りつづけていた。"):
#     generation = generate(language_model, opening, SamplingSettings(seed=0))
#     for sequence in generation.sequences:
#         print(sequence.text)
# ```
#
# 書き出しは、モデルへのただ一つの手がかりです。長いほど手がかりが増え、話題や文体が書き出しに沿いやすくなります。短いと、話題がばらばらになりやすくなります。
#
# </details>
#
# <details><summary>練習 3 の解答</summary>
#
# ```python
# generate(language_model, PROMPT, SamplingSettings(min_length=0, max_length=5))
# ```
#
# `max_length` は、書き出しのトークンも数えます。書き出しだけで 5 トークンを超えているので、続きを書く余地がありません。
#
# </details>

# %% [markdown] lang="en"
# <details><summary>Solution 1</summary>
#
# ```python
# generation = generate(language_model, PROMPT, SamplingSettings(seed=708))
# for sequence in generation.sequences:
#     print(sequence.text)
# ```
#
# With the same seed, the same opening and the same settings, your neighbour gets the same text. Change any of them, and the text usually changes.
#
# </details>
#
# <details><summary>Solution 2</summary>
#
# ```python
# for opening in ("雪", "駅を出ると、細かい雪が音もなく降りつづけていた。"):
#     generation = generate(language_model, opening, SamplingSettings(seed=0))
#     for sequence in generation.sequences:
#         print(sequence.text)
# ```
#
# The opening is the only clue the model has. A longer one gives it more to go by, and topic and style tend to follow it. After a short one, the topics scatter.
#
# </details>
#
# <details><summary>Solution 3</summary>
#
# ```python
# generate(language_model, PROMPT, SamplingSettings(min_length=0, max_length=5))
# ```
#
# `max_length` counts the tokens of the opening too. The opening alone has more than 5, so there is no room for a continuation.
#
# </details>

# %% [markdown] lang="ja"
# ## まとめ
#
# - `sentencepiece` が文を id にし、`transformers` のモデルを `torch` が計算します。
# - ライブラリは、入れる前に確かめます。動いている間は更新しません。
# - 次のトークンは、モデルの確率に従ってくじで選びます。シードを決めれば、同じ文を再現できます。
# - 書かれたことが正しいとは限りません。
#
# 次のレッスンでは、文がどう id になるのか、モデルの中に何があるのかを見ます。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - `sentencepiece` turns text into ids; `torch` computes the model that `transformers` describes.
# - Check libraries before you install them, and do not upgrade them while they run.
# - The next token is drawn by lot, with the model's probabilities. Fix the seed, and you get the same text again.
# - What it writes need not be true.
#
# The next lesson shows how text becomes ids, and what is inside the model.
#
# {{nav}}
