// One scan on the bench: verdict, picture, readout, table of layers, heat maps.

import { address, app, attempt, element, fill, inUnit, list, say, shown, unit } from "./app.js";
import { get, levels } from "./server.js";
import { Surfaces } from "./surfaces.js";

let asked = 0;

// Ask for the scan at app.place and show it; a later call wins.
export async function showScan() {
  const mine = ++asked, place = { ...app.place, drop: app.drop.id }, start = performance.now();
  say("busy", "The network looks at the scan…");
  const found = await attempt(async () => {
    const [scan, image] = await Promise.all([get(address("", place)), levels(address("/image", place))]);
    const fluid = scan.fluid ? await levels(address("/fluid", place)) : null;
    return { scan, image, fluid };
  });
  if (mine !== asked) return;
  say("busy", "");
  element("shown").hidden = found === null;
  if (found === null) return;
  app.scan = found.scan;
  app.shown = place;
  app.heats = null;
  heatOf.clear();
  const key = address("", place);
  if (!app.edits.has(key)) app.edits.set(key, new Surfaces(found.scan.surfaces, found.scan.rows));
  for (const [other, surfaces] of app.edits) if (other !== key && !surfaces.canUndo) app.edits.delete(other);
  app.surfaces = app.edits.get(key);
  verdict(place);
  app.picture.open(
    { bitmap: found.image.bitmap, rows: found.scan.rows, columns: found.scan.columns, surfaces: app.surfaces,
      confidence: found.scan.confidence, fluid: found.fluid && found.fluid.levels },
    app.about.classes, app.about.fluid_colour);
  refresh();
  app.took = { page: (performance.now() - start) / 1000, ...found.scan.seconds };
  notes();
  document.dispatchEvent(new Event("scan-shown"));
  await explanation(mine);
}

function verdict(place) {
  const { scan } = app, choice = app.about.choices[place.choice];
  element("verdict").dataset.level = scan.verdict;
  element("level").textContent = scan.verdict;
  element("scan-name").textContent = scan.name;
  const isEmpty = scan.surfaces[0].every((row) => row === null);
  element("force").hidden = !(scan.verdict === "fail" && isEmpty && !place.forced);
  list("reasons", [
    ...scan.findings.map((found) => [found.reason, found.level === "fail" ? "grave" : ""]),
    ...(isEmpty && !scan.findings.length ? [["No retina was found.", "grave"]] : []),
    ...scan.cautions.map((line) => [line, "grave"]),
    ...choice.cautions.map((line) => [line, ""]),
  ]);
}

function notes() {
  const choice = app.about.choices[app.shown.choice], { took, scan } = app, spacing = scan.spacing;
  const sizes = [["axial", spacing.axial_um], ["lateral", spacing.lateral_um]]
    .map(([name, um]) => `${name} ${um === null ? "unknown" : `${um} um`}`).join(", ");
  list("notes", [
    [`${scan.rows} rows x ${scan.columns} columns; pixel size ${sizes}${spacing.source === "unknown" ? "" : ` (${spacing.source})`}`],
    ...choice.networks.map((one) => [`${one.name}, ${one.engine}: learned from ${one.data}, labels ${one.labels}`]),
    [choice.intervals],
    ...scan.notices.map((line) => [line]),
    [`answered in ${shown(took.all, 2)} s, of which the network took ${shown(took.network, 2)} s; on the page after ${shown(took.page, 2)} s`],
  ]);
}

// After surfaces have moved.
export function refresh() {
  app.picture.paint();
  chart();
  table();
  readout();
  const { surfaces } = app, moved = surfaces.movedColumns().length;
  element("undo").disabled = !surfaces.canUndo;
  element("redo").disabled = !surfaces.canRedo;
  element("reset").disabled = !surfaces.isChanged;
  say("edit-note", moved ? `Corrected in ${moved} of ${surfaces.columns} columns (yellow).` : "Drag a surface. It moves smoothly and never crosses another.");
  app.picture.draw();
}

export function chart() {
  const slab = app.about.slabs[app.slab], { surfaces, scan, picture } = app;
  const values = surfaces.thickness(slab).map(inUnit);
  const halfWidths = scan.half_widths && scan.half_widths[app.slab].map((half, x) => (surfaces.isMoved(x) ? null : half));
  picture.charted = { values, halfWidths, unit: unit(), name: slab.name };
  say("profile-note", `Thickness of ${slab.name} in ${unit() === "um" ? "microns" : "pixels"}` +
    `${halfWidths ? "; band: where nine in ten errors of a column stay, where calibrated" : ""}. Strip: confidence of a column, orange at 0.5 and below, pale at 1.`);
}

export function table() {
  const { surfaces, scan } = app, x = app.picture.cross.x, here = surfaces.classAt(x, Math.floor(app.picture.cross.y));
  element("layers").tBodies[0].replaceChildren(...app.about.slabs.map((slab, number) => {
    const values = surfaces.thickness(slab).map(inUnit), known = values.filter(Number.isFinite);
    const row = document.createElement("tr"), head = document.createElement("th"), pick = document.createElement("button");
    pick.textContent = slab.name;
    pick.setAttribute("aria-pressed", String(number === app.slab));
    pick.title = "Chart its thickness";
    pick.dataset.slab = number;
    if (slab.first === slab.last) pick.prepend(swatch(app.about.classes[slab.first].colour));
    head.append(pick);
    row.append(head);
    for (const value of [values[x], known.reduce((sum, one) => sum + one, 0) / known.length]) {
      row.insertCell().textContent = shown(value);
    }
    if (slab.first === slab.last && slab.first === here) row.className = "here";
    return row;
  }));
  const fluid = !scan.fluid ? "" : ` Fluid (pale cyan): ${scan.fluid.mm2 === null ? `${scan.fluid.px} px` : `${scan.fluid.mm2.toFixed(3)} mm²`}.`;
  say("unit-note", (unit() === "um" ? `Thickness in um; pixel size: ${scan.spacing.source}.` : "Thickness in pixels: the pixel size is unknown.") + fluid);
}

function swatch(colour) {
  const one = document.createElement("i");
  one.className = "swatch";
  one.style.background = `rgb(${colour})`;
  return one;
}

// What is under the cross.
export function readout() {
  const { scan, surfaces, picture } = app, { x } = picture.cross, y = Math.floor(picture.cross.y), id = surfaces.classAt(x, y);
  const slab = id ? app.about.slabs[id - 1] : app.about.slabs[7], px = surfaces.thickness(slab)[x];
  const half = scan.half_widths && !surfaces.isMoved(x) ? scan.half_widths[app.about.slabs.indexOf(slab)][x] : null;
  const sure = surfaces.isMoved(x) ? "corrected" : scan.confidence[x] === null ? "–" : scan.confidence[x].toFixed(2);
  const parts = [["row", y], ["column", x]];
  if (scan.spacing.axial_um !== null) parts.push(["depth", `${shown(y * scan.spacing.axial_um, 0)} um`]);
  if (scan.spacing.lateral_um !== null) parts.push(["along", `${shown(x * scan.spacing.lateral_um, 0)} um`]);
  parts.push(["layer", id === null ? "no surfaces here" : id ? app.about.classes[id].name : side(x, y)]);
  parts.push([slab.name, Number.isFinite(px) ? `${shown(inUnit(px))}${half === null ? "" : ` ± ${shown(half)}`} ${unit()}` : "–"]);
  parts.push(["confidence", sure]);
  const heat = heatAt(x, y);
  if (heat !== null) parts.push(["heat", `${shown(100 * heat, 0)} %`]);
  element("readout").replaceChildren(...parts.map(([name, value]) => {
    const part = document.createElement("span"), title = document.createElement("b");
    title.textContent = name;
    part.append(title, ` ${value}`);
    return part;
  }));
}

const side = (x, y) => (y < app.surfaces.rows[0][x] ? "vitreous" : "below BM");

// ---- heat maps ----

const heatOf = new Map();

async function explanation(mine) {
  const depth = element("depth"), wanted = depth.value;
  depth.disabled = true;
  if (app.scan.surfaces[0].every((row) => row === null)) return say("heat-note", "Nothing was found, so there is nothing to explain.");
  const { no_heat: whyNot } = app.about.choices[app.shown.choice];
  if (whyNot) return say("heat-note", whyNot);
  say("heat-note", "Working on it…");
  let heats;
  try {
    heats = await get(address("/heats"));
  } catch (error) {
    if (mine === asked) say("heat-note", error.message);
    return undefined;
  }
  if (mine !== asked) return undefined;
  app.heats = heats;
  fill(depth, heats.map((heat, i) => [String(i), `${heat.grain.join(" x ")} px`]));
  depth.value = wanted && Number(wanted) < heats.length ? wanted : String(Math.min(2, heats.length - 1));
  depth.disabled = false;
  await showHeat();
  return document.dispatchEvent(new Event("heat-shown"));
}

// The class whose map is shown: chosen, or of the layer under the cross (the last one it was in).
let lastClass = 1;
export function heatClass() {
  const chosen = element("explained").value;
  if (chosen !== "pointer") return Number(chosen);
  return app.surfaces.classAt(app.picture.cross.x, Math.floor(app.picture.cross.y)) || lastClass;
}

let drawnHeat = "";
export async function showHeat() {
  if (!app.heats) return app.picture.setHeat(null);
  const depth = element("depth").value, heat = app.heats[depth], id = heatClass();
  lastClass = id;
  if (!heatOf.has(depth)) heatOf.set(depth, levels(address(`/heats/${depth}`)));
  const atlas = await attempt(() => heatOf.get(depth));
  if (!atlas || app.heats?.[depth] !== heat) return undefined;  // another scan came meanwhile
  const size = heat.rows * heat.columns;
  app.heat = { rows: heat.rows, columns: heat.columns, levels: atlas.levels.subarray(id * size, (id + 1) * size) };
  drawnHeat = `${id}`;
  app.picture.setHeat(app.heat);
  const name = app.about.classes[id].name, stamp = heat.stamps[id], peak = heat.peaks[id];
  const whose = app.about.choices[app.shown.choice].networks.length > 1 ? ` Of ${heat.network} alone.` : "";
  say("heat-note", peak === 0 ? `${name} at ${heat.layer}: a blank map, nothing at this depth speaks for it.` :
    `${name} at ${heat.layer}: Grad-CAM, 100 % is its own peak of ${peak.toPrecision(2)}.${stamp ? ` This map ${stamp}.` : ""}${whose}`);
  element("heat-note").classList.toggle("redundant", Boolean(stamp));
  return readout();
}

export function heatFollows() {
  if (app.heats && element("explained").value === "pointer" && drawnHeat !== `${heatClass()}`) showHeat();
}

function heatAt(x, y) {
  const { heat, scan } = app;
  if (!app.heats || !heat || app.picture.show !== "heat") return null;
  const row = Math.min(heat.rows - 1, Math.floor(y * heat.rows / scan.rows)), column = Math.min(heat.columns - 1, Math.floor(x * heat.columns / scan.columns));
  return heat.levels[row * heat.columns + column] / 255;
}
