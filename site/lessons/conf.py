"""How Sphinx makes pages of the lessons; tools/site_lessons.py prepares what it reads and says which language."""

import re
import unicodedata

from sphinx.locale import get_translator
from sphinx.search.en import SearchEnglish

project = "雪国ノート"
extensions = ["myst_nb"]
# A lesson may leave out a level of headings, or hold code that is not Python: no fault of the page.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
# The outputs are those in the notebooks: nothing is executed, and there are no widgets that want scripts.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_merge_streams = True
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["lessons.css"]
html_js_files = ["lessons.js"]
html_favicon = "static/icon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
html_search_language = "pairs"

# What a run of Japanese is, for Python and for JavaScript.
_JAPANESE = "[々-〇ぁ-ヿ㐀-䶿一-鿿豈-﫿ｦ-ﾟ]"


class Pairs(SearchEnglish):
    """Words for a search in Japanese and in English.

    Japanese has no spaces, so each character is a word, and each two that stand side by side: of 確率で come 確, 率, で,
    確率, 率で. A query of one character looks for it; a longer one for all of its pairs, which stand together hardly
    anywhere but where the query does. Full and half width are the same letters (NFKC). English words are reduced to their stems, as Sphinx does it.
    """

    lang = "pairs"
    _runs = re.compile(rf"{_JAPANESE}+|(?:(?!{_JAPANESE})\w)+")
    # `var`, since Sphinx's own of this name may be there already.
    js_splitter_code = f"""
var japanese = /^{_JAPANESE}/;
var splitQuery = (query) =>
  (query.normalize("NFKC").match(/{_JAPANESE}+|(?:(?!{_JAPANESE})[\\p{{L}}\\p{{N}}_])+/gu) ?? []).flatMap((run) =>
    japanese.test(run) && run.length > 1 ? [...run].slice(1).map((_, i) => run.slice(i, i + 2)) : [run],
  );
"""

    def split(self, input: str) -> list[str]:
        words = []
        for run in self._runs.findall(unicodedata.normalize("NFKC", input)):
            if re.match(_JAPANESE, run):
                words += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
            else:
                words.append(run)
        return words


def refuse_other_hosts(app, pagename, templatename, context, doctree) -> None:
    """Nothing is asked of any other host, whatever a lesson or a theme may hold one day."""
    # The theme's scripts and the pictures' styles stand in the page; one of the scripts asks `new Function` for the window.
    policy = (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'"
    )
    policy = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    context["metatags"] = context.get("metatags", "") + policy


# What the theme says and Sphinx has no Japanese for.
JAPANESE = {
    "Back to top": "上へ戻る",
    "Home": "はじめのページ",
    "Made with ": "制作：",
    "Next": "次へ",
    "On this page": "このページの内容",
    "Previous": "前へ",
    "Skip to content": "本文へ",
}


def speak_japanese(app) -> None:
    if app.config.language == "ja":
        sphinx = get_translator()
        app.builder.templates.environment.install_gettext_callables(
            lambda text: JAPANESE.get(text) or sphinx.gettext(text), sphinx.ngettext, newstyle=True
        )


def setup(app):
    app.connect("builder-inited", speak_japanese)
    app.add_search_language(Pairs)
    app.connect("html-page-context", refuse_other_hosts)
