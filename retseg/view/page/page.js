// The page as a whole: dropping files, choosing, paging, saving.

import { address, app, attempt, element, fill, list, say, unsaved } from "./app.js";
import { chart, heatClass, readout, refresh, showHeat, showScan, table } from "./bench.js";
import { redo, select, undo, watchEditing, watchPicture } from "./editing.js";
import { Picture } from "./picture.js";
import { dropped, Failed, get, keep, post, upload } from "./server.js";

const mayLose = () => !unsaved() || window.confirm("Corrections that were not saved will be lost. Go on?");

async function start() {
  app.about = await get("about");
  say("research", app.about.research_only);
  fill(element("choice"), app.about.choices.map((choice, i) => [String(i), choice.name]));
  fill(element("surface"), [["", "nearest to the pointer"], ...app.about.surfaces.map((name, s) => [String(s), `${s + 1} ${name}`])]);
  fill(element("explained"), [["pointer", "under the pointer"], ...app.about.classes.map((one, id) => [String(id), one.name])]);
  say("save-note", app.about.labels ? `Goes to ${app.about.labels}, where training reads it.` : "Is downloaded; put such files in one folder and train on it.");
  app.picture = new Picture(element("picture"), element("profile"));
  watchPicture(element("picture"));
  watchEditing();
}

// ---- files in ----

async function take(files) {
  await ready;
  if (!files.length || !mayLose()) return;
  const most = app.about.max_bytes, all = files.reduce((sum, { file }) => sum + file.size, 0);
  await attempt(async () => {
    if (all > most) {
      throw new Failed(`${files.length === 1 ? files[0].name : `${files.length} files`}: ${(all / 1e6).toFixed(1)} MB, at most ${most / 1e6} MB are taken in one drop; drop less, or start \`retseg view --max-mb\` with more`, 413);
    }
    element("shown").hidden = true;
    const { id } = await (await post("scans", {})).json();
    for (const [number, { file, name }] of files.entries()) {
      say("busy", files.length > 1 ? `Reading ${number + 1} of ${files.length} files…` : `Reading ${name}…`);
      await upload(`scans/${id}/files?name=${encodeURIComponent(name)}`, file);
    }
    const options = { is_stack: element("is-stack").checked, array_key: element("array-key").value.trim() };
    opened(await (await post(`scans/${id}/open`, options)).json());
    await showPlace(0);
  });
}

function opened(drop) {
  app.drop = drop;
  element("drop").hidden = true;  // before the scan is there: later it would jump up under the pointer
  element("drop-more").hidden = false;
  app.edits.clear();
  fill(element("volume"), drop.volumes.map((volume, i) => [String(i), volume.name]));
  element("volume-label").hidden = drop.volumes.length < 2;
  const left = [...drop.failures, ...drop.ignored.map((name) => `${name}: left alone, no scan`)];
  if (left.length) say("failed", left.join(" · "));
}

// ---- which scan ----

async function showPlace(volume, number) {
  const { numbers } = app.drop.volumes[volume], middle = numbers[Math.floor(numbers.length / 2)];
  Object.assign(app.place, { volume, number: number ?? middle, forced: false });
  const slider = element("bscan");
  slider.max = numbers.length - 1;
  slider.value = numbers.indexOf(app.place.number);
  element("bscans").hidden = numbers.length < 2;
  element("paging").hidden = numbers.length < 2 && app.drop.volumes.length < 2;
  say("bscan-number", `${app.place.number} (${Number(slider.value) + 1} of ${numbers.length})`);
  element("previous").disabled = slider.value === "0";
  element("next").disabled = slider.value === slider.max;
  await showScan();
}

function pageBy(step) {
  const { numbers } = app.drop.volumes[app.place.volume], next = numbers[numbers.indexOf(app.place.number) + step];
  if (next !== undefined) showPlace(app.place.volume, next);
}

document.addEventListener("scan-shown", () => {
  const volume = app.drop.volumes[app.shown.volume], { spacing } = app.scan;
  element("subject").value = (volume.subject || volume.name).replace(/[^\w.-]+/g, "_").replace(/^[.-]+/, "").slice(0, 64);
  element("label-bscan").value = app.shown.number;
  element("eye").value = volume.eye || "";
  element("axial").value = spacing.axial_um ?? "";
  element("lateral").value = spacing.lateral_um ?? "";
  say("spacing-note", spacing.source === "unknown" ? "Unknown. Nothing is guessed: without it there are no microns." : `From: ${spacing.source}. Clear a field for what the file says.`);
  document.title = `${app.scan.name} – retseg view`;
});

// ---- what goes out ----

async function save(overwrite = false) {
  const bscan = element("label-bscan").valueAsNumber, { surfaces } = app;
  const label = { subject: element("subject").value.trim(), bscan: Number.isNaN(bscan) ? null : bscan,
    eye: element("eye").value || null, only_corrected: element("only-corrected").checked };
  try {
    const response = await post(address("/label"), { surfaces, label, overwrite });
    const isFile = response.headers.has("content-disposition");
    say("save-note", `Saved: ${isFile ? await keep(response, "label.h5") : (await response.json()).saved}. Labels: silver, corrected by hand.`);
    surfaces.isSaved = true;
  } catch (error) {
    if (error.status === 409 && !overwrite && window.confirm(`${error.message}\n\nReplace it?`)) return save(true);
    say("save-note", error.message);
    if (!(error instanceof Failed)) throw error;
  }
  return undefined;
}

const number = (id) => {
  const words = element(id).value.trim().replace(",", ".");
  return words === "" ? null : Number.isFinite(Number(words)) ? Number(words) : words;
};

async function useSpacing(event) {
  event.preventDefault();
  if (!mayLose()) return;
  await attempt(async () => {
    const sizes = { axial_um: number("axial"), lateral_um: number("lateral") };
    const { volume, number: shown } = app.place;
    const drop = await (await post(`scans/${app.drop.id}/spacing`, sizes)).json();
    opened(drop);
    element("volume").value = String(volume);
    await showPlace(volume, shown);
  });
}

// ---- wiring ----

function watch() {
  const on = (id, name, call) => element(id).addEventListener(name, call);
  on("choose", "click", () => element("files").click());
  on("choose-folder", "click", () => element("folder").click());
  on("drop-more", "click", () => { element("drop").hidden = !element("drop").hidden; });
  on("files", "change", (event) => take([...event.target.files].map((file) => ({ file, name: file.name }))));
  on("folder", "change", (event) => take([...event.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }))));
  on("choice", "change", (event) => {
    app.place.choice = Number(event.target.value);
    if (app.drop) showPlace(app.place.volume, app.place.number);
  });
  on("force", "click", () => { app.place.forced = true; showScan(); });
  on("volume", "change", (event) => showPlace(Number(event.target.value)));
  on("bscan", "input", (event) => showPlace(app.place.volume, app.drop.volumes[app.place.volume].numbers[event.target.value]));
  on("previous", "click", () => pageBy(-1));
  on("next", "click", () => pageBy(1));
  on("show", "change", (event) => show(event.target.value));
  on("strength", "input", (event) => { app.picture.strength[app.picture.show] = event.target.value / 100; app.picture.draw(); });
  on("lines", "change", (event) => { app.picture.lines = event.target.checked; app.picture.draw(); });
  on("zoom-in", "click", () => app.picture.zoom(1.5));
  on("zoom-out", "click", () => app.picture.zoom(1 / 1.5));
  on("zoom-fit", "click", () => app.picture.whole());
  on("depth", "change", () => { show("heat"); showHeat(); });
  on("explained", "change", () => { show("heat"); showHeat(); });
  on("layers", "click", (event) => pick(event.target.closest("button")));
  on("save", "click", () => save());
  on("download", "click", () => attempt(async () => keep(await post(address("/files"), { surfaces: app.surfaces }), "scan.zip")));
  on("spacing", "submit", useSpacing);
  document.addEventListener("page-by", (event) => pageBy(event.detail));
  document.addEventListener("keydown", onKey);
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", name === "dragover");
    });
  }
  document.addEventListener("drop", async (event) => take(await dropped(event.dataTransfer)));
  window.addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });
}

function show(what) {
  app.picture.show = what;
  document.querySelector(`input[name=show][value=${what}]`).checked = true;
  element("strength").value = Math.round(100 * app.picture.strength[what]);
  element("strength").disabled = what === "none";
  if (app.scan) { app.picture.draw(); readout(); }
}

function pick(button) {
  if (!button) return;
  app.slab = Number(button.dataset.slab);
  chart();
  table();
  app.picture.draw();
  element("layers").querySelector(`button[data-slab="${app.slab}"]`).focus();
}

function onKey(event) {
  if (!app.scan || /^(INPUT|SELECT)$/.test(event.target.tagName) && event.target.type !== "radio") return;
  const isControl = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  const calls = isControl
    ? { z: event.shiftKey ? redo : undo, y: redo }
    : { pageup: () => pageBy(-1), pagedown: () => pageBy(1), l: () => show("layers"), h: () => show("heat"), n: () => show("none"),
        "+": () => app.picture.zoom(1.5), "-": () => app.picture.zoom(1 / 1.5), 0: () => app.picture.whole() };
  if (!calls[key]) return;
  event.preventDefault();
  calls[key]();
}

watch();
const ready = attempt(start);
