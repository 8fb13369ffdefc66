"""The report of the tiny study, opened in a real browser: everything in it, nothing from outside.

Needs Chromium and its driver (Debian: apt-get install chromium chromium-driver); skips without.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from overopt.report.summary import VERDICTS
from workflow_example import snakemake

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
WAIT_SECONDS = 60  # a busy machine

T = TypeVar("T")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="needs a browser: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def report(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One HTML file, made where no address can be reached."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
        snakemake(finished_study, "--report", str(path))
    return path


@pytest.fixture(scope="module")
def open_browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    arguments += ["--window-size=1600,1200", "--host-resolver-rules=MAP * ~NOTFOUND"]
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(open_browser: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    """The report, just opened."""
    open_browser.get(report.as_uri())
    until(open_browser, menu)
    return open_browser


def until(browser: webdriver.Chrome, condition: Callable[[webdriver.Chrome], T]) -> T:
    """What the condition gives as soon as it gives something; drawing may be under way."""
    ignored = [StaleElementReferenceException, NoSuchElementException]
    return WebDriverWait(browser, WAIT_SECONDS, ignored_exceptions=ignored).until(condition)


def menu(browser: webdriver.Chrome) -> list[str]:
    """Categories of results, in the order shown; empty until the report is there."""
    categories = browser.execute_script("return Object.keys(categories)")
    items = [item.text for item in browser.find_elements(By.CSS_SELECTOR, "#app li")]
    return [item for item in items if item in categories]


def folders(browser: webdriver.Chrome) -> list[tuple[str, str]]:
    """Every category with each of its subcategories."""
    categories = browser.execute_script("return categories")
    return [(name, sub) for name, inside in categories.items() for sub in inside]


def open_folder(browser: webdriver.Chrome, category: str, subcategory: str = "") -> list[str]:
    """Click a category, and a subcategory where there are several; the labels it lists."""
    browser.refresh()

    def labels(browser: webdriver.Chrome) -> list[str]:
        """Click the innermost name that the menu shows, until it shows results."""
        for name in (subcategory, category):
            link = f"//li/a[span[text()={json.dumps(name)}]]"
            if found := browser.find_elements(By.XPATH, link):
                # Not element.click(), which misses where the menu still moves.
                browser.execute_script("arguments[0].click()", found[0])
                break
        return [row.text for row in rows(browser)]

    return until(browser, labels)


def rows(browser: webdriver.Chrome) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, "#app table tbody tr")


def click_eye(browser: webdriver.Chrome, index: int) -> str:
    """Open the result in this row; the file name of one that is not shown but handed out."""
    eye = rows(browser)[index].find_element(By.CSS_SELECTOR, "td:last-child a")
    browser.execute_script("arguments[0].scrollIntoView()", eye)
    if name := eye.get_attribute("download"):
        assert str(eye.get_attribute("href")).startswith("data:")
        return name
    eye.click()
    return ""


def shown(browser: webdriver.Chrome) -> str:
    """File name of the result that is shown, once its picture is drawn; empty before."""
    return browser.execute_script("""
        const content = document.querySelector("#app iframe, #app .grow img");
        if (!content || content.tagName === "IMG" && !(content.naturalWidth > 100)) return "";
        return content.src.match(/filename=([^;]*);/)[1];
    """)


def open_page(browser: webdriver.Chrome, category: str, label: str) -> None:
    """Open one of the report's own pages and look inside it."""
    labels = open_folder(browser, category)
    index = next(index for index, text in enumerate(labels) if label in text)

    def page_is_open(browser: webdriver.Chrome) -> bool:
        click_eye(browser, index)
        return bool(shown(browser))

    until(browser, page_is_open)
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    until(browser, lambda driver: driver.find_element(By.TAG_NAME, "h1"))


def table(browser: webdriver.Chrome, name: str) -> list[list[str]]:
    """Texts of a table's body, as shown."""
    texts = "Array.from(row.cells, (cell) => cell.innerText.trim())"
    body = f"document.querySelector('table#{name}').tBodies[0].rows"
    return browser.execute_script(f"return Array.from({body}, (row) => {texts})")


def test_the_menu_reads_from_claims_to_tables(browser: webdriver.Chrome) -> None:
    names = menu(browser)
    assert names[:3] == ["Claims", "Coefficients", "Figures of section 1: overview"]
    assert names[-3:] == ["Methods", "Run", "Tables"]
    assert "study test" in browser.find_element(By.CSS_SELECTOR, "#app .prose").text


def test_every_claim_has_its_verdict_and_the_table_sorts(
    browser: webdriver.Chrome, finished_study: Path
) -> None:
    claims = pd.read_csv(finished_study / "results/test/claims.csv")
    open_page(browser, "Claims", "Every claim")
    rows = table(browser, "claims")
    assert [(row[0], row[2]) for row in rows] == claims[["id", "verdict"]].to_records(
        index=False
    ).tolist()
    assert {row[2] for row in rows} <= set(VERDICTS)
    browser.execute_script("document.querySelector('table#claims details').open = true")
    found = table(browser, "claims")[0][4]
    assert " ".join(claims["sentence"][0].split()) in " ".join(found.split())
    header = browser.find_elements(By.CSS_SELECTOR, "table#claims th")[2]
    header.click()
    assert [row[2] for row in table(browser, "claims")] == sorted(claims["verdict"])
    header.click()
    assert [row[2] for row in table(browser, "claims")] == sorted(claims["verdict"], reverse=True)


def test_coefficients_of_every_fit_are_there(
    browser: webdriver.Chrome, finished_study: Path
) -> None:
    fits = pd.read_csv(finished_study / "results/test/coefficients.csv")
    open_page(browser, "Coefficients", "Coefficients")
    for form, rows in fits.groupby("form"):
        assert len(table(browser, f"coefficients-{form}")) == len(rows)


def test_the_run_page_tells_the_study_and_its_cost(browser: webdriver.Chrome) -> None:
    open_page(browser, "Run", "Settings")
    facts = dict(table(browser, "facts"))
    assert facts["study"] == "test"
    assert facts["evaluation prompts"] == "16"
    assert "num_responses: 128" in browser.find_element(By.TAG_NAME, "pre").text
    assert {"PPO", "gold RM"} <= {row[0] for row in table(browser, "cost")}


def test_every_result_opens_and_every_figure_is_among_them(
    browser: webdriver.Chrome, finished_study: Path, tmp_path: Path
) -> None:
    """Click through all categories; a figure must show as a picture, a page as a document."""
    names = browser.execute_script("return Object.values(results).map((result) => result.name)")
    drawn = {path.stem for path in (finished_study / "results/test/figures").glob("figure_*.png")}
    assert drawn
    assert drawn <= {Path(name).stem for name in names}
    opened: list[str] = []
    for folder in folders(browser):
        for index in range(len(open_folder(browser, *folder))):

            def another_is_shown(browser: webdriver.Chrome, index: int = index) -> str:
                name = click_eye(browser, index) or shown(browser)
                return name if name not in opened else ""

            opened.append(until(browser, another_is_shown))
            browser.save_screenshot(str(tmp_path / f"{Path(opened[-1]).stem}.png"))
    assert sorted(opened) == sorted(names)


def test_every_result_has_a_caption(browser: webdriver.Chrome) -> None:
    captions = browser.execute_script(
        "return Object.entries(results).map(([path, result]) => [path, result.caption])"
    )
    assert [path for path, caption in captions if not caption] == []


def test_nothing_is_loaded_from_elsewhere(browser: webdriver.Chrome) -> None:
    open_page(browser, "Claims", "Every claim")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    addresses = [params["request"]["url"] for params in asked]
    assert addresses
    assert [a for a in addresses if not a.startswith(("file:", "data:", "blob:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
