"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const settings = JSON.parse(one("#settings").textContent);
  const formula = new RegExp(`^(?:${settings.formula})`, "u");
  const scans = one("#scans"), toolbar = one("#toolbar"), opacity = one("#opacity");

  // What lies over the scans.

  const chosen = (name) => one(`input[name=${name}]:checked`, toolbar);
  const words = (input) => input.nextElementSibling.textContent.trim();

  function isShown(plane, kind, layer) {
    const own = plane.dataset;
    if (own.kind !== kind) return false;
    return own.layer === "" || (layer === "every" ? own.whole === "1" : own.layer === layer);
  }

  function legend(kind, layer) {
    const name = words(chosen("layer"));
    if (kind === "none") return "The scan alone.";
    if (kind !== "difference") return layer === "every" ? "All layers in their colours; hatched: not annotated." : `${name} alone; hatched: not annotated.`;
    if (layer === "every") return "White: pixels whose class is wrong; hatched: not annotated, in no score.";
    return `${name}: blue, missed (truth only); orange, too much (prediction only); hatched: not annotated.`;
  }

  function show() {
    const kind = chosen("kind").value, layer = chosen("layer").value;
    for (const plane of all(".plane", scans)) plane.hidden = !isShown(plane, kind, layer);
    for (const item of all(".layer-scores li", scans)) item.classList.toggle("off", layer !== "every" && item.dataset.layer !== layer);
    for (const stack of all(".stack", scans)) {
      const lacks = kind !== "none" && !one(`.plane[data-kind=${kind}]`, stack);
      stack.setAttribute("aria-label", `${stack.dataset.name} with ${words(chosen("kind"))}, ${words(chosen("layer"))}${lacks ? ": not there" : ""}`);
    }
    scans.classList.toggle("dimmed", kind === "difference");
    scans.style.setProperty("--opacity", String(opacity.value / 100));
    one("output", toolbar).value = `${opacity.value} %`;
    one("#legend").textContent = legend(kind, layer);
  }

  function choose(name, value) {
    const input = one(`input[name=${name}][value="${value}"]`, toolbar);
    if (input) { input.checked = true; show(); }
  }

  if (toolbar) {
    toolbar.addEventListener("input", show);
    toolbar.addEventListener("submit", (event) => event.preventDefault());
    toolbar.reset();  // a browser may keep what was chosen before it reloads
    show();
  }

  // Maps of thickness and of heat: one of several at a time.

  function switcher(id, selector, key) {
    const select = one(id);
    if (!select) return;
    const turn = () => { for (const item of all(selector)) item.hidden = item.dataset[key] !== select.value; };
    select.addEventListener("change", turn);
    turn();
  }
  switcher("#slab", ".slab", "slab");
  switcher("#heat-class", ".heat figure", "class");

  // Marks: as they were read, then as they are changed here.

  const marks = new Map();
  const nameOf = (run, scan) => JSON.stringify([run, scan]);
  for (const [run, scan, verdict, comment] of JSON.parse(one("#marks-read").textContent)) marks.set(nameOf(run, scan), { run, scan, verdict, comment });
  let isSaved = true;

  function cell(row, text, kind) {
    const made = document.createElement(kind === "scan" ? "th" : "td");
    if (kind !== "scan") made.className = `words ${kind}`;
    made.textContent = text;
    row.append(made);
    return made;
  }

  function listMarks() {
    const body = one("#marks-table tbody"), list = [...marks.values()];
    body.replaceChildren();
    for (const mark of list) {
      const row = document.createElement("tr");
      cell(row, mark.scan, "scan").scope = "row";
      cell(row, mark.run, "");
      const verdict = document.createElement("span");
      verdict.className = "verdict";
      verdict.textContent = `${settings.signs[mark.verdict] || ""} ${mark.verdict}`.trim();
      cell(row, "", `v-${mark.verdict || "none"}`).append(verdict);
      cell(row, mark.comment, "comment");
      body.append(row);
    }
    const count = (verdict) => list.filter((mark) => mark.verdict === verdict).length;
    one("#marks-table").hidden = !list.length;
    one("#counts").textContent = list.length ? `${list.length} mark${list.length === 1 ? "" : "s"}: ${settings.verdicts.map((verdict) => `${count(verdict)} ${verdict}`).join(", ")}.` : "No marks yet.";
  }

  function readPanel(panel) {
    const { run, scan } = panel.dataset;
    const verdict = one(".mark input[type=radio]:checked", panel).value, comment = one(".comment", panel).value;
    if (verdict || comment) marks.set(nameOf(run, scan), { run, scan, verdict, comment });
    else marks.delete(nameOf(run, scan));
    one(".mark-said", panel).textContent = `${settings.signs[verdict] || ""} ${verdict} ${comment}`.trim();
    isSaved = false;
    one("#saved").textContent = "Not exported yet.";
    listMarks();
  }

  for (const panel of all(".panel")) {
    const mark = marks.get(nameOf(panel.dataset.run, panel.dataset.scan));
    for (const input of all(".mark input[type=radio]", panel)) input.checked = input.value === (mark ? mark.verdict : "");
    one(".comment", panel).value = mark ? mark.comment : "";
    one(".mark", panel).addEventListener("input", () => readPanel(panel));
  }
  listMarks();

  const guarded = (text) => (formula.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  function csv() {
    const rows = [...marks.values()].map((mark) => settings.columns.map((column) => quoted(guarded(mark[column]))));
    return [settings.columns, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
  }

  one("#export").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", csv()], { type: "text/csv" }));  // the mark makes spreadsheets read UTF-8
    link.download = "marks.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    isSaved = true;
    one("#saved").textContent = `Exported ${marks.size} mark${marks.size === 1 ? "" : "s"} to marks.csv.`;
  });
  window.addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });

  // Keys, while the focus is on a scan and not in a text.

  const kinds = { p: "prediction", t: "truth", g: "second", d: "difference", s: "none" };
  const verdicts = { y: "pass", c: "check", f: "fail", x: "" };

  function turnOpacity(by) {
    opacity.value = Number(opacity.value) + by;
    show();
  }

  function mark(article, verdict) {
    const panel = one(".panel", article);
    one(`.mark input[value="${verdict}"]`, panel).checked = true;
    readPanel(panel);
  }

  function move(article, by) {
    const list = all("article.scan", scans), next = list[list.indexOf(article) + by];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "start" }); }
  }

  function press(article, key) {
    if (key === "j") move(article, 1);
    else if (key === "k") move(article, -1);
    else if (key in kinds) choose("kind", kinds[key]);
    else if (key in verdicts) mark(article, verdicts[key]);
    else if (key === "0") choose("layer", "every");
    else if (/^[1-7]$/.test(key)) choose("layer", key);
    else if (key === "+" || key === "=") turnOpacity(5);
    else if (key === "-") turnOpacity(-5);
    else return false;
    return true;
  }

  if (toolbar) scans.addEventListener("keydown", (event) => {
    const article = event.target.closest("article.scan");
    if (!article || event.target.matches(".comment") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (press(article, event.key.toLowerCase())) event.preventDefault();
  });

  window.addEventListener("beforeprint", () => { for (const item of all("main details")) item.open = true; });
})();
