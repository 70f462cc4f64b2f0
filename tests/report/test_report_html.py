"""The HTML page: well-formed, self-contained, accessible, escaped, complete."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
import report_samples as samples

from picojoule.errors import UsageError
from picojoule.report import Report
from picojoule.report.data import Accuracy, Use
from picojoule.report.html import save_html, to_html
from picojoule.report.markup import element

VOID = {"meta", "br", "hr"}
HOSTILE = "<script>alert(1)</script>\"' onload=x <img src=//e.com> &amp; \x00\x1b"


class Page(HTMLParser):
    """Collects tags with their attributes and text; remembers every imbalance."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.tags, self.words = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if len(dict(attrs)) != len(attrs):
            self.wrong.append(("repeated attribute", tag))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(("closes nothing", tag))

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def one(**changes):
    """A report of one full row, changed."""
    report = samples.full()
    return replace(report, rows=(replace(report.rows[0], **changes),))


REPORTS = {
    "full": samples.full(),
    "bare": samples.bare(),
    "empty": Report(title="t", rows=()),
    "no raster": one(raster=None),
    "no layers": one(layers=()),
    "no uses": one(uses=()),
    "no bill": one(bill=()),
    "no accuracy": one(accuracy=Accuracy()),
    "nothing": one(bill=(), raster=None, layers=(), uses=(), waits=(), excluded=(), digests={}),
    "hostile": replace(
        one(
            network=HOSTILE,
            target=HOSTILE,
            notes=(HOSTILE,),
            bits_note=HOSTILE,
            sources={"davies2018": HOSTILE},
            digests={HOSTILE: HOSTILE},
            profile=HOSTILE,
        ),
        title=HOSTILE,
        notes=(HOSTILE,),
        command=HOSTILE,
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_well_formed(name):
    page = Page(to_html(REPORTS[name]))
    assert page.wrong == [] and page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert all(link.startswith("#") and link[1:] in ids for link in links)


@pytest.mark.parametrize("name", REPORTS)
def test_asks_for_nothing(name):
    text = to_html(REPORTS[name])
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    for tag, attrs in Page(text).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base", "form")
        assert not any(key.startswith("on") or key in ("src", "srcset") for key in attrs)


@pytest.mark.parametrize("name", REPORTS)
def test_figures_speak(name):
    """Every drawing that is not inside another says what it shows, or is hidden as decoration."""
    depth = 0
    page = HTMLParser()
    silent = []

    def start(tag, attrs):
        nonlocal depth
        told = {key for key, value in attrs if value}
        if tag == "svg":
            if not depth and not ({"role", "aria-label"} <= told or "aria-hidden" in told):
                silent.append(attrs)
            depth += 1

    def end(tag):
        nonlocal depth
        depth -= tag == "svg"

    page.handle_starttag, page.handle_endtag = start, end
    page.feed(to_html(REPORTS[name]))
    assert silent == [] and depth == 0


def test_tables_have_captions_and_headers():
    page = Page(to_html(samples.full()))
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption") > 10
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in page.tags if tag == "th")


def test_hostile_text_stays_text():
    page = Page(to_html(REPORTS["hostile"]))
    assert "<script>alert(1)</script>" in page.text
    assert "\x00" not in page.text and "\x1b" not in page.text
    assert "script" not in [tag for tag, _ in page.tags]


def test_only_markup_is_trusted():
    assert element("p", {"title": '"<&'}, "<b>", element("b", None, "a&b")) == (
        '<p title="&quot;&lt;&amp;">&lt;b&gt;<b>a&amp;b</b></p>'
    )


def test_says_all_it_knows():
    report = samples.full()
    text = Page(to_html(report)).text
    row = report.rows[0]
    for line in row.bill:
        assert line.action in text
    for piece in (
        row.sources["davies2018"],
        "published",
        "assumed",
        "no published figure",
        "8.05 µJ",
        "10.1 µJ",
        report.command,
        row.digests["machine"],
        "0.68.1",
        *report.simulated,
        *report.not_simulated,
        "hidden2",
        "21.9 KiB / 128 KiB",
    ):
        assert piece in text


def test_stacked_bars_fill_the_whole():
    """The slices of a breakdown sum to 100 %."""
    report = samples.full()
    page = Page(to_html(report))
    inside, widths = False, []
    for tag, attrs in page.tags:
        if tag == "svg" and "aria-label" in attrs:
            inside = attrs["aria-label"].startswith(
                "Energy of digits_spiking on loihi1, 8 bits by component"
            )
        elif inside and tag == "rect" and "gap" in attrs["class"]:
            widths.append(float(attrs["width"].rstrip("%")))
        inside = inside and "aria-hidden" not in attrs
    assert len(widths) > 4
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert "all other actions" in page.text


def test_many_cores_are_summed_up():
    uses = tuple(
        Use(component=f"core{k}", resource="neurons", used=k, limit=1024) for k in range(128)
    )
    text = Page(to_html(one(uses=uses))).text
    assert "core127" in text and "core5 " not in text
    assert "104 more, none of them filled above 10.1 %" in text


def test_same_bytes_every_time(tmp_path):
    save_html(samples.full(), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == to_html(samples.full())
    with pytest.raises(UsageError, match="PJ801"):
        save_html(samples.full(), tmp_path / "none" / "a.html")


def test_size_stays_reasonable():
    assert len(to_html(samples.full())) < 300_000
