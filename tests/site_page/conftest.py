"""The site, built once, its address, and its page in Chromium, as the tests of this folder use them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from site_pages import Visits, serving

from helpers.models import LanguageModel, load_model
from tools import site


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.build(site=tmp_path_factory.mktemp("built") / "site")


@pytest.fixture(scope="session")
def address(folder: Path) -> Iterator[str]:
    with serving(site.server(0, folder, "127.0.0.1")) as address:
        yield address


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    return load_model("aozora-mini", device="cpu")


@pytest.fixture(scope="session")
def visits(browser: Browser, address: str) -> Visits:
    return Visits(browser, address)


@pytest.fixture
def opened(visits: Visits) -> Iterator[Visits]:
    yield visits
    while visits.alone:
        visits.alone.pop().close()
    faults, visits.faults = visits.faults, []
    assert not faults
