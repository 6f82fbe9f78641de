"""Every page in a real browser, at two widths, in light and dark: axe-core's rules, and what is too wide or broken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from queue import Queue
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.collector.browser import serving, showing

WIDTHS = (1280, 390)
PATIENCE = 120.0  # seconds for all pages together
INSPECT = "/inspect-in-the-browser"
# a page that is bad in every way, by which tests see that the inspection finds it
BAD = INSPECT + "/bad"
BAD_PAGE = b"""<!doctype html><html lang=en><title>Bad</title>
<style>p { color: #aaa; width: 3em; overflow-wrap: anywhere } em { display: block; width: 3em } div { width: 2000px }
@media (prefers-color-scheme: dark) { p { color: #333; background: #222 } }</style>
<main><h1>Bad</h1><p>inconsiderately</p><em>2027-01-31</em><div>wide</div><input></main></html>"""
# WCAG 2.1, levels A and AA, and what axe-core advises beyond
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")
SCRIPT = """
inspect().catch(error => String(error.stack || error)).then(body => fetch(INSPECT + "/found", {method: "POST", body}));

async function inspect() {
const axe_source = await (await fetch(INSPECT + "/axe.js")).text();
const found = [];
for (const width of WIDTHS) {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900; frame.style.border = 0;
  document.body.append(frame);
  for (const path of PATHS) {
    await new Promise(done => { frame.onload = done; frame.src = path; });
    const page = frame.contentDocument, view = frame.contentWindow;
    if (!page.styleSheets.length) throw new Error(path + " has no style sheet: " + page.body.textContent.slice(0, 500));
    view.eval(axe_source);
    for (const theme of ["light", "dark"]) {
      if (theme == "dark")
        for (const rule of page.styleSheets[0].cssRules)
          if (rule.media && rule.media.mediaText.includes("color-scheme")) rule.media.mediaText = "all";
      // what the dark theme changes are colours alone
      const rules = theme == "dark" ? {type: "rule", values: ["color-contrast"]} : {type: "tag", values: TAGS};
      const result = await view.axe.run({runOnly: rules, resultTypes: ["violations"]});
      found.push({path, width, theme, wide: page.documentElement.scrollWidth, broken: theme == "light" ? broken(page, view) : [],
                  violations: result.violations.map(one => one.id + ": " + one.nodes.map(node => node.html).slice(0, 3).join(" | "))});
    }
  }
  frame.remove();
}
return JSON.stringify(found);
}

// words, and days, which are words with hyphens
function broken(page, view) {
  const walk = page.createTreeWalker(page.body, view.NodeFilter.SHOW_TEXT), words = [];
  while (walk.nextNode())
    for (const word of walk.currentNode.data.matchAll(/\\d{4}-\\d\\d-\\d\\d|\\w+/g)) {
      if (word[0].length > LONGEST) continue;
      const range = page.createRange();
      range.setStart(walk.currentNode, word.index);
      range.setEnd(walk.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1) words.push(word[0]);
    }
  return words;
}
"""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A page as it was shown: how wide it came out, the words that were broken, and the rules that it breaks."""

    path: str
    width: int
    theme: str
    wide: int
    broken: tuple[str, ...]
    violations: tuple[str, ...]


def inspect(program: str, application: WSGIApplication, paths: Sequence[str], profile: Path) -> list[Inspected]:
    """What a browser finds on the pages of an application, each at both widths and in both themes."""
    told: Queue[bytes] = Queue()
    with serving(_with_inspection(application, paths, told)) as url, showing(program, url + INSPECT, profile):
        text = told.get(timeout=PATIENCE)
    assert text.startswith(b"["), text.decode()
    found: list[dict[str, Any]] = json.loads(text)
    return [
        Inspected(**(one | {"broken": tuple(one["broken"]), "violations": tuple(one["violations"])})) for one in found
    ]


def _with_inspection(application: WSGIApplication, paths: Sequence[str], told: Queue[bytes]) -> WSGIApplication:
    """The application without its policy on scripts, which would keep axe-core out, and beside it a page that inspects."""
    names = {"INSPECT": INSPECT, "WIDTHS": WIDTHS, "PATHS": paths, "TAGS": TAGS, "LONGEST": 22}
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in names.items())
    inspecting = constants.replace("<", "\\u003c") + SCRIPT
    page = f'<!doctype html><script type="module">{inspecting}</script>'.encode()
    axe = files("axe_core_python").joinpath("axe.min.js").read_bytes()

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        own = {
            BAD: ("text/html", BAD_PAGE),
            INSPECT: ("text/html", page),
            f"{INSPECT}/axe.js": ("text/javascript", axe),
        }
        if environ["PATH_INFO"] in own:
            kind, body = own[environ["PATH_INFO"]]
            start_response("200 OK", [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))])
            return [body]

        if environ["PATH_INFO"] == f"{INSPECT}/found":
            told.put(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            start_response("204 No Content", [])
            return []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [one for one in headers if one[0] != "Content-Security-Policy"], *more)

        return application(environ, start)

    return wrapped
