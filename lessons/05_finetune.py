# %% [markdown] lang="ja"
# # 05 ファインチューニング
#
# {{badge}}
#
# {{picture voices}}
#
# {{way vectors blocks}}
#
# 元の記事は、いつかファインチューニングをしたい、という願いで終わります。それをここで実現します。モデルに一人の作家の文章を学ばせると、上の表のように、書きぶりが変わります。
#
# **できるようになること**
#
# - 文章をきれいにし、学習用と測定用に分けられます。
# - 学習のループを PyTorch で書き、一行ずつ説明できます。
# - よくなったかどうかを測り、学びすぎ（過学習）と丸写しを見分けられます。
# - 学習したモデルを保存して、もう一度使えます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 45 分 | なし（ほかのモデルを選ぶと 0.15〜1.3 GB） | 約 1.2 GB | なくても最後まで動く |

# %% [markdown] lang="en"
# # 05 Fine-tuning
#
# {{badge}}
#
# {{picture voices}}
#
# {{way vectors blocks}}
#
# The article ends with a wish: to fine-tune a model some day. Here it comes true. A model learns from the writing of one author, and its style changes, as the table above shows.
#
# **You will be able to**
#
# - clean a text and split it into a part to learn from and a part to measure with;
# - write the training loop in PyTorch and explain each line;
# - measure whether the model got better, and recognise overfitting and word-for-word copying;
# - save the fine-tuned model and use it again.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 45 minutes | none (0.15 to 1.3 GB with another model) | about 1.2 GB | runs to the end without one |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# ## ファインチューニングとは
#
# モデルの中身は、たくさんの数（重み）です。学習とは、次のトークンをもっとうまく当てられるように、重みを少しずつ動かすことです。
#
# 何もないところから学習すると、たくさんの文章と時間が要ります。すでに日本語を学んだモデルから始めれば、短い文章と短い時間で、書きぶりを変えられます。これがファインチューニング（追加の学習）です。
#
# ここで選ぶモデルを、丸ごと学習します。同梱の `aozora-mini` なら、GPU がなくても、このレッスンの全部のセルが 1 分かからずに終わります（2 コアの CPU で測りました）。ほかのモデルは、Colab の GPU を選んでから使ってください。ダウンロードは xsmall が約 150 MB、small が約 440 MB、medium が約 1.3 GB です。一番大きい `japanese-gpt-1b` を丸ごと学習すると、T4 のメモリに入りません。これは [05b](05b_lora.ipynb) で、LoRA で学習します。

# %% [markdown] lang="en"
# ## What fine-tuning is
#
# A model consists of a great many numbers, its weights. Training means adjusting them, little by little, so that the model predicts the next token better.
#
# From scratch, that takes a great deal of text and time. If you start from a model that already knows Japanese, a short text and a short time are enough to change how it writes. That is fine-tuning.
#
# The model you choose here is trained in full. With the bundled `aozora-mini`, all cells of this lesson together take less than a minute without a GPU (measured on two CPU cores). For the others, choose a GPU on Colab first; they download about 150 MB (xsmall), 440 MB (small) and 1.3 GB (medium). The largest, `japanese-gpt-1b`, does not fit into the memory of a T4 when trained in full; [05b](05b_lora.ipynb) does it with LoRA.

# %%
MODEL = "aozora-mini"  # @param ["aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium"]

# %% [markdown] lang="ja"
# ## 文章を選ぶ
#
# 三人の作家の短い作品を用意しました。どれも、同梱のモデルが学習で読んでいない作家です。
#
# - 新美南吉（1943 年没）『花のき村と盗人たち』
# - 中島敦（1942 年没）『山月記』
# - 梶井基次郎（1932 年没）『檸檬』
#
# 日本では、どれも著作権の保護期間が終わっています。青空文庫のファイルで、出典は [`lessons/data`]({{repository}}/blob/{{branch}}/lessons/data/README.md) に書いてあります。
#
# `TEXT` には、自分のテキストファイルの場所を書くこともできます。使ってよい文章だけを使ってください。自分で書いた文章か、著作権の保護期間が終わった文章なら安心です。

# %% [markdown] lang="en"
# ## Choosing a text
#
# We provide three short works, each by an author whom the bundled model has never read:
#
# - Niimi Nankichi (died 1943), 『花のき村と盗人たち』, a tale of thieves in a village
# - Nakajima Atsushi (died 1942), 『山月記』, about a poet who turns into a tiger
# - Kajii Motojirō (died 1932), 『檸檬』, about a lemon
#
# All three are out of copyright in Japan. The files come from Aozora Bunko, a free online library; the sources are listed in [`lessons/data`]({{repository}}/blob/{{branch}}/lessons/data/README.md).
#
# `TEXT` can also be the path of a text file of your own. Use only what you are allowed to use: your own writing, or texts in the public domain.

# %%
TEXT = "新美南吉"  # @param ["新美南吉", "中島敦", "梶井基次郎"] {allow-input: true}

# %%
from pathlib import Path

import helpers

DATA = Path(helpers.__file__).resolve().parent.parent / "lessons" / "data"
WORKS = {"新美南吉": "hananokimura.txt", "中島敦": "sangetsuki.txt", "梶井基次郎": "remon.txt"}
path = DATA / WORKS[TEXT] if TEXT in WORKS else Path(TEXT)
print(path.name)

# %% [markdown] lang="ja"
# ## 文章をきれいにする
#
# 青空文庫のファイルの中身を見ます。前書きのあとに本文があり、最後に底本（もとの本）の説明があります。`《》` はルビ、`［＃ ］` は注記です。
#
# **予想してみましょう。** このまま学習すると、モデルは何を書くようになるでしょうか。

# %% [markdown] lang="en"
# ## Cleaning the text
#
# Look at a file from Aozora Bunko. After a preface comes the work, and at the end a note about the printed book. `《》` holds the reading of the word before it, `［＃ ］` an editor's note.
#
# **Predict:** if we trained on this as it is, what would the model learn to write?

# %%
raw = (DATA / "remon.txt").read_text(encoding="utf-8")
print(raw[:420])
print("…")
print(raw[-420:])

# %% [markdown] lang="ja"
# そう、ルビや注記まで書くようになります。だから取り除きます。
#
# もう一つ、気をつけることがあります。青空文庫のファイルは、Shift_JIS という古い文字コードで配られています。今の標準は UTF-8 です。間違った文字コードで読むと、エラーになるか、文字が化けます。

# %% [markdown] lang="en"
# It would write readings and notes as well. So we remove them.
#
# One more thing: Aozora Bunko distributes its files in an old encoding called Shift_JIS, while today's standard is UTF-8. If you read a file with the wrong encoding, you get an error or garbled text.

# %%
as_published = raw.encode("shift_jis")
try:
    as_published.decode("utf-8")
except UnicodeDecodeError as error:
    print(error)
print(as_published.decode("shift_jis")[:9])

# %% [markdown] lang="ja"
# 教材の `read_document` は、文字コードを見分け、青空文庫の記号を取り除きます。段落は一行ずつになります。

# %% [markdown] lang="en"
# Our `read_document` detects the encoding and removes Aozora Bunko's notation. Each paragraph becomes one line.

# %%
from helpers.finetune import read_document

lemon = read_document(as_published)
print(lemon.encoding, lemon.cleaned)
print(lemon.text[:120])

# %% [markdown] lang="ja"
# では、選んだ文章を読みます。

# %% [markdown] lang="en"
# Now read the text you chose.

# %%
document = read_document(path)
print(document.encoding, document.cleaned)
print(document.text[:200])

# %% [markdown] lang="ja"
# 自分のファイルを使うときは、`TEXT` に場所を書きます。Colab では、左のフォルダーの印を押してファイルを入れ、`TEXT = "ファイル名.txt"` とします。テキストのほか、一つのテキストの入った zip と、青空文庫の XHTML も読めます。読めないファイルは、理由を言って断ります。

# %% [markdown] lang="en"
# To use a file of your own, write its path into `TEXT`. On Colab, click the folder icon on the left, drop the file there, and write `TEXT = "name.txt"`. Besides text files, it reads a zip with a single text in it, and Aozora Bunko's XHTML pages. If it cannot read a file, it tells you why.

# %% [markdown] lang="ja"
# ## 文章を数える
#
# モデルを読み込み、モデルの目で文章を見ます。文字とトークンはいくつでしょうか。トークナイザーの正規化（レッスン 02）で、どの文字が変わるでしょうか。

# %% [markdown] lang="en"
# ## Counting
#
# We load the model and look at the text through its eyes. How many characters and tokens are there? Which characters does the tokenizer's normalisation (lesson 02) change?

# %% tags=["varies"]
import torch

from helpers.models import load_model

before = load_model(MODEL)
tokenizer = before.tokenizer
print(before.name, before.device)

# %%
from collections import Counter

from helpers.charts import table
from helpers.language import say
from helpers.tokenizer import normalize

text = document.text
ids = tokenizer.encode(text, add_special_tokens=False)
gone = Counter(text) - Counter(normalize(tokenizer, text))

counts = {
    say("文字", "characters"): f"{len(text):,}",
    say("段落", "paragraphs"): f"{len(text.splitlines()):,}",
    say("トークン", "tokens"): f"{len(ids):,}",
    say("1 トークンあたりの文字", "characters per token"): f"{len(text) / len(ids):.2f}",
    say("未知のトークン", "unknown tokens"): ids.count(tokenizer.unk_token_id),
    say("正規化で置きかわった文字", "characters replaced by normalisation"): " ".join(
        f"{character!r}×{count}" for character, count in gone.most_common(5)
    ),
}
table(counts.items(), [say("何を", "what"), say("数", "number")], align=["left", "right"])

# %% [markdown] lang="ja"
# `'\n'` は改行です。このトークナイザーは改行を空白に変えます。だからモデルは、段落の切れ目を空白として学びます。
#
# ほかにも、たとえば `…` は `...` に、`？` は `?` になります。

# %% [markdown] lang="en"
# `'\n'` is a line break. This tokenizer turns it into a space, so the model learns the break between two paragraphs as a space.
#
# Other characters change too: for instance, `…` becomes `...`, and `？` becomes `?`.

# %% [markdown] lang="ja"
# ## 二つに分ける
#
# 文章の最後の 15% を取り分けます。学習では見せません。ここは**測るためだけ**に使います。学習した文章をうまく当てられても、覚えただけかもしれないからです。試験の問題を、先に見せないのと同じです。
#
# 取り分けた部分は同じ作品の終わりなので、登場人物の名前などは共通です。まったく別の作品で測れば、もっと厳しい試験になります。

# %% [markdown] lang="en"
# ## Splitting it in two
#
# We hold out the last 15% of the text. The model never sees it in training; it is **only for measuring**. A model that predicts its training text well may simply have memorised it. Exam questions are not shown beforehand either.
#
# The held-out part is the end of the same work, so it shares names and places with the rest. A completely different work would be a harder test.

# %%
from helpers.finetune import split_text

train_text, held_out_text = split_text(text, held_out=0.15)
print(f"{len(train_text):,} + {len(held_out_text):,}")
print(held_out_text[:60])

# %% [markdown] lang="ja"
# ## ものさし：1 文字あたりのビット数
#
# よい言語モデルは、実際に来た文字に高い確率を与えます。確率 1/2 の出来事が起きたときの驚きを 1 ビットと数えます。1/4 なら 2 ビット、1/8 なら 3 ビットです。式で書くと −log2(確率) です。
#
# 文章全体の驚きを足し、文字の数で割ります。これが「1 文字あたりのビット数」です。**小さいほど、よく当てています。** 文字で割るので、トークナイザーの違うモデルも比べられます。
#
# 短い一文で、手で計算してみます。

# %% [markdown] lang="en"
# ## The yardstick: bits per character
#
# A good language model gives a high probability to what actually comes next. The surprise at an event of probability 1/2 counts as 1 bit, 1/4 as 2 bits, 1/8 as 3: it is −log2(probability).
#
# Add up the surprise over a text and divide by its number of characters. That is "bits per character": **the fewer, the better the predictions.** Because we divide by characters, models with different tokenizers can be compared.
#
# Let us compute it by hand for one short sentence.

# %% tags=["varies"]
sentence = "盗人が村へやって来ました。"
sentence_ids = [tokenizer.bos_token_id, *tokenizer.encode(sentence, add_special_tokens=False)]
row = torch.tensor([sentence_ids], device=before.device)
with torch.no_grad():
    probabilities = before.model(input_ids=row).logits[0].float().softmax(-1)

surprises = []
for place, token_id in enumerate(sentence_ids[1:]):
    surprise = -torch.log2(probabilities[place, token_id]).item()
    surprises.append(surprise)
    print(tokenizer.convert_ids_to_tokens(token_id), f"{surprise:.2f}")
print("=", f"{sum(surprises) / len(sentence):.4f}")

# %% [markdown] lang="ja"
# 教材の `bits_per_character` は、同じ計算を長い文章でします。長すぎる文章は、窓（一度に読む範囲）を半分ずつずらしながら読みます。同じ値になるか、確かめてから、取り分けた文章を測ります。

# %% [markdown] lang="en"
# Our `bits_per_character` does the same for long texts, which it reads through a window that moves along by half its length each time. First we check that the two agree; then we measure the held-out text.

# %% tags=["varies"]
from helpers.finetune import bits_per_character

print(f"{bits_per_character(before.model, tokenizer, sentence):.4f}")
bits_before = bits_per_character(before.model, tokenizer, held_out_text)
print(f"{bits_before:.3f}")

# %% [markdown] lang="ja"
# `<s>` を前に置いたのは、最初のトークンにも確率を与えるためです。続きを書かせるときは、書き出しの確率は要らないので、置きませんでした。

# %% [markdown] lang="en"
# With `<s>` in front, the first token gets a probability too. When we only continue a text, we do not need the probability of the opening, so we did not put `<s>` there.

# %% [markdown] lang="ja"
# ## 学習の前の書きぶり
#
# 学習する前に、書き出しの続きを三つ書かせておきます。シードは 2 です。（上の表が読みやすくなるものを選びました。）

# %% [markdown] lang="en"
# ## How it writes before training
#
# Before training, we generate three continuations of the opening line to compare with later. (We chose the seed 2 because it gives a readable table.)

# %% tags=["varies"]
from helpers.sampling import SamplingSettings, generate

opening_line = "国境の長いトンネルを抜けると雪国であった。"
settings = SamplingSettings(seed=2)
texts_before = [s.text for s in generate(before, opening_line, settings).sequences]
print(texts_before[0])

# %% [markdown] lang="ja"
# ## 窓に切る
#
# モデルが一度に読める長さには限りがあり（同梱モデルでは 512 トークン）、長いほどメモリも要ります。そこで、128 トークンの「窓」に切ります。`unfold` が、長さと間隔を決めて切り出します。
#
# 次の窓は、前の窓の最後の一つから始めます。窓の最初のトークンは、前がないので当てる問題にできません。一つ重ねると、どのトークンも一度ずつ問題になります。

# %% [markdown] lang="en"
# ## Cutting windows
#
# A model can only read so much at once (512 tokens for the bundled one), and longer texts take more memory. So we cut the text into windows of 128 tokens. `unfold` does this, given the length and the step.
#
# Each window begins with the last token of the one before. The first token of a window has nothing before it, so the model cannot be asked to predict it. With an overlap of one, it predicts every token exactly once.

# %%
LENGTH = 128

train_ids = [tokenizer.bos_token_id, *tokenizer.encode(train_text, add_special_tokens=False)]
windows = torch.tensor(train_ids).unfold(0, LENGTH, LENGTH - 1)
print(windows.shape)
print(windows[0, -3:].tolist(), windows[1, :3].tolist())

# %% [markdown] lang="ja"
# 最後の余りは、ここでは捨てました。
#
# ## 学習のループ
#
# いよいよ学習です。必要なのは、これだけです。
#
# 1. 窓をいくつか選びます（バッチ）。順番は、シードで決めたくじ引きです。
# 2. モデルに読ませ、次のトークンの点数（ロジット）を出させます。
# 3. 正解とのずれ（損失）を計算します。位置 i の点数を i+1 番目のトークンと比べるので、一つずらします。
# 4. `backward` で、どの重みをどちらへ動かせば損失が減るか（勾配）を計算します。
# 5. 勾配が大きすぎれば縮めます。
# 6. `optimizer.step` で、重みを少し動かします。動かし方の決まりが AdamW です。
# 7. `zero_grad` で、勾配を消します。消さないと、次の勾配が足されます。
#
# 1 から 7 までが 1 ステップです。

# %% [markdown] lang="en"
# The remainder at the end is dropped here.
#
# ## The training loop
#
# Now we train. This is all it takes:
#
# 1. Choose some windows (a batch), in a random order set by a seed.
# 2. Let the model read them and output its scores (logits) for each next token.
# 3. Compute how far off it is (the loss). The scores at position i are compared with token i+1, hence the shift.
# 4. `backward` computes which way each weight should move to reduce the loss (the gradients).
# 5. Clip the gradients if they are too large.
# 6. `optimizer.step` moves the weights a little, following a rule called AdamW.
# 7. `zero_grad` clears the gradients; otherwise the next ones would be added to them.
#
# Together, 1 to 7 are one step.

# %% [markdown] lang="ja"
# 損失を計算する `cross_entropy` は、正解のトークンへの驚きの平均です。ただし底が 2 ではなく e の対数で、1 トークンあたりです。ビットに直すには、0.693（2 の自然対数、`math.log(2)`）で割ります。

# %% [markdown] lang="en"
# The loss, `cross_entropy`, is the average surprise at the correct token. It uses the natural logarithm and is per token; divide by 0.693 (`math.log(2)`) to get bits.

# %% [markdown] lang="ja"
# `schedule` は、動かす大きさ（学習率）を決めます。はじめは小さく、すぐに最大まで上げ、そのあと 0 までまっすぐ下げます。ステップの数を決める `-(-a // b)` は、切り上げの割り算です。
#
# もとのモデル `before` は残したいので、学習用にもう一つ読み込みます。`load_for_training` は、学習できるように重みを `float32` で読み込みます。

# %% [markdown] lang="en"
# The `schedule` sets how far the weights move (the learning rate): it starts small, soon reaches its peak, then goes straight down to 0. In the number of steps, `-(-a // b)` is division rounded up.
#
# We want to keep the model `before` as it is, so we load another one for training. `load_for_training` loads the weights in `float32`, so that they can be trained.

# %% tags=["varies"]
import time

from torch.nn.functional import cross_entropy
from transformers import get_linear_schedule_with_warmup

from helpers.finetune import load_for_training

EPOCHS, BATCH, WARMUP, LEARNING_RATE, SEED = 2, 8, 5, 1e-4, 42

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
# 文章を一度通して読むことを、1 エポックと呼びます。2 回読みました。損失は下がったでしょうか。学習に使っていない文章で測ります。

# %% [markdown] lang="en"
# One pass through the whole text is called an epoch. We did two. Did the loss go down? We measure on the held-out text.

# %% tags=["varies"]
bits_loop = bits_per_character(model, tokenizer, held_out_text)
print(f"{bits_before:.3f} → {bits_loop:.3f} ({bits_loop / bits_before - 1:+.1%})")

# %% [markdown] lang="ja"
# ## 見ながら学習する：`fine_tune`
#
# 自分のループには、足りないものがあります。
#
# - 途中で、取り分けた文章を測りたい（学びすぎる前に止めたい）
# - 一番よかった重みを残したい
# - あとどれくらいかかるか知りたい
# - 途中で止めたい。止めたところから続けたい
# - 損失が NaN（数でない値）になったら、もとに戻したい
#
# 教材の `fine_tune` は、同じループにこれらを足したものです。動いている間に、ノートブックの停止ボタン（■）を押してもかまいません。そこまでで一番よかった重みが残ります。
#
# 線が出ます。青い破線は学習に使っている文章、だいだい色の実線は取り分けた文章です。（細い線は、1 ステップごとの値です。）
#
# **予想してみましょう。** 破線と実線は、同じように下がるでしょうか。

# %% [markdown] lang="en"
# ## Watching it train: `fine_tune`
#
# Our loop lacks a few things. It would be good to
#
# - measure the held-out text along the way, to stop before the model learns too much
# - keep the best weights
# - know how long it will take
# - stop in the middle and resume from there
# - go back to good weights if the loss becomes NaN (not a number)
#
# Our `fine_tune` is the same loop with these added. While it runs, you may press the notebook's stop button (■): the best weights so far are kept.
#
# Lines appear. The blue dashed line is the training text; the orange solid line is the held-out text. (The thin line has the value of each step.)
#
# **Predict:** will the dashed and the solid line fall in the same way?

# %% tags=["varies"]
from helpers.finetune import TrainingSettings, fine_tune, live_curve

tuned = load_for_training(MODEL)
thirty = TrainingSettings(steps=30, batch_size=4, learning_rate=LEARNING_RATE, seed=SEED)
run = fine_tune(tuned, train_text, held_out_text, thirty, show=live_curve())

# %% tags=["varies"]
step, bits = run.best
print(f"{run.held_out[0][1]:.3f} → {bits:.3f} ({-run.improvement:+.1%}), step {step}")

# %% [markdown] lang="ja"
# 破線は、下がり続けるはずです。実線は、やがて下がらなくなり、上がることもあります。そこから先は、作家の書きぶりではなく、この文章そのものを覚え始めています。だから、実線が一番低いところの重みを残しました。

# %% [markdown] lang="en"
# The dashed line should keep falling. The solid line stops falling sooner or later and may rise. From there on, the model is memorising this particular text rather than learning the author's style. So we kept the weights from the lowest point of the solid line.

# %% [markdown] lang="ja"
# ただし、止めるところを取り分けた文章で選んだので、この成績は少し甘くなります。公平に測るには、選ぶのにも使わない文章が、もう一つ要ります。

# %% [markdown] lang="en"
# Because we used the held-out text to choose where to stop, the result is a little too good. A fair test needs yet another text, one that was not used for choosing either.

# %% [markdown] lang="ja"
# 破線のほうが**上**から始まることがあります。読む範囲が違うからです。学習では、文章を 128 トークンの窓に切って、窓の初めのほうを、前を見ずに当てさせます。取り分けた文章は、長い窓を重ねて測るので、いつも前が見えます。作品の場所も違います。だから、高さどうしではなく、それぞれの下がり方を比べてください。

# %% [markdown] lang="en"
# The dashed line may start **above** the solid one, because the two are measured differently. Training cuts the text into windows of 128 tokens, and the model has to predict the beginning of each window with little or nothing before it. The held-out text is measured with long, overlapping windows, so there is nearly always context. It is also a different part of the story. Compare how far each line falls, not how high it is.

# %% [markdown] lang="ja"
# ## 書きぶりは変わったか
#
# 同じ書き出し、同じ設定、同じシードで、学習の前と後を並べます。文の終わり方、会話、出てくるものを見比べてください。

# %% [markdown] lang="en"
# ## Has its style changed?
#
# Here are the texts before and after training side by side, with the same opening, settings and seed. Compare how sentences end, whether people speak, and what the texts are about.

# %% tags=["varies"]
texts_after = [s.text for s in generate(tuned, opening_line, settings).sequences]
table(
    [
        [number, *(continuation.removeprefix(opening_line) for continuation in pair)]
        for number, pair in enumerate(zip(texts_before, texts_after, strict=True), 1)
    ],
    header=["#", say("学習の前", "before"), say("学習の後", "after")],
)


# %% tags=["build"]
pair = [texts_before[0].removeprefix(opening_line), texts_after[0].removeprefix(opening_line)]
voices = table(
    [pair],
    [
        say("学習の前", "before training"),
        say(f"{TEXT}を学習した後", "after learning from Niimi Nankichi"),
    ],
)
# The author's own words became easier to predict, and another author's did not.
gains = [
    bits_per_character(before.model, tokenizer, each)
    - bits_per_character(tuned.model, tokenizer, each)
    for each in (held_out_text, lemon.text[:2000])
]
claim(
    say("変わったのは、言葉づかいです。", "what changed is its choice of words."),
    gains[0] > 2 * gains[1],
)
picture(
    "voices",
    voices,
    say(
        "同じ書き出しの続き。学習の前と後。",
        "Continuations of one opening, before and after training.",
    ),
)

# %% [markdown] lang="ja"
# 学習の材料は、短い作品が一つだけです。文がうまくなったわけではありません。変わったのは、言葉づかいです。
#
# 学習したモデルは、`SamplingLab(tuned)` で、実験室でも動かせます。

# %% [markdown] lang="en"
# It learned from one short work only. It does not write better than before; what changed is its choice of words.
#
# `SamplingLab(tuned)` runs the fine-tuned model in the lab.

# %% [markdown] lang="ja"
# ## わざと学びすぎる
#
# 今度は、わざと失敗します。文章の最初の 600 文字ほどだけを、何十回も繰り返し読ませます。`keep_best=False` は、一番よい重みではなく、最後の重みを残す設定です。
#
# **予想してみましょう。** 破線と実線は、どう分かれるでしょうか。

# %% [markdown] lang="en"
# ## Overfitting on purpose
#
# Now we fail on purpose: the model reads only the first 600 characters or so, dozens of times. `keep_best=False` keeps the last weights instead of the best ones.
#
# **Predict:** how will the dashed and the solid line diverge?

# %% tags=["varies"]
little, _ = split_text(text, held_out=1 - 600 / len(text))
overfitted = load_for_training(MODEL)
too_much = TrainingSettings(steps=30, length=64, learning_rate=3e-3, keep_best=False, seed=SEED)
overfit = fine_tune(overfitted, little, held_out_text, too_much, show=live_curve())

# %% [markdown] lang="ja"
# 破線（学習した文章の驚き）は、0 に近づいていきます。実線（取り分けた文章の驚き）は、学習の前より高くなります。これが過学習です。
#
# 覚えただけなのか、確かめます。学習した文章の最初の 15 文字を渡し、続きを書かせます。学習した文章と 20 文字以上続けて同じところを、「丸写し」と数えます。

# %% [markdown] lang="en"
# The dashed line, the surprise at the training text, comes close to 0. The solid line, the held-out text, ends higher than before training. That is overfitting.
#
# Did it simply memorise? We give it the first 15 characters of the text it learned from and let it continue. Passages of 20 or more characters that appear in that text word for word count as copied.


# %%
def copied_share(text, source, length=20):
    passages = {source[at : at + length] for at in range(len(source) - length + 1)}
    copied = [False] * len(text)
    for at in range(len(text) - length + 1):
        if text[at : at + length] in passages:
            copied[at : at + length] = [True] * length
    return sum(copied) / len(text)


# %% tags=["varies"]
source = normalize(tokenizer, little)
shares = []
for name, language_model in (
    (say("学習の前", "before"), before),
    (say("ほどよく学習", "fine-tuned"), tuned),
    (say("学びすぎ", "overfitted"), overfitted),
):
    written = generate(language_model, source[:15], settings)
    new = [normalize(tokenizer, s.text)[15:] for s in written.sequences]
    share = sum(copied_share(each, source) for each in new) / len(new)
    shares.append([name, f"{share:.0%}", new[0]])
header = say("モデル、丸写しの割合、一つ目の続き", "model, copied, first continuation")
table(shares, header.split(say("、", ", ")), align=["left", "right", "left"])

# %% [markdown] lang="ja"
# 学びすぎたモデルは、もとの文章をそのまま書くようになります。公開するモデルでは、大きな問題になります。学習に使った文章の著作権や、書かれていた個人の情報が、そのまま外に出るからです。

# %% [markdown] lang="en"
# An overfitted model ends up writing the very text it was given. In a published model that is a serious problem: whatever was copyrighted or private in its training text comes out again.

# %% tags=["build"]
claim(
    say(
        "実線（取り分けた文章の驚き）は、学習の前より高くなります。",
        "The solid line, the held-out text, ends higher than before training.",
    ),
    overfit.held_out[-1][1] > overfit.held_out[0][1],
)
claim(
    say("0 に近づいていきます。", "comes close to 0."),
    overfit.losses[-1] < 0.1 * overfit.losses[0],
)
after_share = float(shares[-1][1].rstrip("%"))
claim(
    say(
        "学びすぎたモデルは、もとの文章をそのまま書くようになります。",
        "An overfitted model ends up writing the very text it was given.",
    ),
    after_share > 30,
)

# %% [markdown] lang="ja"
# ## 保存して、もう一度読み込む
#
# `save_pretrained` で、モデルとトークナイザーを一つのフォルダーに保存します。Colab のマシンは、終わると消えます。取っておくには、Google ドライブのフォルダーに保存してください（[02b](02b_inside.ipynb)）。

# %% [markdown] lang="en"
# ## Saving and loading again
#
# `save_pretrained` writes the model and the tokenizer into one folder. A Colab machine is gone when you are done; to keep the model, save it to a folder on Google Drive ([02b](02b_inside.ipynb)).

# %% tags=["varies"]
from transformers.utils import logging

logging.disable_progress_bar()
folder = Path("finetuned") / "model"
tuned.model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
logging.enable_progress_bar()
print(sorted(file.name for file in folder.iterdir()))

# %% [markdown] lang="ja"
# `load_model` も `load_for_training` も、フォルダーの名前を受け取ります。読み込んだモデルが、保存する前とまったく同じ文を書くか、確かめます。`float32` で学習したので、同じ `float32` で読み込む `load_for_training` を使います。

# %% [markdown] lang="en"
# Both `load_model` and `load_for_training` accept the name of a folder. Does the loaded model write exactly the same as before it was saved? It was trained in `float32`, so we load it with `load_for_training`, which uses `float32` again.

# %%
again = load_for_training(str(folder))
texts_again = [s.text for s in generate(again, opening_line, settings).sequences]
print(texts_again == texts_after)

# %% [markdown] lang="ja"
# ## 困ったとき
#
# - **「文章が短すぎます」**：1,000 文字以上の文章を使います。
# - **「学習にはあと約 … GB のメモリが必要」**：`batch_size` か `length` を小さくします。
# - **損失が NaN**：`learning_rate` を小さくします。モデルは一番よかった重みに戻っています。
# - **実線が最初から上がる**：`learning_rate` が大きすぎるか、文章が短すぎます。
# - **時間がかかる**：`steps` を減らします。■ で止めてもかまいません。

# %% [markdown] lang="en"
# ## If something goes wrong
#
# - **"the text is too short"**: use at least 1,000 characters.
# - **"training needs about … GB more memory"**: make `batch_size` or `length` smaller.
# - **the loss is NaN**: make `learning_rate` smaller. The model has gone back to its best weights.
# - **the solid line rises from the start**: `learning_rate` is too large, or the text is too short.
# - **it takes too long**: use fewer `steps`. You may also stop it with ■.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 丸写しの基準を 20 文字から短くしていくと、学習の**前**のモデルも「丸写し」をしたことになります。`before` が書いた続きから丸写しが見つかる、いちばん長い基準（文字数）を求めて、`limit` に入れてください。続きは、下の `new_texts` を使います。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** If you lower the limit of 20 characters, even the model **before** training seems to copy. Find the largest limit (in characters) at which something in the continuations of `before` still counts as copied, and put it into `limit`. The continuations are in `new_texts`.

# %% tags=["varies"]
new_texts = [
    normalize(tokenizer, s.text)[15:] for s in generate(before, source[:15], settings).sequences
]
print(new_texts[0])

# %% tags=["exercise"]
limit = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(limit):
    def found(length):
        return any(copied_share(each, source, length) > 0 for each in new_texts)

    assert found(limit), say(
        f"{limit} 文字では、一つも見つかりません。もっと短くしてください。",
        f"With {limit} characters nothing is found. Try a smaller limit.",
    )
    assert not found(limit + 1), say(
        f"{limit + 1} 文字でも見つかります。もっと長くできます。",
        f"With {limit + 1} characters something is still found. It can be larger.",
    )
    return say(
        "短い言い回しは、だれが書いても同じになります。基準が短すぎると、偶然の一致まで数えてしまいます。",
        "Short phrases are the same whoever writes them. If the limit is too low, it counts coincidences.",
    )


check(limit, test)

# %% tags=["cases"]
RIGHT = [
    "limit = max(n for n in range(1, 21) if any(copied_share(t, source, n) > 0 for t in new_texts))",
    "limit = 1\nwhile any(copied_share(t, source, limit + 1) > 0 for t in new_texts):\n    limit += 1",
]
WRONG = {"limit = 20": "20", "limit = 1": "2"}

# %% tags=["solution", "varies"]
limit = max(n for n in range(1, 21) if any(copied_share(t, source, n) > 0 for t in new_texts))
for length in (limit + 1, limit, 2):
    print(length, [f"{copied_share(each, source, length):.0%}" for each in new_texts])

# %% [markdown] lang="ja"
# **練習 2.** 学習率を 10 分の 1 と 10 倍にして、10 ステップずつ学習してください。線はどう変わるでしょうか。

# %% [markdown] lang="en"
# **Exercise 2.** Train for 10 steps with a tenth of the learning rate, and with ten times the learning rate. What happens to the lines?

# %% tags=["exercise"]

# %% tags=["solution", "varies"]
curves = []
for rate in (LEARNING_RATE / 10, LEARNING_RATE, LEARNING_RATE * 10):
    ten = TrainingSettings(steps=10, batch_size=4, evaluate_every=5, learning_rate=rate)
    result = fine_tune(load_for_training(MODEL), train_text, held_out_text, ten)
    curves.append([bits for _, bits in result.held_out])
    print(f"{rate:g}", " → ".join(f"{bits:.2f}" for bits in curves[-1]))

# %% [markdown] lang="ja" tags=["solution"]
# 小さすぎると、10 ステップではあまり変わりません。大きすぎると、覚えていた日本語をこわします。取り分けた文章のビット数が、途中で跳ね上がるので、それとわかります。

# %% [markdown] lang="en"
# If it is too small, 10 steps change little. If it is too large, it destroys the Japanese the model knew: the bits for the held-out text jump up along the way.

# %% tags=["build"]
claim(
    say(
        "取り分けた文章のビット数が、途中で跳ね上がるので、それとわかります。",
        "the bits for the held-out text jump up along the way.",
    ),
    max(curves[2]) > 1.1 * curves[2][0],
)
claim(
    say("10 ステップではあまり変わりません。", "10 steps change little."),
    abs(curves[0][0] - curves[0][-1]) < 0.7 * abs(curves[1][0] - curves[1][-1]),
)

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** 作家を変えるか、自分の文章を使って、上からもう一度実行してください。書きぶりのどこが変わったかを三つ挙げてください。それが偶然でないことを、別のシードで数えて確かめてください。

# %% [markdown] lang="en"
# **Exercise 3 (open).** Use another author, or a text of your own, and run everything again. Name three things that changed in the style. Check that they are not a coincidence by counting them with another seed.

# %% tags=["exercise"]
my_three = ""  # @param {type:"string"}

# %% tags=["solution", "varies"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
signs = {
    say("会話の数（「）", "speech (「)"): "「",
    say("「ました。」", "polite sentences (ました。)"): "ました。",
    say("「盗人」", "the word 盗人 (thief)"): "盗人",
}


def twelve_texts(language_model):
    several = [
        generate(language_model, opening_line, SamplingSettings(seed=seed)) for seed in range(1, 5)
    ]
    return "".join(s.text for each in several for s in each.sequences)


texts = {"before": twelve_texts(before), "after": twelve_texts(tuned)}
table(
    {
        say("しるし", "sign"): signs,
        say("学習の前", "before"): [texts["before"].count(sign) for sign in signs.values()],
        say("学習の後", "after"): [texts["after"].count(sign) for sign in signs.values()],
    }
)

# %% [markdown] lang="ja" tags=["solution"]
# 四つのシードで書かせた十二の文から、三つのしるしを数えました。シードを変えても前と後の差が残るものは、学習で変わったと言えます。差が小さいものは、偶然かもしれません。

# %% [markdown] lang="en"
# We counted three signs in twelve texts, written with four seeds. If the difference between before and after remains with other seeds, it comes from the training. If it is small, it may be a coincidence.

# %% [markdown] lang="ja"
# ## まとめ
#
# - ファインチューニングは、学習済みのモデルから始めて、重みを少し動かすことです。
# - 学習のループは、選ぶ、読ませる、ずれを測る、勾配、動かす、の繰り返しです。
# - よくなったかどうかは、学習に使っていない文章で測ります。
# - 学びすぎると、丸写しが始まります。取り分けた文章のビット数が一番小さいところで止めます。
#
# これで、元の記事の最後の願いまで来ました。`Trainer` と、大きいモデルの LoRA は [05b](05b_lora.ipynb) にあります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - Fine-tuning means starting from a trained model and adjusting its weights a little.
# - The loop is: choose, read, measure the error, compute gradients, adjust; again and again.
# - Whether the model got better is measured on text it did not learn from.
# - Learning too much ends in copying. Stop where the held-out text takes the fewest bits.
#
# With this, even the article's last wish has come true. `Trainer`, and LoRA for large models, are in [05b](05b_lora.ipynb).
#
# {{nav}}
