# %% [markdown] lang="ja"
# # 03b もっと知りたい人へ：設定を一つずつ
#
# {{badge}}
#
# {{picture step}}
#
# {{way scores lottery}}
#
# レッスン 03 の続きです。飛ばしても、04 に進めます。`generate` の設定を一つずつ動かします。上の図は、書き出しの次の一回のくじです。`top_k` と `top_p` のどちらが本当に効いているのかを、書いた文の全部のステップで数えます。
#
# **できるようになること**
#
# - `generate` の設定を、一つずつ実験で確かめられます。
# - 設定の順番と効き方を、モデルの出力から示せます。
# - 繰り返しを数え、`repetition_penalty` で抑えられます。
#
# | かかる時間 | ダウンロード | メモリ | GPU |
# |---|---|---|---|
# | 約 70 分 | なし（ほかのモデルを選ぶと 0.15〜2.6 GB） | 約 1 GB | 不要 |

# %% [markdown] lang="en"
# # 03b More: the settings, one by one
#
# {{badge}}
#
# {{picture step}}
#
# {{way scores lottery}}
#
# This goes deeper than lesson 03. You can skip it and go on to 04. We change the settings of `generate` one by one. The chart above is a single draw, the one after the opening line; we count over all the steps of a text whether `top_k` or `top_p` really does the cutting.
#
# **You will be able to**
#
# - test each setting of `generate` in an experiment of its own;
# - show from the model's output in which order the settings act, and how;
# - count repetitions, and reduce them with `repetition_penalty`.
#
# | time | download | memory | GPU |
# |---|---|---|---|
# | about 70 minutes | none (0.15 to 2.6 GB with another model) | about 1 GB | not needed |

# %% tags=["varies"]
LANG = "ja"
# {{setup}}

# %% tags=["varies"]
import matplotlib.pyplot as plt
import torch

from helpers.charts import bar_chart, percent, percents, table, use_japanese_font
from helpers.language import say
from helpers.models import load_model

use_japanese_font()
MODEL = "auto"  # @param ["auto", "aozora-mini", "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium", "rinna/japanese-gpt-1b"]
language_model = load_model(MODEL)
model, tokenizer = language_model.model, language_model.tokenizer

text = "国境の長いトンネルを抜けると雪国であった。"
input_ids = tokenizer.encode(text, return_tensors="pt", add_special_tokens=False)
input_ids = input_ids.to(model.device)
attention_mask = torch.ones_like(input_ids)
special = {
    "pad_token_id": tokenizer.pad_token_id,
    "bos_token_id": tokenizer.bos_token_id,
    "eos_token_id": tokenizer.eos_token_id,
}
eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id

# %% [markdown] lang="ja"
# ## 実験の準備
#
# 同じ設定を何度も使います。そこで、元の記事の設定を辞書にまとめ、変えたいものだけを書ける小さな関数を作ります。`|` は二つの辞書を合わせ、同じ名前があれば右側を使います。

# %% [markdown] lang="en"
# ## Getting ready to experiment
#
# We need the same settings many times. So we put the article's settings into a dictionary and write a small function that takes only the changes. `|` merges two dictionaries; if both have a key, the one on the right wins.

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


def write(seed=8, **changes):
    torch.manual_seed(seed)
    return model.generate(input_ids, attention_mask=attention_mask, **(article | changes))


output = write()
torch.equal(write(), output)

# %% [markdown] lang="ja"
# `True` は、二回とも同じ id が一つ残らず出たという意味です。これで安心して実験できます。

# %% [markdown] lang="en"
# `True` means that every id was the same both times. Now we can start to experiment.

# %% [markdown] lang="ja"
# ### `attention_mask` と詰め物
#
# 長さの違う文をまとめて渡すときは、短いほうに詰め物（pad）をして長さをそろえます。`attention_mask` は「どこが本物の文か」の印です。1 が本物、0 が詰め物です。
#
# 詰め物は左に置きます（`padding_side="left"`）。右に置くと、文と続きの間に挟まるからです。

# %% [markdown] lang="en"
# ### `attention_mask` and padding
#
# To process texts of different lengths together, the shorter one is filled up (padded). The `attention_mask` says which part is real text: 1 is text, 0 is padding.
#
# Padding goes on the left (`padding_side="left"`); on the right it would come between the text and its continuation.

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
# この印が間違っていると、モデルは詰め物まで読んでしまいます。書き出しの前に詰め物を 8 個置いて、三とおりの渡し方を比べます。見るのは、次に来やすいトークン三つの確率です。
#
# 1. 詰め物なし
# 2. 詰め物あり、印は正しい
# 3. 詰め物あり、印は全部 1（間違い）
#
# **予想してみましょう。** どれとどれが同じになるでしょうか。
#
# `return_dict_in_generate=True` と `output_logits=True` は、点数も返させる指定です。点数を softmax で確率にします。

# %% [markdown] lang="en"
# With a wrong mask the model reads the padding too. We put 8 padding tokens in front of the opening line and compare the three most probable next tokens in three cases.
#
# 1. no padding
# 2. padding, with a correct mask
# 3. padding, with a mask of all ones (wrong)
#
# **Predict:** which two will be the same?
#
# `return_dict_in_generate=True` and `output_logits=True` ask for the scores as well. Softmax turns them into probabilities.

# %%
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
# 同じになるのは 1 と 2 です。文が一つなら、印は全部 1 です。印を渡さなくても動きます。`transformers` が pad の id から印を推測するからです。ただし pad と `</s>` が同じ id のモデルでは推測できません。いつも自分で渡すのが安全です。

# %% [markdown] lang="en"
# 1 and 2 are the same. For a single text the mask is all ones. The call also works without a mask, because `transformers` guesses it from the padding id. It cannot guess for models in which padding and `</s>` share an id. It is safest to pass the mask yourself.

# %% [markdown] lang="ja"
# ### `add_special_tokens=False`
#
# レッスン 02 で見たように、`encode` は何も言わないと、最後に `</s>` を付けます。付いたまま書かせると、どうなるでしょうか。

# %% [markdown] lang="en"
# ### `add_special_tokens=False`
#
# As lesson 02 showed, `encode` appends `</s>` by default. What happens if we leave it there?

# %%
with_end = tokenizer.encode(text)
without_end = tokenizer.encode(text, add_special_tokens=False)

# %% [markdown] lang="ja"
# `</s>` が付くと、モデルは「この文章は終わった」と読みます。そのあとに書くのは続きではなく、別の文章の始まりです。二つの続きを見比べてください。

# %% [markdown] lang="en"
# With `</s>`, the model reads: this text is over. What it writes next is not a continuation but the beginning of another text. Compare the two.

# %%
for ids in (with_end, without_end):
    ids = torch.tensor([ids], device=model.device)
    torch.manual_seed(8)
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
# `max_length=100` は 100 **文字**でしょうか。100 **トークン**でしょうか。書き出しは数に入るでしょうか。
#
# **予想してみましょう。** どちらでしょうか。

# %% [markdown] lang="en"
# ### `max_length`
#
# Does `max_length=100` mean 100 **characters** or 100 **tokens**? Does the opening line count?
#
# **Predict:** which is it?

# %%
sentences = tokenizer.batch_decode(output, skip_special_tokens=True)
totals = (output != pad).sum(-1).tolist()
table(
    {
        say("文", "text"): [1, 2, 3],
        say("書き出しのトークン", "tokens in the opening"): [input_ids.shape[1]] * 3,
        say("新しいトークン", "new tokens"): [n - input_ids.shape[1] for n in totals],
        say("合計トークン", "tokens in total"): totals,
        say("文字数", "characters"): [len(sentence) for sentence in sentences],
    }
)

# %% [markdown] lang="ja"
# 数えているのはトークンです。書き出しも入ります。新しく書いた分だけを数えたいときは、`max_new_tokens` を使います。`max_length` から書き出しのトークン数を引いて渡せば、同じ結果になります。

# %% [markdown] lang="en"
# It counts tokens, including those of the opening line. `max_new_tokens` counts only the new ones. Pass it `max_length` minus the number of tokens in the opening, and the result is the same.

# %%
long = write(min_length=0, max_length=60)
new = {name: value for name, value in article.items() if name not in ("min_length", "max_length")}
torch.manual_seed(8)
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
# 一文を書かせて、`</s>` の確率を 1 ステップずつ見ます。トークンを一つ書くまでを 1 ステップと呼びます。ここでは `top_k` と `top_p` を使わずに、`min_length` だけを見ます。小さな確率なので、`1e-05`（0.00001）のように書きます。

# %% [markdown] lang="en"
# ### `min_length`
#
# `min_length=50` prevents texts that are too short. How? A text ends when `</s>` is drawn. So until there are 50 tokens, the probability of `</s>` is set to 0.
#
# We write one text and look at the probability of `</s>` step by step; a step writes one token. `top_k` and `top_p` are switched off here, so that only `min_length` acts. The probabilities are small, so they are written like `1e-05` (0.00001).

# %%
result = write(
    num_return_sequences=1,
    top_k=0,
    top_p=1.0,
    return_dict_in_generate=True,
    output_logits=True,
    output_scores=True,
)
end_before = torch.cat(result.logits).softmax(-1)[:, eos].tolist()
end_after = torch.cat(result.scores).softmax(-1)[:, eos].tolist()
places = range(input_ids.shape[1] + 1, result.sequences.shape[1] + 1)
part = slice(47 - places[0], 55 - places[0])
table(
    {
        say("何番目のトークンか", "token number"): places[part],
        say("モデルの </s> の確率", "the model's </s>"): [f"{p:.0e}" for p in end_before[part]],
        say("min_length のあと", "after min_length"): [f"{p:.0e}" for p in end_after[part]],
    }
)

# %% [markdown] lang="ja"
# 何番目から `</s>` が許されたか、コードで確かめます。

# %% [markdown] lang="en"
# From which token on was `</s>` allowed? Let us check with code.

# %%
first = next((place for place, after in zip(places, end_after, strict=True) if after > 0), None)
print(
    say(
        f"</s> が初めて許されたのは {first} 番目のトークンです。",
        f"</s> is first allowed as token number {first}.",
    )
)

# %% [markdown] lang="ja"
# つまり `min_length` も、書き出しを入れて数えます。50 トークンそろったあとで、はじめて終わってよくなります。`</s>` は 51 番目からです。「必ず 50 トークンで終わる」ではありません。新しい分だけを数える `min_new_tokens` もあります。

# %% [markdown] lang="en"
# So `min_length` counts the opening line too. The text may end only once there are 50 tokens, with `</s>` as the 51st at the earliest. It does not mean "ends at 50". `min_new_tokens` counts only the new ones.

# %% [markdown] lang="ja"
# ### `eos_token_id`
#
# eos は end of sequence、「列の終わり」です。この id が出ると、その文は止まります。
#
# 本当にこの設定で止まるのか、試します。`eos_token_id` に句点「。」の id を足します。
#
# **予想してみましょう。** 文はどこで止まるでしょうか。

# %% [markdown] lang="en"
# ### `eos_token_id`
#
# eos is short for end of sequence. When this id is drawn, the text stops.
#
# Is it really this setting that stops it? To find out, we add the id of the full stop 「。」.
#
# **Predict:** where will the texts stop?

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
# Texts that stop in different places differ in length. Yet the output is a table (a tensor) whose rows all have the same length. What fills the short rows?

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
# It is `pad_token_id`. A text that has stopped gets this id until the others are done. With `skip_special_tokens=True`, both the padding and `</s>` are dropped when decoding.

# %% [markdown] lang="ja"
# ### `bos_token_id`
#
# bos は beginning of sequence、「列の始まり」です。書き出しを渡さないときだけ、最初のトークンになります。

# %% [markdown] lang="en"
# ### `bos_token_id`
#
# bos is short for beginning of sequence. It becomes the first token, but only if there is no opening text.

# %%
torch.manual_seed(8)
from_nothing = model.generate(do_sample=True, top_k=500, top_p=0.95, max_new_tokens=12, **special)
print(tokenizer.convert_ids_to_tokens(from_nothing[0].tolist()))

# %% [markdown] lang="ja"
# 書き出しを渡すときは、使われません。でたらめな値にしても、結果は同じです。

# %% [markdown] lang="en"
# With an opening text it is not used: even an arbitrary value gives the same result.

# %%
torch.equal(write(bos_token_id=7), output)

# %% [markdown] lang="ja"
# ### `do_sample`
#
# `do_sample=True` は、くじ引きで次のトークンを選ぶ設定です。`False` にすると、いつも一番確率の高いトークンを選びます。これを貪欲法（greedy）と呼びます。
#
# 貪欲法で二回書かせます。シードは変えます。
#
# **予想してみましょう。** 二つの文は同じでしょうか。

# %% [markdown] lang="en"
# ### `do_sample`
#
# `do_sample=True` draws the next token at random. `False` always takes the most probable one; this is called greedy search.
#
# We run greedy search twice, with different seeds.
#
# **Predict:** will the two texts be the same?

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
# Greedy search involves no chance, so the seed does not matter. But it tends to fall back on the same phrases. We will count that further down.

# %% [markdown] lang="ja"
# ### `num_return_sequences`
#
# いくつの文を書くかです。書き出しを行の数だけ複写し、全部を同時に進めます。くじは行ごとに引くので、文は分かれていきます。三つの文がはじめて分かれる場所を見ます。

# %% [markdown] lang="en"
# ### `num_return_sequences`
#
# How many texts to write. The opening is copied once for each, and all advance together. Each row makes its own draws, so the texts diverge. Here is where the three first differ.

# %%
for column in range(output.shape[1]):
    if len(set(output[:, column].tolist())) > 1:
        break
print(column, tokenizer.convert_ids_to_tokens(output[:, column].tolist()))

# %% [markdown] lang="ja"
# 貪欲法では、三つ頼んでも三つとも同じになります。そのため `transformers` は断ります。

# %% [markdown] lang="en"
# With greedy search all three texts would be the same, so `transformers` refuses.

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
    print(error)

# %% [markdown] lang="ja"
# ## 順番が大切
#
# `top_k` と `top_p` の両方を使うとき、どちらを先にするかで結果は変わるでしょうか。レッスン 03 の九つの言葉で、`k = 4` と `p = 0.85` の順番を入れかえます。
#
# **予想してみましょう。** 残る言葉は、同じでしょうか。

# %% [markdown] lang="en"
# ## The order matters
#
# If we use both `top_k` and `top_p`, does it matter which comes first? We take the nine words of lesson 03 and apply `k = 4` and `p = 0.85` in both orders.
#
# **Predict:** will the same words be kept?

# %%
from transformers import TopKLogitsWarper, TopPLogitsWarper

words = ["降る", "積もる", "舞う", "光る", "解ける", "止む", "笑う", "走る", "カレー"]
logits = torch.tensor([3.0, 2.4, 2.0, 1.5, 1.2, 0.8, -0.5, -1.0, -3.0])
four, most = TopKLogitsWarper(4), TopPLogitsWarper(0.85)


def side_by_side(lotteries):
    _, panels = plt.subplots(1, len(lotteries), figsize=(7, 3), sharex=True, sharey=True)
    for panel, (name, scores) in zip(panels, lotteries.items(), strict=True):
        bars = panel.barh(words, scores.softmax(-1), color="#3b82c4")
        panel.bar_label(bars, labels=percents(scores.softmax(-1).tolist()), padding=3)
        panel.set_title(name)
        panel.set_xticks([])
    panels[0].invert_yaxis()
    panels[0].set_xlim(0, 0.9)
    plt.show()


side_by_side(
    {
        "top_k → top_p": most(None, four(None, logits[None]))[0],
        "top_p → top_k": four(None, most(None, logits[None]))[0],
    }
)

# %% [markdown] lang="ja"
# 順番で変わりました。`top_k` が先だと、残った四つの確率が大きくなります。だから `top_p` の合計が早く 0.85 に届きます。
#
# `transformers` の順番は **temperature → top_k → top_p** です。`repetition_penalty` と `min_length` は、その前に働きます。`top_k` と `top_p` の順番を、本物のモデルの出力から確かめましょう。

# %% [markdown] lang="en"
# It does. If `top_k` comes first, the remaining four probabilities grow, and the running sum of `top_p` reaches 0.85 sooner.
#
# The order in `transformers` is **temperature → top_k → top_p**; `repetition_penalty` and `min_length` act before these. Let us check the order of `top_k` and `top_p` on the real model's output.

# %% [markdown] lang="ja"
# ## 効いているのは `top_k` か `top_p` か
#
# 1 ステップだけでは、まだわかりません。モデルの迷いはステップごとに変わるからです。一つの文を書かせて、全部のステップを調べます。
#
# `min_length` を 100 にして、最後まで止まらないようにします。ほかは元の記事の設定です。各ステップの、設定前の点数（`logits`）と設定後の点数（`scores`）を受け取ります。`logits` からは、`min_length` と同じように、`</s>` を先に除いておきます。

# %% [markdown] lang="en"
# ## Which of the two really cuts?
#
# One step is not enough to tell, because the model's uncertainty changes from step to step. We write one text and look at all its steps.
#
# We set `min_length` to 100 so that it goes on to the end; the rest is as in the article. For each step we get the scores before the settings (`logits`) and after them (`scores`). In `logits` we rule out `</s>` first, as `min_length` does.

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
# 二つの順番を、全部のステップで試し、`generate` が本当に残した札と比べます。すべてのステップで一致するほうが、本当の順番です。

# %% [markdown] lang="en"
# We apply both orders to all the steps and compare with what `generate` really kept. The order that agrees at every step is the right one.

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
# Next we count how many tokens are kept at each step: by `top_p` alone, and by `top_k` followed by `top_p`. The vertical scale goes up by factors of ten: 1, 10, 100, 1000.

# %%
from helpers.charts.look import ZONE_COLOURS  # 実験室と同じ色 || the lab's colours

p_alone = top_p(None, before).isfinite().sum(-1).cpu()
both = after.isfinite().sum(-1).cpu()

steps = range(1, len(both) + 1)
_, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.axhline(500, color=ZONE_COLOURS["top_k"], linestyle="--", label="top_k = 500")
axes.plot(steps, p_alone, "o-", color=ZONE_COLOURS["top_p"], label=say("top_p だけ", "top_p alone"))
axes.plot(steps, both, "s-", color=ZONE_COLOURS[None], markersize=4, label=say("両方", "both"))
axes.set_yscale("log")
axes.yaxis.set_major_formatter("{x:,.0f}")
axes.set_xticks([1, *range(20, len(both) + 1, 20)])
axes.set_xlabel(say("何ステップ目か", "step"))
axes.set_ylabel(say("残ったトークンの数", "tokens kept"))
axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
plt.show()

# %% [markdown] lang="ja"
# オレンジ色の丸が破線より上にあるステップでは、`top_p` だけなら 500 個より多く残ります。そこでは `top_k` が上限になります。
#
# 丸が破線より下のステップでは、`top_p` だけでも 500 個以内です。`top_k` の影響は小さくなりますが、なくなりません。四角は丸より下に来ることがあります。
#
# ステップを三つに分けて数えます。
#
# **予想してみましょう。** どれが一番多いでしょうか。

# %% [markdown] lang="en"
# Where an orange dot lies above the dashed line, `top_p` alone would keep more than 500 tokens: there `top_k` is the limit.
#
# Where it lies below, `top_p` alone keeps at most 500. There `top_k` matters less, but it still matters: a square may lie below its dot.
#
# We sort the steps into three kinds and count them.
#
# **Predict:** which kind is the most common?

# %%
kinds = {
    say("top_p だけでも 500 個以内", "within 500 by top_p alone"): p_alone <= 500,
    say("両方で決まる", "both decide"): (p_alone > 500) & (both < 500),
    say("top_k だけで決まる", "top_k alone decides"): (p_alone > 500) & (both == 500),
}
counts = [int(those.sum()) for those in kinds.values()]
most = counts.index(max(counts))
name = list(kinds)[most]
print(
    say(
        f"全部で {len(both)} ステップです。一番多いのは「{name}」で、{counts[most]} ステップありました。",
        f"There are {len(both)} steps. The most common kind is: {name} ({counts[most]} steps).",
    )
)
bar_chart(kinds, counts, unit=say("ステップ", "steps"), highlight=most)

# %% [markdown] lang="ja"
# 「両方で決まる」ステップがあるのは、なぜでしょうか。`top_k` が先に小さな確率を捨てると、残りの合計は 1 に計算しなおされます。`top_p` は、その中の 95% で打ち切ります。だから、青い四角は、破線よりも丸よりも下に来ることがあります。

# %% [markdown] lang="en"
# How can both decide? Once `top_k` has thrown away the small probabilities, the rest is rescaled to add up to 1. `top_p` then stops at 95% of that. So a blue square can lie below the dashed line, and below its dot.

# %% [markdown] lang="ja"
# どんな場所で広くなり、どんな場所で狭くなるのでしょうか。残った数が最も少ない五つのステップと、最も多い五つのステップを見ます。
#
# **予想してみましょう。** 日本語のどんな場所でしょうか。

# %% [markdown] lang="en"
# Where is the lottery wide, and where is it narrow? Here are the five steps that kept the fewest tokens and the five that kept the most.
#
# **Predict:** where in a Japanese sentence do you expect them to be?

# %%
ids = result.sequences[0].tolist()
start = input_ids.shape[1]
by_size = p_alone.argsort(stable=True).tolist()
ends = by_size[:5] + by_size[-5:]
table(
    {
        say("ここまでの文", "text so far"): [
            "…" + tokenizer.decode(ids[: start + step], skip_special_tokens=True)[-12:]
            for step in ends
        ],
        say("選ばれたトークン", "token drawn"): tokenizer.convert_ids_to_tokens(
            [ids[start + step] for step in ends]
        ),
        say("top_p だけ", "top_p alone"): p_alone[ends].tolist(),
        say("両方", "both"): both[ends].tolist(),
    }
)

# %% [markdown] lang="ja"
# 狭い五つでは、次に来るものが、ほぼ決まっています。言葉の途中や、決まった言い回しの中が多いはずです。広い五つでは、いろいろな言葉が来られます。新しい句や文が始まる場所が多いはずです。`top_p` はこの違いに合わせて伸び縮みします。`top_k=500` は、広すぎるときの上限として働きます。

# %% [markdown] lang="en"
# In the five narrow places almost nothing else can follow: look for the middle of a word or of a set phrase. In the five wide ones many words can come: look for the start of a new phrase or sentence. `top_p` stretches and shrinks with that; `top_k=500` is an upper limit for the very wide places.

# %% tags=["build"]
narrow, wide = p_alone[by_size[:5]].float().mean(), p_alone[by_size[-5:]].float().mean()
claim(
    say("`top_p` はこの違いに合わせて伸び縮みします。", "`top_p` stretches and shrinks with that"),
    wide > 20 * narrow,
)

# %% [markdown] lang="ja"
# ## 温度と、残る札の数
#
# **予想してみましょう。** 温度を 0.5 や 2.0 にすると、書き出しの次の札のうち、残る数はどう変わるでしょうか。

# %% [markdown] lang="en"
# ## Temperature and what is kept
#
# **Predict:** after the opening line, how will temperatures of 0.5 and 2.0 change the number of tickets kept?

# %%
from helpers.sampling import SamplingSettings, next_token_distribution

temperatures = [0.5, 1.0, 1.5, 2.0]
lotteries = [
    next_token_distribution(language_model, text, SamplingSettings(temperature=t))
    for t in temperatures
]
table(
    {
        "temperature": temperatures,
        say("top_k が捨てた数", "cut by top_k"): [each.removed("top_k") for each in lotteries],
        say("top_p が捨てた数", "cut by top_p"): [each.removed("top_p") for each in lotteries],
        say("残った数", "kept"): [each.kept for each in lotteries],
        say("実質何択か", "effective choices"): [f"{2**each.entropy:.1f}" for each in lotteries],
    }
)

# %% [markdown] lang="ja"
# 温度を下げると、確率が上位に集まります。だから `top_p` が多く捨て、残る札が減ります。温度を上げると、その逆です。
#
# `top_k` が捨てる数は、温度を変えても同じです。点数の順番が変わらないからです。（語彙の数 − 500 より 1 少ないのは、`</s>` を `min_length` が先に除いたからです。）

# %% [markdown] lang="en"
# At a low temperature, the probability gathers at the top, so `top_p` cuts more and fewer tickets are kept. At a high temperature it is the other way round.
#
# `top_k` cuts the same number each time, because the order of the scores does not change. (It is one less than the vocabulary minus 500, because `min_length` has already removed `</s>`.)

# %% tags=["build"]
from helpers.charts import distribution_chart

picture(
    "step",
    distribution_chart(lotteries[1], top=6),
    say(
        "書き出しの次のトークンの確率と、top_k と top_p が除外した分。",
        "The probabilities of the token after the opening line, and what top_k and top_p cut.",
    ),
)
kept = [each.kept for each in lotteries]
claim(
    say(
        "温度を下げると、確率が上位に集まります。",
        "At a low temperature, the probability gathers at the top",
    ),
    kept == sorted(kept) and kept[0] < kept[-1],
)
claim(
    say("`top_k` が捨てる数は、温度を変えても同じです。", "`top_k` cuts the same number each time"),
    len({each.removed("top_k") for each in lotteries}) == 1,
)

# %% [markdown] lang="ja"
# ## 繰り返しと `repetition_penalty`
#
# 貪欲法の文には繰り返しがよく出ます。数え方を決めます。続いた四つのトークンの組が、前にも出ていた割合です。

# %% [markdown] lang="en"
# ## Repetition and `repetition_penalty`
#
# Greedy texts often repeat themselves. We measure this as the share of runs of four tokens that have occurred before.


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
# `repetition_penalty` lowers the scores of tokens that have already occurred. A positive score is divided by the penalty, a negative one is multiplied by it; either way it goes down. Suppose 「降る」 has already occurred and the penalty is 1.5.

# %%
penalty, seen = 1.5, 0
punished = logits.clone()
punished[seen] = logits[seen] / penalty if logits[seen] > 0 else logits[seen] * penalty
side_by_side({"repetition_penalty = 1.0": logits, "repetition_penalty = 1.5": punished})

# %% [markdown] lang="ja"
# 貪欲法に罰を付けます。書き出しのトークンも「もう出た」に入ります。
#
# **予想してみましょう。** 罰を強くすると、繰り返しはどうなるでしょうか。

# %% [markdown] lang="en"
# Now greedy search with a penalty. The tokens of the opening line count as having occurred.
#
# **Predict:** as the penalty gets stronger, what happens to the repetition?

# %%
shares = []
for penalty in (1.0, 1.1, 1.3, 2.0):
    answer = model.generate(
        input_ids,
        attention_mask=attention_mask,
        do_sample=False,
        max_length=100,
        repetition_penalty=penalty,
        **special,
    )
    shares.append(repeated(answer[0, start:].tolist()))
    print(
        f"[{penalty}] {percent(shares[-1])}",
        tokenizer.decode(answer[0], skip_special_tokens=True),
        sep="\n",
    )
    print()

# %% [markdown] lang="ja"
# 1.0 が「罰なし」です。強い罰を付けると、貪欲法の繰り返しは減ります。弱い罰では、別の言い回しの繰り返しに移るだけのことがあります。罰は「の」や「、」のような、何度も必要なトークンにもかかるので、強くするほど、長い文では書きにくくなっていきます。

# %% [markdown] lang="en"
# 1.0 means no penalty. With a strong penalty, greedy search repeats itself less. A weak one may merely move it into a different loop. The penalty also hits tokens that are needed again and again, such as 「の」 and 「、」, so the stronger it is, the harder it becomes to write a long text.

# %% tags=["build"]
claim(
    say(
        "強い罰を付けると、貪欲法の繰り返しは減ります。",
        "With a strong penalty, greedy search repeats itself less.",
    ),
    shares[-1] < shares[0],
)
claim(
    say(
        "弱い罰では、別の言い回しの繰り返しに移るだけのことがあります。",
        "A weak one may merely move it into a different loop.",
    ),
    shares[1] > shares[0],
)

# %% [markdown] lang="ja"
# ## シード
#
# くじは本物の偶然ではありません。シードという数から計算で作ります。シードが同じなら、くじも同じです。
#
# 最初の呼び出しの文と、三とおりに比べます。同じシード。違うシード。同じシードで、文を一つだけ頼む。
#
# **予想してみましょう。** `True` になるのは、どれでしょうか。

# %% [markdown] lang="en"
# ## Seeds
#
# The draws are not truly random. They are computed from a number, the seed. The same seed gives the same draws.
#
# We compare with the very first call in three ways: with the same seed, with another seed, and with the same seed but only one text requested.
#
# **Predict:** which will be `True`?

# %%
print(torch.equal(write(seed=8), output))
print(torch.equal(write(seed=5), output))
print(torch.equal(write(seed=8, num_return_sequences=1)[0], output[0]))

# %% [markdown] lang="ja"
# 文の数を変えると、同じシードでも文が変わります。三つの文は、一つのくじの列を分け合って使うからです。
#
# CPU と GPU でも、文が違います（04）。文を人と比べるときは、シードのほかに、モデル、全部の設定、CPU か GPU かも書きましょう。

# %% [markdown] lang="en"
# If the number of texts changes, the same seed gives different texts, because they all draw from one row of random numbers.
#
# A CPU and a GPU give different texts too (04). When you compare texts with somebody, note not only the seed but also the model, all the settings, and whether it was a CPU or a GPU.

# %% [markdown] lang="ja"
# ## 教材の関数 `generate`
#
# ここまでの `write` では、準備が要りました。id に変える、印を作る、特別な id を渡す、文字に戻す。教材の `generate` は、それを一行にします。中で呼ぶのは、同じ `model.generate` です。

# %% [markdown] lang="en"
# ## Our function `generate`
#
# Our `write` needed preparation: encode, make the mask, pass the special ids, decode. The function `generate` in our `helpers` turns this into one line. Inside, it calls the same `model.generate`.

# %%
from helpers.sampling import generate

settings = SamplingSettings(seed=8)
generation = generate(language_model, text, settings)
for sequence in generation.sequences:
    print(f"[{sequence.stopped}] {sequence.text}\n")

# %% [markdown] lang="ja"
# `[ ]` の中は、止まった理由です。`max_length` は長さの上限、`eos` は `</s>` です。
#
# `write()` と同じ id が出たか、確かめます。詰め物は除いて比べます。

# %% [markdown] lang="en"
# The brackets say why each text stopped: `max_length` is the length limit, `eos` is `</s>`.
#
# Are the ids the same as those from `write()`? We compare without the padding.

# %%
plain = [[i for i in ids if i != pad] for ids in output.tolist()]
print([sequence.token_ids for sequence in generation.sequences] == plain)

# %% [markdown] lang="ja"
# 教材の関数は、間違った設定を先に断ります。何を直せばよいかも言います。

# %% [markdown] lang="en"
# It rejects wrong settings before doing any work, and says how to fix them.

# %%
from helpers.sampling import SettingsError

for wrong in ({"top_p": 1.5}, {"top_p": 0}, {"temperature": 0}, {"top_k": -1}, {"min_length": 120}):
    try:
        SamplingSettings(**wrong)
    except SettingsError as error:
        print(error)

# %% [markdown] lang="ja"
# もう一つの利点は、確率が残ることです。モデルがトークンごとに与えた確率で、文を色分けします。赤いところは、モデルにとっても意外なトークンです。

# %% [markdown] lang="en"
# It also keeps the probabilities. Here the text is coloured by the probability the model gave each token. Red marks what surprised even the model.

# %%
from helpers.charts import probability_text

probability_text(generation.sequences[0], tokenizer)

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
# The last line reads "new tokens → pieces shown". There are fewer pieces. `TextStreamer` is made for languages that put spaces between words. Japanese has none, so it holds text back until, for instance, a kanji comes.
#
# It also works for a single text only. Asked for three, it refuses.

# %%
try:
    write(streamer=Pieces(tokenizer))
except ValueError as error:
    print(error)

# %% [markdown] lang="ja"
# 教材の `stream` は、トークンが一つ出るたびに、見せられる文字をすぐ渡します。一つの文で見ます。

# %% [markdown] lang="en"
# Our `stream` hands over whatever can be shown after every single token. First with one text.

# %%
from helpers.sampling import stream

single = SamplingSettings(seed=4, num_return_sequences=1)
events = []
print(text, end="")
for event in stream(language_model, text, single):
    events.append(event)
    print(event.text, end="", flush=True)

# %% [markdown] lang="ja"
# `TextStreamer` のときと同じように、分かれ目を見ます。数は「新しいトークンの数 → 文字が出た回数」です。

# %% [markdown] lang="en"
# Where does the text break now? The numbers mean "new tokens → times that text appeared".

# %%
print(len(events), "→", len([event for event in events if event.text]))
print(" | ".join(event.text for event in events))

# %% [markdown] lang="ja"
# 三つの文でも使えます。表の中で、三つが同時に伸びていきます。（GitHub では、書き終わった形だけが見えます。）

# %% [markdown] lang="en"
# It handles three texts as well: they grow side by side in a table. (On GitHub you see only the final state.)

# %%
from IPython.display import display

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
# ## Python の落とし穴を二つ
#
# どちらも、元の記事のコードにもあり、だれでも一度はつまずくところです。
#
# 一つ目は、名前の `s` です。`generated_sentence` と `generated_sentences` は、Python には別の名前です。

# %% [markdown] lang="en"
# ## Two pitfalls of Python
#
# Both occur in the article's code too, and everybody trips over them once.
#
# The first is an `s` in a name: to Python, `generated_sentence` and `generated_sentences` are two different names.

# %%
generated_sentence = tokenizer.batch_decode(output, skip_special_tokens=True)
try:
    print(len(generated_sentences))
except NameError as error:
    print("NameError:", error)

# %% [markdown] lang="ja"
# 二つ目は、`input` という変数です。`input` は Python にもとからある関数の名前なので、上書きすると、関数が使えなくなります。`del` で変数を消すと、元に戻ります。
#
# ノートブックは、あとで作った名前も覚えています。「さっきは動いたのに」を防ぐには、ときどき最初から全部実行しなおします。

# %% [markdown] lang="en"
# The second is a variable called `input`. Python has a built-in function of that name; if you reuse the name, you can no longer call the function. `del` deletes the variable and brings the function back.
#
# A notebook also remembers names that were defined further down. Running everything from the top now and then protects you from "but it worked a moment ago".

# %%
input = input_ids
try:
    input("?")
except TypeError as error:
    print("TypeError:", error)
del input
print("input" in globals())

# %% [markdown] lang="ja"
# ## 練習
#
# **練習 1.** `do_sample=True` のまま、貪欲法と同じ文を書かせて、`ids` に入れてください。`write` を使えます。

# %% [markdown] lang="en"
# ## Exercises
#
# **Exercise 1.** Keep `do_sample=True` and still get the text of greedy search; put it into `ids`. You may use `write`.

# %% tags=["exercise"]
ids = ...

# %% tags=["check"]
# @title 答え合わせ || Check
from helpers.answers import check


def test(ids):
    assert ids.shape[0] == 1, say(
        "文を一つだけ書かせてください（num_return_sequences=1）。",
        "Generate only one text (num_return_sequences=1).",
    )
    assert torch.equal(ids, greedy), say(
        "貪欲法と違う文です。くじの札を一枚にするには、どの設定を使いますか。min_length は 0 にしましたか。",
        "This is not the text of greedy search. Which setting leaves a single ticket? And is min_length 0?",
    )
    return say(
        "札が一枚なら、シードは何でもかまいません。", "With a single ticket, any seed will do."
    )


check(ids, test)

# %% tags=["cases"]
RIGHT = [
    "ids = write(seed=9, min_length=0, top_k=1, num_return_sequences=1)",
    "ids = write(min_length=0, top_p=1e-6, num_return_sequences=1)",
]
WRONG = {
    "ids = write(min_length=0, top_k=1)": "num_return_sequences=1",
    "ids = write(min_length=0, temperature=0.9, num_return_sequences=1)": "min_length",
}

# %% tags=["solution"]
ids = write(seed=7, min_length=0, top_k=1, num_return_sequences=1)
print(torch.equal(ids, greedy))

# %% [markdown] lang="ja"
# **練習 2.** 書き出しのあとに、ちょうど 30 トークンの続きを一つだけ書かせてください。

# %% [markdown] lang="en"
# **Exercise 2.** Generate exactly one continuation of exactly 30 tokens after the opening line.

# %% tags=["exercise"]

# %% tags=["solution"]
thirty = model.generate(
    input_ids,
    attention_mask=attention_mask,
    do_sample=True,
    min_new_tokens=30,
    max_new_tokens=30,
    **special,
)
print(thirty.shape[1] - input_ids.shape[1])
print(tokenizer.decode(thirty[0], skip_special_tokens=True))

# %% [markdown] lang="ja"
# **練習 3（自由課題）.** モデルが迷わない書き出しと、迷う書き出しを一つずつ見つけてください。迷いは「実質何択か」で比べます。

# %% [markdown] lang="en"
# **Exercise 3 (open).** Find one opening after which the model is almost certain what comes next, and one after which it is not. Compare them by the effective number of choices.

# %% tags=["exercise"]

# %% tags=["solution"]
for opening_text in (
    "それにもかかわ",
    "ありがとうござい",
    "お父さんとお母",
    "むかしむかし、あるところに",
    "私は",
):
    choices = 2 ** next_token_distribution(language_model, opening_text).raw_entropy
    print(f"{choices:7.1f}", opening_text)

# %% [markdown] lang="ja" tags=["solution"]
# 言葉の途中で切った書き出しは、選択肢が少なくなります。短くて何でも続けられる書き出しは、選択肢が多くなります。

# %% [markdown] lang="en"
# An opening that breaks off inside a word leaves few choices. A short one that anything can follow leaves many.

# %% tags=["build"]
sure = 2 ** next_token_distribution(language_model, "それにもかかわ").raw_entropy
open_ended = 2 ** next_token_distribution(language_model, "私は").raw_entropy
claim(
    say(
        "言葉の途中で切った書き出しは、選択肢が少なくなります。",
        "An opening that breaks off inside a word leaves few choices.",
    ),
    sure < open_ended / 5,
)

# %% [markdown] lang="ja"
# ## まとめ
#
# - `min_length` と `max_length` は、書き出しを入れたトークンの数です。
# - `eos` で止まり、後ろは `pad` で埋まります。`bos` は、書き出しがあるときは使われません。
# - `temperature` → `top_k` → `top_p` の順に働きます。`top_k` は数の上限、`top_p` は形に合わせた切り方です。
# - 同じモデル、同じ設定、同じシードなら、同じパソコンで同じ文になります。
#
# {{nav}}

# %% [markdown] lang="en"
# ## Summary
#
# - `min_length` and `max_length` count tokens, including those of the opening.
# - A text stops at `eos`, and the rest of its row is `pad`. `bos` is not used when there is an opening.
# - The order is `temperature` → `top_k` → `top_p`. `top_k` limits the number; `top_p` adapts to the shape.
# - The same model, settings and seed give the same text on the same computer.
#
# {{nav}}
