"""The pages in a real browser: clicks, filters, keyboard, deep links, hostile content, many episodes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser
from viewer_support import episode, make_run, quickstart_run, training_run, verdict

from swe_srl.files import write_jsonl
from swe_srl.runs import RunFolder
from swe_srl.types import Action, FormatError, Turn
from swe_srl.viewer import ViewSettings, write_view

pytestmark = pytest.mark.browser

HOSTILE = (
    '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1"> javascript:window.hacked=1 '
    "\u2028\u202e\x00\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J \ud800 &lt;b&gt; {{constructor}}"
)
MANY = 500


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as made:
        yield made


@pytest.fixture(autouse=True)
def without_problems(browser: Browser) -> Iterator[None]:
    """No test may leave an error in the console, run foreign code, or ask for anything but files of the disk."""
    browser.problems.clear()
    browser.requests.clear()
    yield
    assert browser.problems == []
    assert browser.js("window.hacked") is None
    assert [url for url in browser.requests if not url.startswith(("file:", "about:", "data:"))] == []


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of two evaluations and a training run."""
    folder = tmp_path_factory.mktemp("view")
    before = make_run(
        folder / "before",
        [
            (episode(task, ["ls"], repo="quickstart/access"), 0)
            for task in ("quickstart__access-1", "quickstart__access-2")
        ],
        [(verdict("quickstart__access-1", False), 0), (verdict("quickstart__access-2", True), 0)],
    )
    after = quickstart_run(folder / "after")
    runs = (str(before), str(after), str(training_run(folder / "train")))
    return write_view(ViewSettings(runs, folder / "pages"))


def rows(browser: Browser) -> list[str]:
    """Names of the episodes that the list shows."""
    names = "[...document.querySelectorAll('.episodes li:not([hidden]) .name')].map((one) => one.textContent)"
    return [name.replace("quickstart__", "") for name in browser.js(names)]


def place(browser: Browser) -> str:
    return str(browser.js("decodeURIComponent(location.hash)"))


def test_from_the_runs_to_a_turn_by_clicks(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.count(".card") == 3 and browser.count(".pairs li") == 1
    browser.click(".cards > a:nth-child(2)")
    assert place(browser) == "#after" and browser.text("h1") == "after not finished"
    assert rows(browser) == [f"access-{number}#{sample}" for number in (1, 2, 3) for sample in (0, 1)]
    browser.click(".episodes li:nth-child(3) a")
    assert place(browser) == "#after/quickstart__access-2/0"
    assert browser.count(".turn") == 5 and browser.text(".turn:first-child .own .command") == "ls -la"
    assert "No command ran: two commands" in browser.text('.turn[data-turn="1"]')
    assert browser.text('.turn[data-turn="3"] .mark.failed') == "exit code 1"
    assert 'grep -rn "def may_edit("' in browser.text(".turn:first-child .expert .command")
    browser.click(".turn:first-child .score summary")
    assert "matched" in browser.text(".turn:first-child .score .facts")
    browser.click(".map .square:nth-child(4)")
    assert place(browser) == "#after/quickstart__access-2/0/3" and browser.count('.turn.selected[data-turn="3"]') == 1
    browser.click(".steps a:last-child")
    assert place(browser) == "#after/quickstart__access-2/1"
    browser.click("#crumbs a:nth-of-type(2)")
    assert place(browser) == "#after"


def test_deep_links_open_a_turn(browser: Browser, page: Path) -> None:
    browser.open(page, "#after/quickstart__access-1/1/3")
    browser.settle()
    assert browser.count('.turn.selected[data-turn="3"]') == 1
    assert -5 < browser.js("document.querySelector('.turn.selected').getBoundingClientRect().top") < 200
    browser.open(page, "#after/quickstart__access-99/0")
    assert browser.text("h1") == "Not here"
    browser.open(page, "#%E0%A4%A/")
    assert browser.text("h1") == "Not here"


def test_patch_and_tests(browser: Browser, page: Path) -> None:
    browser.open(page, "#after/quickstart__access-1/1")
    browser.settle()
    assert browser.text(".patch > .diff .removed code") == "    return a - b"
    assert browser.text(".patch > .diff .added mark") == "+"
    assert browser.js(
        "[...document.querySelectorAll('.patch > .diff .number')].map((one) => one.textContent).join(',')"
    ) == (",,1,1,2,,,2")
    assert browser.text(".rules").replace("\n", " ") == "official not resolved hardened not resolved unresolved"
    assert browser.text(".tests.bad li") == "test_sum"
    browser.go("#after/quickstart__access-1/0")
    assert browser.count(".summary .differ") == 1 and "odd" in browser.text(".verdict")


def test_filters_and_search(browser: Browser, page: Path) -> None:
    browser.open(page, "#after")
    browser.choose('[data-filter="verdict"]', "resolved")
    assert rows(browser) == ["access-1#0", "access-2#1", "access-3#0"] and browser.text(".counted") == "3 of 6 episodes"
    browser.choose('[data-filter="verdict"]', "not resolved")
    browser.choose('[data-filter="stop"]', "turn_limit")
    assert rows(browser) == ["access-1#1", "access-3#1"]
    browser.choose('[data-filter="verdict"]', "")
    browser.choose('[data-filter="stop"]', "")
    assert browser.text(".panels .repos:last-child").split("\n") == ["Difficulty", "hard", "2 of 4", "medium", "1 of 2"]
    browser.click(".panels .repos:last-child li:nth-child(2) button")
    assert rows(browser) == ["access-3#0", "access-3#1"]
    browser.choose('[data-filter="difficulty"]', "")
    browser.click('[data-filter="differ"]')
    assert rows(browser) == ["access-1#0"]
    browser.click('[data-filter="differ"]')
    browser.key("/")
    browser.type("MAY_edit")
    assert rows(browser) == ["access-2#0", "access-2#1"]
    browser.js("document.getElementById('search').value = ''")
    browser.type("unittest access-3")
    browser.wait("document.querySelectorAll('.episodes li:not([hidden])').length === 2")
    assert rows(browser) == ["access-3#0", "access-3#1"], "commands are searched too"
    browser.click(".episodes li:nth-child(5) a")
    assert browser.text(".side .counted") == "2 of 6 episodes"
    browser.key("n")
    browser.key("n")
    assert place(browser) == "#after/quickstart__access-3/1", "the way goes through what the filters let through"
    browser.key("/")
    browser.wait("document.activeElement.id === 'search'")
    browser.type("nothing has this")
    assert rows(browser) == [] and "No episode passes" in browser.text(".all")
    browser.click(".all .nothing button")
    assert len(rows(browser)) == 6
    browser.click(".panel:nth-child(1) li:nth-child(1) button")
    assert len(rows(browser)) == 3


def test_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page, "#after")
    for key in ("j", "j", "k", "j"):
        browser.key(key)
    browser.js("document.activeElement.click()")
    browser.settle()
    assert place(browser) == "#after/quickstart__access-1/1"
    for key, expected in (("j", "/0"), ("j", "/1"), ("j", "/2"), ("k", "/1")):
        browser.key(key)
        assert place(browser) == f"#after/quickstart__access-1/1{expected}"
    browser.key("n")
    assert place(browser) == "#after/quickstart__access-2/0"
    browser.key("p")
    assert place(browser) == "#after/quickstart__access-1/1"
    browser.key("e")
    assert browser.count(".expert") == 0
    browser.key("e")
    assert browser.count(".expert") == 5
    browser.key("?")
    assert browser.js("document.getElementById('keys').open") is True and browser.count("kbd") > 5
    browser.key("n")
    assert place(browser) == "#after/quickstart__access-1/1"
    browser.key("?")
    assert browser.js("document.getElementById('keys').open") is False
    browser.key("/")
    browser.wait("document.activeElement.id === 'search'")
    browser.type("jn?")
    assert place(browser) == "#after" and browser.js("document.getElementById('search').value") == "jn?"
    browser.key("Escape")
    browser.key("u")
    assert browser.count(".card") == 3


def test_training(browser: Browser, page: Path) -> None:
    browser.open(page, "#train")
    browser.settle()
    assert "reward_mean" in browser.text("main") and browser.count(".plots .chart") == 3
    loss = '.chart[aria-label^="loss"]'
    assert browser.js(f"document.querySelector('{loss}').getAttribute('aria-label')") == "loss: 1 at first, 0.1 at last"
    assert browser.count(f"{loss} .stage") == 1 and browser.count(f"{loss} .chosen") == 1
    box = browser.js(
        f"(() => {{ const b = document.querySelector('{loss}').getBoundingClientRect(); return [b.x, b.y, b.width]; }})()"
    )
    browser.js(f"document.querySelector('{loss}').scrollIntoView({{block: 'center'}})")
    box = browser.js(
        f"(() => {{ const b = document.querySelector('{loss}').getBoundingClientRect(); return [b.x, b.y, b.width]; }})()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] * 0.52, y=box[1] + 50)
    browser.wait(f"document.querySelector('{loss}').parentNode.innerText.includes('at update 3')")
    assert browser.text(".target .command") == "ls"
    assert browser.count(".completion") == 2 and "× 2" in browser.text(".completion")
    assert "<img src=x onerror=hacked=1>" in browser.text(".completion.malformed .command")


def test_comparison(browser: Browser, page: Path) -> None:
    browser.open(page, "#compare/before/after")
    assert "over 2 tasks" in browser.text(".verdictline")
    kinds = "[...document.querySelectorAll('.changes li:not([hidden])')].map((one) => one.dataset.kind).join()"
    assert browser.js(kinds) == "lost,gained"
    browser.click('[data-kind="only"]')
    assert browser.js(kinds) == "lost,gained,only"
    browser.click(".changes li:nth-child(2) a")
    assert place(browser) == "#compare/before/after/quickstart__access-1"
    assert browser.count(".beside") == 2 and browser.text(".beside:nth-child(1) .turn .own .command") == "ls"
    browser.click(".beside:nth-child(2) .tab:nth-child(2)")
    assert browser.text(".beside:nth-child(2) .summary .mark") == "unresolved"


def test_runs_that_read_other_tasks_are_compared_with_a_warning(browser: Browser, page: Path, tmp_path: Path) -> None:
    warning = "The runs did not read their tasks from the same place and contents"
    browser.open(page, "#compare/before/after")
    assert "over 2 tasks" in browser.text("main") and warning not in browser.text("main")
    pairs = [[(episode("shop__cart-1"), 0)], [(verdict("shop__cart-1"), 0)]]
    runs = [make_run(tmp_path / name, *pairs, tasks=f"{name}.jsonl") for name in ("a", "b")]
    browser.open(write_view(ViewSettings(tuple(map(str, runs)), tmp_path / "pages")), "#compare/b/a")
    assert warning in browser.text(".warning")


def test_figures_of_the_report(browser: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(episode("shop__cart-1"), 0)], [(verdict("shop__cart-1"), 0)], tasks="gone.jsonl")
    report = {"behaviour": {"edits": 4, "verified": 3}, "per_episode": {"cost": 0.0123}, "pass_at_k": {"1": 1.0}}
    for content, told in ((report, True), ({"per_episode": {"cost": "x"}, "behaviour": {"edits": 0}}, False)):
        (run / "report.json").write_text(json.dumps(content))
        browser.open(write_view(ViewSettings((str(run),), tmp_path / "pages")), "#run")
        shown = browser.text(".figures")
        assert ("edits verified by a run\n75%" in shown) == told and ("cost per episode\n0.0123" in shown) == told
        assert ("edits verified" in shown, "cost" in shown) == (told, told) and "turns per episode\n5" in shown


def test_predictions_show_nothing_that_is_not_known(browser: Browser, tmp_path: Path) -> None:
    made = make_run(
        tmp_path / "made",
        [(replace(episode("shop__cart-1", ()), stop_reason=None), 0)],
        [(verdict("shop__cart-1"), 0)],
    )
    with RunFolder.start(tmp_path / "graded", "grade", {"sandbox": "auto", "timeout": 1.0, "hardened": True}):
        pass
    for name in ("episodes.jsonl", "verdicts.jsonl"):
        shutil.copy(made / name, tmp_path / "graded" / name)
    browser.open(write_view(ViewSettings((str(tmp_path / "graded"),), tmp_path / "pages")), "#graded")
    shown = browser.text("main")
    assert "100.0%" in shown and "shop__cart-1" in shown
    for nothing in ("turns per episode", "time per episode", "How episodes ended", "0 turns", "0 s"):
        assert nothing not in shown, nothing
    browser.click(".episodes a")
    shown = browser.text("main")
    assert "A prediction: nothing is known of how its patch was made." in shown and "cart.py" in shown
    assert "0 turns" not in shown and "The episode ended" not in shown


def test_marks_of_a_narrow_range_can_be_told_apart(browser: Browser, page: Path) -> None:
    browser.open(page)
    for points in ("[[0, 1], [1, 1.00002]]", "[[0, 0], [1, 4]]"):
        drawn = f"[...chart('x', {points}, 1).querySelectorAll('.tick[text-anchor=end]')].map((one) => one.textContent)"
        marks = browser.js(drawn)
        assert len(marks) >= 3 and len(set(marks)) == len(marks), marks
    assert marks == ["0", "2", "4"]


def test_theme(browser: Browser, page: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.scheme("light")
    browser.open(page)
    light = browser.js(paper)
    browser.scheme("dark")
    dark = browser.js(paper)
    assert dark != light
    browser.click("#theme")
    assert browser.js(paper) == light
    browser.open(page)
    assert browser.js(paper) == light, "the choice lasts"
    browser.key("t")
    browser.scheme("light")
    assert browser.js(paper) == dark
    browser.key("t")
    assert browser.js(paper) == light


def test_phone(browser: Browser, page: Path) -> None:
    browser.size(390, 844, mobile=True)
    try:
        browser.open(page)
        for where in ("", "#after", "#after/quickstart__access-1/0", "#train", "#compare/before/after"):
            browser.go(where)
            assert browser.js("document.documentElement.scrollWidth") == 390, where
    finally:
        browser.size(1280, 900)


def test_hostile_content_stays_text(browser: Browser, tmp_path: Path) -> None:
    name = f"shop__{HOSTILE}".replace("\x00", "").replace("\ud800", "")
    turns = (
        Turn(Action(HOSTILE, HOSTILE), HOSTILE, 0, target=f"{HOSTILE} other"),
        Turn(FormatError(HOSTILE, HOSTILE), HOSTILE),
    )
    patch = f"diff --git a/x b/{name}\n--- a/x\n+++ b/{name}\n@@ -1 +1 @@ {HOSTILE}\n--- a/{HOSTILE}\n+++ b/{HOSTILE}\n"
    made = replace(
        episode(name), turns=turns, problem_statement=HOSTILE, repo=HOSTILE, patch=patch.replace("\u2028", "")
    )
    judged = verdict(name, False, reason=HOSTILE, flags=(HOSTILE,), fail_to_pass_failed=(HOSTILE,))
    run = make_run(tmp_path / "<b>&run", [(made, 0)], [(judged, 0)], tasks="gone.jsonl", policy=HOSTILE)
    write_jsonl(run / "failures.jsonl", [{"task_id": HOSTILE, "sample": 0, "stage": HOSTILE, "reason": HOSTILE}])
    page = write_view(ViewSettings((str(run), str(training_run(tmp_path / "train"))), tmp_path / "pages"))
    browser.open(page)
    browser.click(".card")
    assert "</script><script>" in browser.text("main")
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.click(".episodes a")
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.settle()
    shown = browser.text(".turn .own .command")
    for part in (
        '<img src=x onerror="window.hacked=1">',
        "\u2039U+2028\u203a",
        "\u2039U+202E\u203a",
        "\u2400",
        "&lt;b&gt;",
    ):
        assert part in shown, part
    assert "\u241b]0;title\u2407" in shown and "\u241b[2J" in shown and "[31m" not in shown
    assert browser.text(".turn .own .command .fg1") == "red"
    assert browser.js("document.querySelectorAll('main img, main script, main b b, main iframe').length") == 0
    assert browser.text(".diff .removed").endswith(shown[-10:]) and browser.count(".diff .added") == 1
    browser.open(page, browser.js("location.hash"))
    browser.settle()
    assert browser.count(".turn") == 2, "the address of a hostile name leads back to it"
    browser.go("#train")
    browser.settle()


def test_terminal_colours(browser: Browser, page: Path) -> None:
    browser.open(page)
    styles = browser.js(
        r"""(() => { const box = document.createElement("div");
        box.append(terminal("a\x1b[1;31mb\x1b[39mc\x1b[0md\x1b[38;5;196me\x1b[48;2;1;2;3mf\x1b[mg\r\nh\rj\x1b[7mk"));
        const css = (one) => (one.style ? one.style.cssText : "");
        return [...box.childNodes].map((one) => [one.textContent, one.className || "", css(one)]); })()"""
    )
    assert styles == [
        ["a", "", ""],
        ["b", "bold fg1", ""],
        ["c", "bold", ""],
        ["d", "", ""],
        ["e", "", "color: rgb(255, 0, 0);"],
        ["f", "", "color: rgb(255, 0, 0); background-color: rgb(1, 2, 3);"],
        ["g", "", ""],
        ["\n", "", ""],
        ["h", "", ""],
        ["\u240d\n", "control", ""],
        ["j", "", ""],
        ["k", "inverse", ""],
    ]


def test_long_outputs_are_folded(browser: Browser, tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(20_000))
    wide = "x" * 300_000
    made = replace(episode("shop__cart-1"), turns=(Turn(Action("a"), lines, 0), Turn(Action("b"), wide, 0)))
    run = make_run(tmp_path / "run", [(made, 0)], tasks="gone.jsonl")
    browser.open(write_view(ViewSettings((str(run),), tmp_path / "pages")), "#run/shop__cart-1/0")
    browser.settle()
    assert browser.js("document.querySelector('main').textContent.length") < 20_000
    assert browser.text(".output .more") == "show 19,977 lines more"
    assert "line 0\n" in browser.text(".output") and "line 19999" in browser.text(".output")
    browser.click(".output .more")
    assert browser.js("document.querySelector('.output').textContent") == lines


def test_many_episodes(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    names = [f"shop__cart-{number}" for number in range(MANY)]
    episodes = [(episode(name, ["ls"] * 12, "an output\n" * 20), 0) for name in names]
    verdicts = [(verdict(name, number % 3 == 0), 0) for number, name in enumerate(names)]
    run = make_run(tmp_path / "run", episodes, verdicts, tasks="gone.jsonl")
    page = write_view(ViewSettings((str(run),), tmp_path / "pages"))
    browser.open(page, "#run")
    assert browser.count(".episodes li") == MANY
    assert len([url for url in browser.requests if "/data/" in url]) == 1, "episodes are loaded when they are asked for"
    for what, script in (
        ("list", "location.hash = '#'; route(); location.hash = '#run'; route()"),
        ("filter", "document.querySelector('[data-filter=verdict]').value = 'resolved'; "
         "document.querySelector('[data-filter=verdict]').dispatchEvent(new Event('change'))"),
        ("episode", "location.hash = '#run/shop__cart-300/0'; route()"),
    ):  # fmt: skip
        work = f"const from = performance.now(); {script}; document.body.offsetHeight; return performance.now() - from;"
        timed = f"(() => {{ {work} }})()"
        request.node.user_properties.append((f"{what}_ms", round(browser.js(timed))))
    browser.settle()
    assert browser.count(".turn") == 12 and browser.text(".side .counted") == f"167 of {MANY} episodes"
    browser.key("n")
    assert place(browser) == "#run/shop__cart-303/0"
    assert len([url for url in browser.requests if "/data/run0/" in url]) <= 3
