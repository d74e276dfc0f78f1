// Pointer and keys over the picture: the cross follows, surfaces are dragged or nudged, the rest pans and zooms.

import { app, element, isEditor } from "./app.js";
import { heatFollows, readout, refresh, showHeat, table } from "./bench.js";

const STEP_PX = 0.5, LARGE_STEP_PX = 3, DRAG_STARTS_PX = 4;
let drag = null;

const reach = () => Number(element("reach").value);
const push = () => element("push").checked;

export function select(surface) {
  app.picture.selected = surface;
  element("surface").value = surface < 0 ? "" : String(surface);
  app.picture.draw();
}

function moveCross(x, y) {
  const { columns, rows } = app.scan;
  app.picture.cross = { x: Math.min(Math.max(x, 0), columns - 1), y: Math.min(Math.max(y, 0), rows - 0.01) };
  readout();
  table();
  heatFollows();
  app.picture.draw();
}

// The surface that a press at a place takes hold of, -1 for none.
function held(at) {
  const { surfaces, picture } = app, near = picture.nearPx();
  if (picture.selected >= 0) {
    return Math.abs(surfaces.rows[picture.selected][at.x] - at.y) <= 2 * near ? picture.selected : -1;
  }
  return surfaces.nearest(at.x, at.y, near);
}

export function watchPicture(canvas) {
  canvas.addEventListener("pointerdown", (event) => {
    const at = app.picture.at(event);
    if (!at || event.button !== 0) return;
    moveCross(at.x, at.y);
    if (event.pointerType === "touch" || !isEditor()) return;
    canvas.setPointerCapture(event.pointerId);
    const surface = app.picture.lines ? held(at) : -1;
    drag = { surface, at, by: at.y - (surface < 0 ? 0 : app.surfaces.rows[surface][at.x]), last: event, from: event };
    if (surface >= 0) app.surfaces.begin();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && drag.surface >= 0) {
      app.surfaces.moveTo(drag.surface, drag.at.x, app.picture.rowOf(event) - drag.by, reach(), push());
      refresh();
    } else if (drag) {
      pan(canvas, event);
    } else {
      const at = app.picture.at(event);
      if (!at) return;
      element("readout").setAttribute("aria-live", "off");
      canvas.classList.toggle("near", isEditor() && app.picture.lines && held(at) >= 0);
      moveCross(at.x, at.y);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (drag && drag.surface >= 0) finish(app.surfaces.end());
      canvas.classList.remove("panning");
      drag = null;
    });
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    app.picture.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, app.picture.at(event));
  }, { passive: false });
  canvas.addEventListener("keydown", onPictureKey);
}

function pan(canvas, event) {
  const far = Math.hypot(event.clientX - drag.from.clientX, event.clientY - drag.from.clientY);
  if (far < DRAG_STARTS_PX && !canvas.classList.contains("panning")) return;
  canvas.classList.add("panning");
  app.picture.pan(event.clientX - drag.last.clientX, event.clientY - drag.last.clientY);
  drag.last = event;
}

function finish(isMoved) {
  if (isMoved) app.surfaces.isSaved = false;
  refresh();
  if (app.picture.show === "heat") showHeat();
}

function onPictureKey(event) {
  element("readout").setAttribute("aria-live", "polite");  // not while a pointer sweeps over the scan
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key], aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const { selected, cross } = app.picture;
  if (step && selected >= 0 && isEditor()) {
    const by = step * (event.shiftKey ? LARGE_STEP_PX : STEP_PX);
    finish(app.surfaces.nudge(selected, cross.x, by, reach(), push()));
  } else if (step) {
    moveCross(cross.x, cross.y + step * (event.shiftKey ? 10 : 1));
  } else if (aside && (selected >= 0 || event.shiftKey)) {
    moveCross(cross.x + aside * (event.shiftKey ? 10 : 1), cross.y);
  } else if (aside) {
    document.dispatchEvent(new CustomEvent("page-by", { detail: aside }));
  } else if (/^[1-8]$/.test(event.key) && !event.ctrlKey && !event.metaKey && isEditor()) {
    select(Number(event.key) - 1);
  } else if (event.key === "Escape") {
    select(-1);
  } else {
    return;
  }
  event.preventDefault();
}

export function undo() { app.surfaces.undo(); finish(true); }
export function redo() { app.surfaces.redo(); finish(true); }

export function watchEditing() {
  element("undo").onclick = undo;
  element("redo").onclick = redo;
  element("reset").onclick = () => finish(app.surfaces.reset());
  element("surface").onchange = (event) => select(event.target.value === "" ? -1 : Number(event.target.value));
  const say = () => { element("reach-px").value = `${reach()} columns`; };
  element("reach").oninput = say;
  say();
}
