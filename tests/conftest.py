"""Fixtures for the whole suite: golden texts, the shared data, and the count of golden vectors."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("PICOJOULE_SHARED", HERE.parent.parent / "shared"))
NO_SHARED = "no shared data"


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="accept the present texts")


@pytest.fixture
def golden(request):
    """golden(name, text): compare with tests/golden/texts/<name>, or accept with the flag."""

    def compare(name, text):
        path = HERE / "golden" / "texts" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{name} has no golden text: run with --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def shared():
    """shared(path): a file of the shared data; skips with a reason where it is absent."""

    def find(path):
        found = SHARED / path
        if not found.exists():
            pytest.skip(f"{NO_SHARED}: {path} (set PICOJOULE_SHARED)")
        return found

    return find


def pytest_terminal_summary(terminalreporter, config):
    passed = _golden(terminalreporter.getreports("passed"))
    failed = _golden(terminalreporter.getreports("failed"))
    skipped = _golden(terminalreporter.getreports("skipped"))
    terminalreporter.write_line(
        f"golden vectors: {passed + failed} ran, {failed} failed, "
        f"{skipped} skipped for lack of shared data"
    )


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    lacking = _lacking(reporter.getreports("skipped")) if reporter else 0
    if lacking and os.environ.get("PICOJOULE_REQUIRE_SHARED"):
        reporter.write_line("")
        reporter.write_line(f"{lacking} tests skipped for lack of shared data: that fails here")
        session.exitstatus = 1


def _golden(reports):
    return sum(1 for r in reports if r.when in ("call", "setup") and "golden" in r.keywords)


def _lacking(reports):
    return sum(1 for r in reports if NO_SHARED in str(r.longrepr))
