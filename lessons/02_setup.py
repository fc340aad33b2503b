# %% [markdown] lang="ja"
# # 02 トークナイザーとモデル
#
# {{badge}}
#
# モデルは文字を読みません。読むのは、トークンの番号（id）です。このレッスンでは、文がどのように id になるのか、モデルの中に何があるのか、そこから何が計算されるのかを、順に見ていきます。
#
# **できるようになること**
#
# - 言語モデルが何を計算しているかを、確率の言葉で説明できます。
# - 文をトークンに切り、id にし、元に戻せます。
# - 知らない文字がどうなるか、なぜ教材のトークナイザーを使うのかがわかります。
# - rinna のモデルの表を読み、パラメーターの数を自分で計算できます。
# - モデルを選んで読み込み、次のトークンの確率を取り出せます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 35 分（目安。実行だけなら約 30 秒） | なし（rinna のモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 02 The tokenizer and the model
#
# {{badge}}
#
# A model does not read letters. It reads numbers, the ids of tokens. This lesson shows, step by step, how text becomes ids, what is inside the model, and what it computes from them.
#
# **You will be able to**
#
# - say in terms of probability what a language model computes;
# - cut text into tokens, turn them into ids, and back;
# - tell what becomes of unknown characters, and why we use a tokenizer of our own;
# - read the table of rinna's models and count their parameters yourself;
# - choose and load a model, and get the probabilities of the next token from it.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 35 minutes (an estimate; running it: about 30 s) | none (0.15 to 2.6 GB with one of rinna's models) | about 1 GB | not needed |

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
# After 「雪が」 ("the snow ...") there may come 「降る」 ("falls") or 「とける」 ("melts"). The model gives a probability to every candidate. Together they make 1.

# %% [markdown] lang="ja"
# 次に来るものの確率がわかれば、文全体の確率もわかります。順にかけ合わせるだけです。`P(B | A)` を「A のあとに B が来る確率」とすると、三つの部品 A、B、C からなる文では、こうなります。
#
# ```text
# P(ABC) = P(A) × P(B | A) × P(C | A, B)
# ```

# %% [markdown] lang="en"
# From these follows the probability of a whole text: multiply them in order. Let `P(B | A)` be the probability that B comes after A. For a text of three parts A, B and C:
#
# ```text
# P(ABC) = P(A) × P(B | A) × P(C | A, B)
# ```

# %% [markdown] lang="ja"
# 文を書くときは、自分が書いたものを次の手がかりにして、一つずつ進みます。このようなモデルを**自己回帰**言語モデルと呼びます。GPT-2 もその一つです。

# %% [markdown] lang="en"
# When it writes, it goes on step by step from what it has written itself. Such a model is called **autoregressive**. GPT-2 is one.

# %% [markdown] lang="ja"
# 元の記事は、これを単語の確率として説明しています。正しくは、単語ではなく**トークン**の確率です。トークンは、単語より短いことも長いこともあり、意味の切れ目と合わないこともあります。何が一つのトークンになるかは、トークナイザーが決めます。

# %% [markdown] lang="en"
# The article speaks of probabilities of words. To be exact, they are probabilities of **tokens**. A token can be shorter or longer than a word, and need not begin or end where a meaning does. The tokenizer decides what is one token.

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
# Both are made of the Transformer, a neural network that first had two parts: an encoder that reads and a decoder that writes.
#
# They differ in the direction they look.
#
# | | GPT-2 | BERT |
# |---|---|---|
# | Published | 2019 (OpenAI) | 2018 (Google) |
# | Part it uses | the decoder | the encoder |
# | What it sees | only the left: the text so far | left and right: the whole text |
# | How it learns | guesses the next token | guesses tokens that were hidden |
# | Good at | continuing a text | classifying, filling gaps, comparing texts |
#
# When you continue a text, there is nothing on the right yet. That suits GPT-2, which looks only to the left.

# %% [markdown] lang="ja"
# ## トークナイザー
#
# 元の記事と同じように、まず `transformers` の `T5Tokenizer` を使います。T5 は別のモデルの名前ですが、rinna のモデルと同じ SentencePiece の形式のファイルを読めます。
#
# 読み込むのは、同梱モデルのフォルダーです。rinna のモデルなら、ここに `"rinna/japanese-gpt-1b"` のような名前を書きます。

# %% [markdown] lang="en"
# ## The tokenizer
#
# As in the article, we begin with `T5Tokenizer` from `transformers`. T5 is the name of another model, but its tokenizer reads SentencePiece files, which rinna's models use as well.
#
# We read it from the folder of the bundled model. For one of rinna's you would write a name such as `"rinna/japanese-gpt-1b"` there.

# %%
from transformers import T5Tokenizer

from helpers import BUNDLED_PATH

t5 = T5Tokenizer.from_pretrained(BUNDLED_PATH)

# %% [markdown] lang="ja"
# **予想してみましょう。** 『雪国』の最初の一文は 21 文字です。いくつのトークンになるでしょうか。21 より多い？ 少ない？

# %% [markdown] lang="en"
# **Predict:** the first sentence of 『雪国』 has 21 characters. How many tokens will it be? More than 21, or fewer?

# %%
PROMPT = "国境の長いトンネルを抜けると雪国であった。"
ids = t5.encode(PROMPT, add_special_tokens=False)
print(ids)
print(len(PROMPT), len(ids))

# %% [markdown] lang="ja"
# 文字より少なくなりました。どこで切れたのかを見てみます。

# %% [markdown] lang="en"
# There are fewer tokens than characters. Where are the cuts?

# %%
print(t5.convert_ids_to_tokens(ids))

# %% [markdown] lang="ja"
# 先頭の `▁` は、空白を表す記号です。SentencePiece は、文の先頭に空白を一つ補ってから切ります。英語の単語が文頭でも文中でも同じトークンになるようにするためで、日本語では `▁` だけが一つのトークンになることがよくあります。

# %% [markdown] lang="en"
# The `▁` at the beginning stands for a space. SentencePiece puts one before every text and cuts then. That way an English word is the same token at the beginning and in the middle. In Japanese, the `▁` often ends up as a token of its own.

# %% [markdown] lang="ja"
# 教材の `load_tokenizer` と `token_chips` を使うと、切れ目と id が一目でわかります。

# %% [markdown] lang="en"
# With our `load_tokenizer` and `token_chips` you see cuts and ids at a glance.

# %%
from helpers.charts import token_chips
from helpers.tokenizer import load_tokenizer

tokenizer = load_tokenizer("aozora-mini")
token_chips(tokenizer, PROMPT)

# %% [markdown] lang="ja"
# よく出てくる並びは、長いままで一つのトークンになります。めったに出ない並びは、細かく切られます。同じ長さの文でも、トークンの数は違ってきます。

# %% [markdown] lang="en"
# Strings that occur often stay whole as one token. Rare ones are cut up. So texts of one length can have very different numbers of tokens.

# %%
from helpers.charts import table
from helpers.language import say

SENTENCES = [
    PROMPT,
    "私はその時、何も言わなかった。",
    "スマートフォンでアプリをダウンロードする。",
    "It was snowing in the mountains.",
]

rows = []
for sentence in SENTENCES:
    count = len(tokenizer.encode(sentence, add_special_tokens=False))
    rows.append((sentence, len(sentence), count, f"{len(sentence) / count:.2f}"))

table(
    rows,
    [
        say("文", "Sentence"),
        say("文字", "Characters"),
        say("トークン", "Tokens"),
        say("文字 ÷ トークン", "Characters / tokens"),
    ],
    align=["left", "right", "right", "right"],
)

# %% [markdown] lang="ja"
# この切り方は、青空文庫の文章から学んだものです。小説らしい言い回しは長く残り、新しいカタカナ語や英語は細かくなります。

# %% [markdown] lang="en"
# These cuts were learned from Aozora Bunko. Phrases of older novels stay long; modern loanwords and English fall into small pieces.

# %% [markdown] lang="ja"
# ## `add_special_tokens=False` の理由
#
# このトークナイザーの `encode` は、何も指定しないと、最後に「文の終わり」を表す特別なトークンを付けます。

# %% [markdown] lang="en"
# ## Why `add_special_tokens=False`
#
# Unless told otherwise, `encode` of this tokenizer appends a special token that means "end of text".

# %%
with_end = tokenizer.encode(PROMPT)
without_end = tokenizer.encode(PROMPT, add_special_tokens=False)
print(tokenizer.convert_ids_to_tokens(with_end)[-3:])
print(tokenizer.convert_ids_to_tokens(without_end)[-3:])

# %% [markdown] lang="ja"
# 続きを書かせたいのに、「ここで終わり」と伝えては困ります。だから `add_special_tokens=False` と指定して、付けないようにします。

# %% [markdown] lang="en"
# We want a continuation, so we must not tell the model that the text is over. `add_special_tokens=False` leaves the end token out.

# %% [markdown] lang="ja"
# ## id から文へ
#
# `decode` は、id の列を文に戻します。`skip_special_tokens=True` とすると、特別なトークンを除きます。

# %% [markdown] lang="en"
# ## From ids back to text
#
# `decode` turns ids back into text. With `skip_special_tokens=True` it leaves special tokens out.

# %%
print(tokenizer.decode(with_end))
print(tokenizer.decode(with_end, skip_special_tokens=True))

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
# A special token stands for a role, not for characters.
#
# | Name | Role |
# |---|---|
# | `bos_token` | beginning of a text |
# | `eos_token` | end of a text; generation stops when the model picks it |
# | `unk_token` | a character that is not known |
# | `pad_token` | filler that brings texts to one length |
# | `cls_token`, `sep_token`, `mask_token` | made for BERT; GPT-2 does not use them |

# %%
rows = [
    (name, token, tokenizer.convert_tokens_to_ids(token))
    for name, token in tokenizer.special_tokens_map.items()
]
table(
    sorted(rows, key=lambda row: row[2]),
    [say("名前", "Name"), say("トークン", "Token"), "id"],
    align=["left", "left", "right"],
)

# %% [markdown] lang="ja"
# id は、モデルによって違います。`rinna/japanese-gpt-1b` では、並び方がこの表と違います。プログラムに id を直接書かず、`tokenizer.eos_token_id` のように、トークナイザーに聞いてください。

# %% [markdown] lang="en"
# These ids differ from model to model: `rinna/japanese-gpt-1b` has another order. Do not write them into a program. Ask the tokenizer, as in `tokenizer.eos_token_id`.

# %% [markdown] lang="ja"
# ## 切る前の整理：正規化
#
# 同じ「A」でも、半角の `A` と全角の `Ａ` は別の文字です。同じ文字や言葉として扱いたいものを、一つの書き方にそろえることを、正規化といいます。よく使われるのが NFKC という決まりで、Python の `unicodedata` にもあります。
#
# **予想してみましょう。** 次の文字は、それぞれ何になるでしょうか。`ｶﾀｶﾅ`、`①`、`㍻`、`ＡＢＣ`

# %% [markdown] lang="en"
# ## Tidying up first: normalisation
#
# A narrow `A` and a wide `Ａ` are two different characters. Bringing what should count as the same to one spelling is called normalisation. A common rule for it is NFKC, which Python has in `unicodedata`.
#
# **Predict:** what will become of each of these? `ｶﾀｶﾅ`, `①`, `㍻`, `ＡＢＣ`

# %%
import unicodedata

for text in ("ｶﾀｶﾅ", "①", "㍻", "ＡＢＣ"):
    print(text, unicodedata.normalize("NFKC", text))

# %% [markdown] lang="ja"
# トークナイザーも、切る前に正規化をします。決まりは `nmt_nfkc` といい、NFKC に少し手を加えたものです。余分な空白も取り除きます。教材の `normalize` で見比べます。`␣` は空白、`\n` は改行です。

# %% [markdown] lang="en"
# The tokenizer normalises before it cuts, by a rule called `nmt_nfkc`: NFKC with some changes. It also removes superfluous spaces. Our `normalize` shows the result; `␣` is a space and `\n` a line break.

# %%
from helpers.tokenizer import normalize


def visible(text):
    return repr(text).replace(" ", "␣")


rows = [
    (
        visible(text),
        visible(unicodedata.normalize("NFKC", text)),
        visible(normalize(tokenizer, text)),
    )
    for text in ("ｶﾀｶﾅ", "①", "㍻", "ＡＢＣ", "～", "雪\n国", "雪   国")
]
table(rows, [say("元の文字", "Text"), "NFKC", say("トークナイザー", "Tokenizer")])

# %% [markdown] lang="ja"
# 違いは三つ見えます。改行は空白になり、続いた空白は一つになり、`～` はそのまま残ります。つまり、**改行はモデルに届きません**。段落のある文章を入れても、モデルには一続きに見えます。

# %% [markdown] lang="en"
# Three differences show. A line break becomes a space, repeated spaces become one, and `～` stays as it is. So **line breaks never reach the model**: a text in paragraphs looks to it like one long line.

# %% [markdown] lang="ja"
# ## 知らない文字
#
# トークナイザーの語彙には、限りがあります。語彙にない文字は、どうなるでしょうか。
#
# **予想してみましょう。** 「𠮷」（「吉」の上が「土」になった字）と「🍣」は、aozora-mini の語彙にありません。どんな id になるでしょうか。次の答えから選んでください。
#
# - A. エラーになる
# - B. どちらも同じ id になる
# - C. 新しい id が付く

# %% [markdown] lang="en"
# ## Unknown characters
#
# The vocabulary of a tokenizer is limited. What becomes of a character that is not in it?
#
# **Predict:** 「𠮷」 (a variant of the character 「吉」) and 「🍣」 are not in the vocabulary of aozora-mini. What ids will they get?
#
# - A. An error is raised.
# - B. Both get the same id.
# - C. Each gets a new id.

# %% [markdown] lang="ja"
# 本家の `sentencepiece` に聞くのが確実です。モデルが学習したときに使われたのも、これだからです。

# %% [markdown] lang="en"
# The surest way is to ask the original, `sentencepiece` itself: it is what the model was trained with.

# %%
from sentencepiece import SentencePieceProcessor

original = SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
for text in ("𠮷田さん", "寿司🍣"):
    print(text, original.encode(text))
print(original.unk_id(), original.id_to_piece(original.unk_id()))

# %% [markdown] lang="ja"
# 答えは B です。知らない文字は、どれも `<unk>`（unknown）の id になります。どの文字だったのかは、モデルには伝わりません。

# %% [markdown] lang="en"
# It is B. Every unknown character gets the id of `<unk>` (unknown). Which character it was, the model does not learn.

# %% [markdown] lang="ja"
# では、同じ文を、はじめの `T5Tokenizer` で id にしてみます。

# %% [markdown] lang="en"
# Now the same texts with the `T5Tokenizer` we began with.

# %%
for text in ("𠮷田さん", "寿司🍣"):
    wrong = t5.encode(text, add_special_tokens=False)
    print(text, wrong, t5.convert_ids_to_tokens(wrong))

# %% [markdown] lang="ja"
# 食い違いました。`<unk>` になるはずのところが、`</s>`、つまり**文の終わり**になっています。エラーも警告も出ません。モデルは、「寿司」で文が終わったと受け取ります。
#
# 原因は、`transformers` 5 の `T5Tokenizer` が、知らない文字の id を 2 と決めていることです。T5 の語彙では 2 が `<unk>` ですが、このモデルと rinna の `japanese-gpt2` では 2 は `</s>` です。バージョン 4 では、正しい id になりました。

# %% [markdown] lang="en"
# They disagree. Where `<unk>` should be, there is `</s>`: **end of text**. There is no error and no warning. The model takes it that the text ended after 「寿司」.
#
# The reason: in `transformers` 5, `T5Tokenizer` takes it for granted that the id of unknown characters is 2. In T5's vocabulary 2 is `<unk>`; in this model and in rinna's `japanese-gpt2` models 2 is `</s>`. In version 4 the id was right.

# %% [markdown] lang="ja"
# 食い違いは、ほかにもあります。三つのトークナイザーを並べます。最後の列は、教材の `load_tokenizer` です。✗ は、本家と違うという印です。

# %% [markdown] lang="en"
# That is not the only disagreement. Here are three tokenizers side by side; the last one is our `load_tokenizer`. ✗ marks what differs from the original.

# %%
rows = []
for text in (PROMPT, "𠮷田さん", "寿司🍣", "ﾊﾟﾝﾀﾞ", "</s>"):
    right = original.encode(text)
    cells = []
    for candidate in (t5, tokenizer):
        found = candidate.encode(text, add_special_tokens=False)
        cells.append(f"{'✓' if found == right else '✗'} {found}")
    rows.append((text, right, *cells))

table(rows, [say("文", "Text"), "sentencepiece", "T5Tokenizer", "load_tokenizer"])

# %% [markdown] lang="ja"
# - 書き出しの一文では、三つとも同じです。だから、違いに気づきにくいのです。
# - `ﾊﾟﾝﾀﾞ` では、半角の濁点や半濁点を、前の文字とまとめられていません。
# - `</s>` は、キーボードで打った 4 文字のはずが、「終わり」の命令になっています。
#
# `load_tokenizer` は、id を決める仕事を `sentencepiece` そのものに任せます。だから、どの文でも本家と同じになります。

# %% [markdown] lang="en"
# - For the opening line all three agree. That is why the slip is hard to notice.
# - In `ﾊﾟﾝﾀﾞ`, the narrow sound marks are not joined with the letters before them.
# - `</s>` should be four characters that somebody typed. It has become the command to end.
#
# `load_tokenizer` leaves the choice of ids to `sentencepiece` itself. So it agrees with the original on any text.

# %% [markdown] lang="ja"
# もう一つ、直していることがあります。rinna の `japanese-gpt2` の三つは、英字をすべて小文字にして学習しました。`transformers` 5 の `T5Tokenizer` はこの設定を無視しますが、`load_tokenizer` は小文字に直してから切ります。
#
# 知らない文字は、破線の枠で表示されます。

# %% [markdown] lang="en"
# It puts one more thing right. rinna's three `japanese-gpt2` models were trained on text in lower case. `T5Tokenizer` in `transformers` 5 ignores that setting; `load_tokenizer` turns letters into lower case before cutting.
#
# Unknown characters have a dashed frame.

# %%
token_chips(tokenizer, "𠮷田さんと寿司🍣を食べた。")

# %% [markdown] lang="ja"
# 文に戻すときも、元の文字はわかりません。id には、`<unk>` だったことしか残っていないからです。

# %% [markdown] lang="en"
# Decoding cannot bring the character back either. All that the ids have kept is that it was `<unk>`.

# %%
print(tokenizer.decode(tokenizer.encode("寿司🍣", add_special_tokens=False)))

# %% [markdown] lang="ja"
# ## rinna のモデル
#
# rinna 社は、日本語の GPT-2 を四つ公開しています。表にして、先頭に同梱モデルを加えます。「公表値」と「計算値」は、パラメーターの数です。計算値は、モデルの形から計算しました。ほかは rinna 社の表にある値です。

# %% [markdown] lang="en"
# ## rinna's models
#
# The company rinna has published four Japanese GPT-2 models. Here they are, with our bundled one first. "Published" and "counted" are numbers of parameters; we counted them from the model's shape. The other figures are from rinna's table.

# %%
from helpers.models import CATALOGUE

PUBLISHED = {
    "rinna/japanese-gpt2-xsmall": "37M",
    "rinna/japanese-gpt2-small": "110M",
    "rinna/japanese-gpt2-medium": "336M",
    "rinna/japanese-gpt-1b": "1.3B",
}

rows = [
    (
        info.name,
        info.n_layer,
        info.n_embd,
        PUBLISHED.get(info.name, "—"),
        f"{info.parameters / 1e6:,.1f}M",
        info.epochs or "—",
        info.dev_perplexity or "—",
        info.training_time or "—",
    )
    for info in CATALOGUE.values()
]

table(
    rows,
    [
        say("モデル", "Model"),
        say("層", "Layers"),
        say("次元", "Size"),
        say("公表値", "Published"),
        say("計算値", "Counted"),
        say("エポック", "Epochs"),
        "dev ppl",
        say("学習時間", "Training"),
    ],
    align=["left", "right", "right", "right", "right", "right", "right", "right"],
)

# %% [markdown] lang="ja"
# 表の読み方です。
#
# - **層**：Transformer のブロックを何段重ねたか。
# - **次元**：一つのトークンを、いくつの数で表すか（埋め込みの次元）。
# - **公表値・計算値**：パラメーターの個数。パラメーターは学習で決まった数で、**重み**ともいいます。M は百万、B は十億です。
# - **エポック**：学習データを何周したか。
# - **学習時間**：公表されたままの値です（days は日）。
# - **dev ppl**：次のトークンをどれだけ迷わずに当てられるか。小さいほどよい値です。あとでくわしく見ます。
#
# 元の記事の表では、`layers` と `params` の見出しが入れかわっています。1.3B は層の数ではなく、パラメーターの数です。

# %% [markdown] lang="en"
# How to read it:
#
# - **Layers**: how many Transformer blocks are stacked.
# - **Size**: how many numbers stand for one token (the embedding size).
# - **Published, counted**: the number of parameters. A parameter is a number set by training, also called a **weight**; M is a million, B a billion.
# - **Epochs**: how many times the training went through the data.
# - **Training**: how long it took, as published.
# - **dev ppl**: how little the model hesitates over the next token; smaller is better. We come back to it.
#
# In the article's table the headings `layers` and `params` have changed places: 1.3B is not a number of layers but of parameters.

# %% [markdown] lang="ja"
# ## ダウンロードとメモリ
#
# モデルを選ぶ前に、大きさを確かめます。重み一つは、float32 で 4 バイト、float16 や bfloat16 で 2 バイトです。だから、メモリの量はパラメーターの数から見積もれます。
#
# 「生成時」は、100 トークンの文を三つ作るときの見積もりです。計算の途中の値も入るので、重みより大きくなります。

# %% [markdown] lang="en"
# ## Download and memory
#
# Before you choose a model, look at its size. One weight takes 4 bytes in float32, and 2 in float16 or bfloat16. So the memory follows from the number of parameters.
#
# "Generating" is an estimate for three texts of 100 tokens. It is more than the weights, because intermediate values need room too.


# %%
def size(bytes_):
    return f"{bytes_ / 1e9:.2f} GB"


rows = [
    (
        info.name,
        size(info.download_bytes) if info.download_bytes else say("なし", "none"),
        size(info.parameters * 4),
        size(info.parameters * 2),
        size(info.memory_bytes(4)),
    )
    for info in CATALOGUE.values()
]

table(
    rows,
    [
        say("モデル", "Model"),
        say("ダウンロード", "Download"),
        say("重み（float32）", "Weights (float32)"),
        say("重み（float16）", "Weights (float16)"),
        say("生成時（float32）", "Generating (float32)"),
    ],
    align=["left", "right", "right", "right", "right"],
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
# Downloaded files stay in `~/.cache/huggingface/hub` in your home folder. From the second time on they are read from there.
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
# Weights come in two kinds of files, `.bin` and `.safetensors`: a `.bin` file could run code when it is loaded, while `.safetensors` holds nothing but numbers. Our function loads both.

# %% [markdown] lang="ja"
# ## モデルを読み込む
#
# まず、`transformers` だけで同梱モデルを読み込みます。一度目は元の記事と同じ書き方で、二度目は `dtype` を指定して読み込みます。
#
# 棒の表示は、読み込みの間だけ消しておきます。

# %% [markdown] lang="en"
# ## Loading the model
#
# First load the bundled model with `transformers` alone: once as the article writes it, once with a `dtype`.
#
# The progress bar is off only while they load.

# %%
import torch
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
# Without a `dtype`, the weights are loaded as they were stored. The bundled model and `rinna/japanese-gpt-1b` are stored in half precision (2 bytes a weight), which makes the files smaller. On a CPU, half precision is not always faster, and it is less exact. So the `dtype` has to be chosen to suit the device.

# %% [markdown] lang="ja"
# 教材の `load_model` は、これを引き受けます。デバイスと `dtype` を選び、トークナイザーも一緒に読み込みます。
#
# 次のセルの `MODEL` で、モデルを選べます。Colab では、右側に選択欄が出ます。`"auto"` のままなら、十分な GPU があるときは `rinna/japanese-gpt-1b` を、ないときは同梱モデルを選び、その理由を一行で知らせます。教室では、環境変数 `HELPERS_MODEL` で全員のモデルをそろえられます。
#
# **gpt-1b を選ぶと、約 2.6 GB のダウンロードが始まります。** ここに保存してある結果は、同梱モデルのものです。

# %% [markdown] lang="en"
# Our `load_model` takes care of that. It chooses device and `dtype`, and loads the tokenizer as well.
#
# `MODEL` in the next cell chooses the model; Colab shows a list at the right. With `"auto"` you get `rinna/japanese-gpt-1b` where there is a GPU large enough, else the bundled model, and one line tells you why. In a classroom, the environment variable `HELPERS_MODEL` gives everybody the same model.
#
# **Choosing gpt-1b starts a download of about 2.6 GB.** The results stored here come from the bundled model.

# %% tags=["varies"]
from helpers.models import load_model

MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)

# %% [markdown] lang="ja"
# `load_model` が返すものの中に、モデルとトークナイザーがあります。ここからは、この二つを使います。

# %% [markdown] lang="en"
# What `load_model` returns holds the model and its tokenizer. From here on we use these two.

# %%
model = language_model.model
tokenizer = language_model.tokenizer
print(model)

# %% [markdown] lang="ja"
# ## モデルの中
#
# 上の表示は、部品の一覧です。データは上から下へ流れます。`wte` と `wpe` の出力は足し合わせます。
#
# | 部品 | すること |
# |---|---|
# | `wte` | トークンの id を、ベクトル（数の並び）に変える表 |
# | `wpe` | 何番目のトークンかを、ベクトルに変える表 |
# | `h` | ブロックを重ねたもの。`attn` が左側のトークンを見わたし、`mlp` が一つずつ加工します |
# | `ln_f` | 最後に、数の大きさをそろえます |
# | `lm_head` | ベクトルから、語彙のすべてのトークンの点数を出します |

# %% [markdown] lang="en"
# ## Inside the model
#
# The printout lists the parts. Data flow from top to bottom. What `wte` and `wpe` give is added up.
#
# | Part | What it does |
# |---|---|
# | `wte` | a table that turns a token's id into a vector (a row of numbers) |
# | `wpe` | a table that turns a token's position into a vector |
# | `h` | the stacked blocks: `attn` looks at the tokens to the left, `mlp` works on each token by itself |
# | `ln_f` | brings the numbers to one scale at the end |
# | `lm_head` | turns a vector into a score for every token of the vocabulary |

# %% [markdown] lang="ja"
# `wte` の形は「語彙の数 × 埋め込みの次元」です。トークンの id は、この表の行の番号です。
#
# `lm_head` は、`wte` と同じ重みを使い回しています。だから、数えるのは一度だけです。

# %% [markdown] lang="en"
# The shape of `wte` is vocabulary size × embedding size. A token's id is the number of a row in this table.
#
# `lm_head` uses the weights of `wte` again. So they count only once.

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
#
# **予想してみましょう。** モデル全体で一番多くを占めるのは、`wte`、`wpe`、`attn`、`mlp`、`ln` のどれでしょうか。

# %% [markdown] lang="en"
# ## Counting the parameters
#
# The numbers in the configuration are enough to count the parameters. With `d` for the embedding size and `m` for the width inside `mlp` (usually `4 * d`), one block has:
#
# - `attn`: `4 * d * d + 4 * d`
# - `mlp`: `2 * d * m + m + d`
# - `ln` (two of them): `4 * d`
#
# Besides the blocks there are the two tables `wte` and `wpe`, and the last `ln_f` (`2 * d`).
#
# **Predict:** which takes up most of the whole model: `wte`, `wpe`, `attn`, `mlp` or `ln`?

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
# Check it by counting the weights that were loaded. Their names contain `wte` and so on, so they can be told apart.

# %%
counted = dict.fromkeys(formula, 0)
for name, weight in model.named_parameters():
    part = next(part for part in counted if part in name)
    counted[part] += weight.numel()

print(counted == formula, f"{sum(counted.values()):,}")

# %% [markdown] lang="ja"
# どの部品が多いか、棒グラフにします。

# %% [markdown] lang="en"
# And now as bars: which part has most?

# %%
from helpers.charts import bar_chart

bar_chart(
    counted,
    [number / 1e6 for number in counted.values()],
    title=say("部品ごとのパラメーター", "Parameters of each part"),
    unit="M",
)

# %% [markdown] lang="ja"
# 答えは、コードにも言わせましょう。一番多い部品と、その割合です。

# %% [markdown] lang="en"
# Let the code say the answer, too: the part that has most, and its share.

# %%
from helpers.charts import percent

largest = max(counted, key=counted.get)
print(largest, percent(counted[largest] / sum(counted.values())))

# %% [markdown] lang="ja"
# ほかのモデルでも同じでしょうか。二つの表（`wte` と `wpe`）と、ブロックとに分けて、比べます。ブロックの分は、全体から二つの表と最後の `ln_f` を引いたものです。

# %% [markdown] lang="en"
# Is it the same in other models? Compare the two tables (`wte` and `wpe`) with the blocks: what is left of the whole without the tables and the last `ln_f`.

# %%
rows = []
for info in CATALOGUE.values():
    tables = (info.vocab_size + info.n_positions) * info.n_embd
    blocks = info.parameters - tables - 2 * info.n_embd
    rows.append((info.name, percent(tables / info.parameters), percent(blocks / info.parameters)))

table(
    rows,
    [say("モデル", "Model"), "wte + wpe", say("ブロック", "Blocks")],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# rinna の四つでは、大きいモデルほど、二つの表の割合が小さくなります。語彙の数はあまり変わらないのに、ブロックは層の数と `d` の二乗に合わせて増えるからです。
#
# さきほどの表の「計算値」も、この式によるものです。rinna の四つのモデルでも、公表値とよく合っていました。

# %% [markdown] lang="en"
# Among rinna's four, the larger the model, the smaller the share of the two tables. The vocabulary hardly changes, while the blocks grow with the number of layers and the square of `d`.
#
# The counted figures in the table further up came from this formula. For rinna's four models they agree well with the published ones.

# %% [markdown] lang="ja"
# ## 一度だけ計算させる
#
# 書き出しをモデルに渡し、一度だけ計算させます。`return_tensors="pt"` は、id の列を PyTorch の形で返すという指定です。`no_grad()` は、学習に使う記録を取らないという指定です。

# %% [markdown] lang="en"
# ## Running the model once
#
# Now give the opening line to the model and run it once. `return_tensors="pt"` asks for the ids in PyTorch's form; `no_grad()` says that no record is needed for training.

# %%
input_ids = tokenizer.encode(PROMPT, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)
with torch.no_grad():
    logits = model(input_ids=input_ids).logits
print(tuple(input_ids.shape), tuple(logits.shape))

# %% [markdown] lang="ja"
# 結果の `logits` は点数の表です。形は「文の数 × トークンの数 × 語彙の数」です。トークンの位置ごとに、**その次に来るもの**の点数が、語彙の全部について並んでいます。続きを書くのに使うのは、最後の位置の点数です。

# %% [markdown] lang="en"
# The `logits` are a table of scores, of the shape texts × tokens × vocabulary. For each position it holds the scores of **what comes next**, for every token there is. To continue the text, we need the last position.

# %% [markdown] lang="ja"
# 点数を確率に変えるのが softmax です。すべてが 0 以上になり、足すと 1 になります。

# %% [markdown] lang="en"
# Softmax turns scores into probabilities: none is negative, and together they make 1.

# %%
probabilities = logits[0, -1].float().softmax(-1)
print(f"{probabilities.sum().item():.3f}")

top = probabilities.topk(5)
for probability, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
    print(f"{probability:.3f}", tokenizer.convert_ids_to_tokens(token))

# %% [markdown] lang="ja"
# 上位に `▁` が出ることがあります。`▁` は空白です。学習した文章の改行が空白になっているので、ここでは、たいてい段落の切れ目を表します。

# %% [markdown] lang="en"
# A `▁` near the top is a space. Line breaks of the training texts became spaces, so here it mostly stands for a new paragraph.

# %% [markdown] lang="ja"
# 教材の `next_token_distribution` は、この計算をまとめて行い、絵にできる形で返します。`top_k=0` と `top_p=1.0` は、「何も切り捨てない」という設定です。切り捨て方と、図の「エントロピー」の読み方は、レッスン 3 で見ます。

# %% [markdown] lang="en"
# Our `next_token_distribution` does all this and returns it ready for a picture. `top_k=0` and `top_p=1.0` mean that nothing is cut off; lesson 3 is about cutting, and explains the entropy in the picture.

# %%
from helpers.charts import distribution_chart
from helpers.sampling import SamplingSettings, next_token_distribution

everything = SamplingSettings(min_length=0, top_k=0, top_p=1.0)
distribution_chart(next_token_distribution(language_model, PROMPT, everything), top=10)

# %% [markdown] lang="ja"
# ## 左だけを見る、を確かめる
#
# GPT-2 は左だけを見る、と言いました。本当なら、あとに続く文を取り去っても、前の位置の点数は変わらないはずです。
#
# **予想してみましょう。** 最初の 6 トークンだけを渡したときと、全部を渡したときとで、最初の 6 か所の点数は、どれだけ違うでしょうか。

# %% [markdown] lang="en"
# ## Does it look only to the left?
#
# GPT-2 looks only to the left, we said. If so, the scores at earlier positions cannot change when the rest of the text is taken away.
#
# **Predict:** give the model only the first 6 tokens. How far do the scores at these 6 positions differ from those with the whole text?

# %%
with torch.no_grad():
    beginning = model(input_ids=input_ids[:, :6]).logits
difference = (beginning - logits[:, :6]).abs().max().item()
print(f"{difference:.2f}")

# %% [markdown] lang="ja"
# 違いはありません（GPU の半精度では、ごく小さな差が出ることがあります）。BERT で同じことをすれば、右側が変わるので、点数も変わります。

# %% [markdown] lang="en"
# There is no difference (in half precision on a GPU there may be a tiny one). With BERT the scores would change, because the right side has changed.

# %% [markdown] lang="ja"
# ## 文全体の確率
#
# 最後に、書き出しの一文の確率を、トークンを一つずつかけて求めます。
#
# 最初のトークンには、左側に何もありません。そこで、始まりの印 `bos_token` を前に置きます。`distributions[i]` は、`i` 番目のトークンまでを見たときの、次のトークンの確率です。

# %% [markdown] lang="en"
# ## The probability of a whole text
#
# Finally, let us compute the probability of the opening line, token by token.
#
# The first token has nothing to its left. So we put `bos_token`, the mark of a beginning, before it. `distributions[i]` then holds the probabilities of the token that comes after position `i`.

# %%
ids = tokenizer.encode(PROMPT, add_special_tokens=False)
row = torch.tensor([[tokenizer.bos_token_id, *ids]], device=model.device)
with torch.no_grad():
    distributions = model(input_ids=row).logits[0].float().softmax(-1)
chosen = [distributions[i, token].item() for i, token in enumerate(ids)]

# %% [markdown] lang="ja"
# **予想してみましょう。** モデルにとって意外だったのは、どのトークンでしょうか。当てやすかったのは、どれでしょうか。

# %% [markdown] lang="en"
# **Predict:** which tokens came as a surprise to the model? Which were easy to guess?

# %%
rows, product = [], 1.0
for token, probability in zip(ids, chosen, strict=True):
    product *= probability
    rows.append((tokenizer.convert_ids_to_tokens(token), percent(probability), f"{product:.1e}"))

table(
    rows,
    [
        say("トークン", "Token"),
        say("前の文から見た確率", "Probability given the text before"),
        say("ここまでの積", "Product so far"),
    ],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# 最後の積が、モデルがこの一文から書き始める確率です。`1e-05` は 0.00001 のことです。とても小さい数ですが、同じ長さの文は数えきれないほどあるので、これでも不思議ではありません。

# %% [markdown] lang="en"
# The last product is the probability that the model begins with this sentence. (`1e-05` means 0.00001.) It is very small. But then there are countless sentences of that length.

# %% [markdown] lang="ja"
# ## dev ppl とは
#
# 小さすぎる数は扱いにくいので、ふつうは「ビット」で表します。確率が半分になるごとに 1 ビット増えます。文のビット数をトークンの数で割り（1 トークンあたりの平均）、`2 ** 平均` を計算した値が、**パープレキシティ**（perplexity、ppl）です。「平均して、いくつの候補から等しい確率で選ぶのと同じくらい迷ったか」という数です。
#
# dev ppl は、学習に使わなかった文章（dev は development の略）で測った値です。

# %% [markdown] lang="en"
# ## What dev ppl means
#
# Such small numbers are clumsy, so they are usually given in bits: each halving of a probability adds 1 bit. Divide the bits of a text by its tokens (the average per token) and compute `2 ** average`: this is the **perplexity**, ppl. It says among how many equally likely candidates the model was hesitating, on average.
#
# The dev ppl is measured on texts that were not used for training (dev is short for development).

# %%
import math

bits = -sum(math.log2(probability) for probability in chosen)
print(f"{bits:.1f} bits")
print(f"{2 ** (bits / len(ids)):.1f} perplexity")
print(f"{bits / len(PROMPT):.2f} bits per character")

# %% [markdown] lang="ja"
# パープレキシティを比べるときは、注意がいります。同じ 60 ビットの文でも、いくつのトークンに切るかで値が変わるからです。

# %% [markdown] lang="en"
# Be careful when you compare perplexities. A text of 60 bits gives different values, depending on the number of tokens it was cut into.

# %%
for count in (10, 15, 30):
    print(count, 2 ** (60 / count))

# %% [markdown] lang="ja"
# 文の確率は同じなのに、細かく切るほどパープレキシティは小さくなります。だから、**トークナイザーが違うモデルどうしでは、比べられません**。表の gpt-1b と gpt2 の三つも、語彙が違います。
#
# 比べたいときは、1 文字あたりのビット数を使います。文字の数は、切り方によらないからです。同梱モデルの成績も、この単位で[モデルカード]({{repository}}/blob/{{branch}}/helpers/aozora_mini/README.md)に書いてあります。

# %% [markdown] lang="en"
# The text is equally probable each time, but the finer the cuts, the smaller the perplexity. So **perplexities of models with different tokenizers cannot be compared**. In the table, gpt-1b has another vocabulary than the three gpt2 models.
#
# To compare, use bits per character: the number of characters does not depend on the cuts. The bundled model's results are given in this unit in its [model card]({{repository}}/blob/{{branch}}/helpers/aozora_mini/README.md).

# %% [markdown] lang="ja"
# ## 練習
#
# 1. 自分の名前や好きな言葉を `token_chips` で切ってください。思いがけないところで切れたものはありますか。知らない文字はありましたか。
# 2. `rinna/japanese-gpt2-medium` のパラメーターの数を、式だけから求めてください。24 層、`d = 1024`、語彙 32,000、位置 1,024、`m = 4 * d` です。
# 3. 「寿司🍣」の次のトークンを、本家の id と `T5Tokenizer` の id とで比べてください。`T5Tokenizer` の id だと、何が起きますか。（同梱モデルで試してください。）

# %% [markdown] lang="en"
# ## Exercises
#
# 1. Cut your name or words you like with `token_chips`. Is anything cut in an unexpected place? Were there unknown characters?
# 2. Find the number of parameters of `rinna/japanese-gpt2-medium` from the formula alone: 24 layers, `d = 1024`, 32,000 tokens, 1,024 positions, `m = 4 * d`.
# 3. Compare the next tokens after 「寿司🍣」 for the ids of the original and for those of `T5Tokenizer`. What do the latter do? (Try it with the bundled model.)

# %% [markdown] lang="ja"
# <details><summary>練習 1 の解答</summary>
#
# ```python
# token_chips(load_tokenizer("aozora-mini"), "髙橋さんはカレーライスが好きです〜")
# ```
#
# 答えは人によって違います。名前の漢字は一文字ずつになりやすく、カタカナの言葉は途中で切れがちです。「髙」（はしごだか）や「〜」のように、身近な文字が未知になることもあります。
#
# </details>
#
# <details><summary>練習 2 の解答</summary>
#
# ```python
# d, layers, m = 1024, 24, 4 * 1024
# block = (4 * d * d + 4 * d) + (2 * d * m + m + d) + 4 * d
# total = layers * block + (32_000 + 1_024) * d + 2 * d
# print(f"{total:,}")
# print(total == CATALOGUE["rinna/japanese-gpt2-medium"].parameters)
# ```
#
# 336,128,000 個です。公表値の 336M と合います。
#
# </details>
#
# <details><summary>練習 3 の解答</summary>
#
# ```python
# for numbers in (original.encode("寿司🍣"), t5.encode("寿司🍣", add_special_tokens=False)):
#     with torch.no_grad():
#         scores = as_float32(input_ids=torch.tensor([numbers])).logits[0, -1]
#     print(original.id_to_piece(scores.topk(5).indices.tolist()))
# ```
#
# 上位のトークンが変わります。`T5Tokenizer` の id では、モデルは「文が終わった直後」だと受け取るからです。`<unk>` なら、「何かはわからないが、文の途中」です。
#
# </details>

# %% [markdown] lang="en"
# <details><summary>Solution 1</summary>
#
# ```python
# token_chips(load_tokenizer("aozora-mini"), "髙橋さんはカレーライスが好きです〜")
# ```
#
# The answers differ. The characters of names tend to be tokens of their own, and loanwords tend to be cut in the middle. Everyday characters such as 「髙」 or 「〜」 can be unknown as well.
#
# </details>
#
# <details><summary>Solution 2</summary>
#
# ```python
# d, layers, m = 1024, 24, 4 * 1024
# block = (4 * d * d + 4 * d) + (2 * d * m + m + d) + 4 * d
# total = layers * block + (32_000 + 1_024) * d + 2 * d
# print(f"{total:,}")
# print(total == CATALOGUE["rinna/japanese-gpt2-medium"].parameters)
# ```
#
# There are 336,128,000, which agrees with the published 336M.
#
# </details>
#
# <details><summary>Solution 3</summary>
#
# ```python
# for numbers in (original.encode("寿司🍣"), t5.encode("寿司🍣", add_special_tokens=False)):
#     with torch.no_grad():
#         scores = as_float32(input_ids=torch.tensor([numbers])).logits[0, -1]
#     print(original.id_to_piece(scores.topk(5).indices.tolist()))
# ```
#
# The tokens at the top change. With the ids of `T5Tokenizer`, the model takes it that a text has just ended. With `<unk>` it is in the middle of a text, after something it does not know.
#
# </details>

# %% [markdown] lang="ja"
# ## まとめ
#
# - 言語モデルは、これまでのトークンから、次のトークンの確率を計算します。かけ合わせると、文の確率になります。
# - トークナイザーは、正規化をしてから切り、id を付けます。知らない文字は `<unk>` になります。
# - `load_tokenizer` は `sentencepiece` と同じ id を返します。`T5Tokenizer` は、そうとは限りません。
# - パラメーターの数は、設定から計算できます。`dtype` をかければ、重みのメモリがわかります。
# - パープレキシティは、同じトークナイザーのモデルどうしで比べます。
#
# 次のレッスンでは、この確率から一つずつ選んで、文を作ります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - A language model computes the probability of the next token from the tokens before. Multiplied, they give the probability of a text.
# - A tokenizer normalises, cuts and gives each token its id. Unknown characters become `<unk>`.
# - `load_tokenizer` returns the ids of `sentencepiece`. `T5Tokenizer` does not always.
# - The configuration tells the number of parameters; times the bytes of the `dtype`, it gives the memory for the weights.
# - Compare perplexities only between models with the same tokenizer.
#
# In the next lesson we pick from these probabilities, one token at a time, and make text.
#
# {{nav}}
