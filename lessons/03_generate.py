# %% [markdown] lang="ja"
# # 03 文の生成
#
# {{badge}}
#
# 『雪国』の書き出しの続きを、モデルに書かせます。rinna 社の GPT-2 を試した短い記事（元の記事）の設定を一つずつ動かして、文がどのように生まれるかを見ます。
#
# **できるようになること**
#
# - 元の記事の `model.generate(...)` を動かし、設定を一つずつ説明できます。
# - 文が「確率」と「くじ引き」から生まれるようすを、図で確かめられます。
# - `temperature`、`top_k`、`top_p` の働きを予想し、数えて確かめられます。
# - シードを固定して、同じ文をもう一度作れます。
# - 実験室で設定を動かし、文章の変化を見られます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 60 分（実行だけなら約 1 分） | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 03 Generating text
#
# {{badge}}
#
# We have a model continue the opening line of 『雪国』 (*Snow Country*), move the settings of the article that tried rinna's GPT-2 (the
# one these lessons grew out of) one by one, and watch how a text comes into being.
#
# **You will be able to**
#
# - run the article's `model.generate(...)` and explain each of its settings
# - show in pictures how a text grows out of probabilities and a draw of lots
# - predict what `temperature`, `top_k` and `top_p` do, and count whether it was so
# - fix a seed and get the same text again
# - move the settings in a small lab and watch the text change
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 60 minutes (running it: about 1 minute) | none (0.15 to 2.6 GB with another model) | about 1 GB | not needed |

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
# ## モデルを選ぶ
#
# `"auto"` は、使える GPU があれば `rinna/japanese-gpt-1b` を選びます。そのときは約 2.6 GB をダウンロードします。GPU がなければ、同梱の
# `aozora-mini` を使います。こちらはダウンロードがありません。
#
# ほかのモデルのダウンロードは、xsmall が約 150 MB、small が約 440 MB、medium が約 1.3 GB です。GPU なしで大きいモデルを選ぶと、一つのセルに数十秒かかることがあります。

# %% [markdown] lang="en"
# ## Choosing a model
#
# `"auto"` takes `rinna/japanese-gpt-1b` where there is a GPU that holds it; that downloads about 2.6 GB. Without a GPU it takes the
# bundled `aozora-mini`, and nothing is downloaded.
#
# The others download about 150 MB (xsmall), 440 MB (small) and 1.3 GB (medium). A large model without a GPU can take tens of seconds
# for one cell.

# %%
MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]

# %% [markdown] lang="ja"
# モデルを読み込みます。読み込み方はレッスン 2 で見ました。ここでは一行で済ませます。

# %% [markdown] lang="en"
# Now it is loaded. Lesson 2 showed how; here one line is enough.

# %% tags=["varies"]
from helpers.models import load_model

language_model = load_model(MODEL)
tokenizer = language_model.tokenizer
model = language_model.model

# %% [markdown] lang="ja"
# 一つだけ注意があります。言語モデルは、うそや、人を傷つける文を書くことがあります。書かれた文を事実として使わないでください。同梱の
# `aozora-mini` はとても小さいので、元の記事の `japanese-gpt-1b` より下手です。しくみを学ぶには十分です。

# %% [markdown] lang="en"
# One word of caution. A language model can write falsehoods and things that offend; do not take its text for fact. The bundled
# `aozora-mini` is very small and writes worse than the article's `japanese-gpt-1b`. It is good enough to see how things work.

# %% [markdown] lang="ja"
# ## 元の記事のとおりに動かす
#
# まず、文章を数字（トークンの id）に変えます。モデルが読めるのは数字だけです。`.to(model.device)` は、モデルと同じ場所に数字を置く指示です。くわしくはレッスン 4 で見ます。

# %% [markdown] lang="en"
# ## The article's call
#
# First the text becomes numbers, the ids of its tokens: numbers are all a model can read. `.to(model.device)` puts them where the
# model is; lesson 4 is about that.

# %%
text = "国境の長いトンネルを抜けると雪国であった。"
input_ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)
input_ids

# %% [markdown] lang="ja"
# 次に、この数字を `generate` に渡します。設定の値は元の記事と同じです。一つだけ、元の記事にない `attention_mask` を足しました。理由はあとで説明します。
#
# 乱数を使うので、先にシードを 42 に固定します。

# %% [markdown] lang="en"
# Then `generate` gets these numbers. The settings are the article's. One argument is new, `attention_mask`; the reason follows below.
#
# The call uses random numbers, so we fix the seed at 42 first.

# %%
import torch

attention_mask = torch.ones_like(input_ids)

torch.manual_seed(42)
output = model.generate(
    input_ids,
    attention_mask=attention_mask,
    min_length=50,
    max_length=100,
    do_sample=True,
    top_k=500,
    top_p=0.95,
    num_return_sequences=3,
    pad_token_id=tokenizer.pad_token_id,
    bos_token_id=tokenizer.bos_token_id,
    eos_token_id=tokenizer.eos_token_id,
)
output.shape

# %% [markdown] lang="ja"
# `output` も数字です。文字に戻して表示します。ここで、元の記事のコードをそのまま使ってみます。**エラーになります。どこが間違いでしょうか。**

# %% [markdown] lang="en"
# `output` is numbers again. We turn it back into text, at first exactly as the article does. **It fails. Can you see why?**

# %%
generated_sentence = tokenizer.batch_decode(output, skip_special_tokens=True)
try:
    for sentence in generated_sentences:
        print(sentence)
except NameError as error:
    print("NameError:", error)

# %% [markdown] lang="ja"
# 一行目の変数は `generated_sentence`、二行目の変数は `generated_sentences` です。最後の `s` があるかないかで、Python には別の名前です。名前をそろえると動きます。

# %% [markdown] lang="en"
# The first line makes `generated_sentence`, the loop asks for `generated_sentences`. One final `s`, and for Python it is another
# name. With one name it works.

# %%
generated_sentences = tokenizer.batch_decode(output, skip_special_tokens=True)
for number, sentence in enumerate(generated_sentences, 1):
    print(f"[{number}] {sentence}\n")

# %% [markdown] lang="ja"
# これで三つの続きができました。三つとも同じ書き出しなのに、途中から違う文になっています。
#
# ところで、さきほどエラーになったセルを、いまもう一度実行すると、エラーになりません。ノートブックは、あとで作った名前も覚えているからです。「さっきは動いたのに」を防ぐには、ときどき最初から全部実行しなおします。

# %% [markdown] lang="en"
# Three continuations: one opening, and from some point on three different texts.
#
# By the way, if you run the failing cell again now, it does not fail. A notebook remembers names that were made later. Running
# everything from the top now and then protects you from "but it worked a moment ago".

# %% [markdown] lang="ja"
# ### 元の記事のつまずき：`input` という名前
#
# 元の記事は、数字を `input` という変数に入れています。`input` は Python にもとからある関数の名前です。上書きすると、関数のほうが使えなくなります。

# %% [markdown] lang="en"
# ### A slip of the article: the name `input`
#
# The article keeps the numbers in a variable called `input`. Python has a function of that name. Once overwritten, the function is
# out of reach.

# %%
input = input_ids
try:
    input("?")
except TypeError as error:
    print("TypeError:", error)

# %% [markdown] lang="ja"
# 変数を消します。`False` は、この名前の変数がもうないという意味です。これで Python の関数がまた使えます。このレッスンでは、変数の名前を `input_ids` にします。

# %% [markdown] lang="en"
# We delete the variable. `False` says that there is no such variable any more, so Python's function is back. This lesson names its
# variable `input_ids`.

# %%
del input
print("input" in globals())

# %% [markdown] lang="ja"
# ### 元の記事のつまずき：`attention_mask` がない
#
# 長さの違う文をまとめて渡すときは、短いほうに詰め物（pad）をして長さをそろえます。`attention_mask` は「どこが本物の文か」の印です。1 が本物、0 が詰め物です。
#
# 詰め物は左に置きます（`padding_side="left"`）。右に置くと、文と続きの間に挟まるからです。

# %% [markdown] lang="en"
# ### A slip of the article: no `attention_mask`
#
# Texts of different lengths are handed over together by filling up the short one (padding). The `attention_mask` says which part
# is real text: 1 is text, 0 is padding.
#
# Padding goes to the left (`padding_side="left"`); on the right it would stand between text and continuation.

# %%
batch = tokenizer(
    [text, "雪が降る。"],
    padding=True,
    padding_side="left",
    add_special_tokens=False,
    return_tensors="pt",
)
print(batch["input_ids"])
print(batch["attention_mask"])

# %% [markdown] lang="ja"
# この印が間違っていると、モデルは詰め物まで読んでしまいます。書き出しの前に詰め物を 8 個置いて、三とおりの渡し方を比べます。見るのは、次に来やすいトークン三つの確率です。**どれとどれが同じになるでしょうか。**
#
# 1. 詰め物なし
# 2. 詰め物あり、印は正しい
# 3. 詰め物あり、印は全部 1（間違い）
#
# `return_dict_in_generate=True` と `output_logits=True` は、点数も返させる指定です。点数と確率の関係は、あとで見ます。

# %% [markdown] lang="en"
# With a wrong mask the model reads the padding too. We put 8 padding tokens before the opening line and compare three ways by their
# three most probable next tokens. **Which two will be the same?**
#
# 1. no padding
# 2. padding, and a mask that says so
# 3. padding, and a mask of ones only (wrong)
#
# `return_dict_in_generate=True` and `output_logits=True` ask for the scores too. How scores become probabilities comes later.

# %%
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}
padding = torch.full((1, 8), tokenizer.pad_token_id, device=model.device)
padded = torch.cat([padding, input_ids], dim=1)
honest = (padded != tokenizer.pad_token_id).long()

for number, ids, mask in [
    (1, input_ids, attention_mask),
    (2, padded, honest),
    (3, padded, torch.ones_like(padded)),
]:
    answer = model.generate(
        ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=1,
        return_dict_in_generate=True,
        output_logits=True,
        **special,
    )
    best = answer.logits[0][0].softmax(-1).topk(3)
    pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    print(number, [f"{p} {v:.2%}" for p, v in zip(pieces, best.values.tolist(), strict=True)])

# %% [markdown] lang="ja"
# 元の記事の呼び出しは文が一つなので、印は全部 1 です。印を渡さなくても動きます。`transformers` が pad の id から印を推測するからです。ただし pad と `</s>` が同じ id のモデルでは推測できません。いつも自分で渡すのが安全です。

# %% [markdown] lang="en"
# The article continues one text, so its mask is all ones. Without a mask the call works too, since `transformers` guesses it from the
# id of the padding. In models whose padding and `</s>` share an id it cannot guess. Passing the mask yourself is the safe habit.

# %% [markdown] lang="ja"
# ## 設定を一つずつ
#
# 同じ設定を何度も使います。そこで、元の記事の設定を辞書にまとめ、変えたいものだけを書ける小さな関数を作ります。`|` は二つの辞書を合わせ、同じ名前があれば右側を使います。

# %% [markdown] lang="en"
# ## The settings, one by one
#
# We need the same settings many times. So the article's go into a dictionary, and a small function takes only what is to be changed.
# `|` joins two dictionaries; where both have a name, the right one counts.

# %%
article = {
    "min_length": 50,
    "max_length": 100,
    "do_sample": True,
    "top_k": 500,
    "top_p": 0.95,
    "num_return_sequences": 3,
    **special,
}


def write(seed=42, **changes):
    torch.manual_seed(seed)
    return model.generate(input_ids, attention_mask=attention_mask, **(article | changes))


torch.equal(write(), output)

# %% [markdown] lang="ja"
# `True` は、さっきと同じ id が一つ残らず出たという意味です。これで安心して実験できます。

# %% [markdown] lang="en"
# `True` says that every id is the same as before. We can start to experiment.

# %% [markdown] lang="ja"
# ### `add_special_tokens=False`
#
# このトークナイザーは、何も言わないと文の終わりの印 `</s>` を付けます。付いた場合と付かない場合を比べます。

# %% [markdown] lang="en"
# ### `add_special_tokens=False`
#
# Unless told otherwise, this tokenizer appends `</s>`, the mark for the end of a text. Here are both.

# %%
with_end = tokenizer.encode(text)
without_end = tokenizer.encode(text, add_special_tokens=False)
print(tokenizer.convert_ids_to_tokens(with_end))
print(tokenizer.convert_ids_to_tokens(without_end))

# %% [markdown] lang="ja"
# `</s>` が付くと、モデルは「この文章は終わった」と読みます。そのあとに書くのは続きではなく、別の文章の始まりです。二つの続きを見比べてください。

# %% [markdown] lang="en"
# With `</s>` the model reads: this text is over. What it writes next is no continuation but the beginning of another text. Compare
# the two.

# %%
for ids in (with_end, without_end):
    ids = torch.tensor([ids], device=model.device)
    torch.manual_seed(42)
    answer = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        top_k=500,
        top_p=0.95,
        max_new_tokens=40,
        **special,
    )
    print(tokenizer.decode(answer[0]), end="\n\n")

# %% [markdown] lang="ja"
# ### `max_length`
#
# `max_length=100` は 100 **文字**でしょうか。100 **トークン**でしょうか。書き出しは数に入るでしょうか。**予想してから、実行してください。**

# %% [markdown] lang="en"
# ### `max_length`
#
# Does `max_length=100` mean 100 **characters** or 100 **tokens**? Does the opening line count? **Guess before you run it.**

# %%
from helpers.charts import table
from helpers.language import say

pad = tokenizer.pad_token_id
rows = []
for number, (ids, sentence) in enumerate(zip(output.tolist(), generated_sentences, strict=True), 1):
    total = len([i for i in ids if i != pad])
    rows.append([number, input_ids.shape[1], total - input_ids.shape[1], total, len(sentence)])

table(
    rows,
    header=[
        say("文", "text"),
        say("書き出しのトークン", "tokens of the opening"),
        say("新しいトークン", "new tokens"),
        say("合計トークン", "tokens in all"),
        say("文字数", "characters"),
    ],
    align=["right"] * 5,
)

# %% [markdown] lang="ja"
# 数えているのはトークンです。書き出しも入ります。新しく書いた分だけを数えたいときは、`max_new_tokens` を使います。`max_length` から書き出しのトークン数を引いて渡せば、同じ結果になります。

# %% [markdown] lang="en"
# It counts tokens, and the opening line is among them. `max_new_tokens` counts only what is new. Pass
# `max_length` less the tokens of the opening, and the result is the same.

# %%
long = write(min_length=0, max_length=60)
new = {name: value for name, value in article.items() if name not in ("min_length", "max_length")}
torch.manual_seed(42)
same = model.generate(
    input_ids,
    attention_mask=attention_mask,
    max_new_tokens=60 - input_ids.shape[1],
    **new,
)
torch.equal(long, same)

# %% [markdown] lang="ja"
# ### `min_length`
#
# `min_length=50` は、短すぎる文を防ぎます。どうやって防ぐのでしょうか。モデルが `</s>` を選ぶと、文は終わります。そこで、50 トークンになるまで `</s>` の確率を 0 にします。
#
# 一文を書かせて、`</s>` の確率を 1 ステップずつ見ます。トークンを一つ書くまでを 1 ステップと呼びます。ここでは `top_k` と `top_p` を切って、`min_length` だけを見ます。

# %% [markdown] lang="en"
# ### `min_length`
#
# `min_length=50` prevents texts that are too short. How? A text ends when the model picks `</s>`. So until there are 50 tokens, the
# probability of `</s>` is set to 0.
#
# We write one text and look at `</s>` step by step; writing one token is a step. `top_k` and `top_p` are switched off here, so that
# `min_length` acts alone.

# %%
from helpers.charts import percent

result = write(
    num_return_sequences=1,
    top_k=0,
    top_p=1.0,
    return_dict_in_generate=True,
    output_logits=True,
    output_scores=True,
)
eos = tokenizer.eos_token_id
end_before = torch.cat(result.logits).softmax(-1)[:, eos].tolist()
end_after = torch.cat(result.scores).softmax(-1)[:, eos].tolist()
places = range(input_ids.shape[1] + 1, result.sequences.shape[1] + 1)

table(
    [
        [place, percent(before), percent(after)]
        for place, before, after in zip(places, end_before, end_after, strict=True)
        if 47 <= place <= 54
    ],
    header=[
        say("何番目のトークンか", "which token"),
        say("モデルの </s> の確率", "the model's </s>"),
        say("min_length のあと", "after min_length"),
    ],
    align=["right", "right", "right"],
)

# %% [markdown] lang="ja"
# 何番目から `</s>` が許されたか、コードに言わせます。

# %% [markdown] lang="en"
# From which token on was `</s>` allowed? The code says it.

# %%
first = next((place for place, after in zip(places, end_after, strict=True) if after > 0), None)
print(
    say(
        f"</s> が初めて許されたのは {first} 番目のトークンです。",
        f"</s> is allowed for the first time as token number {first}.",
    )
)

# %% [markdown] lang="ja"
# つまり `min_length` も、書き出しを入れて数えます。50 トークンそろったあとで、はじめて終わってよくなります。`</s>` は 51 番目からです。「必ず 50 トークンで終わる」ではありません。新しい分だけを数える `min_new_tokens` もあります。

# %% [markdown] lang="en"
# So `min_length` counts the opening line too. Only when 50 tokens are there may the text end, with `</s>` as the 51st at the
# earliest. It does not mean "ends at 50". `min_new_tokens` counts only what is new.

# %% [markdown] lang="ja"
# ### `eos_token_id`
#
# eos は end of sequence、「列の終わり」です。この id が出ると、その文は止まります。
#
# 本当にこの設定で止まるのか、試します。`eos_token_id` に句点「。」の id を足します。**文はどこで止まるでしょうか。**

# %% [markdown] lang="en"
# ### `eos_token_id`
#
# eos is short for end of sequence. When this id comes up, the text stops.
#
# Is it really this setting that stops it? Let us add the id of the full stop 「。」. **Where will the texts stop?**

# %%
full_stop = tokenizer.convert_tokens_to_ids("。")
short = write(min_length=0, eos_token_id=[eos, full_stop])
for ids in short:
    print(tokenizer.decode(ids, skip_special_tokens=True))

# %% [markdown] lang="ja"
# ### `pad_token_id`
#
# 止まった場所が違えば、文の長さも違います。でも出力は、どの行も同じ長さの表（テンソル）です。短い行の後ろは、何で埋まっているでしょうか。

# %% [markdown] lang="en"
# ### `pad_token_id`
#
# Texts that stop in different places differ in length. Yet the output is a table (a tensor) whose rows are equally long. What fills
# the short rows?

# %%
print(short.shape)
for ids in short.tolist():
    print(ids[input_ids.shape[1] :])

# %%
print(tokenizer.pad_token_id, tokenizer.convert_ids_to_tokens(tokenizer.pad_token_id))
for ids in short:
    print(tokenizer.decode(ids[input_ids.shape[1] :]))

# %% [markdown] lang="ja"
# 埋めているのは `pad_token_id` です。止まった文は、ほかの文が終わるまでこの id をもらい続けます。文字に戻すときに `skip_special_tokens=True` と書くと、詰め物も `</s>` も消えます。

# %% [markdown] lang="en"
# The filling is `pad_token_id`. A text that has stopped gets this id until the others are done. With `skip_special_tokens=True`
# both the padding and `</s>` vanish on the way back to text.

# %% [markdown] lang="ja"
# ### `bos_token_id`
#
# bos は beginning of sequence、「列の始まり」です。書き出しを渡さないときだけ、最初のトークンになります。

# %% [markdown] lang="en"
# ### `bos_token_id`
#
# bos is short for beginning of sequence. It becomes the first token, but only when there is no opening text.

# %%
torch.manual_seed(42)
from_nothing = model.generate(do_sample=True, top_k=500, top_p=0.95, max_new_tokens=12, **special)
print(tokenizer.convert_ids_to_tokens(from_nothing[0].tolist()))

# %% [markdown] lang="ja"
# 元の記事のように書き出しを渡すときは、使われません。でたらめな値にしても、結果は同じです。

# %% [markdown] lang="en"
# With an opening text, as in the article, it is not used. Any other value gives the same result.

# %%
torch.equal(write(bos_token_id=7), output)

# %% [markdown] lang="ja"
# ### `do_sample`
#
# `do_sample=True` は、くじ引きで次のトークンを選ぶ設定です。`False` にすると、いつも一番確率の高いトークンを選びます。これを貪欲法（greedy）と呼びます。
#
# 貪欲法で二回書かせます。シードは変えます。**二つの文は同じでしょうか。**

# %% [markdown] lang="en"
# ### `do_sample`
#
# `do_sample=True` picks the next token by drawing lots. `False` always takes the most probable one; that is called greedy search.
#
# We write twice in the greedy way, with different seeds. **Will the two texts be equal?**

# %%
for seed in (1, 2):
    torch.manual_seed(seed)
    greedy = model.generate(
        input_ids, attention_mask=attention_mask, do_sample=False, max_length=100, **special
    )
    print(tokenizer.decode(greedy[0], skip_special_tokens=True), end="\n\n")

# %% [markdown] lang="ja"
# 貪欲法に偶然はありません。だからシードは関係ありません。そのかわり、同じ言い回しに戻りやすくなります。これはあとで数えます。

# %% [markdown] lang="en"
# Greedy search knows no chance, so the seed does not matter. In exchange it tends to fall back on the same phrases. We shall count
# that later.

# %% [markdown] lang="ja"
# ### `num_return_sequences`
#
# いくつの文を書くかです。書き出しを行の数だけ複写し、全部を同時に進めます。くじは行ごとに引くので、文は分かれていきます。三つの文がはじめて分かれる場所を見ます。

# %% [markdown] lang="en"
# ### `num_return_sequences`
#
# How many texts to write. The opening is copied once for each, and all go forward together. Each row draws its own lots, so they
# part. Here is where the three first differ.

# %%
for column in range(output.shape[1]):
    if len(set(output[:, column].tolist())) > 1:
        break
print(column, tokenizer.convert_ids_to_tokens(output[:, column].tolist()))

# %% [markdown] lang="ja"
# 貪欲法では、三つ頼んでも三つとも同じになります。そのため `transformers` は断ります。

# %% [markdown] lang="en"
# In greedy search three texts would all be the same, so `transformers` refuses.

# %%
try:
    model.generate(
        input_ids,
        attention_mask=attention_mask,
        do_sample=False,
        num_return_sequences=3,
        max_length=100,
        **special,
    )
except ValueError as error:
    print(type(error).__name__)

# %% [markdown] lang="ja"
# 残るのは `top_k` と `top_p` です。この二つは、くじの中身を変えます。まず、小さなくじで見ましょう。

# %% [markdown] lang="en"
# What is left are `top_k` and `top_p`. These two change what is in the lottery. We look at a small one first.

# %% [markdown] lang="ja"
# ## 小さなくじで考える
#
# 「窓の外では、雪が」の次に来る言葉を、九つだけ考えます。モデルは、言葉ごとに点数（ロジット）を出します。ここでは私たちが点数を決めました。

# %% [markdown] lang="en"
# ## A small lottery
#
# Think of nine words that may follow 「窓の外では、雪が」 ("outside the window, the snow"): falls, piles up, dances, glitters, melts,
# stops, laughs, runs, and curry. A model gives each a score, called a logit. Here we made the scores up.

# %%
from helpers.charts import bar_chart

words = ["降る", "積もる", "舞う", "光る", "解ける", "止む", "笑う", "走る", "カレー"]
logits = torch.tensor([3.0, 2.4, 2.0, 1.5, 1.2, 0.8, -0.5, -1.0, -3.0])

table(
    [[word, f"{score:.1f}"] for word, score in zip(words, logits.tolist(), strict=True)],
    header=[say("言葉", "word"), say("点数", "score")],
    align=["left", "right"],
)

# %% [markdown] lang="ja"
# ### 点数を確率に変える（softmax）
#
# 点数にはマイナスもあります。まず `exp` で全部プラスにします。次に合計で割ります。すると、足して 1 になる確率ができます。これが softmax です。
#
# 一行目に出る二つの値は、合計と、PyTorch の `softmax` と同じかどうかです。

# %% [markdown] lang="en"
# ### From scores to probabilities (softmax)
#
# Some scores are negative. `exp` makes all of them positive. Then each is divided by the sum. What comes out adds up to 1:
# probabilities. This is the softmax.
#
# The first line shows the sum, and whether PyTorch's own `softmax` says the same.

# %%
weights = logits.exp()
probabilities = weights / weights.sum()
print(round(probabilities.sum().item(), 4), torch.allclose(probabilities, logits.softmax(-1)))
bar_chart(words, probabilities, title="softmax", unit="%")

# %% [markdown] lang="ja"
# ### 貪欲法：一番を選ぶ
#
# 一番長い棒を選びます。何度やっても同じです。

# %% [markdown] lang="en"
# ### Greedy: take the first
#
# Take the longest bar. It is the same every time.

# %%
best = probabilities.argmax().item()
bar_chart(words, probabilities, title="greedy", unit="%", highlight=best)

# %% [markdown] lang="ja"
# ### くじを引く：100 回
#
# 確率のとおりに 100 回引きます。**「降る」は何回出るでしょうか。「カレー」は出るでしょうか。予想を書いてから実行してください。**

# %% [markdown] lang="en"
# ### Drawing lots: 100 times
#
# Now draw 100 times with these probabilities. **How often will 「降る」 come up? Will 「カレー」 (curry)? Write your guess down, then
# run.**

# %%
torch.manual_seed(42)
draws = torch.multinomial(probabilities, num_samples=100, replacement=True)
counts = draws.bincount(minlength=len(words))
table(
    [
        [word, f"{expected:.1f}", count]
        for word, expected, count in zip(
            words, (probabilities * 100).tolist(), counts.tolist(), strict=True
        )
    ],
    header=[say("言葉", "word"), say("期待する回数", "expected"), say("出た回数", "drawn")],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# だいたい期待した回数の前後ですが、ぴったりにはならず、大きくずれる言葉もあります。これが「ありそうだが、毎回違う文」のもとです。

# %% [markdown] lang="en"
# The counts lie around what was expected, some of them well off. This is where "plausible, yet different each time" comes from.

# %% [markdown] lang="ja"
# ### 温度（temperature）
#
# 点数を温度で割ってから softmax をします。**温度を下げると、確率の差は大きくなるでしょうか、小さくなるでしょうか。**
#
# 三つを同じ目盛りで比べたいので、横に並べる関数を作ります。

# %% [markdown] lang="en"
# ### Temperature
#
# Divide the scores by the temperature before the softmax. **Does a low temperature make the differences larger or smaller?**
#
# To compare three lotteries on one scale, we write a function that puts them side by side.


# %%
import matplotlib.pyplot as plt

from helpers.charts import use_japanese_font

use_japanese_font()


def side_by_side(lotteries):
    _, places = plt.subplots(1, len(lotteries), figsize=(9, 3), sharex=True, sharey=True)
    for place, (name, scores) in zip(places, lotteries.items(), strict=True):
        bars = place.barh(words, scores.softmax(-1), color="#3b82c4")
        place.bar_label(bars, labels=[percent(p) for p in scores.softmax(-1)], padding=3)
        place.set_title(name)
    places[0].invert_yaxis()
    places[0].set_xlim(0, 0.9)
    plt.show()


side_by_side({f"temperature = {t}": logits / t for t in (0.5, 1.0, 2.0)})

# %% [markdown] lang="ja"
# 低い温度は、強いものをもっと強くします。高い温度は、差を小さくします。順番は変わりません。0 に近づけると貪欲法と同じになります。

# %% [markdown] lang="en"
# A low temperature makes the strong stronger. A high one evens them out. The order stays. Close to 0 it becomes greedy search.

# %% [markdown] lang="ja"
# ### `top_k`：上位 k 個だけ残す
#
# 点数の高い k 個を残し、ほかは点数を「マイナス無限大」にします。`exp` をとると 0 になるので、もう引かれません。

# %% [markdown] lang="en"
# ### `top_k`: keep the best k
#
# Keep the k highest scores and set all others to minus infinity. `exp` turns that into 0, so they cannot be drawn.


# %%
def keep_top_k(logits, k):
    lowest = logits.topk(k).values[-1]
    return logits.masked_fill(logits < lowest, float("-inf"))


bar_chart(words, keep_top_k(logits, 4).softmax(-1), title="top_k = 4", unit="%")

# %% [markdown] lang="ja"
# 残った四つの確率は、前より大きくなりました。足して 1 になるように計算しなおすからです。
#
# `generate` に `top_k` を書かないと、`transformers` は 50 を使います。0 なら切り捨てません。

# %% [markdown] lang="en"
# The four that are left have grown: the probabilities are computed anew, so that they add up to 1 again.
#
# If `generate` gets no `top_k`, `transformers` takes 50; 0 switches it off.

# %% [markdown] lang="ja"
# ### `top_p`：合計が p になるまで残す
#
# 確率の高い順に足していきます。合計が p に届いたら、そこで打ち切ります。足し算の途中を表で見ます。**p = 0.85 なら、いくつ残るでしょうか。**

# %% [markdown] lang="en"
# ### `top_p`: keep until the sum reaches p
#
# Add the probabilities up from the highest. When the sum has reached p, stop. The table shows the running sum. **With p = 0.85, how
# many are kept?**

# %%
running = probabilities.cumsum(-1)
table(
    [
        [word, percent(p), percent(s)]
        for word, p, s in zip(words, probabilities.tolist(), running.tolist(), strict=True)
    ],
    header=[say("言葉", "word"), say("確率", "probability"), say("ここまでの合計", "running sum")],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# 同じことを関数にします。自分より前の合計がもう p に届いている言葉を、捨てます。1.0 なら切り捨てません。`top_p` を書かないときの値も 1.0 です。

# %% [markdown] lang="en"
# Now as a function: a word is thrown away if the sum before it has reached p already. 1.0 switches it off; it
# is also the value of a `top_p` that you do not write.


# %%
def keep_top_p(logits, p):
    probabilities, order = logits.softmax(-1).sort(descending=True)
    sum_before = probabilities.cumsum(-1) - probabilities
    kept = logits.clone()
    kept[order[sum_before >= p]] = float("-inf")
    return kept


bar_chart(words, keep_top_p(logits, 0.85).softmax(-1), title="top_p = 0.85", unit="%")

# %% [markdown] lang="ja"
# ### 二つの違い
#
# `top_k` はいつも同じ数を残します。`top_p` は形に合わせます。とがったくじと平らなくじで、残る数を比べます。

# %% [markdown] lang="en"
# ### How the two differ
#
# `top_k` always keeps the same number. `top_p` follows the shape. Compare how many are kept from a steep lottery and from a flat one.

# %%
shapes = {
    say("とがったくじ", "steep"): logits * 3,
    say("もとのくじ", "as it was"): logits,
    say("平らなくじ", "flat"): logits / 5,
}
table(
    [
        [
            name,
            int(keep_top_k(shape, 4).isfinite().sum()),
            int(keep_top_p(shape, 0.85).isfinite().sum()),
        ]
        for name, shape in shapes.items()
    ],
    header=["", "top_k = 4", "top_p = 0.85"],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# モデルが自信を持っているとき、`top_p` は少しだけ残します。迷っているときは、たくさん残します。`top_k` はそれを見ません。

# %% [markdown] lang="en"
# Where the model is sure, `top_p` keeps few. Where it hesitates, `top_p` keeps many. `top_k` does not look.

# %% [markdown] lang="ja"
# ### 順番が大切
#
# 元の記事は `top_k` と `top_p` を両方使います。どちらを先にするかで、結果は変わるでしょうか。`k = 4` と `p = 0.85` で、両方の順番を試します。**予想してから実行してください。**

# %% [markdown] lang="en"
# ### The order matters
#
# The article uses both. Does it matter which comes first? Try both orders with `k = 4` and `p = 0.85`. **Guess first.**

# %%
k_first = keep_top_p(keep_top_k(logits, 4), 0.85)
p_first = keep_top_k(keep_top_p(logits, 0.85), 4)
side_by_side({"top_k → top_p": k_first, "top_p → top_k": p_first})

# %% [markdown] lang="ja"
# 順番で変わりました。`top_k` が先だと、残った四つの確率が大きくなります。だから `top_p` の合計が早く 0.85 に届きます。
#
# `transformers` の順番は **temperature → top_k → top_p** です。`repetition_penalty` と `min_length` は、その前に働きます。このうち `top_k` と `top_p` の順番は、あとで本物のモデルの出力から確かめます。

# %% [markdown] lang="en"
# It does matter. If `top_k` is first, the four that are left have grown, and the running sum of `top_p` reaches 0.85 earlier.
#
# The order in `transformers` is **temperature → top_k → top_p**. `repetition_penalty` and `min_length` act before them. The order of
# `top_k` and `top_p` we shall check on the real model's output.

# %% [markdown] lang="ja"
# ## 本物のモデルのくじ
#
# 同じことを、書き出しの次のトークンで行います。モデルに `input_ids` を渡すと、点数が返ります。使うのは、最後の位置の点数です。

# %% [markdown] lang="en"
# ## The real model's lottery
#
# The same again, for the token after the opening line. Given `input_ids`, the model returns scores. We need those at the last place.

# %%
with torch.no_grad():
    scores = model(input_ids).logits
print(scores.shape)

next_probabilities = scores[0, -1].float().softmax(-1)
best = next_probabilities.topk(10)
table(
    [
        [tokenizer.convert_ids_to_tokens(i), i, percent(p)]
        for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ],
    header=[say("次のトークン", "next token"), "id", say("確率", "probability")],
    align=["left", "right", "right"],
)

# %% [markdown] lang="ja"
# 形は「文の数 × トークンの数 × 語彙の数」です。くじの札は九枚ではなく、語彙の数だけあります。

# %% [markdown] lang="en"
# The shape reads: texts × tokens × vocabulary. The lottery has not nine tickets but one for each token of the vocabulary.

# %% [markdown] lang="ja"
# 設定がどの札を捨てるかも見たくなります。教材の `next_token_distribution` は、`transformers` が使うのと同じ部品で計算します。図と本当の動きがずれることはありません。

# %% [markdown] lang="en"
# Which tickets do the settings throw away? Our `next_token_distribution` computes it with the very parts that `transformers` uses,
# so the picture shows what really happens.

# %%
from helpers.charts import distribution_chart
from helpers.sampling import SamplingSettings, next_token_distribution

settings = SamplingSettings(seed=42)
distribution_chart(next_token_distribution(language_model, text, settings), top=15)

# %% [markdown] lang="ja"
# `SamplingSettings` の初期値は元の記事の値です。
#
# 図の「エントロピー」は、札を一枚引いたときの驚き（−log2(確率)、単位はビット）の平均です。`2**エントロピー` が「実質 何択か」で、同じ確率の札が何枚あるのと同じか、と読みます。コードでは `distribution.entropy`、設定前は `distribution.raw_entropy` です。

# %% [markdown] lang="en"
# `SamplingSettings` starts with the article's values.
#
# The entropy in the picture is the mean surprise, −log2(probability) in bits, of drawing one ticket. `2**entropy` is the effective
# number of choices: as if that many tickets had equal chances. In code: `distribution.entropy`, before the settings
# `distribution.raw_entropy`.

# %% [markdown] lang="ja"
# 温度を変えます。**温度 0.5 と 2.0 では、残る札はどう変わるでしょうか。**

# %% [markdown] lang="en"
# Change the temperature. **How will 0.5 and 2.0 change what is kept?**

# %%
rows = []
for temperature in (0.5, 1.0, 1.5, 2.0):
    changed = SamplingSettings(temperature=temperature)
    distribution = next_token_distribution(language_model, text, changed)
    rows.append(
        [
            temperature,
            distribution.removed("top_k"),
            distribution.removed("top_p"),
            distribution.kept,
            f"{2**distribution.entropy:.1f}",
        ]
    )
table(
    rows,
    header=[
        "temperature",
        say("top_k が捨てた数", "cut by top_k"),
        say("top_p が捨てた数", "cut by top_p"),
        say("残った数", "kept"),
        say("実質何択か", "effective choices"),
    ],
    align=["right"] * 5,
)

# %% [markdown] lang="ja"
# 温度を下げると、確率が上位に集まります。だから `top_p` が多く捨て、残る札が減ります。温度を上げると、その逆です。
#
# `top_k` が捨てる数は、温度を変えても同じです。点数の順番が変わらないからです。（語彙の数 − 500 より 1 少ないのは、`</s>` を `min_length` が先に除いたからです。）

# %% [markdown] lang="en"
# At a low temperature the probability gathers at the top, so `top_p` cuts more and fewer tickets are kept. At a high one it is the
# other way round.
#
# `top_k` cuts the same number each time, because the order of the scores stays. (It is one less than the vocabulary minus 500:
# `min_length` removed `</s>` before.)

# %% [markdown] lang="ja"
# ## 効いているのは `top_k` か `top_p` か
#
# 1 ステップだけでは、まだわかりません。モデルの迷いはステップごとに変わるからです。一つの文を書かせて、全部のステップを調べます。
#
# `min_length` を 100 にして、最後まで止まらないようにします。ほかは元の記事の設定です。各ステップの、設定前の点数（`logits`）と設定後の点数（`scores`）を受け取ります。`logits` からは、`min_length` と同じように、`</s>` を先に除いておきます。

# %% [markdown] lang="en"
# ## Which of the two really cuts?
#
# One step is not enough to tell, since the model's doubt changes at every step. We write one text and look at all its steps.
#
# `min_length` is 100, so that it goes on to the end. The rest is the article's. We receive for each step the scores before the
# settings (`logits`) and after them (`scores`). From `logits` we take `</s>` out first, as `min_length` does.

# %%
result = write(
    min_length=100,
    num_return_sequences=1,
    return_dict_in_generate=True,
    output_logits=True,
    output_scores=True,
)
before = torch.cat(result.logits)
before[:, eos] = float("-inf")
after = torch.cat(result.scores)
print(before.shape)

# %% [markdown] lang="ja"
# `transformers` の部品は `TopKLogitsWarper` と `TopPLogitsWarper` です。小さなくじで、私たちの手作りの関数と同じ働きをするか確かめます。

# %% [markdown] lang="en"
# The parts of `transformers` are called `TopKLogitsWarper` and `TopPLogitsWarper`. First, do they do the same as our own functions on
# the small lottery?

# %%
from transformers import TopKLogitsWarper, TopPLogitsWarper

print(torch.equal(TopKLogitsWarper(4)(None, logits[None])[0], keep_top_k(logits, 4)))
print(torch.equal(TopPLogitsWarper(0.85)(None, logits[None])[0], keep_top_p(logits, 0.85)))

# %% [markdown] lang="ja"
# では、本物の全部のステップにあてはめます。二つの順番を試し、`generate` が本当に残した札と比べます。すべてのステップで一致するほうが、本当の順番です。

# %% [markdown] lang="en"
# Now apply them to all the steps of the real text, in both orders, and compare with what `generate` really kept. The order that
# agrees at every step is the true one.

# %%
top_k, top_p = TopKLogitsWarper(500), TopPLogitsWarper(0.95)
orders = {
    "top_k → top_p": top_p(None, top_k(None, before)),
    "top_p → top_k": top_k(None, top_p(None, before)),
}
for name, kept in orders.items():
    agree = (kept.isfinite() == after.isfinite()).all(-1).sum().item()
    print(f"{name}: {agree} / {len(after)}")

# %% [markdown] lang="ja"
# 次に、残った数をステップごとに数えます。「`top_p` だけなら残る数」と「`top_k` のあと `top_p` で残る数」を並べます。縦の目盛りは 1、10、100、1000 と、十倍ずつ進みます。

# %% [markdown] lang="en"
# Then count what is kept at each step: by `top_p` alone, and by `top_k` followed by `top_p`. The vertical scale goes 1, 10, 100,
# 1000.

# %%
p_alone = top_p(None, before).isfinite().sum(-1).cpu()
both = after.isfinite().sum(-1).cpu()

_, axes = plt.subplots(figsize=(9, 3.6))
axes.axhline(500, color="#c2711a", linestyle="--", label="top_k = 500")
axes.plot(p_alone, "o-", color="#8b6fb3", markersize=4, label=say("top_p だけ", "top_p alone"))
axes.plot(both, "s-", color="#3b82c4", markersize=3, label=say("両方", "both"))
axes.set_yscale("log")
axes.yaxis.set_major_formatter("{x:,.0f}")
axes.set_xlabel(say("何ステップ目か", "step"))
axes.set_ylabel(say("残ったトークンの数", "tokens kept"))
axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
plt.show()

# %% [markdown] lang="ja"
# 紫の丸が点線より上にあるステップでは、`top_p` だけなら 500 個より多く残ります。そこでは `top_k` が上限になります。
#
# 丸が点線より下のステップでは、`top_p` だけでも 500 個以内です。`top_k` の影響は小さくなりますが、なくなりません。四角は丸より下に来ることがあります。
#
# ステップを三つに分けて数え、コードに結論を言わせます。**どれが一番多いでしょうか。**

# %% [markdown] lang="en"
# Where a purple dot lies above the dashed line, `top_p` alone would keep more than 500: there `top_k` is the ceiling.
#
# Where it lies below, `top_p` alone keeps at most 500. `top_k` then matters less, but it still matters: a square may lie below its dot.
#
# We sort the steps into three kinds, count, and let the code say what follows. **Which kind is the most frequent?**

# %%
kinds = {
    say("top_p だけでも 500 個以内", "within 500 by top_p alone"): p_alone <= 500,
    say("両方で決まる", "both decide"): (p_alone > 500) & (both < 500),
    say("top_k だけで決まる", "top_k alone decides"): (p_alone > 500) & (both == 500),
}
counts = [int(steps.sum()) for steps in kinds.values()]
most = counts.index(max(counts))
name = list(kinds)[most]
print(
    say(
        f"全部で {len(both)} ステップです。一番多いのは「{name}」で、{counts[most]} ステップありました。",
        f"There are {len(both)} steps. The most frequent kind is: {name} ({counts[most]} steps).",
    )
)
bar_chart(kinds, counts, unit=say("ステップ", "steps"), highlight=most)

# %% [markdown] lang="ja"
# 「両方で決まる」ステップがあるのは、なぜでしょうか。`top_k` が先に小さな確率を捨てると、残りの合計は 1 に計算しなおされます。`top_p` は、その中の 95% で打ち切ります。だから、青い四角は、点線よりも丸よりも下に来ることがあります。

# %% [markdown] lang="en"
# How can both decide? Once `top_k` has thrown the small probabilities away, the rest is computed anew to add up to 1. `top_p` then
# stops at 95% of that. So a blue square can lie below the dashed line, and below its dot.

# %% [markdown] lang="ja"
# どんな場所で広くなり、どんな場所で狭くなるのでしょうか。残った数が最も少ない三つのステップと、最も多い三つのステップを見ます。**見る前に、日本語のどんな場所か予想してください。**

# %% [markdown] lang="en"
# Where is the lottery wide, and where narrow? Here are the three steps that kept the fewest and the three that kept the most. **Before
# you look: at what kind of place in a Japanese sentence do you expect them?**

# %%
ids = result.sequences[0].tolist()
start = input_ids.shape[1]
by_size = p_alone.argsort(stable=True).tolist()
rows = []
for step in by_size[:3] + by_size[-3:]:
    context = tokenizer.decode(ids[: start + step], skip_special_tokens=True)
    chosen = tokenizer.convert_ids_to_tokens(ids[start + step])
    rows.append([f"…{context[-12:]}", chosen, int(p_alone[step]), int(both[step])])
table(
    rows,
    header=[
        say("ここまでの文", "text so far"),
        say("選ばれたトークン", "token drawn"),
        say("top_p だけ", "top_p alone"),
        say("両方", "both"),
    ],
    align=["left", "left", "right", "right"],
)

# %% [markdown] lang="ja"
# 多くの場合、言葉の途中では続きがほぼ決まっています。文や句の切れ目では、いろいろな言葉が来られます。`top_p` はこの違いに合わせて伸び縮みします。`top_k=500` は、広すぎるときの上限として働きます。

# %% [markdown] lang="en"
# As a rule, in the middle of a word the rest is nearly settled, and at the joints of a sentence many words can come. `top_p` stretches
# and shrinks with that. `top_k=500` is a ceiling for the very wide places.

# %% [markdown] lang="ja"
# ## 繰り返しと `repetition_penalty`
#
# 貪欲法の文には繰り返しがよく出ます。数え方を決めます。続いた四つのトークンの組が、前にも出ていた割合です。

# %% [markdown] lang="en"
# ## Repetition and `repetition_penalty`
#
# Greedy texts often repeat themselves. Let us count it: the share of runs of four tokens that have occurred before.


# %%
def repeated(ids, length=4):
    runs = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
    return 1 - len(set(runs)) / len(runs)


start = input_ids.shape[1]
print("greedy ", percent(repeated(greedy[0, start:].tolist())))
for ids in output.tolist():
    print("sampled", percent(repeated([i for i in ids[start:] if i != pad])))

# %% [markdown] lang="ja"
# `repetition_penalty` は、もう出たトークンの点数を下げます。点数がプラスなら罰の値で割り、マイナスなら掛けます。どちらでも点数は下がります。「降る」がもう出たとして、1.5 の罰を与えます。

# %% [markdown] lang="en"
# `repetition_penalty` lowers the scores of tokens that have already occurred. A positive score is divided by the penalty, a negative
# one multiplied; both go down. Suppose 「降る」 has occurred, and the penalty is 1.5.

# %%
penalty, seen = 1.5, 0
punished = logits.clone()
punished[seen] = logits[seen] / penalty if logits[seen] > 0 else logits[seen] * penalty
side_by_side({"repetition_penalty = 1.0": logits, "repetition_penalty = 1.5": punished})

# %% [markdown] lang="ja"
# 貪欲法に罰を付けます。書き出しのトークンも「もう出た」に入ります。**罰を強くすると、繰り返しはどうなるでしょうか。文の自然さはどうでしょうか。**

# %% [markdown] lang="en"
# Now greedy search with a penalty. The tokens of the opening line count as seen. **With a stronger penalty, what becomes of the
# repetition? And of the style?**

# %%
for penalty in (1.0, 1.1, 1.3, 2.0):
    answer = model.generate(
        input_ids,
        attention_mask=attention_mask,
        do_sample=False,
        max_length=100,
        repetition_penalty=penalty,
        **special,
    )
    share = percent(repeated(answer[0, start:].tolist()))
    print(f"[{penalty}] {share}", tokenizer.decode(answer[0], skip_special_tokens=True), sep="\n")
    print()

# %% [markdown] lang="ja"
# 罰が強すぎると、「の」や「、」のような、何度も必要なトークンまで避けてしまいます。1.0 が「罰なし」です。

# %% [markdown] lang="en"
# Too strong a penalty avoids even tokens that are needed again and again, such as 「の」 and 「、」. 1.0 means no penalty.

# %% [markdown] lang="ja"
# ## シード
#
# くじは本物の偶然ではありません。シードという数から計算で作ります。シードが同じなら、くじも同じです。
#
# 最初の呼び出しの文と、三とおりに比べます。同じシード。違うシード。同じシードで、文を一つだけ頼む。**`True` になるのは、どれでしょうか。**

# %% [markdown] lang="en"
# ## Seeds
#
# The lots are not true chance. They are computed from a number, the seed. The same seed gives the same lots.
#
# We compare with the very first call in three ways: the same seed, another seed, and the same seed but only one text asked for.
# **Which will be `True`?**

# %%
print(torch.equal(write(seed=42), output))
print(torch.equal(write(seed=43), output))
print(torch.equal(write(seed=42, num_return_sequences=1)[0], output[0]))

# %% [markdown] lang="ja"
# 文の数を変えると、同じシードでも文が変わります。三つの文は、一つのくじの列を分け合って使うからです。
#
# CPU と GPU でも、文が違います。乱数の作り方と、計算の細かい丸めが違うからです。文を人と比べるときは、シードのほかに、モデル、全部の設定、CPU か GPU かも書きましょう。
#
# このページの文は CPU で作りました。Colab の GPU では試していません。

# %% [markdown] lang="en"
# With another number of texts the same seed gives other texts, because all of them take from one row of lots.
#
# A CPU and a GPU differ as well: their random numbers and the rounding of their sums are not the same. When you compare texts with
# somebody, write down the model, all settings, and whether it was a CPU or a GPU, not only the seed.
#
# The texts on this page were made on a CPU. A Colab GPU was not tried.

# %% [markdown] lang="ja"
# ## ヘルパー `generate`
#
# ここまでで、毎回同じことを書きました。id に変える、印を作る、特別な id を渡す、文字に戻す。ヘルパー（教材の `helpers` にある関数）の `generate` は、それを一行にします。中で呼ぶのは、同じ `model.generate` です。

# %% [markdown] lang="en"
# ## The helper `generate`
#
# We have written the same things every time: encode, make the mask, pass the special ids, decode. The helper `generate`
# (from our `helpers`) makes it one line. Inside it calls the same `model.generate`.

# %%
from helpers.sampling import generate

generation = generate(language_model, text, settings)
for sequence in generation.sequences:
    print(f"[{sequence.stopped}] {sequence.text}\n")

# %% [markdown] lang="ja"
# `[ ]` の中は、止まった理由です。`max_length` は長さの上限、`eos` は `</s>` です。
#
# さっきの長い呼び出しと同じ id が出たか、確かめます。詰め物は除いて比べます。

# %% [markdown] lang="en"
# In brackets stands why it stopped: `max_length` is the limit, `eos` is `</s>`.
#
# Are these the same ids as from the long call above? Padding is left out of the comparison.

# %%
plain = [[i for i in ids if i != pad] for ids in output.tolist()]
print([sequence.token_ids for sequence in generation.sequences] == plain)

# %% [markdown] lang="ja"
# ヘルパーは、間違った設定を先に断ります。何を直せばよいかも言います。

# %% [markdown] lang="en"
# The helper refuses wrong settings before any work, and says what to put right.

# %%
from helpers.sampling import SettingsError

for wrong in ({"top_p": 1.5}, {"top_p": 0}, {"temperature": 0}, {"top_k": -1}, {"min_length": 120}):
    try:
        SamplingSettings(**wrong)
    except SettingsError as error:
        print(error)

# %% [markdown] lang="ja"
# もう一つの利点は、確率が残ることです。モデルがトークンごとに与えた確率で、文を色分けします。波線のところは、モデルにとっても意外なトークンです。

# %% [markdown] lang="en"
# It also keeps the probabilities. Here the text is coloured by the probability the model gave each token. Wavy lines mark what
# surprised even the model.

# %%
from IPython.display import display

from helpers.charts import probability_text

for sequence in generation.sequences:
    display(probability_text(sequence, tokenizer))

# %% [markdown] lang="ja"
# ## 書いているところを見る
#
# `transformers` には `TextStreamer` があります。書けた分から順に表示する部品です。何回に分けて表示されるか、数えてみます。

# %% [markdown] lang="en"
# ## Watching it write
#
# `transformers` has a `TextStreamer`, which shows the text while it is being written. In how many pieces does it come?

# %%
from transformers import TextStreamer


class Pieces(TextStreamer):
    def __init__(self, tokenizer):
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.texts = []

    def on_finalized_text(self, text, stream_end=False):
        if text:
            self.texts.append(text)


pieces = Pieces(tokenizer)
streamed = write(num_return_sequences=1, streamer=pieces)
print(" | ".join(pieces.texts))
print(streamed.shape[1] - input_ids.shape[1], "→", len(pieces.texts))

# %% [markdown] lang="ja"
# 最後の行は「新しいトークンの数 → 表示の回数」です。表示の回数のほうが少なくなります。`TextStreamer` は、空白で単語を分ける言語のために作られています。日本語には空白がないので、漢字などが来るまで文字をためます。
#
# もう一つの制限は、文が一つのときしか使えないことです。三つ頼むと断られます。

# %% [markdown] lang="en"
# The last line reads "new tokens → pieces shown", and the pieces are fewer. `TextStreamer` is made for languages that put spaces between
# words. Japanese has none, so it holds text back until, for instance, a kanji comes.
#
# Also it works for a single text only. Asked for three, it refuses.

# %%
try:
    write(streamer=Pieces(tokenizer))
except ValueError as error:
    print(type(error).__name__)

# %% [markdown] lang="ja"
# 教材の `stream` は、トークンが一つ出るたびに、見せられる文字をすぐ渡します。一つの文で見ます。

# %% [markdown] lang="en"
# Our `stream` hands over what can be shown after every single token. First with one text.

# %%
from helpers.sampling import stream

single = SamplingSettings(seed=42, num_return_sequences=1)
events = []
print(text, end="")
for event in stream(language_model, text, single):
    events.append(event)
    print(event.text, end="", flush=True)

# %% [markdown] lang="ja"
# `TextStreamer` のときと同じように、分かれ目を見ます。数は「新しいトークンの数 → 文字が出た回数」です。

# %% [markdown] lang="en"
# Where does it break now? The numbers read "new tokens → times that text appeared".

# %%
print(len(events), "→", len([event for event in events if event.text]))
print(" | ".join(event.text for event in events))

# %% [markdown] lang="ja"
# 三つの文でも使えます。表の中で、三つが同時に伸びていきます。（GitHub では、書き終わった形だけが見えます。）

# %% [markdown] lang="en"
# It takes three texts as well: they grow side by side in a table. (On GitHub you see only how it ended.)

# %%
header = ["#", say("続き", "continuation")]
texts = ["", "", ""]
screen = display(table(enumerate(texts, 1), header), display_id=True)
for event in stream(language_model, text, settings):
    texts[event.sequence] += event.text
    screen.update(table(enumerate(texts, 1), header))

# %% [markdown] lang="ja"
# 同じシードなので、`generate` と同じ文になっているはずです。

# %% [markdown] lang="en"
# The seed is the same, so the texts should be those of `generate`.

# %%
print([text + new for new in texts] == [sequence.text for sequence in generation.sequences])

# %% [markdown] lang="ja"
# ## 実験室
#
# 最後は、自分で動かす番です。下のセルを実行すると、スライダーの付いた実験室が出ます。**動かす前に、次の三つを予想して紙に書いてください。**
#
# 1. `top_k` を 1 にすると、三つの文はどうなるでしょうか。
# 2. `top_p` を 0.95 から 0.5 に下げると、残るトークンは何分の一になるでしょうか。半分でしょうか。
# 3. `temperature` を 0.1 に下げると、三つの文はどのくらい違うでしょうか。
#
# スライダーは、動いているノートブックでだけ使えます。GitHub では絵だけが見えます。

# %% [markdown] lang="en"
# ## The lab
#
# Now it is your turn. The next cell opens a lab with sliders. **Before you move them, write down what you expect:**
#
# 1. With `top_k` at 1, what will the three texts look like?
# 2. With `top_p` down from 0.95 to 0.5, what part of the tokens is kept? Half of them?
# 3. With `temperature` down to 0.1, how different will the three texts be?
#
# The sliders work only in a running notebook. On GitHub you see a picture.

# %%
from helpers.lab import SamplingLab

SamplingLab(language_model, prompt=text)

# %% [markdown] lang="ja"
# <details><summary>答え合わせ</summary>
#
# 1. 三つとも同じ文になります。くじの札が一枚しかないからです。貪欲法と同じです。
# 2. たいてい、半分よりずっと少なくなります。確率の大きい札が少しあれば、0.5 に届くからです。
# 3. よく似た文になります。温度が低いと、一番の札がほとんどいつも引かれるからです。貪欲法に近づきます。
#
# </details>

# %% [markdown] lang="en"
# <details><summary>Answers</summary>
#
# 1. All three are equal: there is only one ticket to draw. It is greedy search.
# 2. Usually far fewer than half. A few strong tickets reach 0.5 already.
# 3. Much alike. At a low temperature the best ticket is drawn nearly always, which comes close to greedy search.
#
# </details>

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** 書き出しのあとに、ちょうど 30 トークンの続きを一つだけ書かせてください。
#
# <details><summary>解答</summary>
#
# ```python
# ids = model.generate(
#     input_ids,
#     attention_mask=attention_mask,
#     do_sample=True,
#     min_new_tokens=30,
#     max_new_tokens=30,
#     **special,
# )
# print(ids.shape[1] - input_ids.shape[1])
# print(tokenizer.decode(ids[0], skip_special_tokens=True))
# ```
#
# `min_new_tokens` と `max_new_tokens` は、新しいトークンだけを数えます。
#
# </details>

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Have exactly 30 tokens written after the opening line, once.
#
# <details><summary>Solution</summary>
#
# ```python
# ids = model.generate(
#     input_ids,
#     attention_mask=attention_mask,
#     do_sample=True,
#     min_new_tokens=30,
#     max_new_tokens=30,
#     **special,
# )
# print(ids.shape[1] - input_ids.shape[1])
# print(tokenizer.decode(ids[0], skip_special_tokens=True))
# ```
#
# `min_new_tokens` and `max_new_tokens` count new tokens only.
#
# </details>

# %% [markdown] lang="ja"
# **練習 2.** `do_sample=True` のまま、貪欲法と同じ文を書かせてください。同じになったことを、コードで確かめてください。
#
# <details><summary>解答</summary>
#
# ```python
# ids = write(seed=7, min_length=0, top_k=1, num_return_sequences=1)
# print(torch.equal(ids, greedy))
# ```
#
# `top_k=1` なら、くじの札は一枚です。シードは何でもかまいません。
#
# </details>

# %% [markdown] lang="en"
# **Exercise 2.** Leave `do_sample=True` and still get the text of greedy search. Prove it with code.
#
# <details><summary>Solution</summary>
#
# ```python
# ids = write(seed=7, min_length=0, top_k=1, num_return_sequences=1)
# print(torch.equal(ids, greedy))
# ```
#
# With `top_k=1` there is a single ticket. Any seed will do.
#
# </details>

# %% [markdown] lang="ja"
# **練習 3.** モデルが迷わない書き出しと、迷う書き出しを一つずつ見つけてください。迷いは「実質何択か」で比べます。
#
# <details><summary>解答の例</summary>
#
# ```python
# for prompt in ("行かなければなら", "むかしむかし、あるところに", "私は"):
#     distribution = next_token_distribution(language_model, prompt)
#     print(prompt, f"{2**distribution.raw_entropy:.1f}", distribution.kept)
# ```
#
# たいてい、言葉の途中で切った書き出しは、選択肢が少なくなります。短くて何でも続けられる書き出しは、選択肢が多くなります。
#
# </details>

# %% [markdown] lang="en"
# **Exercise 3.** Find one opening after which the model hardly hesitates, and one after which it does. Compare by the effective number
# of choices.
#
# <details><summary>A solution</summary>
#
# ```python
# for prompt in ("行かなければなら", "むかしむかし、あるところに", "私は"):
#     distribution = next_token_distribution(language_model, prompt)
#     print(prompt, f"{2**distribution.raw_entropy:.1f}", distribution.kept)
# ```
#
# As a rule, an opening that breaks off inside a word leaves few choices. A short one that anything may follow leaves many.
#
# </details>

# %% [markdown] lang="ja"
# ## まとめ
#
# - モデルは、次のトークンの確率を出すだけです。文は、くじ引きの繰り返しで伸びます。
# - `min_length` と `max_length` は、書き出しを入れたトークンの数です。
# - `eos` で止まり、後ろは `pad` で埋まります。`bos` は、書き出しがあるときは使われません。
# - `temperature` → `top_k` → `top_p` の順に働きます。`top_k` は数の上限、`top_p` は形に合わせた切り方です。
# - 同じモデル、同じ設定、同じシードなら、同じパソコンで同じ文になります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - The model only gives probabilities for the next token. A text grows by drawing lots again and again.
# - `min_length` and `max_length` count tokens, those of the opening included.
# - A text stops at `eos` and is filled up with `pad`. `bos` is not used when there is an opening.
# - `temperature` → `top_k` → `top_p` is the order. `top_k` is a ceiling; `top_p` follows the shape.
# - The same model, settings and seed give the same text on the same computer.
#
# {{nav}}
