// Every word of the page, Japanese and English side by side, so that neither is forgotten.
// Colours, zones and presets come from `helpers`: see look.js and settings.js. Sentences that the notebook's lab has too are
// the same here; tests/test_charts.py lists them.

/** @type {Record<string, [string, string]>} */
const WORDS = {
  title: ["雪国ノート", "Yukiguni Notebooks"],
  subtitle: ["サンプリング実験室", "sampling lab"],
  lessons: ["レッスン", "Lessons"],
  other_language: ["English", "日本語"],
  warning: [
    "言語モデルの書く文章には、事実でないことや、人を傷つけることが含まれる場合があります。情報としてではなく、見本として読んでください。",
    "A language model writes falsehoods, and can offend. Treat its texts as samples, not as information.",
  ],
  about: [
    "すべてこのブラウザーの中で計算しています。入力した文はどこにも送られません。モデル: {model}（{size} MB）",
    "Everything is computed in this browser. Nothing you type is sent anywhere. Model: {model} ({size} MB)",
  ],
  stick: ["USB メモリー用の ZIP", "A ZIP for a USB stick"],
  stick_note: [
    "展開して index.html を開くと、ネットワークなしで動きます（iPad では開けません）。",
    "Unpack it and open index.html: it works without a network (not on an iPad).",
  ],

  loading: ["モデルを読み込んでいます… {done} / {total} MB", "Loading the model… {done} of {total} MB"],
  loading_first: ["モデルを読み込んでいます…", "Loading the model…"],
  loading_failed: [
    "モデルのファイル {file} を読み込めませんでした。ネットワークを確かめて、もう一度読み込んでください。",
    "The model’s file {file} could not be loaded. Check the network and load again.",
  ],
  loading_damaged: [
    "モデルのファイルが壊れています（{reason}）。もう一度読み込んでください。それでもだめなら、配った人に知らせてください。",
    "The model’s file is damaged ({reason}). Load again; if that does not help, tell whoever handed it out.",
  ],
  reload: ["もう一度読み込む", "Load again"],
  engine_failed: [
    "計算が止まりました（{why}）。ページを開き直してください。入力した文は上の枠に残っています。",
    "The computation stopped ({why}). Open the page again. What you typed is still in the box.",
  ],

  model: ["モデル", "Model"],
  model_here: ["この端末の {name}", "{name}, on this device"],
  model_class: ["先生の {name}", "{name}, the teacher’s"],
  model_class_note: [
    "先生のパソコンの {name} が書きます。乱数もサーバーのものなので、同じ seed でも、この端末やノートブックだけで書く文章とは違います。",
    "{name} on the teacher’s machine now writes, with its own random numbers: a seed gives a different text than on this device.",
  ],
  class_key: [
    "先生のサーバーの鍵が違います。先生の画面の QR コードを、もう一度読み取ってください。",
    "The key for the teacher’s server is wrong: scan the QR code on the teacher’s screen again.",
  ],
  class_busy: [
    "先生のサーバーは今、順番待ちでいっぱいです。少し待ってから、もう一度押してください。",
    "The teacher’s server has too many requests waiting: wait a moment and press again.",
  ],
  class_gone: [
    "先生のサーバーとつながりません。そこまでの文章は残っています。同じネットワークにいるかを確かめ、少し待ってから、もう一度押してください。",
    "The teacher’s server does not answer. What was written is kept. Check that you are on the same network, wait a moment and press again.",
  ],
  class_resumed: [
    "先生のサーバーとの接続が切れたので、つなぎ直しました。ここから先は別の乱数で書くので、同じ seed でも、もう一度同じ文章にはなりません。",
    "The connection to the teacher’s server was lost and made again. From here on other random numbers are used: the same seed will not give this text again.",
  ],
  class_other: [
    "先生のサーバーは、このページが使える形では答えません。先生に、同じ版の make class で始めてもらってください。",
    "The teacher’s server does not answer as this page expects: ask the teacher to start it with make class from the same version.",
  ],
  class_limit: [
    "{field} は、先生のサーバーでは使えない値です（{limit} まで）。",
    "{field} has a value that the teacher’s server does not accept (at most {limit}).",
  ],

  write: ["続きを書く", "Continue"],
  stop: ["停止", "Stop"],
  more: ["もっと", "More"],
  less: ["閉じる", "Less"],
  copy: ["コピー", "Copy"],
  copied: ["コピーしました。", "Copied."],
  copy_by_hand: [
    "このブラウザーでは自動でコピーできません。下の枠の文字を選んで、コピーしてください。",
    "This browser cannot copy by itself: select the text in the box below and copy it.",
  ],
  to_copy: ["コピー用", "to copy"],
  picture: ["画像", "Picture"],
  picture_saved: ["画像 {name} を保存しました。", "The picture {name} was saved."],
  picture_failed: ["画像を作れませんでした。「コピー」を使ってください。", "The picture could not be made: use Copy."],
  close: ["閉じる", "Close"],

  prompt_empty: [
    "prompt が空です。続きを書かせたい文章を 1 文字以上入れてください。",
    "The prompt is empty: it needs at least one character to continue from.",
  ],
  prompt_too_long: [
    "prompt は {tokens} トークンで、このモデルが続きとあわせて扱える {limit} トークンを超えています。{over} トークン以上短くしてください。",
    "The prompt has {tokens} tokens. This model can handle {limit}, continuation included: shorten it by at least {over} tokens.",
  ],
  prompt_surrogate: [
    "prompt の {position} 文字目は、文字として正しくありません。その文字を消してください。",
    "Character {position} of the prompt is half of a character pair, not text: remove it.",
  ],
  no_room: [
    "ここまでで {tokens} トークンあり、max_length = {limit} では続きを書けません。max_length は prompt も数えます。{least} 以上にしてください。",
    "The text already has {tokens} tokens, so max_length = {limit} leaves no room (it counts the prompt): set it to at least {least}.",
  ],
  not_an_integer: [
    "{field} = {value} は使えません。{low} 以上 {high} 以下の整数を入れてください。",
    "{field} = {value} cannot be used; it must be an integer from {low} to {high}.",
  ],
  not_a_number: [
    "{field} = {value} は使えません。{low} 以上 {high} 以下の数を入れてください。",
    "{field} = {value} cannot be used; it must be a number from {low} to {high}.",
  ],
  no_number: ["（空）", "(nothing)"],
  lengths_contradict: [
    "min_length = {low} が max_length = {high} より大きくなっています。min_length を max_length 以下にしてください。",
    "min_length = {low} is greater than max_length = {high}: set min_length to at most max_length.",
  ],
  bars_when_usable: [
    "書き出しと設定を直すと、ここに次のトークンの確率が出ます。",
    "The next token’s probabilities appear here once the prompt and the settings are valid.",
  ],

  writing_title: ["書き出し", "The beginning"],
  texts_title: ["書かれた文章", "Texts written"],
  card_title: ["文 {number}", "Text {number}"],
  card_numbers: ["seed {seed}・{characters} 文字・{tokens} トークン", "seed {seed}, {characters} characters, {tokens} tokens"],
  space: ["▁ 空白", "▁ space"],
  card_tokens: [
    "文 {number} のトークン。左右の矢印キーで移り、Enter で候補を見ます",
    "Tokens of text {number}: left and right arrow keys move, Enter shows the alternatives",
  ],
  token_numbers: [
    "{piece} (id {id}): モデル {raw}、設定後 {final}",
    "{piece} (id {id}): model {raw}, after settings {final}",
  ],
  ended_eos: ["</s> で終わり", "ended by </s>"],
  ended_max_length: ["max_length で終わり", "ended by max_length"],
  ended_user: ["停止", "stopped"],
  ended_writing: ["書いています…", "writing…"],
  speed: ["書き終えました（毎秒 {rate} トークン）", "Written ({rate} tokens a second)"],
  rest: ["ほか", "all others"],
  legend_title: ["モデルがそのトークンに与えた確率", "The probability the model gave each token"],
  or_more: ["{percent} 以上", "{percent} or more"],
  under: ["{percent} 未満", "under {percent}"],

  next_title: ["次のトークンの確率", "Probability of the next token"],
  at_token: ["文 {number} の {place} 番目「{piece}」の候補", "Instead of “{piece}”, text {number}, token {place}"],
  at_end: ["文 {number} の終わり", "end of text {number}"],
  to_prompt: ["書き出しに戻る", "Back to the prompt"],
  bar_button: [
    "{piece}: モデル {raw}、設定後 {final}、{zone}。押すと、このトークンで続けます",
    "{piece}: model {raw}, after the settings {final}, {zone}. Press to continue with this token",
  ],
  bar_button_seen: [
    "{piece}: モデル {raw}、設定後 {final}、{zone}、期待 {expected} 回、実際 {seen} 回。押すと、このトークンで続けます",
    "{piece}: model {raw}, after the settings {final}, {zone}, expected {expected}, drawn {seen} times. Press to continue with this token",
  ],
  cut_here: ["✂ {name} = {value}", "✂ {name} = {value}"],
  pieces: ["{n} 個 {share}", "{n}, {share}"],
  entropy: [
    "エントロピー {after} bit（設定前 {before}）＝ 実質 {choices} 択（設定前 {choicesBefore} 択）。",
    "Entropy {after} bits (before the settings {before}) = effectively {choices} choices (before {choicesBefore}).",
  ],
  bars_legend: [
    "上の細い棒: モデルの確率、下の太い棒: 設定後に引かれる確率。除外されたトークンは縞模様。点線の枠: 100 回引いたうちの割合。",
    "Thin upper bar: the model’s probability; thick lower bar: its probability after the settings. Tokens that were cut are hatched. Dotted frame: share of 100 draws.",
  ],

  one_token: ["1 トークン進める", "One token"],
  back: ["戻る", "Back"],
  guess: ["予想: 1 位は何回？", "Guess: times no. 1 is drawn"],
  guess_odd: [
    "予想「{value}」は使えません。0 以上 100 以下の整数を入れて、もう一度押してください。",
    "The guess “{value}” cannot be used: enter an integer from 0 to 100 and press again.",
  ],
  draw: ["100 回引く", "Draw 100"],
  draw_result: [
    "1 位「{piece}」: 予想 {guess} 回、期待値 {expected} 回、実際 {seen} 回",
    "No. 1, “{piece}”: guessed {guess}, expected {expected}, drawn {seen} times",
  ],
  end_drawn: ["</s> が引かれました。文章はここで終わりです。", "</s> was drawn: the text ends here."],
  chosen_title: ["選んだトークン", "tokens chosen"],

  settings_title: ["設定", "Settings"],
  do_sample_note: ["（外すと、いつも 1 位を選ぶ）", "(without it, always the most probable)"],
  new_seed: [
    "同じ設定でもう一度書くときは、seed を 1 進める",
    "Writing again with nothing changed adds 1 to the seed",
  ],

  tokens_count: ["{n} トークン", "{n} tokens"],
  tokens_shown: ["（先頭の {n} 個を表示）", " (the first {n} shown)"],
  tokens_unknown: ["、うち未知 {n} 個", ", {n} of them unknown"],
  unknown: ["未知", "unknown"],
  normalized: ["モデルが読む形（NFKC 正規化後）", "As the model reads it, after NFKC"],

  view_title: ["見かた（縦書き・伏せ字・明暗）", "View (vertical, masking, theme)"],
  vertical: ["縦書き", "vertical writing"],
  mask: ["伏せ字", "mask listed words"],
  mask_note: [
    "伏せ字は、リストにある語を覆います。押すと見えます。引き直しはしないので、同じ seed の文章は同じままです。",
    "Masking covers the words on a list; tap one to see it. Nothing is drawn again, so a seed still gives the same text.",
  ],
  masked: ["伏せ字。押すと見えます", "masked: press to see"],
  theme: ["明暗", "theme"],
  theme_auto: ["自動", "automatic"],
  theme_light: ["明るい", "light"],
  theme_dark: ["暗い", "dark"],

  compare_title: ["2 つの設定を比べる", "Compare two settings"],
  compare_note: [
    "同じ書き出しと同じ seed で、設定だけを変えて 1 文ずつ書きます。",
    "One text each, from the same prompt and seed: only the settings differ.",
  ],
  compare_take: ["今の設定を {name} にする", "Use the settings as {name}"],
  compare_run: ["比べる", "Compare"],
  compare_same: ["2 つの文章は同じです。", "Both texts are the same."],
  compare_difference: [
    "最初の違い: 新しい {place} 番目のトークン。A は「{a}」、B は「{b}」。",
    "First difference: new token number {place}. A has “{a}”, B has “{b}”.",
  ],
  compare_end: ["（終わり）", "(the end)"],
  compare_settings: ["設定", "settings"],

  share_title: ["渡す（リンク・QR コード・Python）", "Hand on (link, QR code, Python)"],
  share_link: ["この状態のリンク", "Link to this state"],
  share_link_note: [
    "開くと、この書き出しと設定で始まります。文章そのものは入りません。同じ seed なら同じ文章になります。",
    "It opens with this prompt and these settings. The texts are not in it: the same seed writes them again.",
  ],
  share_file_note: [
    "このページはファイルから開いています。リンクは、この端末でしか開けません。",
    "This page was opened from a file: the link works on this device only.",
  ],
  share_too_long: [
    "書き出しが長いので、リンクにできません（{length} 文字。{limit} 文字まで）。書き出しを短くしてください。",
    "The prompt is too long for a link ({length} characters, {limit} at most): shorten it.",
  ],
  qr_too_long: [
    "リンクが長いので、読み取れる QR コードになりません（{length} バイト。{limit} バイトまで）。リンクのコピーを使ってください。",
    "The link is too long for a QR code that phones can read ({length} bytes, {limit} at most): copy the link.",
  ],
  qr_name: ["この状態のリンクの QR コード", "QR code of the link to this state"],
  share_code: ["model.generate(...) のコード", "Code with model.generate(...)"],
  share_cell: ["ノートブックに貼るセル", "A cell to paste into a notebook"],
  share_cell_note: [
    "ノートブック {link} の最後のセルのかわりに貼ると、同じ書き出しと設定で実験室が開きます。",
    "Paste it in place of the last cell of {link}: the lab opens with this prompt and these settings.",
  ],
  share_copy: ["{what}をコピー", "Copy: {what}"],

  broken_link: [
    "リンクの {field} が読めないので、かわりに {used} を使います。",
    "{field} in the link cannot be read; {used} is used instead.",
  ],
  broken_link_prompt: [
    "リンクの書き出しが読めないので、『雪国』の書き出しを使います。",
    "The prompt in the link cannot be read; the opening line is used instead.",
  ],
  broken_link_chosen: [
    "リンクの「選んだトークン」が読めないので、使いません。",
    "The tokens chosen in the link cannot be read and are ignored.",
  ],
  broken_link_ignored: [
    "リンクの {field} が読めないので、使いません。",
    "{field} in the link cannot be read and is ignored.",
  ],
  broken_link_lengths: [
    "リンクの min_length と max_length が矛盾しているので、{low} と {high} を使います。",
    "min_length and max_length in the link contradict each other; {low} and {high} are used.",
  ],

  way_title: ["モデルの中の道のり", "The way through the model"],
  way_note: [
    "「{text}」の次のトークンが決まるまでを、左から順に見ます。数はすべて、このモデルが今計算したものです。段を押すと、くわしく見えます。",
    "How the token after “{text}” comes about, step by step. This model has just computed every number. Press a stage to look inside.",
  ],
  way_cut: ["（終わりの {n} トークンだけを描いています）", " (only the last {n} tokens are drawn)"],
  way_tokens: ["トークン", "tokens"],
  way_vectors: ["ベクトル", "vectors"],
  way_attention: ["アテンション", "attention"],
  way_scores: ["スコア", "scores"],
  way_lottery: ["くじ", "lottery"],
  way_tokens_why: [
    "文はトークンに切られ、それぞれが語彙の番号（id）になります。モデルが受けとるのは、この番号だけです。",
    "The text is cut into tokens, and each becomes its number (id) in the vocabulary. These numbers are all the model is given.",
  ],
  way_vectors_why: [
    "番号ごとに {width} 個の数（ベクトル）が引かれ、位置のベクトルが足されます。1 行が 1 トークン、1 列が 1 つの数です。青は負、橙は正。層を通るたびに書き換わります。",
    "Each number looks up {width} numbers (a vector), and the vector of its position is added. A row is a token, a column a number; blue is negative, orange positive. Each layer rewrites them.",
  ],
  way_attention_why: [
    "層ごとに {heads} 個のヘッドがあり、各トークンが前のトークンをどれだけ見るかを決めます。行のトークンが、列のトークンを見る割合です。1 行の合計は 100% です。",
    "Each layer has {heads} heads, which decide how much each token looks at those before it. Each cell says how much the row’s token looks at the column’s; a row adds up to 100%.",
  ],
  way_scores_why: [
    "最後のトークンのベクトルと、語彙 {vocabulary} 個のベクトルの近さがスコア（logit）です。ソフトマックスが、スコアを確率にします。",
    "A score (logit) says how well the last token’s vector fits each of the {vocabulary} pieces’ vectors. Softmax turns scores into probabilities.",
  ],
  way_lottery_why: [
    "設定が候補を切り、残りの確率の合計を 100% にします。その割合のくじを、seed から作った乱数で引きます。",
    "The settings cut candidates, and the rest is scaled to add up to 100% again. That is the lottery; its random numbers come from the seed.",
  ],
  way_layer: ["層", "layer"],
  way_head: ["ヘッド", "head"],
  way_after: ["{layer} 層のあと", "after layer {layer}"],
  way_at_start: ["埋め込み", "embedding"],
  way_drawn: ["seed = {seed} で引くと「{piece}」（{percent}）", "Drawn with seed = {seed}: “{piece}” ({percent})"],
  way_looks: ["「{token}」が見ているところ（ほかのトークンも押せます）", "What “{token}” looks at (press another token to ask it)"],
  way_attention_map: [
    "{layer} 層・ヘッド {head} で、「{token}」がよく見る順: {most}",
    "In layer {layer}, head {head}, “{token}” looks most at: {most}",
  ],
  way_vectors_map: ["{when}のベクトル。{tokens} トークン × {width} 個の数", "Vectors, {when}: {tokens} tokens × {width} numbers"],
  way_elsewhere: [
    "先生のモデルの中は、ここからは見えません。「モデル」で、この端末のモデルを選んでください。",
    "The inside of the teacher’s model cannot be seen from here: choose this device’s model.",
  ],
  way_wait: ["計算しています…", "computing…"],
  logit: ["スコア", "score"],
  probability: ["確率", "probability"],
};

/** @type {"ja" | "en"} */
let language = "ja";

/** @param {"ja" | "en"} name */
export function setLanguage(name) {
  language = name;
}

/** The language in use. */
export function getLanguage() {
  return language;
}

/**
 * A sentence in the language in use; `{name}` stands for a value.
 *
 * @param {string} key  of WORDS
 * @param {Record<string, any>} [values]
 * @returns {string}
 */
export function say(key, values = {}) {
  const pair = WORDS[key];
  if (!pair) throw new Error(`words.js has no "${key}"`);
  return fillIn(pair[language === "ja" ? 0 : 1], values);
}

/**
 * One of a pair of sentences that came from elsewhere.
 *
 * @param {{ ja: string, en: string }} pair
 * @param {Record<string, any>} [values]
 */
export function choose(pair, values = {}) {
  return fillIn(pair[language], values);
}

/**
 * @param {string} sentence
 * @param {Record<string, any>} values
 */
function fillIn(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * A probability (0 to 1) as readers see it: three significant digits at most, never a false zero.
 *
 * @param {number} probability
 */
export function percent(probability) {
  // Not known yet.
  if (Number.isNaN(probability)) return "–";
  const value = probability * 100;
  if (value === 0) return "0%";
  if (value < 0.001) return "<0.001%";
  return `${Number(Number(value.toPrecision(3)).toFixed(3))}%`;
}

/**
 * A column of probabilities (0 to 1): all with the same number of decimals, never a false zero.
 *
 * @param {number[]} probabilities
 */
export function percents(probabilities) {
  const values = probabilities.map((probability) => probability * 100);
  if (values.every(Number.isInteger)) return values.map((value) => `${value}%`);
  const decimals = values.some((value) => value > 0 && value < 0.05) ? 2 : 1;
  const unit = 10 ** -decimals;
  return values.map((value) => {
    if (value === 0) return "0%";
    return value < unit / 2 ? `<${unit}%` : `${value.toFixed(decimals)}%`;
  });
}

/**
 * A number with three significant digits at most, thousands separated.
 *
 * @param {number} value
 */
export function number(value) {
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) >= 100 ? whole(rounded) : String(rounded);
}

/**
 * An integer, thousands separated.
 *
 * @param {number} value
 */
export function whole(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}
