"""The page in Chromium: every control, by mouse and by keyboard; on a phone; in print; without scripts.

The fixture `page` fails each of these on any console message, and on any request to a network.
"""

from pathlib import Path

import pytest

from retseg.report.marks import Mark, read_marks
from tests.browser import PHONE
from tests.report.drawn_run import SCANS, draw_run

pytestmark = pytest.mark.browser
SHOWN = "[...document.querySelectorAll('{} .plane')].filter(p => !p.hidden).map(p => p.dataset.kind + p.dataset.layer)"
FIRST = "#scans article:first-of-type .panel:first-of-type"


@pytest.fixture(scope="module")
def one(page_of, full_run, tmp_path_factory):
    """Address of the page of one run."""
    return written(tmp_path_factory, page_of(full_run))


@pytest.fixture(scope="module")
def two(page_of, full_run, tmp_path_factory):
    """Address of the page of two runs, the second without second labels; some scans are marked."""
    other = draw_run(tmp_path_factory.mktemp("runs") / "other & <b>", label_origin="silver", has_second=False)
    marks = [Mark("full", SCANS[3], "check", "BM too deep"), Mark("full", SCANS[1], "pass", "is not shown")]
    return written(tmp_path_factory, page_of(full_run, other, marks=marks))


def written(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def shown(page, within=FIRST):
    """Kind and layer of the planes that are seen in a panel."""
    return page.evaluate(SHOWN.format(within))


def layers(kind, extra=""):
    return [
        *(f"{kind}{number}" for number in range(1, 8)),
        f"{kind}every",
        *([f"{kind}{extra}"] if extra is not None else []),
    ]


def press(page, name, value):
    page.locator(f"#toolbar label:has(input[name={name}][value='{value}'])").click()


def test_each_kind_and_layer_is_switched_by_mouse(page, one):
    page.goto(one)
    assert shown(page) == layers("prediction", None)
    press(page, "kind", "truth")
    assert sorted(shown(page)) == sorted(layers("truth"))
    press(page, "layer", 3)
    assert shown(page) == ["truth3", "truth"]
    assert page.inner_text("#legend") == "INL alone; hatched: not annotated."
    assert page.locator(f"{FIRST} .layer-scores li.off").count() == 6
    press(page, "kind", "difference")
    assert shown(page) == ["difference3", "difference"]
    assert page.inner_text("#legend").startswith("INL: blue, missed (truth only); orange, too much (prediction only)")
    press(page, "layer", "every")
    assert shown(page) == ["differenceevery", "difference"]
    assert page.locator(f"{FIRST} .stack").get_attribute("aria-label") == f"{SCANS[3]} with difference, all"
    press(page, "kind", "second")
    assert shown(page) == layers("second", None)
    press(page, "kind", "none")
    assert shown(page) == []
    assert page.inner_text("#legend") == "The scan alone."


def test_the_slider_sets_the_opacity_of_layers(page, one):
    page.goto(one)
    plane = page.locator(f"{FIRST} .plane").first

    def opacity():
        return float(plane.evaluate("p => getComputedStyle(p).opacity"))

    assert opacity() == pytest.approx(0.45)
    page.locator("#opacity").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert opacity() == pytest.approx(0.6)
    assert page.inner_text("#toolbar output") == "60 %"
    page.locator("#opacity").fill("0")
    assert opacity() == 0


def test_keys_work_on_a_scan_and_nowhere_else(page, one):
    page.goto(one)
    page.keyboard.press("t")  # no scan has the focus
    assert shown(page) == layers("prediction", None)
    articles = page.locator("article.scan")
    articles.first.focus()
    for key, first in (("t", "truth1"), ("g", "second1"), ("d", "differenceevery"), ("p", "prediction1")):
        page.keyboard.press(key)
        assert shown(page)[0] == first
    page.keyboard.press("5")
    assert shown(page) == ["prediction5"]
    page.keyboard.press("0")
    assert len(shown(page)) == 8
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("-")
    assert page.inner_text("#toolbar output") == "50 %"
    page.keyboard.press("s")
    assert shown(page) == []
    page.keyboard.press("j")
    assert articles.nth(1).evaluate("a => a === document.activeElement")
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert articles.first.evaluate("a => a === document.activeElement")
    page.locator(f"{FIRST} .comment").click()
    page.keyboard.type("prt y")
    assert shown(page) == []
    assert page.locator(f"{FIRST} .comment").input_value() == "prt y"
    assert page.locator(f"{FIRST} .mark input:checked").get_attribute("value") == ""


def test_everything_is_reached_by_tab(page, one):
    page.goto(one)
    seen = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "(document.activeElement.id || document.activeElement.name || document.activeElement.tagName)"
            )
        )
    assert {"A", "SUMMARY", "ARTICLE", "kind", "layer", "opacity", "slab", "heat-class", "export"} <= seen
    assert f"mark A {SCANS[3]}" in seen


def test_section_links_lead_to_their_sections(page, one):
    page.goto(one)
    for link in page.locator("nav a").all():
        link.click()
        top = page.locator(f"{link.get_attribute('href')} h2").evaluate("h => h.getBoundingClientRect().top")
        assert 30 < top < 900, link.get_attribute("href")


def test_maps_of_thickness_and_heat_are_switched(page, one):
    page.goto(one)
    assert page.locator(".slab:visible h3").all_inner_texts()[0].startswith("total retina")
    page.select_option("#slab", "3")
    assert page.locator(".slab:visible h3").all_inner_texts() == ["INL"]
    assert page.locator(".heat figure:visible").count() == 2
    page.select_option("#heat-class", "background")
    assert "no heat at all" in page.locator(".heat figure:visible").nth(1).inner_text()
    sizes = page.evaluate("[...document.images].filter(i => !i.naturalWidth).length")
    assert sizes == 0  # every picture inside the page can be decoded


def test_marks_are_exported_and_read_back(page, two, tmp_path):
    page.goto(two)
    assert page.inner_text("#counts") == "2 marks: 1 pass, 1 check, 0 fail."
    panel = page.locator("article.scan").nth(1).locator(".panel").nth(1)
    panel.locator("label:has(input[value=fail])").click()
    panel.locator(".comment").fill('=HYPERLINK("x"), two;\'s')
    page.locator("article.scan").nth(2).focus()
    page.keyboard.press("y")
    page.locator("article.scan").first.focus()
    page.keyboard.press("x")  # the verdict goes, the comment stays
    assert page.inner_text("#counts") == "4 marks: 2 pass, 0 check, 1 fail."
    assert page.inner_text("#saved") == "Not exported yet."
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == "marks.csv"
    path = Path(tmp_path / "marks.csv")
    download.value.save_as(path)
    assert page.inner_text("#saved") == "Exported 4 marks to marks.csv."
    assert read_marks(path, dict.fromkeys(("full", "other & <b>"), SCANS)) == [
        Mark("full", SCANS[3], "", "BM too deep"),
        Mark("full", SCANS[1], "pass", "is not shown"),
        Mark("other & <b>", SCANS[2], "fail", '=HYPERLINK("x"), two;\'s'),
        Mark("full", SCANS[0], "pass", ""),
    ]
    assert "'=HYPERLINK" in path.read_text("utf-8")


def test_leaving_with_marks_that_are_not_exported_asks_first(page, one):
    page.goto(one)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.locator(f"{FIRST} label:has(input[value=pass])").click()
    page.goto("about:blank")
    assert asked == ["beforeunload"]


def test_two_runs_stand_side_by_side_and_what_one_lacks_is_said(page, two):
    page.goto(two)
    left, right = (page.locator("article.scan").first.locator(".panel").nth(place).bounding_box() for place in (0, 1))
    assert left["y"] == right["y"]
    assert right["x"] > left["x"] + left["width"]
    press(page, "kind", "second")
    assert page.locator("article.scan").first.locator(".stack").nth(1).get_attribute("aria-label").endswith("not there")


@pytest.mark.parametrize("which", ["one", "two"])
def test_a_phone_scrolls_downwards_only(page, which, request):
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(request.getfixturevalue(which))
    for details in page.locator("main details").all():
        details.evaluate("d => { d.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    stack = page.locator(f"{FIRST} .stack").bounding_box()
    assert stack["width"] > 0.85 * PHONE[0]
    page.locator("article.scan").first.scroll_into_view_if_needed()
    assert page.locator("#toolbar").bounding_box()["height"] < 0.3 * PHONE[1]


def test_print_hides_what_cannot_be_used_and_shows_marks_and_all_tables(page, two):
    page.goto(two)
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for control in ("nav", "#toolbar", "#export", ".mark", "select", "summary", ".skip"):
        assert page.locator(f"{control}:visible").count() == 0, control
    assert page.locator(".mark-said:visible").first.inner_text() == "? check BM too deep"
    assert page.locator("main details:not([open])").count() == 0
    assert page.locator(f"{FIRST} .stack").is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_without_scripts_predictions_and_notices_are_there(browser, two):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(two)
    assert "Labels are silver" in page.inner_text(".notices")
    assert page.locator(f"{FIRST} .plane[data-kind=prediction]:visible").count() == 8
    assert page.locator(f"{FIRST} .plane[data-kind=truth]:visible").count() == 0
    assert "Scripts are off" in page.inner_text("#scans noscript, #scans")
    context.close()
