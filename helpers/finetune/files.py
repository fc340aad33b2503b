"""What a file is: a text, a zip with one text in it, or something else that is named."""

from __future__ import annotations

import io
import lzma
import stat
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from helpers.finetune.errors import FinetuneError
from helpers.language import say

LARGEST = 64 * 2**20  # bytes; the longest novels of Japanese have about 10 MB in UTF-8

_KINDS = (  # what the first bytes say; a text has none of these
    (b"%PDF-", "PDF", "a PDF"),
    (b"{\\rtf", "RTF（ワープロの文書）", "an RTF document"),
    (b"\xd0\xcf\x11\xe0", "Word などの古い文書（.doc）", "an old Office document (.doc)"),
    (b"\x89PNG", "画像（PNG）", "a picture (PNG)"),
    (b"\xff\xd8\xff", "画像（JPEG）", "a picture (JPEG)"),
    (b"GIF8", "画像（GIF）", "a picture (GIF)"),
    (b"BM", "画像（BMP）", "a picture (BMP)"),
    (b"II*\0", "画像（TIFF）", "a picture (TIFF)"),
    (b"MM\0*", "画像（TIFF）", "a picture (TIFF)"),
    (b"RIFF", "画像か音声", "a picture or an audio file"),
    (b"\x1f\x8b", "gzip で圧縮したファイル", "a gzip-compressed file"),
    (b"BZh", "bzip2 で圧縮したファイル", "a bzip2-compressed file"),
    (b"\xfd7zXZ\0", "xz で圧縮したファイル", "an xz-compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "7z の書庫", "a 7z archive"),
    (b"Rar!", "RAR の書庫", "a RAR archive"),
    (b"ID3", "音声（MP3）", "an audio file (MP3)"),
    (b"OggS", "音声（Ogg）", "an audio file (Ogg)"),
    (b"\x7fELF", "プログラム", "a program"),
    (b"MZ", "プログラム", "a program"),
    (b"SQLite format 3", "データベース（SQLite）", "a database (SQLite)"),
)
_ARCHIVED = (  # a zip with this member is a document of this kind
    ("word/", "Word の文書（.docx）", "a Word document (.docx)"),
    ("xl/", "Excel の表（.xlsx）", "an Excel spreadsheet (.xlsx)"),
    ("ppt/", "PowerPoint の資料（.pptx）", "PowerPoint slides (.pptx)"),
    ("META-INF/container.xml", "電子書籍（EPUB）", "an e-book (EPUB)"),
    ("content.xml", "LibreOffice の文書（.odt）", "a LibreOffice document (.odt)"),
)


def read_bytes(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        FinetuneError: there is no such file, or it is a folder, not a regular file, larger than 64 MiB, or not readable.
    """
    try:
        kind = path.stat()
        readable = stat.S_ISREG(kind.st_mode) and kind.st_size <= LARGEST
        data = path.read_bytes() if readable else b""
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FinetuneError(
            f"{path}を読めません（{type(error).__name__}）。"
            "ファイルの名前と場所を確かめるか、Colab なら左のフォルダーの印からアップロードしてください。",
            f"{path} cannot be read ({type(error).__name__}): check its name and location; on Colab, upload it "
            "with the folder icon on the left.",
        ) from error
    if stat.S_ISDIR(kind.st_mode):
        raise FinetuneError(
            f"{path}はフォルダーです。中のテキストファイルを一つ指定してください。",
            f"{path} is a folder: choose one text file in it.",
        )
    if not stat.S_ISREG(kind.st_mode):
        raise FinetuneError(
            f"{path}はふつうのファイルではありません。テキストファイルを指定してください。",
            f"{path} is not a regular file: use a text file.",
        )
    if not readable:
        raise _too_large(str(path), kind.st_size)
    return data


def unpacked(data: bytes, name: str) -> bytes:
    """The bytes of the text: of the file itself, or of the one text in it if it is a zip. Nothing is written.

    Raises:
        FinetuneError: the file is something else, or the zip has no text, several, a password, or is damaged.
    """
    if len(data) > LARGEST:
        raise _too_large(name, len(data))
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _from_zip(data, name)
    for start, ja, en in _KINDS:
        # A text may begin with two ASCII letters: such a start needs more evidence.
        if data.startswith(start) and (
            len(start) > 3 or b"\0" in data[:64] or start[0] > 0x7E or start[0] < 9
        ):
            raise _no_text(name, ja, en)
    if data[2:7] in (b"-lh0-", b"-lh1-", b"-lh5-", b"-lh6-", b"-lh7-"):
        raise _no_text(name, "LZH の書庫", "an LZH archive")
    if data[4:8] == b"ftyp":
        raise _no_text(name, "画像か動画", "a picture or a video")
    return data


def _from_zip(data: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {_shown(info): info for info in archive.infolist() if not info.is_dir()}
            for member, ja, en in _ARCHIVED:
                if any(info.filename.startswith(member) for info in members.values()):
                    raise _no_text(name, ja, en)
            # macOS adds files that are not texts.
            kept = [
                m
                for m in members
                if not m.startswith("__MACOSX/") and not PurePosixPath(m).name.startswith(".")
            ]
            texts = [m for m in kept if PurePosixPath(m).suffix.lower() in (".txt", ".text", ".md")]
            texts = texts or [
                m for m in kept if PurePosixPath(m).suffix.lower() in (".html", ".htm", ".xhtml")
            ]
            if len(texts) != 1:
                raise _not_one(name, texts)
            info = members[texts[0]]
            if info.flag_bits & 1:
                raise FinetuneError(
                    f"{name}にはパスワードがかかっています。取り出したテキストファイルを指定してください。",
                    f"{name} is password-protected: extract the text file and use that.",
                )
            with archive.open(info) as member_file:
                content = member_file.read(LARGEST + 1)  # whatever size the archive claims
    except FinetuneError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        raise FinetuneError(
            f"{name}は zip ですが、開けません（{type(error).__name__}）。もう一度ダウンロードするか、取り出したテキストファイルを指定してください。",
            f"{name} is a zip that cannot be opened ({type(error).__name__}): download it again, or extract the text "
            "file and use that.",
        ) from error
    if len(content) > LARGEST:
        raise _too_large(texts[0], len(content))
    if content.startswith(b"PK\x03\x04"):
        raise _no_text(texts[0], "zip の中の zip", "a zip inside a zip")
    return content


def _shown(info: zipfile.ZipInfo) -> str:
    """A member's name as its packer wrote it (Windows in Japan: Shift_JIS, unmarked), without control characters."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):  # another encoding, that we do not know: as zipfile has it
            name = name.encode("cp437").decode("cp932")
    return "".join(c if c.isprintable() else "?" for c in name[-80:])


def _not_one(name: str, texts: list[str]) -> FinetuneError:
    if not texts:
        return FinetuneError(
            f"{name}の中にテキストファイル（.txt）がありません。文章の入ったファイルを指定してください。",
            f"{name} contains no text file (.txt): use a file with a text in it.",
        )
    names = "、".join(texts[:5]) if say("ja", "en") == "ja" else ", ".join(texts[:5])
    more = len(texts) - 5
    ja_more, en_more = (f" ほか {more} 個", f" and {more} more") if more > 0 else ("", "")
    return FinetuneError(
        f"{name}にはテキストが {len(texts)} 個あります（{names}{ja_more}）。一つを取り出して指定してください。",
        f"{name} contains {len(texts)} texts ({names}{en_more}): extract one and use that.",
    )


def _no_text(name: str, ja: str, en: str) -> FinetuneError:
    return FinetuneError(
        f"{name}は{ja}で、テキストではありません。文章をテキストファイル（.txt、UTF-8）として保存し、それを指定してください。",
        f"{name} is {en}, not a text file: save its text as a text file (.txt, UTF-8) and use that.",
    )


def _too_large(name: str, size: int) -> FinetuneError:
    return FinetuneError(
        f"{name}は大きすぎます（{size / 2**20:,.0f} MiB 以上）。{LARGEST // 2**20} MiB 以下のテキストファイルを指定してください。",
        f"{name} is too large ({size / 2**20:,.0f} MiB or more): use a text file of at most {LARGEST // 2**20} MiB.",
    )
