"""All runs with their settings: to read, to copy, to repeat, to save and to load."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from helpers.lab.drafts import draft_of
from helpers.lab.parts import ROW, WIDE, Host, Pane, box, button, note
from helpers.lab.records import as_code, as_text, load, new_runs, record_path, save
from helpers.language import say
from helpers.masking import mask_words
from helpers.results import Generation


class HistoryPane(Pane):
    """The lab's history, the latest run first."""

    def __init__(self, lab: Host) -> None:
        self.lab = lab
        self.title = say("記録", "History")
        self.run_box = widgets.Dropdown(options=[], description=say("記録", "run"), layout=WIDE)
        self.form_box = widgets.Dropdown(
            options=[(say("文章", "text"), as_text), ("model.generate(...)", self._code)],
            description=say("形", "format"),
            layout=box(260),
        )
        self.back_button = button(
            say("この設定に戻す", "Return to these settings"), self._back_clicked
        )
        self.copy_box = widgets.Textarea(
            description=say("コピー用", "to copy"), rows=8, layout=WIDE
        )
        self.file_box = widgets.Text(
            "sampling-lab.json", description=say("ファイル", "file"), layout=box(260)
        )
        self.save_button = button(say("保存", "Save"), self._save_clicked)
        self.load_button = button(say("読み込む", "Load"), self._load_clicked)
        self.note = widgets.HTML()
        for chosen in (self.run_box, self.form_box):
            chosen.observe(self._chosen, names="value")
        self.file_box.observe(self._file_named, names="value")
        self.view = widgets.VBox(
            [
                self.run_box,
                widgets.HBox([self.form_box, self.back_button], layout=ROW),
                self.copy_box,
                widgets.HBox([self.file_box, self.save_button, self.load_button], layout=ROW),
                self.note,
            ]
        )

    def refresh(self) -> None:
        """Reload the lab's history, and show its latest run."""
        self.run_box.options = [(self._label(i), i) for i in reversed(range(len(self.lab.history)))]
        # ipywidgets 8 leaves a list that was empty without a choice.
        self.run_box.index = 0 if self.lab.history else None

    def redraw(self) -> None:
        """Show the chosen run again."""
        place = self.run_box.index
        self.refresh()
        self.run_box.index = place
        self._chosen({})

    def _label(self, i: int) -> str:
        run = self.lab.history[i]
        s, text = run.settings, self._shown(run.sequences[0].text)[-20:]
        how = (
            f"top_k={s.top_k} top_p={s.top_p:g} T={s.temperature:g} seed={s.seed}"
            if s.do_sample
            else say("貪欲", "greedy")
        )
        return f"#{i + 1} {how} …{text}"

    def _shown(self, text: str) -> str:
        return mask_words(text) if self.lab.masked else text

    def _code(self, run: Generation) -> str:
        return as_code(self.lab.language_model, run)

    def _chosen(self, change: dict[str, Any]) -> None:
        with self.lab.shown_errors("history"):
            if self.run_box.value is not None:
                text = self.form_box.value(self.lab.history[self.run_box.value])
                # Code is not covered: it would no longer write the run.
                self.copy_box.value = self._shown(text) if self.form_box.value is as_text else text

    def _file_named(self, change: dict[str, Any]) -> None:
        # What was wrong with the file of the old name says nothing about this one.
        with self.lab.shown_errors("file"):
            self.note.value = ""

    def _back_clicked(self, button: widgets.Button) -> None:
        self.lab.catch_up()
        with self.lab.shown_errors("history"):
            if self.run_box.value is not None:
                run = self.lab.history[self.run_box.value]
                self.lab.acted()
                self.lab.set_draft(draft_of(self.lab.language_model, run))
                self.lab.set_settings(run.settings, self._label(self.run_box.value))

    def _save_clicked(self, button: widgets.Button) -> None:
        with self.lab.shown_errors("file"):
            path = record_path(self.file_box.value)
            saved, runs = save(self.lab.history, path), len(self.lab.history)
            more = say(
                f"このファイルの記録は全部で {len(saved)} 件です。",
                f"The file now holds {len(saved)} runs.",
            )
            self.note.value = note(
                say(f"{runs} 件を {path} に保存しました。", f"{runs} runs saved in {path}. ") + more
            )

    def _load_clicked(self, button: widgets.Button) -> None:
        with self.lab.shown_errors("file"):
            path = record_path(self.file_box.value)
            loaded = load(path)
            new = new_runs(loaded, self.lab.history)
            self.lab.keep(new)
            self.note.value = note(
                say(
                    f"{path} から {len(loaded)} 件を読み込みました（新しいもの {len(new)} 件）。",
                    f"{len(loaded)} runs loaded from {path}, {len(new)} of them new.",
                )
            )
