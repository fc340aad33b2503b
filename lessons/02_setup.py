# %% [markdown] lang="ja"
# # 02 トークナイザーとモデル
#
# {{badge}}
#
# {{picture opening}}
#
# {{way ids vectors blocks scores}}
#
# モデルは文字を読みません。読むのは、トークンの番号（id）です。このレッスンでは、文が id になり、id から次のトークンの確率が計算されるまでを、順に見ます。
#
# **できるようになること**
#
# - 文をトークンに切り、id にし、元に戻せます。
# - 知らない文字がどうなるか、なぜ教材のトークナイザーを使うのかがわかります。
# - モデルを選んで読み込み、次のトークンの確率を取り出せます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 授業で約 28 分 | なし（rinna のモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 02 The tokenizer and the model
#
# {{badge}}
#
# {{picture opening}}
#
# {{way ids vectors blocks scores}}
#
# A model does not read characters. It reads numbers: the ids of tokens. This lesson shows, step by step, how text becomes ids and how the probabilities of the next token are computed from them.
#
# **You will be able to**
#
# - cut text into tokens, turn them into ids, and turn ids back into text;
# - say what happens to unknown characters, and why we use a tokenizer of our own;
# - choose and load a model, and get the probabilities of the next token from it.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 28 minutes in class | none (0.15 to 2.6 GB with one of rinna's models) | about 1 GB | not needed |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% [markdown] lang="ja"
# ## 文をトークンに切る
#
# 元の記事と同じように、まず `transformers` の `T5Tokenizer` を使います。T5 は別のモデルの名前ですが、rinna のモデルと同じ SentencePiece の形式のファイルを読めます。ここで読むのは、同梱モデルのものです。
#
# 上の絵では、『雪国』の最初の一文（21 文字）が、それより少ない数のトークンに切れています。
#
# **予想してみましょう。** 「ありがとうございます。」（11 文字）と「メロスは激怒した。」（9 文字）は、それぞれいくつのトークンになるでしょうか。

# %% [markdown] lang="en"
# ## Cutting text into tokens
#
# As in the article, we begin with `T5Tokenizer` from `transformers`. T5 is a different model, but its tokenizer reads SentencePiece files, which rinna's models use as well. Here it reads the bundled model's file.
#
# In the picture above, the first sentence of *Snow Country* (21 characters) is cut into fewer tokens than that.
#
# **Predict:** how many tokens will 「ありがとうございます。」 ("thank you very much", 11 characters) become, and 「メロスは激怒した。」 ("Melos was furious", 9 characters)?

# %%
from transformers import T5Tokenizer

from helpers import BUNDLED_PATH

t5 = T5Tokenizer.from_pretrained(BUNDLED_PATH)

PROMPT = "国境の長いトンネルを抜けると雪国であった。"
ids = t5.encode(PROMPT, add_special_tokens=False)
print(ids)
for text in (PROMPT, "ありがとうございます。", "メロスは激怒した。"):
    pieces = t5.tokenize(text)
    print(len(text), "→", len(pieces), pieces)

# %% [markdown] lang="ja"
# 矢印の左が文字の数、右がトークンの数です。よく出てくる並びは、長いままで一つのトークンになります。めったに出てこない並びは、一文字ずつに近づきます。
#
# 先頭の `▁` は空白です。SentencePiece は、文の先頭に空白を一つ補ってから切ります。英語の単語が文頭でも文中でも同じトークンになるように、という決まりです。日本語では、`▁` だけが一つのトークンになることがよくあります。
#
# 教材の `load_tokenizer` と `token_chips` を使うと、切れ目と id が一目でわかります。

# %% [markdown] lang="en"
# To the left of the arrow is the number of characters, to the right that of tokens. Common strings stay whole, as one token. Rare ones are cut nearly into single characters.
#
# The `▁` at the beginning stands for a space. SentencePiece puts one in front of every text, so that an English word is the same token at the beginning and in the middle. In Japanese the `▁` is often a token of its own.
#
# Our `load_tokenizer` and `token_chips` show cuts and ids at a glance.

# %%
from helpers.charts import token_chips
from helpers.tokenizer import load_tokenizer

tokenizer = load_tokenizer("aozora-mini")
token_chips(tokenizer, PROMPT)

# %% [markdown] lang="ja"
# ### `add_special_tokens=False` の理由
#
# 何も指定しないと、`encode` は最後に `</s>`（文の終わり）を付けます。続きを書かせたいのに「ここで終わり」と伝えては困るので、付けないようにします。`decode` は、id を文に戻します。

# %% [markdown] lang="en"
# ### Why `add_special_tokens=False`
#
# By default, `encode` appends `</s>` (end of text). We want a continuation, so we must not tell the model that the text is over. `decode` turns ids back into text.

# %%
with_end = tokenizer.encode(PROMPT)
print(tokenizer.decode(with_end))
print(tokenizer.decode(with_end, skip_special_tokens=True))

# %% [markdown] lang="ja"
# ## 切る前にそろえる：正規化
#
# 半角の `A` と全角の `Ａ` は、別の文字です。同じものとして扱いたい文字を、一つの書き方にそろえることを**正規化**といいます。よく使われる決まりが NFKC で、Python の `unicodedata` にあります。トークナイザーも、切る前に似た決まり（`nmt_nfkc`）で正規化します。
#
# **予想してみましょう。** `ｶﾀｶﾅ`、`①`、`㍻`、`ＡＢＣ` は、それぞれ何になるでしょうか。改行はどうなるでしょうか。勘でかまいません。（表の `␣` は空白、`\n` は改行です。）

# %% [markdown] lang="en"
# ## Tidying up first: normalisation
#
# A half-width `A` and a full-width `Ａ` are two different characters. Writing characters that should count as the same in one standard way is called **normalisation**. A common standard is NFKC, which Python has in `unicodedata`. The tokenizer also normalises before it cuts, by similar rules (`nmt_nfkc`).
#
# **Predict:** what will `ｶﾀｶﾅ`, `①`, `㍻` and `ＡＢＣ` turn into? And a line break? Just guess. (In the table, `␣` is a space and `\n` a line break.)

# %%
import unicodedata

from helpers.charts import table
from helpers.language import say
from helpers.tokenizer import normalize


def visible(text):
    return repr(text).replace(" ", "␣")


rows = [
    [
        visible(each)
        for each in (text, unicodedata.normalize("NFKC", text), normalize(tokenizer, text))
    ]
    for text in ("ｶﾀｶﾅ", "①", "㍻", "ＡＢＣ", "雪\n国", "雪   国")
]
table(rows, [say("元の文字", "Text"), "NFKC", say("トークナイザー", "Tokenizer")])

# %% [markdown] lang="ja"
# 違いは空白に出ます。改行は空白になり、続いた空白は一つになります。つまり、**改行はモデルに届きません**。段落のある文章を入れても、モデルには一続きに見えます。

# %% [markdown] lang="en"
# The difference is in the white space: a line break becomes a space, and repeated spaces become one. So **line breaks never reach the model**. Even a text with paragraphs looks like one long line to it.

# %% [markdown] lang="ja"
# ## 知らない文字
#
# **予想してみましょう。** 「𠮷」（「吉」の上が「土」になった字）と「🍣」は、aozora-mini の語彙（知っているトークンの一覧。{{vocabulary}} 個）にありません。どんな id になるでしょうか。A：エラーになる。B：どちらも同じ id になる。C：新しい id が付く。

# %% [markdown] lang="en"
# ## Unknown characters
#
# **Predict:** 「𠮷」 (a variant of the character 「吉」) and 「🍣」 are not in the vocabulary of aozora-mini, the list of the {{vocabulary}} tokens it knows. What ids will they get? A: an error is raised. B: both get the same id. C: each gets a new id.

# %% [markdown] lang="ja"
# モデルの学習に使われた、本家の `sentencepiece` に聞くのが確実です。元の記事の `T5Tokenizer` と、教材の `load_tokenizer` も並べます。✗ は、本家と違うという印です。

# %% [markdown] lang="en"
# The surest way is to ask the original, `sentencepiece` itself, which was used in training the model. Next to it are the article's `T5Tokenizer` and our `load_tokenizer`; ✗ marks what differs from the original.

# %%
from sentencepiece import SentencePieceProcessor

original = SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
rows = []
for text in (PROMPT, "𠮷田さん", "寿司🍣", "</s>"):
    right = original.encode(text)
    row = [text, right]
    for other in (t5, tokenizer):
        found = other.encode(text, add_special_tokens=False)
        row.append(f"{'✓' if found == right else '✗'} {found}")
    rows.append(row)

table(rows, [say("文", "Text"), "sentencepiece", "T5Tokenizer", "load_tokenizer"])

# %% [markdown] lang="ja"
# 答えは B です。知らない文字は、どれも `<unk>`（このモデルでは id 0）になります。どの文字だったのかは、モデルに伝わりません。
#
# ところが `T5Tokenizer` では、そこが 2、つまり `</s>`（**文の終わり**）になっています。エラーも警告も出ません。`transformers` 5 の `T5Tokenizer` は、知らない文字の id を、T5 の語彙に合わせて 2 と決めているからです。書き出しの一文では三つとも同じなので、気づきにくいのです。
#
# `load_tokenizer` は、id を決める仕事を `sentencepiece` そのものに任せます。どの文でも本家と同じで、打ち込んだ `</s>` も、ただの 4 文字です。知らない文字は、破線の枠で表示されます。

# %% [markdown] lang="en"
# The answer is B. Every unknown character becomes `<unk>` (id 0 in this model). The model never learns which character it was.
#
# But `T5Tokenizer` gives 2 instead: `</s>`, **end of text**. There is no error and no warning. In `transformers` 5, `T5Tokenizer` assumes that unknown characters have the id 2, as in T5's own vocabulary. For the opening line all three agree, so this is easy to miss.
#
# `load_tokenizer` leaves the choice of ids to `sentencepiece` itself and agrees with it on any text; a typed `</s>` is just four characters. Unknown characters are shown in a dashed frame.

# %%
token_chips(tokenizer, "𠮷田さんと寿司🍣を食べた。")

# %% [markdown] lang="ja"
# ## モデルを選んで読み込む
#
# rinna 社は、日本語の GPT-2 を四つ公開しています。先頭は同梱モデルです。層はブロックを重ねた数、次元は一つのトークンを表す数の個数です。パラメーター（**重み**）は学習で決まった数で、M は百万です。一つに 4 バイト、gpt-1b のファイル（半精度）では 2 バイト使います。

# %% [markdown] lang="en"
# ## Choosing and loading a model
#
# The company rinna has published four Japanese GPT-2 models; the first row is the bundled one. Layers are stacked blocks; the width is how many numbers represent one token. Parameters (**weights**) are numbers learned in training; M is a million. Each takes 4 bytes, or 2 in the half-precision file of gpt-1b.

# %%
from helpers.models import CATALOGUE

models = CATALOGUE.values()
sizes = [f"{info.download_bytes / 1e9:.2f} GB" if info.download_bytes else "—" for info in models]
table(
    {
        say("モデル", "Model"): [info.name for info in models],
        say("層", "Layers"): [info.n_layer for info in models],
        say("次元", "Width"): [info.n_embd for info in models],
        say("パラメーター", "Parameters"): [f"{info.parameters / 1e6:,.1f}M" for info in models],
        say("ダウンロード", "Download"): sizes,
    }
)

# %% [markdown] lang="ja"
# 教材の `load_model` は、計算する場所と数の形（`dtype`）を決めて、モデルを読み込みます。`"auto"` は、十分な GPU があれば `rinna/japanese-gpt-1b` を、なければ同梱モデルを選びます。**gpt-1b を選ぶと、約 2.6 GB のダウンロードが始まります。** ここに保存してある結果は、同梱モデルのものです。

# %% [markdown] lang="en"
# Our `load_model` decides where to compute and in which number format (`dtype`), and loads the model. `"auto"` takes `rinna/japanese-gpt-1b` if there is a large enough GPU, otherwise the bundled model. **Choosing gpt-1b starts a download of about 2.6 GB.** The results stored here come from the bundled model.

# %% tags=["varies"]
from helpers.models import load_model

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
model, tokenizer = language_model.model, language_model.tokenizer

# %% [markdown] lang="ja"
# ## モデルの中を一度だけ通す
#
# 最初の図の道を、左から右へ一度だけ進みます。モデルの部品には、名前が付いています。
#
# | 図 | 部品 | すること |
# |---|---|---|
# | ベクトル | `wte`、`wpe` | id と位置を、ベクトル（数の並び）に変えて足します |
# | ブロック | `h` の中の `attn` | 左側のトークンを見わたして、必要なものを集めます |
# | | `h` の中の `mlp` | 集めたものを、トークンごとに加工します |
# | 点数 | `lm_head` | ベクトルから、語彙のすべてのトークンの点数を出します |

# %% [markdown] lang="en"
# ## Once through the model
#
# Now follow the drawing at the top once, from start to end. The parts of the model have names.
#
# | Drawing | Part | What it does |
# |---|---|---|
# | vectors | `wte`, `wpe` | turn id and position into vectors (lists of numbers) and add them |
# | blocks | `attn` in `h` | looks at the tokens to the left and gathers what is needed |
# | | `mlp` in `h` | processes what was gathered, for each token separately |
# | scores | `lm_head` | turns a vector into a score for every token in the vocabulary |

# %%
import torch

input_ids = tokenizer.encode(PROMPT, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)  # モデルのある場所へ（04） || to where the model is (04)
with torch.no_grad():  # 学習はしない || we are not training
    vectors = model.transformer.wte(input_ids)
    logits = model(input_ids=input_ids).logits
print(tuple(input_ids.shape), tuple(vectors.shape), tuple(logits.shape))

# %% [markdown] lang="ja"
# 三つの形は、「文の数 × トークンの数」、それに「× 次元」、「× 語彙の数」です。`logits` は点数の表で、トークンの位置ごとに、**その次に来るもの**の点数が、語彙の全部について並んでいます。続きを書くのに使うのは、最後の位置です。
#
# 点数を確率に変えるのが softmax です（計算は 03 で）。すべてが 0 以上になり、足すと 1 になります。

# %% [markdown] lang="en"
# The three shapes are texts × tokens, then × width, then × vocabulary. The `logits` are a table of scores: for each position, it holds the scores of **what comes next**, one for every token in the vocabulary. To continue the text, we need the last position.
#
# Softmax turns scores into probabilities (03 shows how): none is negative, and together they add up to 1.

# %%
probabilities = logits[0, -1].float().softmax(-1)
print(f"{probabilities.sum().item():.3f}")

top = probabilities.topk(5)
for probability, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
    print(f"{probability:.3f}", tokenizer.convert_ids_to_tokens(token))

# %% [markdown] lang="ja"
# 教材の `next_token_distribution` と `distribution_chart` は、これを絵にします。`▁` は空白です。学んだ本でも改行は空白になっていたので、たいてい段落の切れ目です。

# %% [markdown] lang="en"
# Our `next_token_distribution` and `distribution_chart` turn this into a picture. The `▁` is a space. In the books the model learned from, line breaks had become spaces too, so it mostly stands for a new paragraph.

# %%
from helpers.charts import distribution_chart
from helpers.sampling import SamplingSettings, next_token_distribution

# 何も抜かない設定です（意味は 03 で）。 || Settings that cut nothing (03 explains them).
everything = SamplingSettings(min_length=0, top_k=0, top_p=1.0)
distribution_chart(next_token_distribution(language_model, PROMPT, everything), top=8, plain=True)

# %% [markdown] lang="ja"
# ### モデルは何を見ているか
#
# `attn` は、それぞれのトークンが、左側のどのトークンをどのくらい見るかを計算します。その割合を**注意**（attention）といいます。層ごとに、いくつかの「ヘッド」が別々に見ます。`output_attentions=True` で、全部の数を受け取れます。
#
# 二つのヘッドを絵にします。すぐ左を一番よく見るヘッドと、遠くを一番よく見るヘッドを、コードで選びます。一番左の列が濃いのは、見るものがないとき、とりあえず先頭を見るからです。遠くを見たことには数えません。

# %% [markdown] lang="en"
# ### What the model looks at
#
# `attn` computes how much each token looks at each token to its left. That share is called **attention**. Each layer has several "heads" that look in different ways. `output_attentions=True` gives us all the numbers.
#
# Here are two heads, chosen by code: the one that looks most at its left neighbour, and the one that looks farthest back. The leftmost column is dark because a token with nothing to look at falls back on the first one; that is not counted as looking far.

# %% tags=["hide"]
# @title 注意の図 || Attention
import matplotlib.pyplot as plt

from helpers.charts import use_japanese_font

use_japanese_font()
model.set_attn_implementation("eager")
with torch.no_grad():
    attention = (
        torch.cat(model(input_ids=input_ids, output_attentions=True).attentions)
        .flatten(0, 1)
        .float()
        .cpu()
    )
model.set_attn_implementation("sdpa")

pieces = tokenizer.convert_ids_to_tokens(input_ids[0].tolist())
# 横軸では、縦に書きます。 || Below, they are written from top to bottom.
vertical = ["\n".join(piece) for piece in pieces]
places = torch.arange(len(pieces))
neighbour = attention.diagonal(offset=-1, dim1=1, dim2=2).mean(-1).argmax()
# 先頭のトークンは「とりあえず見る」場所なので、遠くを見たことには数えません。 || The first token is looked at by default, so it does not count as looking far back.
distance = (places[:, None] - places[None]).clamp(min=0)
far = (attention * distance)[:, :, 1:].sum((1, 2)).argmax()

_, panels = plt.subplots(1, 2, figsize=(10, 4.6))
titles = [
    say("すぐ左を見るヘッド", "looks at its left neighbour"),
    say("遠くを見るヘッド", "looks far back"),
]
for panel, head, name in zip(panels, (neighbour, far), titles, strict=True):
    panel.imshow(attention[head], cmap="Blues", vmin=0)
    panel.set_xticks(places, vertical, fontsize=8)
    panel.set_yticks(places, pieces, fontsize=8)
    panel.set_title(name)
    panel.set_xlabel(say("見られるトークン", "token looked at"))
panels[0].set_ylabel(say("見るトークン", "token that looks"))
plt.show()

# %% [markdown] lang="ja"
# 一行が、一つのトークンの見方です。色が濃いほど、よく見ています。対角線より右上は、いつも白です。GPT-2 は**左だけを見る**からです。続きを書くときには、右側はまだありません。

# %% [markdown] lang="en"
# Each row is one token's view; the darker the square, the more it looks there. Everything to the upper right of the diagonal is white: GPT-2 **looks only to the left**. When you continue a text, there is nothing on the right yet.

# %% tags=["build"]
fill(
    vocabulary=f"{len(load_tokenizer('aozora-mini')):,}",
    snow=len(load_tokenizer("aozora-mini").tokenize("雪国")),
)


def chance_of_break(prompt):
    logits = model(input_ids=torch.tensor([tokenizer.encode(prompt, add_special_tokens=False)]))
    return logits.logits[0, -1].softmax(-1)[tokenizer.convert_tokens_to_ids("▁")].item()


claim(
    say("それより少ない数のトークンに切れています。", "is cut into fewer tokens than that"),
    len(ids) < len(PROMPT),
)
lengths = {
    each: len(load_tokenizer("aozora-mini").tokenize(each))
    for each in ("ありがとうございます。", "メロスは激怒した。")
}
claim(
    say("長いままで一つのトークンになります。", "Common strings stay whole, as one token."),
    2 * lengths["ありがとうございます。"] < len("ありがとうございます。"),
)
claim(
    say("一文字ずつに近づきます。", "Rare ones are cut nearly into single characters."),
    abs(lengths["メロスは激怒した。"] - len("メロスは激怒した。")) <= 1,
)
claim(
    say("答えは B です。", "The answer is B."),
    [original.encode(each)[-1] for each in ("𠮷", "🍣")] == [original.unk_id()] * 2,
)
claim(
    say("たいてい段落の切れ目です。", "so it mostly stands for a new paragraph"),
    chance_of_break(PROMPT) > 10 * chance_of_break("国境の長い"),
)
claim(
    say(
        "対角線より右上は、いつも白です。", "Everything to the upper right of the diagonal is white"
    ),
    bool((attention.triu(1) == 0).all()),
)
claim(
    say(
        "短い言葉や、語彙の少ない英語の文があります。",
        "and so does English, of which the vocabulary has little.",
    ),
    all(
        len(load_tokenizer("aozora-mini").tokenize(each)) > len(each)
        for each in ("雪国", "This is a test.")
    ),
)
picture(
    "opening",
    token_chips(tokenizer, PROMPT),
    say(
        "『雪国』の最初の一文を、トークンと id に切ったところ。",
        "The first sentence of Snow Country, cut into tokens with their ids.",
    ),
)

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 文字の数より、トークンの数のほうが多い文を見つけて、`sentence` に入れてください（一文字でもかまいません）。トークンの数は、`len(load_tokenizer("aozora-mini").encode(sentence, add_special_tokens=False))` で数えます。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Find a text with more tokens than characters and put it into `sentence` (a single character will do). `len(load_tokenizer("aozora-mini").encode(sentence, add_special_tokens=False))` counts the tokens.

# %% tags=["exercise"]
sentence = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(text):
    assert isinstance(text, str), say(
        f"文字列ではありません（{type(text).__name__}）。引用符で囲んでください。",
        f"This is not a string ({type(text).__name__}). Put it between quotation marks.",
    )
    count = len(load_tokenizer("aozora-mini").encode(text, add_special_tokens=False))
    assert count > len(text), say(
        f"{len(text)} 文字で {count} トークンです。めったに出ない並びほど、細かく切られます。先頭の ▁ も一つに数えます。",
        f"{len(text)} characters, {count} tokens. The rarer a string, the finer it is cut; the ▁ in front counts too.",
    )
    return say(
        f"{len(text)} 文字が {count} トークンになります。",
        f"{len(text)} characters become {count} tokens.",
    )


check(sentence, test)

# %% tags=["cases"]
RIGHT = ['sentence = "🍣"', 'sentence = "㍻"']
WRONG = {"sentence = PROMPT": "21", "sentence = 5": "int"}

# %% tags=["solution"]
sentence = "🍣"
token_chips(load_tokenizer("aozora-mini"), sentence)

# %% [markdown] lang="ja" tags=["solution"]
# 知らない一文字は、先頭の `▁` と合わせて二つのトークンになります。ほかにも、二文字の「雪国」（{{snow}} トークン）のような短い言葉や、語彙の少ない英語の文があります。

# %% [markdown] lang="en"
# One unknown character makes two tokens, together with the `▁` in front. Short words such as 「雪国」 ({{snow}} tokens) work too, and so does English, of which the vocabulary has little.

# %% [markdown] lang="ja"
# **練習 2（自由課題）.** 自分の名前と好きな言葉を `token_chips` で切ってください。思いがけないところで切れたものを一つ選び、なぜそこで切れたのか、考えを書いてください。

# %% [markdown] lang="en"
# **Exercise 2 (open).** Cut your name and some words you like with `token_chips`. Pick one that is cut in an unexpected place, and write down why you think that is.

# %% tags=["exercise"]
my_idea = ""  # @param {type:"string"}

# %% tags=["solution"]
# 答えは一つではありません。これは一例です。 || There is no single answer; this is one.
my_idea = say(
    "本によく出る言葉は一つのまま、新しい言葉は細かく切れた。",
    "Words that are common in old books stay whole; new ones are cut into small pieces.",
)
print(my_idea)
token_chips(load_tokenizer("aozora-mini"), "学校の先生とスマートフォン")

# %% [markdown] lang="ja"
# ## まとめ
#
# - トークナイザーは、正規化をしてから切り、id を付けます。知らない文字は `<unk>` になります。
# - `load_tokenizer` は `sentencepiece` と同じ id を返します。`T5Tokenizer` は、そうとは限りません。
# - モデルは、id から、語彙のすべてのトークンの点数を計算します。softmax が、それを確率にします。
#
# 次のレッスンでは、この確率から一つずつ選んで、文を作ります。文全体の確率、パラメーターの数え方、メモリは、[02b](02b_inside.ipynb) にあります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - A tokenizer normalises, cuts and gives each token its id. Unknown characters become `<unk>`.
# - `load_tokenizer` returns the same ids as `sentencepiece`. `T5Tokenizer` does not always.
# - From the ids the model computes a score for every token in the vocabulary. Softmax turns the scores into probabilities.
#
# In the next lesson we draw from these probabilities, one token at a time, and write text. The probability of a whole text, counting parameters, and memory are in [02b](02b_inside.ipynb).
#
# {{nav}}
