# %% [markdown] lang="ja"
# # 02b もっと知りたい人へ：確率と大きさ
#
# {{badge}}
#
# {{picture parts}}
#
# {{way ids vectors blocks scores}}
#
# レッスン 02 の続きです。飛ばしても、03 に進めます。文全体の確率、モデルの成績の読み方、パラメーターの数え方、メモリの見積もりを扱います。
#
# **できるようになること**
#
# - 言語モデルが何を計算しているかを、確率の言葉で説明できます。
# - 成績の表にある perplexity を、自分で計算して、正しく比べられます。
# - パラメーターの数とメモリを、モデルの形から計算できます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 40 分 | なし（rinna のモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 02b More: probabilities and sizes
#
# {{badge}}
#
# {{picture parts}}
#
# {{way ids vectors blocks scores}}
#
# This goes deeper than lesson 02. You can skip it and go on to 03. It covers the probability of a whole text, how to read a model's test results, counting parameters, and estimating memory.
#
# **You will be able to**
#
# - say in terms of probability what a language model computes;
# - compute a perplexity yourself, and compare perplexities correctly;
# - work out the number of parameters and the memory from a model's shape.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 40 minutes | none (0.15 to 2.6 GB with one of rinna's models) | about 1 GB | not needed |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% tags=["varies"]
import torch

from helpers import BUNDLED_PATH
from helpers.charts import percent, percents, table
from helpers.language import say
from helpers.models import CATALOGUE, load_model
from helpers.tokenizer import load_tokenizer

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
model, tokenizer = language_model.model, language_model.tokenizer
PROMPT = "国境の長いトンネルを抜けると雪国であった。"
input_ids = tokenizer.encode(PROMPT, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)

# %% [markdown] lang="ja"
# ## 言語モデルが計算するもの
#
# 言語モデルは、「ここまでの文のあとに、次に何が来るか」の確率を計算します。
#
# たとえば「雪が」のあとに来るのは「降る」かもしれず、「とける」かもしれません。モデルは、あらゆる候補に確率を付けます。全部を足すと 1 です。

# %% [markdown] lang="en"
# ## What a language model computes
#
# A language model computes the probability of what comes next, given the text so far.
#
# After 「雪が」 ("the snow ...") there may come 「降る」 ("falls") or 「とける」 ("melts"). The model gives a probability to every candidate. Together they add up to 1.

# %% [markdown] lang="ja"
# 次に来るものの確率がわかれば、文全体の確率もわかります。順にかけ合わせるだけです。`P(B | A)` を「A のあとに B が来る確率」とすると、三つの部品 A、B、C からなる文では、こうなります。
#
# ```text
# P(ABC) = P(A) × P(B | A) × P(C | A, B)
# ```

# %% [markdown] lang="en"
# These give us the probability of a whole text: multiply them in order. Let `P(B | A)` be the probability that B comes after A. For a text of three parts A, B and C:
#
# ```text
# P(ABC) = P(A) × P(B | A) × P(C | A, B)
# ```

# %% [markdown] lang="ja"
# 文を書くときは、自分が書いたものを次の手がかりにして、一つずつ進みます。このようなモデルを**自己回帰**言語モデルと呼びます。GPT-2 もその一つです。

# %% [markdown] lang="en"
# When it writes, it proceeds step by step and continues from what it has written itself. Such a model is called **autoregressive**. GPT-2 is one.

# %% [markdown] lang="ja"
# 正しくは、単語ではなく**トークン**の確率です。トークンは、単語より短いことも長いこともあり、意味の切れ目と合わないこともあります。何が一つのトークンになるかは、トークナイザーが決めます。

# %% [markdown] lang="en"
# To be exact, these are probabilities of **tokens**, not of words. A token can be shorter or longer than a word, and need not begin or end where a word does. The tokenizer decides what counts as one token.

# %% [markdown] lang="ja"
# ## GPT-2 と BERT
#
# どちらも、Transformer というニューラルネットワークからできています。もとは、文を読むエンコーダーと、文を書くデコーダーの二つからなるものでした。
#
# 違うのは、どちらの方向を見るかです。
#
# | | GPT-2 | BERT |
# |---|---|---|
# | 公開 | 2019 年（OpenAI） | 2018 年（Google） |
# | 使う部分 | デコーダー | エンコーダー |
# | 見えるもの | 左だけ（これまでの文） | 左も右も（文の全体） |
# | 学び方 | 次のトークンを当てる | かくしたトークンを当てる |
# | 得意なこと | 文の続きを書く | 分類、穴埋め、検索のための比較 |
#
# 続きを書くときには、右側はまだありません。だから、左だけを見る GPT-2 が向いています。

# %% [markdown] lang="en"
# ## GPT-2 and BERT
#
# Both are built from the Transformer, a neural network that originally had two parts: an encoder that reads and a decoder that writes.
#
# They differ in the direction in which they look.
#
# | | GPT-2 | BERT |
# |---|---|---|
# | Published | 2019 (OpenAI) | 2018 (Google) |
# | Which part | the decoder | the encoder |
# | What it sees | only the left: the text so far | left and right: the whole text |
# | How it learns | guesses the next token | guesses tokens that were hidden |
# | Good at | continuing a text | classifying, filling gaps, comparing texts |
#
# When you continue a text, there is nothing on the right yet. So GPT-2, which looks only to the left, is the right kind of model.

# %% [markdown] lang="ja"
# ## 文全体の確率
#
# 書き出しの一文の確率を、トークンを一つずつかけて求めます。
#
# 最初のトークンには、左側に何もありません。そこで、始まりの印 `bos_token`（`<s>`）を前に置きます。モデルは学習のとき、作品の初めをこの印で知らされました。印の次の確率が、「文がこのトークンで始まる確率」です。続きを書かせるときには、最初のトークンの確率は要らないので、印も要りません。`distributions[i]` は、`i` 番目のトークンまでを見たときの、次のトークンの確率です。

# %% [markdown] lang="en"
# ## The probability of a whole text
#
# Let us compute the probability of the opening line, token by token.
#
# The first token has nothing to its left. So we put `bos_token` (`<s>`), the mark of a beginning, in front of it. In training, this mark told the model where a work begins; what the model predicts after it is how likely a text is to begin with each token. When we only continue a text, we do not need the first token's probability, so we do not need the mark. `distributions[i]` then holds the probabilities of the token that comes after position `i`.

# %%
ids = tokenizer.encode(PROMPT, add_special_tokens=False)
row = torch.tensor([[tokenizer.bos_token_id, *ids]], device=model.device)
with torch.no_grad():
    distributions = model(input_ids=row).logits[0].float().softmax(-1)
chosen = [distributions[i, token].item() for i, token in enumerate(ids)]

# %% [markdown] lang="ja"
# **予想してみましょう。** モデルにとって意外だったのは、どのトークンでしょうか。当てやすかったのは、どれでしょうか。

# %% [markdown] lang="en"
# **Predict:** which tokens surprised the model? Which were easy to guess?

# %%
from itertools import accumulate
from operator import mul

table(
    {
        say("トークン", "Token"): tokenizer.convert_ids_to_tokens(ids),
        say("前の文から見た確率", "Probability given the text before"): percents(chosen),
        say("ここまでの積", "Product so far"): [f"{each:.1e}" for each in accumulate(chosen, mul)],
    }
)

# %% [markdown] lang="ja"
# 最後の積が、モデルがこの一文から書き始める確率です。`1e-05` は 0.00001 のことです。とても小さい数ですが、同じ長さの文は数えきれないほどあるので、これでも不思議ではありません。

# %% [markdown] lang="en"
# The last product is the probability that the model begins with this sentence. (`1e-05` means 0.00001.) It is tiny, but there are countless sentences of that length.

# %% [markdown] lang="ja"
# ## dev ppl とは
#
# 小さすぎる数は扱いにくいので、ふつうは「ビット」で表します。確率が半分になるごとに 1 ビット増えます。文のビット数をトークンの数で割り（1 トークンあたりの平均）、`2 ** 平均` を計算した値が、**パープレキシティ**（perplexity、ppl）です。「平均して、いくつの候補から等しい確率で選ぶのと同じくらい迷ったか」という数です。
#
# rinna 社の表にある dev ppl は、学習に使わなかった文章（dev は development の略）で測った値です。

# %% [markdown] lang="en"
# ## What dev ppl means
#
# Such small numbers are awkward, so they are usually given in bits: each halving of a probability adds 1 bit. Divide the bits of a text by its number of tokens (the average per token) and compute `2 ** average`: this is the **perplexity**, or ppl. It tells you among how many equally likely candidates the model was choosing, on average.
#
# The dev ppl in rinna's table was measured on texts that were not used for training (dev is short for development).

# %%
import math

bits = -sum(math.log2(probability) for probability in chosen)
print(f"{bits:.1f} bits")
print(f"{2 ** (bits / len(ids)):.1f} perplexity")
print(f"{bits / len(PROMPT):.2f} bits per character")

# %% [markdown] lang="ja"
# パープレキシティを比べるときは、注意がいります。同じ 60 ビットの文でも、いくつのトークンに切るかで値が変わるからです。

# %% [markdown] lang="en"
# Be careful when you compare perplexities. A text of 60 bits gives different values, depending on how many tokens it was cut into.

# %%
for count in (10, 15, 30):
    print(count, 2 ** (60 / count))

# %% [markdown] lang="ja"
# 文の確率は同じなのに、細かく切るほどパープレキシティは小さくなります。だから、**トークナイザーが違うモデルどうしでは、比べられません**。このあとの表に出る gpt-1b と、gpt2 の三つも、語彙が違います。
#
# 比べたいときは、1 文字あたりのビット数を使います。文字の数は、切り方によらないからです。同梱モデルの成績も、この単位で[モデルカード]({{repository}}/blob/{{branch}}/helpers/aozora_mini/README.md)に書いてあります。

# %% [markdown] lang="en"
# The probability is the same each time, but the finer the cuts, the smaller the perplexity. So **perplexities of models with different tokenizers cannot be compared**. In the table further down, gpt-1b has a different vocabulary from the three gpt2 models.
#
# To compare, use bits per character: the number of characters does not depend on the cuts. The bundled model's results are given in this unit in its [model card]({{repository}}/blob/{{branch}}/helpers/aozora_mini/README.md).

# %% [markdown] lang="ja"
# よく出てくる並びは、長いままで一つのトークンになります。めったに出ない並びは、細かく切られます。同じ長さの文でも、トークンの数は違ってきます。

# %% [markdown] lang="en"
# Common strings stay whole, as one token. Rare ones are cut into pieces. So texts of the same length can have very different numbers of tokens.

# %%
SENTENCES = [
    PROMPT,
    "私はその時、何も言わなかった。",
    "スマートフォンでアプリをダウンロードする。",
    "It was snowing in the mountains.",
]

characters = [len(sentence) for sentence in SENTENCES]
tokens = [len(tokenizer.encode(sentence, add_special_tokens=False)) for sentence in SENTENCES]
ratios = [f"{c / t:.2f}" for c, t in zip(characters, tokens, strict=True)]
table(
    {
        say("文", "Sentence"): SENTENCES,
        say("文字", "Characters"): characters,
        say("トークン", "Tokens"): tokens,
        say("文字 ÷ トークン", "Characters / tokens"): ratios,
    }
)

# %% [markdown] lang="ja"
# この切り方は、青空文庫の文章から学んだものです。小説らしい言い回しは長く残り、新しいカタカナ語や英語は細かくなります。

# %% [markdown] lang="en"
# The tokenizer learned its cuts from Aozora Bunko. Phrases of older novels stay long; modern loanwords and English fall into small pieces.

# %% tags=["build"]
claim(
    say(
        "小説らしい言い回しは長く残り、新しいカタカナ語や英語は細かくなります。",
        "Phrases of older novels stay long; modern loanwords and English fall into small pieces.",
    ),
    float(ratios[1]) > float(ratios[2]) > float(ratios[3]),
)

# %% [markdown] lang="ja"
# ## 特別なトークン
#
# 特別なトークンは、文字ではなく役割を表します。
#
# | 名前 | 役割 |
# |---|---|
# | `bos_token` | 文の始まり |
# | `eos_token` | 文の終わり。モデルがこれを選ぶと、生成は終わります |
# | `unk_token` | 知らない文字 |
# | `pad_token` | 長さをそろえるための詰め物 |
# | `cls_token`・`sep_token`・`mask_token` | BERT のためのもの。GPT-2 では使いません |

# %% [markdown] lang="en"
# ## Special tokens
#
# A special token represents a role, not characters.
#
# | Name | Role |
# |---|---|
# | `bos_token` | beginning of a text |
# | `eos_token` | end of a text; generation stops when the model picks it |
# | `unk_token` | a character that is not known |
# | `pad_token` | filler that brings texts to one length |
# | `cls_token`, `sep_token`, `mask_token` | made for BERT; GPT-2 does not use them |

# %%
special = tokenizer.special_tokens_map
table(
    {
        say("名前", "Name"): special.keys(),
        say("トークン", "Token"): special.values(),
        "id": tokenizer.convert_tokens_to_ids(list(special.values())),
    }
)

# %% [markdown] lang="ja"
# id は、モデルによって違います。`rinna/japanese-gpt-1b` では、並び方がこの表と違います。プログラムに id を直接書かず、`tokenizer.eos_token_id` のように、トークナイザーに聞いてください。

# %% [markdown] lang="en"
# These ids differ from model to model; `rinna/japanese-gpt-1b` has a different order. Do not hard-code them. Ask the tokenizer, as in `tokenizer.eos_token_id`.


# %% [markdown] lang="ja"
# ## ～ と 〜
#
# 見た目がそっくりでも、`～`（全角チルダ）と `〜`（波ダッシュ）は別の文字です。どちらを打つかは、パソコンの種類や設定で変わります。トークナイザーの語彙に片方しかないと、もう片方は未知の文字になります。同梱モデルではどうでしょうか。

# %% [markdown] lang="en"
# ## ～ and 〜
#
# They look alike, but `～` (fullwidth tilde) and `〜` (wave dash) are two different characters. Which one you type depends on your computer and its settings. If the vocabulary has only one of them, the other is unknown. What about the bundled model?

# %%
bundled = load_tokenizer("aozora-mini")
for mark in ("～", "〜"):
    print(mark, f"U+{ord(mark):04X}", bundled.tokenize(mark))

# %% [markdown] lang="ja"
# 語彙には、どちらもありません。どちらを打っても `<unk>` になります。

# %% [markdown] lang="en"
# Its vocabulary has neither: whichever you type becomes `<unk>`.

# %% tags=["build"]
claim(
    say("どちらを打っても `<unk>` になります。", "whichever you type becomes `<unk>`"),
    all(
        bundled.encode(each, add_special_tokens=False)[-1] == bundled.unk_token_id
        for each in ("～", "〜")
    ),
)

# %% [markdown] lang="ja"
# ## `load_tokenizer` が直していること
#
# レッスン 02 では、`T5Tokenizer` が知らない文字を「文の終わり」にすることを見ました。食い違いは、ほかにもあります。✗ は、本家の `sentencepiece` と違うという印です。

# %% [markdown] lang="en"
# ## What else `load_tokenizer` fixes
#
# Lesson 02 showed that `T5Tokenizer` turns unknown characters into "end of text". There are other differences. ✗ marks what differs from `sentencepiece` itself.

# %%
from sentencepiece import SentencePieceProcessor
from transformers import T5Tokenizer

t5 = T5Tokenizer.from_pretrained(BUNDLED_PATH)
original = SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
texts = ["ﾊﾟﾝﾀﾞ", "</s>", "𠮷"]


def marks(tokenizer):
    pairs = [(original.encode(t), tokenizer.encode(t, add_special_tokens=False)) for t in texts]
    return ["✓" if right == found else "✗" for right, found in pairs]


table({say("文", "Text"): texts, "T5Tokenizer": marks(t5), "load_tokenizer": marks(bundled)})

# %% [markdown] lang="ja"
# - `ﾊﾟﾝﾀﾞ` では、半角の濁点や半濁点を、前の文字とまとめられていません。
# - `</s>` は、キーボードで打った 4 文字のはずが、「終わり」の命令になっています。
# - rinna の `japanese-gpt2` の三つは、英字をすべて小文字にして学習しました。`transformers` 5 の `T5Tokenizer` はこの設定を無視しますが、`load_tokenizer` は小文字に直してから切ります。
#
# 知らない文字は、文に戻すときもわかりません。id には、`<unk>` だったことしか残っていないからです。

# %% [markdown] lang="en"
# - In `ﾊﾟﾝﾀﾞ`, the half-width sound marks are not combined with the characters before them.
# - `</s>` should be four characters that somebody typed. It has become the command to stop.
# - rinna's three `japanese-gpt2` models were trained on lower-case text. `T5Tokenizer` in `transformers` 5 ignores that setting; `load_tokenizer` converts letters to lower case before cutting.
#
# Decoding cannot bring an unknown character back: all the ids have kept is that it was `<unk>`.

# %%
print(bundled.decode(bundled.encode("寿司🍣", add_special_tokens=False)))

# %% [markdown] lang="ja"
# ## rinna のモデル
#
# rinna 社は、日本語の GPT-2 を四つ公開しています。表にして、先頭に同梱モデルを加えます。「公表値」と「計算値」は、パラメーターの数です。計算値は、モデルの形から計算しました。ほかは rinna 社の表にある値です。

# %% [markdown] lang="en"
# ## rinna's models
#
# The company rinna has published four Japanese GPT-2 models. Here they are, with our bundled one first. "Published" and "calculated" are numbers of parameters; we calculated ours from the model's shape. The other figures are from rinna's table.

# %%
PUBLISHED = {
    "rinna/japanese-gpt2-xsmall": "37M",
    "rinna/japanese-gpt2-small": "110M",
    "rinna/japanese-gpt2-medium": "336M",
    "rinna/japanese-gpt-1b": "1.3B",
}

models = CATALOGUE.values()
table(
    {
        say("モデル", "Model"): [info.name for info in models],
        say("層", "Layers"): [info.n_layer for info in models],
        say("次元", "Width"): [info.n_embd for info in models],
        say("公表値", "Published"): [PUBLISHED.get(info.name, "—") for info in models],
        say("計算値", "Calculated"): [f"{info.parameters / 1e6:,.1f}M" for info in models],
        say("エポック", "Epochs"): [info.epochs or "—" for info in models],
        "dev ppl": [info.dev_perplexity or "—" for info in models],
        say("学習時間", "Training"): [info.training_time or "—" for info in models],
    }
)

# %% [markdown] lang="ja"
# 表の読み方です。
#
# - **層**：Transformer のブロックを何段重ねたか。
# - **次元**：一つのトークンを、いくつの数で表すか（埋め込みの次元）。
# - **公表値・計算値**：パラメーターの個数。パラメーターは学習で決まった数で、**重み**ともいいます。M は百万、B は十億です。
# - **エポック**：学習データを何周したか。
# - **学習時間**：公表されたままの値です（days は日）。
# - **dev ppl**：次のトークンをどれだけ迷わずに当てられるか。小さいほどよい値です。上で計算したパープレキシティのことです。
#
# 1.3B のような数は、層の数ではなく、パラメーターの数です。

# %% [markdown] lang="en"
# How to read it:
#
# - **Layers**: how many Transformer blocks are stacked.
# - **Width**: how many numbers represent one token (the embedding size).
# - **Published, calculated**: the number of parameters. A parameter is a number learned in training, also called a **weight**; M is a million, B a billion.
# - **Epochs**: how many times the training went through the data.
# - **Training**: how long it took, as published.
# - **dev ppl**: how uncertain the model is about the next token; smaller is better. This is the perplexity computed above.
#
# A number such as 1.3B counts parameters, not layers.

# %% [markdown] lang="ja"
# ## ダウンロードとメモリ
#
# モデルを選ぶ前に、大きさを確かめます。重み一つは、float32 で 4 バイト、float16 や bfloat16 で 2 バイト、int8 で 1 バイトです。だから、メモリの量はパラメーターの数から見積もれます。
#
# 「生成時」は、100 トークンの文を三つ作るときの見積もりです。計算の途中の値も入るので、重みより大きくなります。

# %% [markdown] lang="en"
# ## Download and memory
#
# Before you choose a model, look at its size. One weight takes 4 bytes in float32, 2 in float16 or bfloat16, and 1 in int8. So you can estimate the memory from the number of parameters.
#
# "Generating" is an estimate for three texts of 100 tokens. It is more than the weights alone, because intermediate values need room too.


# %%
def gigabytes(sizes):
    return [f"{size / 1e9:.2f} GB" if size else "—" for size in sizes]


table(
    {
        say("モデル", "Model"): [info.name for info in models],
        say("ダウンロード", "Download"): gigabytes(info.download_bytes for info in models),
        say("重み（float32）", "Weights (float32)"): gigabytes(4 * i.parameters for i in models),
        say("重み（float16）", "Weights (float16)"): gigabytes(2 * i.parameters for i in models),
        say("重み（int8）", "Weights (int8)"): gigabytes(i.parameters for i in models),
        say("生成時（float32）", "Generating (float32)"): gigabytes(
            i.memory_bytes(4) for i in models
        ),
    }
)

# %% [markdown] lang="ja"
# ダウンロードしたファイルは、ホームフォルダーの `~/.cache/huggingface/hub` に残ります。二回目からは、そこから読み込みます。
#
# ただし Colab では、新しいランタイムになるたびに、まっさらなパソコンに替わります。Google ドライブに残したいときは、ノートブックを開いた直後、**準備のセルより前に**、新しいセルで次を実行してください。gpt-1b なら、ドライブに約 2.6 GB の空きが必要です。
#
# ```python
# import os
#
# from google.colab import drive
#
# drive.mount("/content/drive")
# os.environ["HF_HOME"] = "/content/drive/MyDrive/huggingface"
# ```

# %% [markdown] lang="en"
# Downloaded files stay in `~/.cache/huggingface/hub` in your home folder. After the first time they are read from there.
#
# On Colab, however, each new runtime is a brand-new computer. To keep the files on Google Drive, run this in a new cell right after opening the notebook, **before the setup cell**. For gpt-1b your Drive needs about 2.6 GB of free space.
#
# ```python
# import os
#
# from google.colab import drive
#
# drive.mount("/content/drive")
# os.environ["HF_HOME"] = "/content/drive/MyDrive/huggingface"
# ```

# %% [markdown] lang="ja"
# 重みのファイルには、`.bin` と `.safetensors` の二種類があります。`.bin` は読み込むときにプログラムが動いてしまう恐れのある形式で、`.safetensors` は数だけを入れる安全な形式です。教材の関数は、どちらも読み込めます。

# %% [markdown] lang="en"
# Weights come in two kinds of files, `.bin` and `.safetensors`. A `.bin` file could run code when it is loaded; a `.safetensors` file holds nothing but numbers. Our function loads both.

# %% [markdown] lang="ja"
# ## モデルを読み込む
#
# `transformers` だけで同梱モデルを読み込みます。一度目は何も指定せず、二度目は `dtype` を指定します。
#
# 進み具合の棒は、読み込みの間だけ消しておきます。

# %% [markdown] lang="en"
# ## Loading the model
#
# We load the bundled model with `transformers` alone, first as it is, then with a `dtype`.
#
# The progress bar is turned off while they load.

# %%
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
as_stored = AutoModelForCausalLM.from_pretrained(BUNDLED_PATH)
as_float32 = AutoModelForCausalLM.from_pretrained(BUNDLED_PATH, dtype=torch.float32)
logging.enable_progress_bar()

print(as_stored.dtype)
print(as_float32.dtype)

# %% [markdown] lang="ja"
# `dtype` を指定しないと、ファイルに保存されたときの形で読み込まれます。同梱モデルも `rinna/japanese-gpt-1b` も、ファイルを小さくするために半精度（重み一つが 2 バイト）で保存されています。CPU では、半精度は速くなるとは限らず、誤差も増えます。だから、デバイスに合わせて `dtype` を決める必要があります。

# %% [markdown] lang="en"
# Without a `dtype`, the weights are loaded as they were stored. The bundled model and `rinna/japanese-gpt-1b` are stored in half precision (2 bytes per weight) to keep the files small. On a CPU, half precision is not always faster, and it is less accurate. So choose the `dtype` to suit the device.

# %% [markdown] lang="ja"
# ## モデルの部品
#
# `print(model)` で、部品の一覧が出ます。

# %% [markdown] lang="en"
# ## The parts of the model
#
# `print(model)` lists them.

# %%
print(model)

# %% [markdown] lang="ja"
# 一覧の読み方です。データは上から下へ流れます。`wte` と `wpe` の出力は足し合わせます。
#
# | 部品 | すること |
# |---|---|
# | `wte` | トークンの id を、ベクトル（数の並び）に変える表 |
# | `wpe` | 何番目のトークンかを、ベクトルに変える表 |
# | `h` | ブロックを重ねたもの。`attn` が左側のトークンを見わたし、`mlp` が一つずつ加工します |
# | `ln_f` | 最後に、数の大きさをそろえます |
# | `lm_head` | ベクトルから、語彙のすべてのトークンの点数を出します |

# %% [markdown] lang="en"
# How to read it: data flow from top to bottom. The outputs of `wte` and `wpe` are added together.
#
# | Part | What it does |
# |---|---|
# | `wte` | a table that turns a token's id into a vector (a list of numbers) |
# | `wpe` | a table that turns a token's position into a vector |
# | `h` | the stacked blocks: `attn` looks at the tokens to the left, `mlp` processes each token separately |
# | `ln_f` | brings the numbers to a common scale at the end |
# | `lm_head` | turns a vector into a score for every token in the vocabulary |

# %% [markdown] lang="ja"
# `wte` の形は「語彙の数 × 埋め込みの次元」です。トークンの id は、この表の行の番号です。
#
# `lm_head` は、`wte` と同じ重みを使い回しています。だから、数えるのは一度だけです。

# %% [markdown] lang="en"
# The shape of `wte` is vocabulary size × embedding size. A token's id is its row number in this table.
#
# `lm_head` reuses the weights of `wte`, so they count only once.

# %%
print(tuple(model.transformer.wte.weight.shape))
print(tuple(model.transformer.wpe.weight.shape))
print(len(model.transformer.h))
print(model.lm_head.weight is model.transformer.wte.weight)

# %% [markdown] lang="ja"
# ## パラメーターを数える
#
# パラメーターの数は、設定（config）にある数だけから計算できます。埋め込みの次元を `d`、`mlp` の中の幅を `m`（ふつうは `4 * d`）とすると、一つのブロックは次のとおりです。
#
# - `attn`：`4 * d * d + 4 * d`
# - `mlp`：`2 * d * m + m + d`
# - `ln`（二つ）：`4 * d`
#
# このほかに、二つの表 `wte` と `wpe`、それに最後の `ln_f`（`2 * d`）があります。

# %% [markdown] lang="en"
# ## Counting the parameters
#
# The numbers in the configuration are all you need to count the parameters. If `d` is the embedding size and `m` the width inside `mlp` (usually `4 * d`), one block has:
#
# - `attn`: `4 * d * d + 4 * d`
# - `mlp`: `2 * d * m + m + d`
# - `ln` (two of them): `4 * d`
#
# Besides the blocks there are the two tables `wte` and `wpe`, and the last `ln_f` (`2 * d`).

# %%
config = model.config
d, layers = config.n_embd, config.n_layer
m = config.n_inner or 4 * d

formula = {
    "wte": config.vocab_size * d,
    "wpe": config.n_positions * d,
    "attn": layers * (4 * d * d + 4 * d),
    "mlp": layers * (2 * d * m + m + d),
    "ln": layers * 4 * d + 2 * d,
}
print(f"{sum(formula.values()):,}")

# %% [markdown] lang="ja"
# 読み込んだモデルの重みを、実際に数えて確かめます。名前に `wte` などが入っているので、部品ごとに分けられます。

# %% [markdown] lang="en"
# Check it by counting the weights that were actually loaded. Their names contain `wte` and so on, so we can sort them by part.

# %%
counted = dict.fromkeys(formula, 0)
for name, weight in model.named_parameters():
    part = next(part for part in counted if part in name)
    counted[part] += weight.numel()

print(counted == formula, f"{sum(counted.values()):,}")

# %% [markdown] lang="ja"
# どの部品が多いか、棒グラフにします。一番多い部品とその割合も出します。

# %% [markdown] lang="en"
# Here they are as bars, after the largest part and its share.

# %%
from helpers.charts import bar_chart

largest = max(counted, key=counted.get)
print(largest, percent(counted[largest] / sum(counted.values())))
chart = bar_chart(
    counted,
    [number / 1e6 for number in counted.values()],
    title=say("部品ごとのパラメーター", "Parameters of each part"),
    unit="M",
)
chart

# %% tags=["build"]
picture("parts", chart, say("部品ごとのパラメーターの数。", "How many parameters each part has."))

# %% [markdown] lang="ja"
# ほかのモデルでも同じでしょうか。二つの表（`wte` と `wpe`）と、ブロックとに分けて、比べます。ブロックの分は、全体から二つの表と最後の `ln_f` を引いたものです。
#
# **予想してみましょう。** rinna の四つのモデルが大きくなるほど、二つの表の割合は大きくなるでしょうか、小さくなるでしょうか。

# %% [markdown] lang="en"
# Is it the same in other models? Compare the two tables (`wte` and `wpe`) with the blocks, which are everything except the tables and the last `ln_f`.
#
# **Predict:** as rinna's four models get larger, does the share of the two tables grow or shrink?

# %%
tables = [(i.vocab_size + i.n_positions) * i.n_embd / i.parameters for i in models]
blocks = [1 - t - 2 * i.n_embd / i.parameters for t, i in zip(tables, models, strict=True)]
table(
    {
        say("モデル", "Model"): [info.name for info in models],
        "wte + wpe": percents(tables),
        say("ブロック", "Blocks"): percents(blocks),
    }
)

# %% [markdown] lang="ja"
# rinna の四つでは、大きいモデルほど、二つの表の割合が小さくなります。語彙の数はあまり変わらないのに、ブロックは層の数と `d` の二乗に合わせて増えるからです。
#
# さきほどの表の「計算値」も、この式によるものです。rinna の四つのモデルでも、公表値とよく合っていました。

# %% [markdown] lang="en"
# Among rinna's four, the larger the model, the smaller the share of the two tables. The vocabulary hardly changes, while the blocks grow with the number of layers and the square of `d`.
#
# The calculated figures in the table further up come from this formula. For rinna's four models they agree well with the published ones.

# %% [markdown] lang="ja"
# ## 左だけを見る、を確かめる
#
# GPT-2 は左だけを見る、と言いました。あとに続く文を取り去って、確かめます。
#
# **予想してみましょう。** 最初の 6 トークンだけを渡したときと、全部を渡したときとで、最初の 6 か所の点数は、どれだけ違うでしょうか。

# %% [markdown] lang="en"
# ## Does it look only to the left?
#
# We said that GPT-2 looks only to the left. We test it by removing the rest of the text.
#
# **Predict:** we give the model only the first 6 tokens. How much will the scores at these 6 positions differ from those for the whole text?

# %%
with torch.no_grad():
    logits = model(input_ids=input_ids).logits
    beginning = model(input_ids=input_ids[:, :6]).logits
difference = (beginning - logits[:, :6]).abs().max().item()
print(f"{difference:.2f}")

# %% [markdown] lang="ja"
# 違いはありません（GPU の半精度では、ごく小さな差が出ることがあります）。BERT で同じことをすれば、右側が変わるので、点数も変わります。

# %% [markdown] lang="en"
# There is no difference (in half precision on a GPU there may be a tiny one). With BERT the scores would change, because the text on the right has changed.

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** `rinna/japanese-gpt2-medium` のパラメーターの数を、式だけから求めて `total` に入れてください。24 層、`d = 1024`、語彙 32,000、位置 1,024、`m = 4 * d` です。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Work out the number of parameters of `rinna/japanese-gpt2-medium` from the formula alone and put it into `total`: 24 layers, `d = 1024`, a vocabulary of 32,000, 1,024 positions, `m = 4 * d`.

# %% tags=["exercise"]
total = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(total):
    right = CATALOGUE["rinna/japanese-gpt2-medium"].parameters
    assert total != right + 32_000 * 1_024, say(
        "lm_head を数えています。wte と同じ重みなので、一度だけ数えます。",
        "You counted lm_head. It shares its weights with wte, so they count only once.",
    )
    assert total == right, say(
        "ブロック 24 個、二つの表、最後の ln_f（2 * d）を足しましたか。",
        "Did you add 24 blocks, the two tables and the last ln_f (2 * d)?",
    )
    return say(
        f"{right:,} 個で、公表値の 336M と合います。",
        f"It is {right:,}, which agrees with the published 336M.",
    )


check(total, test)

# %% tags=["cases"]
RIGHT = [
    "total = 336_128_000",
    "d = 1024\ntotal = 24 * (12 * d * d + 13 * d) + (32_000 + 1_024) * d + 2 * d",
]
WRONG = {"total = 336_128_000 + 32_000 * 1_024": "lm_head", "total = 24 * 12 * 1024 * 1024": "24"}

# %% tags=["solution"]
d, layers, m = 1024, 24, 4 * 1024
block = (4 * d * d + 4 * d) + (2 * d * m + m + d) + 4 * d
total = layers * block + (32_000 + 1_024) * d + 2 * d
print(f"{total:,}")

# %% [markdown] lang="ja"
# **練習 2.** 「寿司🍣」の次のトークンを、本家の id と `T5Tokenizer` の id とで比べてください。`T5Tokenizer` の id だと、何が起きますか。（同梱モデルで試してください。）

# %% [markdown] lang="en"
# **Exercise 2.** Compare the most probable next tokens after 「寿司🍣」, once with the original's ids and once with those of `T5Tokenizer`. What goes wrong with the latter? (Use the bundled model.)

# %% tags=["exercise"]

# %% tags=["solution"]
firsts = []
for numbers in (original.encode("寿司🍣"), t5.encode("寿司🍣", add_special_tokens=False)):
    with torch.no_grad():
        scores = as_float32(input_ids=torch.tensor([numbers])).logits[0, -1]
    firsts.append(scores.topk(5).indices.tolist())
    print(original.id_to_piece(firsts[-1]))

# %% [markdown] lang="ja" tags=["solution"]
# 上位のトークンが変わります。`T5Tokenizer` の id では、モデルは「文が終わった直後」だと受け取るからです。`<unk>` なら、「何かはわからないが、文の途中」です。

# %% [markdown] lang="en"
# The top tokens change. With the ids from `T5Tokenizer`, the model thinks that a text has just ended. With `<unk>` it is in the middle of a text, after something it does not know.

# %% tags=["build"]
claim(
    say("上位のトークンが変わります。", "The top tokens change."),
    not {*firsts[0][:3]} & {*firsts[1][:3]},
)
claim(
    say("モデルは「文が終わった直後」だと受け取る", "the model thinks that a text has just ended"),
    t5.encode("寿司🍣", add_special_tokens=False)[-1] == original.eos_id()
    and original.bos_id() in firsts[1],
)

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** 同じ意味の文を二つ書き、どちらをモデルが「ありそう」と見るかを予想してから、1 文字あたりのビット数で比べてください。書きぶりのどこが効いたと思うかも、書いてください。

# %% [markdown] lang="en"
# **Exercise 3 (open).** Write two sentences that mean the same, guess which one the model finds more likely, and compare their bits per character. Write down, too, what in the wording made the difference.

# %% tags=["exercise"]
my_guess = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
for sentence in ("雨が降りはじめた。", "降雨が開始された。"):
    ids = tokenizer.encode(sentence, add_special_tokens=False)
    row = torch.tensor([[tokenizer.bos_token_id, *ids]], device=model.device)
    with torch.no_grad():
        distributions = model(input_ids=row).logits[0].float().log_softmax(-1)
    bits = -sum(distributions[i, token].item() for i, token in enumerate(ids)) / math.log(2)
    print(f"{bits / len(sentence):.2f}", sentence)
my_guess = say(
    "小説の言い方のほうが、この教材のモデルには、ありそうに見えるはずです。",
    "The wording of a novel should look more likely to the model of these lessons.",
)
print(my_guess)

# %% [markdown] lang="ja"
# ## まとめ
#
# - 言語モデルは、これまでのトークンから、次のトークンの確率を計算します。かけ合わせると、文の確率になります。
# - パラメーターの数は、設定から計算できます。`dtype` のバイト数をかければ、重みのメモリがわかります。
# - パープレキシティは、同じトークナイザーのモデルどうしで比べます。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - A language model computes the probability of the next token from the tokens before it. Multiplied together, these give the probability of a text.
# - The number of parameters follows from the configuration; multiplied by the bytes of the `dtype`, it gives the memory for the weights.
# - Compare perplexities only between models with the same tokenizer.
#
# {{nav}}
