# %% [markdown] lang="ja"
# # 05 ファインチューニング
#
# {{badge}}
#
# 元の記事は、いつかファインチューニングをしたい、という願いで終わります。それをここで実現します。モデルに一人の作家の文章を学ばせて、書きぶりが変わるのを見ます。
#
# **できるようになること**
#
# - 文章を集め、きれいにし、学習用と測定用に分けられます。
# - 学習のループを PyTorch で書き、一行ずつ説明できます。
# - 「1 文字あたりのビット数」で、よくなったかどうかを測れます。
# - 学びすぎ（過学習）と丸写しを見分けられます。
# - 学習したモデルを保存して、もう一度使えます。
# - 大きいモデルを LoRA で学習できます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 90 分（実行だけなら約 1 分） | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 1.2 GB | なくても最後まで動く |

# %% [markdown] lang="en"
# # 05 Fine-tuning
#
# {{badge}}
#
# The article ends with a wish: to fine-tune one day. Here it comes true. A model learns from the writing of one author, and we watch its
# voice change.
#
# **You will be able to**
#
# - take a text, clean it, and cut it into one part to learn from and one part to measure with
# - write the training loop in PyTorch and explain each line
# - tell by "bits per character" whether the model got better
# - recognise over-fitting and word-for-word copying
# - save the tuned model and use it again
# - train a large model with LoRA
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 90 minutes (running it: about 1 minute) | none (0.15 to 2.6 GB with another model) | about 1.2 GB | runs to the end without one |

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
# ## ファインチューニングとは
#
# モデルの中身は、たくさんの数（重み）です。学習とは、次のトークンをもっとうまく当てられるように、重みを少しずつ動かすことです。
#
# 何もないところから学習すると、たくさんの文章と時間が要ります。すでに日本語を学んだモデルから始めれば、短い文章と短い時間で、書きぶりを変えられます。これがファインチューニング（追加の学習）です。
#
# ここで選ぶモデルを、丸ごと学習します。同梱の `aozora-mini` なら、GPU がなくても 1 分ほどです。ほかのモデルは、Colab の GPU を選んでから使ってください。ダウンロードは xsmall が約 150 MB、small が約 440 MB、medium が約 1.3 GB です。
# 一番大きい `japanese-gpt-1b` を丸ごと学習すると、T4 のメモリに入りません。これは最後に LoRA で学習します。

# %% [markdown] lang="en"
# ## What fine-tuning is
#
# A model consists of very many numbers, its weights. To train it is to move them, little by little, so that it guesses the next token
# better.
#
# From nothing, that takes a great deal of text and time. Starting from a model that knows Japanese already, a short text and a short
# time are enough to change how it writes. That is fine-tuning.
#
# The model chosen here is trained as a whole. The bundled `aozora-mini` takes about a minute without a GPU. For the others choose a GPU
# on Colab first; they download about 150 MB (xsmall), 440 MB (small) and 1.3 GB (medium). The largest, `japanese-gpt-1b`, does not fit
# into the memory of a T4 when it is trained as a whole: it comes last, with LoRA.

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
# Three short works are at hand, each by an author that the bundled model never read:
#
# - Niimi Nankichi (died 1943), 『花のき村と盗人たち』, a tale of thieves in a village
# - Nakajima Atsushi (died 1942), 『山月記』, about a poet who turns into a tiger
# - Kajii Motojirō (died 1932), 『檸檬』, about a lemon
#
# In Japan their protection has ended. The files come from 青空文庫, a free online library; sources are in
# [`lessons/data`]({{repository}}/blob/{{branch}}/lessons/data/README.md).
#
# `TEXT` also takes the path of a text file of yours. Use only what you may use: your own writing, or texts that are in the public domain.

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
# ファイルをアップロードして使うこともできます。次のセルを実行し、ボタンでファイルを選び、その次のセルから下を実行します。何も選ばなければ、上の `TEXT` を使います。

# %% [markdown] lang="en"
# Or upload a file: run the next cell, choose the file with the button, and run everything below it. If you choose none, `TEXT` above
# is used.

# %% tags=["varies"]
import ipywidgets as widgets

upload = widgets.FileUpload(accept=".txt,.zip,.html")
upload

# %% [markdown] lang="ja"
# ## 文章をきれいにする
#
# 青空文庫のファイルの中身を見ます。前書きのあとに本文があり、最後に底本（もとの本）の説明があります。`《》` はルビ、`［＃ ］` は注記です。**このまま学習すると、モデルは何を書くようになるでしょうか。**

# %% [markdown] lang="en"
# ## Cleaning the text
#
# Let us look into a file of 青空文庫. After a preface comes the work, and at the end a note about the printed book. `《》` holds the reading
# of the word before it, `［＃ ］` an editor's note. **If we trained on it as it is, what would the model learn to write?**

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
# It would write readings and notes as well. So they are removed.
#
# One more thing: 青空文庫 hands its files out in an old encoding called Shift_JIS, while today's standard is UTF-8. Read with the wrong
# encoding, a file fails or turns into nonsense.

# %%
as_published = raw.encode("shift_jis")
try:
    as_published.decode("utf-8")
except UnicodeDecodeError as error:
    print(type(error).__name__)
print(as_published.decode("shift_jis")[:9])

# %% [markdown] lang="ja"
# ヘルパーの `read_document` は、二つの文字コードを見分け、青空文庫の記号を取り除きます。段落は一行ずつになります。

# %% [markdown] lang="en"
# The helper `read_document` tells the two encodings apart and removes the notation of 青空文庫. Each paragraph becomes one line.

# %%
from helpers.finetune import read_document

lemon = read_document(as_published)
print(lemon.encoding, lemon.cleaned)
print(lemon.text[:120])

# %% [markdown] lang="ja"
# では、選んだ文章を読みます。

# %% [markdown] lang="en"
# Now the text you chose.

# %%
from helpers.finetune import uploaded

document = read_document(uploaded(upload.value) or path)
print(document.encoding, document.cleaned)
print(document.text[:200])

# %% [markdown] lang="ja"
# 読めないファイルは、理由を言って断ります。

# %% [markdown] lang="en"
# What cannot be read is refused, with the reason.

# %%
from helpers.finetune import FinetuneError

for data in (b"", b"%PDF-1.7 ...", bytes(range(256))):
    try:
        read_document(data)
    except FinetuneError as error:
        print(error)

# %% [markdown] lang="ja"
# ## 文章を数える
#
# モデルを読み込み、モデルの目で文章を見ます。文字とトークンはいくつでしょうか。トークナイザーの正規化（レッスン 2）で、どの文字が変わるでしょうか。

# %% [markdown] lang="en"
# ## Counting
#
# We load the model and look at the text with its eyes. How many characters and tokens are there? Which characters does the tokenizer's
# normalisation (lesson 2) change?

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
normalized = normalize(tokenizer, text)
ids = tokenizer.encode(text, add_special_tokens=False)
gone = Counter(text) - Counter(normalized)

table(
    [
        [say("文字", "characters"), f"{len(text):,}"],
        [say("段落", "paragraphs"), f"{len(text.splitlines()):,}"],
        [say("トークン", "tokens"), f"{len(ids):,}"],
        [say("1 トークンあたりの文字", "characters per token"), f"{len(text) / len(ids):.2f}"],
        [say("未知のトークン", "unknown tokens"), ids.count(tokenizer.unk_token_id)],
        [
            say("正規化で置きかわった文字", "characters that normalisation replaced"),
            " ".join(f"{character!r}×{count}" for character, count in gone.most_common(5)),
        ],
    ],
    header=[say("何を", "what"), say("数", "number")],
    align=["left", "right"],
)

# %% [markdown] lang="ja"
# `'\n'` は改行です。このトークナイザーは改行を空白に変えます。だからモデルは、段落の切れ目を空白として学びます。
#
# ほかにも、たとえば `…` は `...` に、`？` は `?` になります。

# %% [markdown] lang="en"
# `'\n'` is the end of a line. This tokenizer turns it into a space, so that is how the model sees the joint between two paragraphs.
#
# Other characters change too: `…` becomes `...`, `？` becomes `?`, for instance.

# %% [markdown] lang="ja"
# ## 二つに分ける
#
# 文章の最後の 15% を取り分けます。学習では見せません。ここは**測るためだけ**に使います。学習した文章をうまく当てられても、覚えただけかもしれないからです。試験の問題を、先に見せないのと同じです。
#
# 取り分けた部分は同じ作品の終わりなので、登場人物の名前などは共通です。まったく別の作品で測れば、もっと厳しい試験になります。

# %% [markdown] lang="en"
# ## Cutting it in two
#
# The last 15% of the text is held out. Training never sees it; it is **only for measuring**. A model that guesses well what it was
# trained on may simply have memorised it. Exam questions are not shown beforehand either.
#
# The held-out part is the end of the same work, so it shares names and places with the rest. Another work altogether would be a harder
# exam.

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
# A good language model gives a high probability to what really comes next. The surprise at an event of probability 1/2 counts as 1 bit,
# 1/4 as 2 bits, 1/8 as 3: it is −log2(probability).
#
# Add up the surprise over a text and divide by its characters. That is "bits per character": **the fewer, the better the guesses.**
# Since it is divided by characters, models with different tokenizers can be compared.
#
# We compute it by hand for one short sentence.

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
# ヘルパーの `bits_per_character` は、同じ計算を長い文章でします。長すぎる文章は、窓（一度に読む範囲）を半分ずつずらしながら読みます。同じ値になるか、確かめてから、取り分けた文章を測ります。

# %% [markdown] lang="en"
# The helper `bits_per_character` does the same for long texts, reading through a window (what is read at once) that moves by half its
# length. First we check that it agrees, then it measures the held-out text.

# %% tags=["varies"]
from helpers.finetune import bits_per_character

print(f"{bits_per_character(before.model, tokenizer, sentence):.4f}")
bits_before = bits_per_character(before.model, tokenizer, held_out_text)
print(f"{bits_before:.3f}")

# %% [markdown] lang="ja"
# ## 学習の前の書きぶり
#
# 学習する前に、書き出しの続きを三つ書かせておきます。シードは 42 です。あとで比べます。

# %% [markdown] lang="en"
# ## How it writes before
#
# Before training, three continuations of the opening line with seed 42, to compare with later.

# %% tags=["varies"]
from helpers.sampling import SamplingSettings, generate

opening = "国境の長いトンネルを抜けると雪国であった。"
settings = SamplingSettings(seed=42)
texts_before = [s.text for s in generate(before, opening, settings).sequences]
for number, continuation in enumerate(texts_before, 1):
    print(f"[{number}] {continuation}\n")

# %% [markdown] lang="ja"
# ## 窓に切る
#
# 長い文章を一度に学習すると、メモリが足りません。128 トークンの「窓」に切ります。`unfold` が、長さと間隔を決めて切り出します。
#
# 次の窓は、前の窓の最後の一つから始めます。窓の最初のトークンは、前がないので当てる問題にできません。一つ重ねると、どのトークンも一度ずつ問題になります。

# %% [markdown] lang="en"
# ## Cutting windows
#
# A long text at once would not fit into memory, so it is cut into windows of 128 tokens. `unfold` cuts them, by length and step.
#
# Each begins with the last token of the one before: the first token of a window has nothing before it and cannot be asked for. Overlapping
# by one, every token is asked for once.

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
# 1. Choose some windows (a batch), in an order drawn with a seed.
# 2. Let the model read them and give its scores (logits) for each next token.
# 3. Compute how far off it is (the loss). The scores at i are compared with token i+1, hence the shift.
# 4. `backward` computes which way each weight should move to lower the loss (the gradients).
# 5. Shorten the gradients where they are too large.
# 6. `optimizer.step` moves the weights a little, by a rule called AdamW.
# 7. `zero_grad` clears the gradients; otherwise the next ones are added to them.
#
# 1 to 7 together are one step.

# %% [markdown] lang="ja"
# 損失を計算する `cross_entropy` は、正解のトークンへの驚きの平均です。ただし底が 2 ではなく e の対数で、1 トークンあたりです。ビットに直すには、0.693（2 の自然対数、`math.log(2)`）で割ります。

# %% [markdown] lang="en"
# The loss, `cross_entropy`, is the mean surprise at the right token. It uses the natural logarithm and is per token; divide by 0.693
# (`math.log(2)`) for bits.

# %% [markdown] lang="ja"
# `schedule` は、動かす大きさ（学習率）を決めます。はじめは小さく、すぐに最大まで上げ、そのあと 0 までまっすぐ下げます。ステップの数を決める `-(-a // b)` は、切り上げの割り算です。
#
# もとのモデル `before` は残したいので、学習用にもう一つ読み込みます。`load_for_training` は、学習できるように重みを `float32` で読み込みます。

# %% [markdown] lang="en"
# The `schedule` sets how far the weights move (the learning rate): small at first, soon at its peak, then straight down to 0. In the
# number of steps, `-(-a // b)` divides and rounds up.
#
# The model `before` shall stay as it is, so we load another one. `load_for_training` loads the weights in `float32`, in which they can
# be trained.

# %% tags=["varies"]
import time

from torch.nn.functional import cross_entropy
from transformers import get_linear_schedule_with_warmup

from helpers.finetune import load_for_training

EPOCHS, BATCH, WARMUP, LEARNING_RATE, SEED = 3, 8, 5, 1e-3, 42

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
# 文章を一度通して読むことを、1 エポックと呼びます。3 回読みました。損失は下がったでしょうか。学習に使っていない文章で測ります。

# %% [markdown] lang="en"
# Reading the whole text once is called an epoch. It was read three times. Did the loss fall? The text that was held out tells.

# %% tags=["varies"]
bits_loop = bits_per_character(model, tokenizer, held_out_text)
print(f"{bits_before:.3f} → {bits_loop:.3f} ({bits_loop / bits_before - 1:+.1%})")

# %% [markdown] lang="ja"
# ## 同じことを `Trainer` で
#
# `transformers` には、このループを書いてくれる `Trainer` があります。設定を同じにすれば、同じことをします。**損失の数字は、どこまで同じになるでしょうか。**
#
# `Trainer` は、辞書の列をデータとして受け取ります。`labels` は正解です。一つずらして比べるのは、中でしてくれます。`report_to="none"` は、外のサービスに記録を送らない、という意味です。

# %% [markdown] lang="en"
# ## The same with `Trainer`
#
# `transformers` has a `Trainer` that writes this loop for you. With the same settings it does the same. **To how many digits will the
# losses agree?**
#
# `Trainer` takes a list of dictionaries as data. `labels` are the right answers; shifting them by one is done inside. `report_to="none"`
# says that no record is sent to any service.

# %% tags=["varies"]
import tempfile

from transformers import PrinterCallback, Trainer, TrainingArguments

arguments = TrainingArguments(
    output_dir=tempfile.mkdtemp(),
    num_train_epochs=EPOCHS,
    per_device_train_batch_size=BATCH,
    learning_rate=LEARNING_RATE,
    warmup_steps=WARMUP,
    lr_scheduler_type="linear",
    optim="adamw_torch",
    seed=SEED,
    data_seed=SEED,
    logging_steps=1,
    save_strategy="no",
    report_to="none",
    disable_tqdm=True,
    use_cpu=before.device.type == "cpu",
    dataloader_pin_memory=False,
)
trainer = Trainer(
    model=load_for_training(MODEL).model,
    args=arguments,
    train_dataset=[{"input_ids": row, "labels": row} for row in windows],
)
trainer.remove_callback(PrinterCallback)
trainer.train()
trainer_losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(len(loop_losses), len(trainer_losses))

# %% tags=["varies"]
shown = sorted({*range(0, steps, max(1, steps // 5)), steps - 1})
table(
    [[step + 1, f"{loop_losses[step]:.4f}", f"{trainer_losses[step]:.4f}"] for step in shown],
    header=[say("ステップ", "step"), say("自分のループ", "our loop"), "Trainer"],
    align=["right"] * 3,
)

# %% [markdown] lang="ja"
# 同じシードなら、`Trainer` も同じ順に窓を選びます。計算の順番がわずかに違うので、下のほうのけたが違うことはあります。
#
# `Trainer` は、複数の GPU や途中からの再開など、たくさんのことができます。そのかわり、中が見えません。自分のループなら、どの行も変えられます。

# %% [markdown] lang="en"
# With the same seed, `Trainer` takes the windows in the same order. The last digits may differ, since sums are done in a slightly
# different order.
#
# `Trainer` can do much more, such as several GPUs, or going on where it stopped. In exchange you cannot see inside. In a loop of your
# own, every line is yours to change.

# %% [markdown] lang="ja"
# ## ヘルパー：見ながら学習する
#
# 自分のループには、足りないものがあります。
#
# - 途中で、取り分けた文章を測りたい（学びすぎる前に止めたい）
# - 一番よかった重みを残したい
# - あとどれくらいかかるか知りたい
# - 途中で止めたい。止めたところから続けたい
# - 損失が NaN（数でない値）になったら、もとに戻したい
#
# ヘルパーの `fine_tune` は、同じループにこれらを足したものです。動いている間に、ノートブックの停止ボタン（■）を押してもかまいません。そこまでで一番よかった重みが残ります。
#
# 二本の線が出ます。点線は学習に使っている文章、実線は取り分けた文章です。**二本は、同じように下がるでしょうか。**

# %% [markdown] lang="en"
# ## The helper: training with open eyes
#
# Our loop lacks a few things. One would like to
#
# - measure the held-out text on the way, before it learns too much
# - keep the best weights
# - know how long it will take
# - stop in the middle, and go on from there
# - go back to good weights if the loss becomes NaN (not a number)
#
# The helper `fine_tune` is the same loop with these added. While it runs you may press the notebook's stop button (■): the best weights
# so far are kept.
#
# Two lines appear. The dashed one is the text it learns from, the solid one is held out. **Will they fall alike?**

# %% tags=["varies"]
from helpers.finetune import TrainingSettings, fine_tune, live_curve

tuned = load_for_training(MODEL)
run = fine_tune(tuned, train_text, held_out_text, TrainingSettings(seed=SEED), show=live_curve())

# %% tags=["varies"]
step, bits = run.best
print(f"{run.held_out[0][1]:.3f} → {bits:.3f} ({-run.improvement:+.1%}), step {step}")

# %% [markdown] lang="ja"
# 点線は、下がり続けるはずです。実線は、やがて下がらなくなり、上がることもあります。そこから先は、作家の書きぶりではなく、この文章そのものを覚え始めています。だから、実線が一番低いところの重みを残しました。

# %% [markdown] lang="en"
# The dashed line should keep falling. The solid one stops sooner or later and may rise. From there on the model learns this very text
# rather than the author's way of writing. So the weights at the lowest point of the solid line were kept.

# %% [markdown] lang="ja"
# ただし、止めるところを取り分けた文章で選んだので、この成績は少し甘くなります。公平に測るには、選ぶのにも使わない文章が、もう一つ要ります。

# %% [markdown] lang="en"
# Since the held-out text chose where to stop, its result is a little flattering. A fair exam needs another text, not used for choosing
# either.

# %% [markdown] lang="ja"
# ## 書きぶりは変わったか
#
# 同じ書き出し、同じ設定、同じシードで、学習の前と後を並べます。**文の終わり方、会話、出てくるものを見比べてください。**

# %% [markdown] lang="en"
# ## Has its voice changed?
#
# The same opening, settings and seed, before and after training, side by side. **Compare how sentences end, whether people speak, and
# what the texts are about.**

# %% tags=["varies"]
texts_after = [s.text for s in generate(tuned, opening, settings).sequences]
table(
    [
        [number, *(continuation.removeprefix(opening) for continuation in pair)]
        for number, pair in enumerate(zip(texts_before, texts_after, strict=True), 1)
    ],
    header=["#", say("学習の前", "before"), say("学習の後", "after")],
)

# %% [markdown] lang="ja"
# 学習の材料は、短い作品が一つだけです。文がうまくなったわけではありません。変わったのは、言葉づかいです。
#
# 学習したモデルを、実験室でも動かしてください。`load_for_training` が返すものは、`load_model` が返すものと同じように使えます。

# %% [markdown] lang="en"
# It learned from one short work only. It does not write better; it uses other words, in other ways.
#
# Try the tuned model in the lab too. What `load_for_training` returns can be used like the result of `load_model`.

# %% tags=["varies"]
from helpers.lab import SamplingLab

SamplingLab(tuned, prompt=opening)

# %% [markdown] lang="ja"
# ## わざと学びすぎる
#
# 今度は、わざと失敗します。文章の最初の 600 文字ほどだけを、何十回も繰り返し読ませます。`keep_best=False` は、一番よい重みではなく、最後の重みを残す設定です。**二本の線は、どう分かれるでしょうか。**

# %% [markdown] lang="en"
# ## Over-fitting on purpose
#
# Now we fail on purpose: about the first 600 characters only, read dozens of times. `keep_best=False` keeps the last weights instead
# of the best. **How will the two lines part?**

# %% tags=["varies"]
little, _ = split_text(text, held_out=1 - 600 / len(text))
overfitted = load_for_training(MODEL)
too_much = TrainingSettings(steps=50, length=64, learning_rate=3e-3, keep_best=False, seed=SEED)
overfit = fine_tune(overfitted, little, held_out_text, too_much, show=live_curve())

# %% [markdown] lang="ja"
# 点線（学習した文章の驚き）は、0 に近づいていきます。実線（取り分けた文章の驚き）は、途中から上がっていきます。学習の前より高くなることもあります。これが過学習です。
#
# 覚えただけなのか、確かめます。学習した文章の最初の 15 文字を渡し、続きを書かせます。学習した文章と 20 文字以上続けて同じところを、「丸写し」と数えます。（すぐ下の例は、13 文字のうち 10 文字なので、約 0.77 です。そこでは 5 文字以上としました。）

# %% [markdown] lang="en"
# The dashed line, the surprise at the text it learned from, comes close to 0. The solid line, the held-out text, turns upwards on the
# way and may end higher than before training. That is over-fitting.
#
# Did it simply memorise? We give it the first 15 characters of the text it learned from and let it go on. Passages of 20 characters or
# more that stand in that text word for word count as copied. (The example below: 10 of 13 characters, about 0.77, with 5 characters as
# the limit.)


# %%
def copied_share(text, source, length=20):
    passages = {source[at : at + length] for at in range(len(source) - length + 1)}
    copied = [False] * len(text)
    for at in range(len(text) - length + 1):
        if text[at : at + length] in passages:
            copied[at : at + length] = [True] * length
    return sum(copied) / len(text)


copied_share("あいうえおかきくけこxyz", "…あいうえおかきくけこ…", length=5)

# %% tags=["varies"]
source = normalize(tokenizer, little)
shares = []
for name, language_model in (
    (say("学習の前", "before"), before),
    (say("ほどよく学習", "well tuned"), tuned),
    (say("学びすぎ", "over-fitted"), overfitted),
):
    written = generate(language_model, source[:15], settings)
    new = [normalize(tokenizer, s.text)[15:] for s in written.sequences]
    share = sum(copied_share(each, source) for each in new) / len(new)
    shares.append([name, f"{share:.0%}", new[0]])
table(
    shares,
    header=[
        say("モデル", "model"),
        say("丸写しの割合", "copied"),
        say("一つ目の続き", "the first continuation"),
    ],
    align=["left", "right", "left"],
)

# %% [markdown] lang="ja"
# 学びすぎたモデルは、もとの文章をそのまま書くようになります。公開するモデルでは、大きな問題になります。学習に使った文章の著作権や、書かれていた個人の情報が、そのまま外に出るからです。

# %% [markdown] lang="en"
# An over-fitted model comes to write the very text it was given. In a model that is published, that is a serious matter: what was protected
# or private in its training text comes out again.

# %% [markdown] lang="ja"
# ## 保存して、もう一度読み込む
#
# `save_pretrained` で、モデルとトークナイザーを一つのフォルダーに保存します。Colab のマシンは、終わると消えます。取っておくには、Google ドライブのフォルダーに保存してください（レッスン 2）。

# %% [markdown] lang="en"
# ## Saving and loading again
#
# `save_pretrained` writes model and tokenizer into one folder. A Colab machine is gone when you are done; to keep the model, save it in
# a folder on Google Drive (lesson 2).

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
# Both `load_model` and `load_for_training` take the name of a folder. Does the loaded model write exactly what the saved one wrote? It was
# trained in `float32`, so we load it with `load_for_training`, in `float32` again.

# %%
again = load_for_training(str(folder))
texts_again = [s.text for s in generate(again, opening, settings).sequences]
print(texts_again == texts_after)

# %% [markdown] lang="ja"
# ## 大きいモデルは LoRA で
#
# 13 億の重みを持つ `japanese-gpt-1b` を学習したくなったら、どうすればよいでしょうか。
#
# 学習には、重みのほかに、勾配と、AdamW が覚えておく二つの平均と、一番よかった重みの写しが要ります。どれも重みと同じ数だけあり、`float32` で 4 バイトずつ、合わせて重み一つに 16 バイトです。始める前に、必要なメモリを見積もります。
#
# **LoRA** は、もとの重みを動かしません。横に小さな行列を二つ足し、それだけを学習します。二つの行列の細いほうの幅が `RANK`（ランク）です。小さいほど、学習する数が減ります。
#
# もとの重みは `float16` のままでよく、勾配も平均も写しも、小さな行列の分だけです。さらに、途中の値を捨てて計算しなおす方法（gradient checkpointing）で、メモリを減らします。

# %% [markdown] lang="en"
# ## Large models: LoRA
#
# What about `japanese-gpt-1b` with its 1.3 billion weights?
#
# Besides the weights, training needs their gradients, two running means that AdamW remembers, and a copy of the best weights. There are
# as many of each as of the weights, 4 bytes apiece in `float32`: 16 bytes more for every weight. So before starting, we estimate the
# memory.
#
# **LoRA** does not move the weights at all. It adds two small matrices beside them and trains only these. Their narrow side is the
# rank, `RANK`: the smaller, the fewer numbers to train.
#
# The weights may stay in `float16`, and gradients, means and the copy are needed only for the small matrices. Throwing values away and
# computing them anew (gradient checkpointing) saves more.

# %%
from helpers.finetune import training_memory
from helpers.models import CATALOGUE

large = CATALOGUE["rinna/japanese-gpt-1b"]
RANK = 8
adapter = large.n_layer * RANK * (large.n_embd + 3 * large.n_embd)
lora_settings = TrainingSettings(
    steps=20, batch_size=4, warmup_steps=2, evaluate_every=5, seed=SEED
)
whole = training_memory(large, large.parameters, settings=lora_settings)
with_lora = training_memory(
    large,
    large.parameters,
    trained=adapter,
    settings=lora_settings,
    weight_bytes=2,
    value_bytes=2,
    gradient_checkpointing=True,
)
labels = {
    "weights": say("重み", "weights"),
    "training": say("勾配と平均など", "gradients, means and the like"),
    "activations": say("途中の値", "values in the middle"),
    "logits": say("ロジット", "logits"),
}
rows = [[labels[k], *(f"{part[k] / 1e9:.2f} GB" for part in (whole, with_lora))] for k in labels]
total = [f"{sum(part.values()) / 1e9:.1f} GB" for part in (whole, with_lora)]
table(
    [*rows, [say("合計", "in all"), *total]],
    header=["", say("丸ごと（float32）", "as a whole (float32)"), "LoRA (float16)"],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# T4 のメモリは 16 GB です。丸ごとは入りませんが、LoRA なら入る見込みです。
#
# 次のセルの `"auto"` は、GPU があれば `japanese-gpt-1b`（ダウンロード約 2.6 GB）、なければ同梱のモデルです。**ここから下のセルは、どちらでも同じです。** このページは、GPU のないマシンで、同梱のモデルで作りました。本物の T4 と、本物の 13 億の重みでは、試していません。

# %% [markdown] lang="en"
# A T4 has 16 GB. As a whole the model does not fit; with LoRA it should.
#
# `"auto"` in the next cell is `japanese-gpt-1b` where there is a GPU (about 2.6 GB to download), else the bundled model. **The cells below
# are the same for both.** This page was made with the bundled model on a machine without a GPU. Neither a real T4 nor the real 1.3 billion
# weights were tried.

# %%
LORA_MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]

# %% [markdown] lang="ja"
# `peft` は LoRA のためのライブラリです。`c_attn` は、左側のトークンを見わたす `attn`（レッスン 2）の入り口にある行列です。どのトークンから何を受け取るかを決める三つのベクトル（クエリ、キー、バリュー）を作ります。どの層の `c_attn` にも、小さな行列を足します。`lora_alpha ÷ RANK` は、足すときの倍率です。
#
# `half=True` は、もとの重みを GPU では半精度で読み込む設定です。GPT-2 は重みを縦横逆に持っています（`Conv1D`）。`fan_in_fan_out` で、それを `peft` に伝えます。`warnings` の行は、古い名前についての、害のない警告を消します。

# %% [markdown] lang="en"
# `peft` is the library for LoRA. `c_attn` is the matrix at the entrance of `attn`, the part that looks at the tokens to the left
# (lesson 2). It makes three vectors (query, key, value) that decide what is taken from which token. Each layer's `c_attn` gets its small
# matrices. `lora_alpha` ÷ `RANK` scales what is added.
#
# `half=True` loads the weights in half precision on a GPU. GPT-2 keeps its matrices the other way round (`Conv1D`); `fan_in_fan_out` tells
# `peft` so. The `warnings` line silences a harmless warning about an old name.

# %% tags=["varies"]
import warnings
from dataclasses import replace

from peft import LoraConfig, get_peft_model
from transformers.pytorch_utils import Conv1D

warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
base = load_for_training(LORA_MODEL, half=True, gradient_checkpointing=True)
attention = base.model.transformer.h[0].attn.c_attn
config = LoraConfig(
    r=RANK,
    lora_alpha=2 * RANK,
    target_modules=["c_attn"],
    fan_in_fan_out=isinstance(attention, Conv1D),
    task_type="CAUSAL_LM",
)
torch.manual_seed(SEED)
lora = replace(base, model=get_peft_model(base.model, config))
trained, everything = lora.model.get_nb_trainable_parameters()
print(f"{trained:,} / {everything:,} = {trained / everything:.2%}")

# %% [markdown] lang="ja"
# 学習のループは、さっきと同じ `fine_tune` です。`float16` の GPU では、小さな勾配が 0 に消えないように、損失を大きくしてから計算します（`GradScaler`）。小さな行列そのものは `float32` です。
#
# 学習率は、モデルが大きいほど小さくします。大きいモデルの 5e-4 は、よく使われる値から選びました。試してはいません。

# %% [markdown] lang="en"
# The loop is the same `fine_tune`. On a `float16` GPU it enlarges the loss before computing gradients, so that small ones do not vanish
# (`GradScaler`). The small matrices themselves are `float32`.
#
# The larger the model, the smaller the learning rate. The 5e-4 for large ones is a value in common use; it was not tried here.

# %% tags=["varies"]
rate = 5e-3 if everything < 1e8 else 5e-4
lora_settings = replace(lora_settings, learning_rate=rate)
lora_run = fine_tune(lora, train_text, held_out_text, lora_settings, show=live_curve())

# %% [markdown] lang="ja"
# 保存するのは、小さな行列だけです。ファイルの大きさを見てください。`japanese-gpt-1b` なら、もとの 2.6 GB に対して、数 MB です。

# %% [markdown] lang="en"
# Only the small matrices are saved. Look at the size of the file. For `japanese-gpt-1b` it is a few MB, against 2.6 GB.

# %% tags=["varies"]
adapter_folder = Path("finetuned") / "adapter"
lora.model.save_pretrained(adapter_folder, save_embedding_layers=False)
for file in sorted(adapter_folder.glob("adapter_*")):
    print(file.name, f"{file.stat().st_size / 1e6:.2f} MB")

# %% [markdown] lang="ja"
# もとのモデルに小さな行列を付けなおすと、同じモデルに戻ります。また、小さな行列をもとの重みに足しこむ（merge）と、普通のモデルになります。どちらも同じ点数を出すか、書き出しで確かめます。数は、点数の差の最大です。

# %% [markdown] lang="en"
# Put beside a fresh copy of the model, the small matrices give the same model again. Added into its weights (merged), they make an
# ordinary model. Do both give the same scores? The numbers are the largest differences, for the opening line.

# %% tags=["varies"]
from peft import PeftModel

opening_ids = torch.tensor([lora.tokenizer.encode(opening, add_special_tokens=False)])
opening_ids = opening_ids.to(lora.device)
fresh = load_for_training(base.name, half=True)
reloaded = PeftModel.from_pretrained(fresh.model, adapter_folder).eval()
with torch.no_grad():
    expected = lora.model(input_ids=opening_ids).logits
    print((reloaded(input_ids=opening_ids).logits - expected).abs().max().item())
    merged = reloaded.merge_and_unload()
    print((merged(input_ids=opening_ids).logits - expected).abs().max().item())

# %% tags=["varies"]
for sequence in generate(replace(fresh, model=merged), opening, settings).sequences:
    print(sequence.text, end="\n\n")

# %% [markdown] lang="ja"
# 一つ目の差は 0 のはずです。二つ目は、足し算の順番が違うので、ごく小さな差が出ます。GPU の `float16` では、足した重みを丸めるので、差はもう少し大きくなります。
#
# ## 困ったとき
#
# - **「文章が短すぎます」**：1,000 文字以上の文章を使います。
# - **「学習にはあと約 … GB のメモリが必要」**：`batch_size` か `length` を小さくします。
# - **損失が NaN**：`learning_rate` を小さくします。モデルは一番よかった重みに戻っています。
# - **実線が最初から上がる**：`learning_rate` が大きすぎるか、文章が短すぎます。
# - **時間がかかる**：`steps` を減らします。■ で止めてもかまいません。

# %% [markdown] lang="en"
# The first difference should be 0. The second is very small: the sums are done in another order. In `float16` on a GPU the merged
# weights are rounded, and it is larger.
#
# ## If something goes wrong
#
# - **"the text is too short"**: give at least 1,000 characters.
# - **"training needs about … GB more memory"**: make `batch_size` or `length` smaller.
# - **the loss is NaN**: make `learning_rate` smaller. The model is back at its best weights.
# - **the solid line rises from the start**: `learning_rate` is too large, or the text very short.
# - **it takes long**: fewer `steps`. You may also stop it with ■.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 作家を変えて、上からもう一度実行してください。三人のうち、だれの文章が一番大きく改善するでしょうか。学習の前のビット数が大きいのは、だれでしょうか。
#
# <details><summary>解答の例</summary>
#
# ```python
# for name, file in WORKS.items():
#     learn, held = split_text(read_document(DATA / file).text)
#     result = fine_tune(load_for_training(MODEL), learn, held)
#     print(name, f"{result.held_out[0][1]:.2f} → {result.best[1]:.2f} ({-result.improvement:+.1%})")
# ```
#
# 学習の前のビット数が大きい文章は、モデルの知らない言葉が多い文章です。文章の長さも違うので、改善の大きさは書きぶりだけでは決まりません。
#
# </details>

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Take another author and run everything again. With which of the three does it improve most? Which needs the most bits
# before training?
#
# <details><summary>A solution</summary>
#
# ```python
# for name, file in WORKS.items():
#     learn, held = split_text(read_document(DATA / file).text)
#     result = fine_tune(load_for_training(MODEL), learn, held)
#     print(name, f"{result.held_out[0][1]:.2f} → {result.best[1]:.2f} ({-result.improvement:+.1%})")
# ```
#
# A text that needs many bits has many words the model does not know. The texts differ in length too, so style alone does not decide.
#
# </details>

# %% [markdown] lang="ja"
# **練習 2.** 学習率を 10 分の 1 と 10 倍にして、20 ステップずつ学習してください。線はどう変わるでしょうか。
#
# <details><summary>解答の例</summary>
#
# ```python
# for each in (1e-4, 1e-3, 1e-2):
#     settings_of_rate = TrainingSettings(steps=20, evaluate_every=5, learning_rate=each)
#     fine_tune(load_for_training(MODEL), train_text, held_out_text, settings_of_rate, show=live_curve())
# ```
#
# 小さすぎると、20 ステップではほとんど変わりません。大きすぎると、覚えていた日本語をこわします。実線が上がっていくので、それとわかります。
#
# </details>

# %% [markdown] lang="en"
# **Exercise 2.** Train 20 steps with a tenth of the learning rate, and with ten times as much. What happens to the lines?
#
# <details><summary>A solution</summary>
#
# ```python
# for each in (1e-4, 1e-3, 1e-2):
#     settings_of_rate = TrainingSettings(steps=20, evaluate_every=5, learning_rate=each)
#     fine_tune(load_for_training(MODEL), train_text, held_out_text, settings_of_rate, show=live_curve())
# ```
#
# Too small, and 20 steps change hardly anything. Too large, and the Japanese it knew is destroyed: the solid line rises.
#
# </details>

# %% [markdown] lang="ja"
# **練習 3.** `fine_tune(…, folder="finetuned/run")` のように保存先を付けて学習を始め、途中で ■ を押して止めてください。モデルの読み込みも同じセルに書きます。そのセルをもう一度実行すると、どこから続くでしょうか。
#
# <details><summary>解答の例</summary>
#
# ```python
# resumable = load_for_training(MODEL)
# fine_tune(resumable, train_text, held_out_text, show=live_curve(), folder="finetuned/run")
# ```
#
# 取り分けた文章を最後に測ったところから続きます。そこで途中の状態（チェックポイント）を保存しているからです。CPU では、止めなかったときと同じ数字になります。
#
# </details>

# %% [markdown] lang="en"
# **Exercise 3.** Start training with a place to save, `fine_tune(..., folder="finetuned/run")`, load the model in the same cell, and stop
# it with ■. Run the same cell again: from where does it go on?
#
# <details><summary>A solution</summary>
#
# ```python
# resumable = load_for_training(MODEL)
# fine_tune(resumable, train_text, held_out_text, show=live_curve(), folder="finetuned/run")
# ```
#
# From the last time the held-out text was measured: that is where a checkpoint is saved. On a CPU the numbers are those of a run that
# was never stopped.
#
# </details>

# %% [markdown] lang="ja"
# **練習 4.** 丸写しの長さの基準を 20 文字から 8 文字に変えてください。学習の前のモデルも「丸写し」をしたことになるでしょうか。それは本当に丸写しでしょうか。
#
# <details><summary>解答の例</summary>
#
# ```python
# for language_model in (before, tuned, overfitted):
#     written = generate(language_model, source[:15], settings)
#     new = [normalize(tokenizer, s.text)[15:] for s in written.sequences]
#     print(*(f"{copied_share(each, source, length=8):.0%}" for each in new))
# ```
#
# 短い言い回しは、だれが書いても同じになることがあります。基準が短すぎると、偶然の一致まで数えてしまいます。
#
# </details>

# %% [markdown] lang="en"
# **Exercise 4.** Count copies from 8 characters on instead of 20. Does the untrained model now copy as well? Is that really copying?
#
# <details><summary>A solution</summary>
#
# ```python
# for language_model in (before, tuned, overfitted):
#     written = generate(language_model, source[:15], settings)
#     new = [normalize(tokenizer, s.text)[15:] for s in written.sequences]
#     print(*(f"{copied_share(each, source, length=8):.0%}" for each in new))
# ```
#
# Short phrases may be the same whoever writes them. A limit that is too low counts coincidences.
#
# </details>

# %% [markdown] lang="ja"
# ## まとめ
#
# - ファインチューニングは、学習済みのモデルから始めて、重みを少し動かすことです。
# - 学習のループは、選ぶ、読ませる、ずれを測る、勾配、動かす、の繰り返しです。`Trainer` も同じことをします。
# - よくなったかどうかは、学習に使っていない文章で測ります。
# - 学びすぎると、丸写しが始まります。取り分けた文章のビット数が一番小さいところで止めます。
# - 大きいモデルは、LoRA で小さな行列だけを学習します。
#
# これで元の記事の最後の願いまで来ました。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - To fine-tune is to start from a trained model and move its weights a little.
# - The loop: choose, read, measure how far off, gradients, move; again and again. `Trainer` does the same.
# - Whether it got better is measured on text it did not learn from.
# - Learning too much ends in copying. Stop where the held-out text takes the fewest bits.
# - In a large model LoRA trains small matrices only.
#
# With this, even the article's last wish is fulfilled.
#
# {{nav}}
