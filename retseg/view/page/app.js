// What every part of the page knows.

export const app = {
  about: null,      // of the server: classes, surfaces, slabs, choices
  drop: null,       // what is open: id, volumes
  place: { choice: 0, volume: 0, number: 0, forced: false },  // of the scan that is wanted
  shown: null,      // of the scan that is shown: another one while the wanted one is awaited
  scan: null,       // the server's answer
  surfaces: null,   // the scan's surfaces while they are corrected
  edits: new Map(), // of scans that were corrected, by their address
  heats: null,      // depths of the explanation
  slab: 7,          // whose thickness is charted
  picture: null,
};

export const element = (id) => document.getElementById(id);

export function say(id, words) {
  element(id).textContent = words || "";
  if (id === "failed" || id === "busy") element(id).hidden = !words;
}

// The address of the scan that is shown, or of another place.
export function address(what = "", place = app.shown) {
  const path = `scans/${place.drop}/${place.choice}/${place.volume}/${place.number}${what}`;
  return place.forced ? `${path}?forced=1` : path;
}

// Run what may fail; its one line is shown, anything else is a slip of ours and goes to the console.
export async function attempt(call) {
  say("failed", "");
  try {
    return await call();
  } catch (error) {
    if (error.name !== "Failed" && !("status" in error)) throw error;
    say("busy", "");
    say("failed", error.message);
    return null;
  }
}

export const isEditor = () => window.matchMedia("(min-width: 44.01rem)").matches;

export const unsaved = () => [...app.edits.values()].some((surfaces) => surfaces.isChanged && !surfaces.isSaved);

export function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, words]) => new Option(words, key)));
  if (value !== undefined) select.value = value;
}

export function list(id, lines) {
  element(id).replaceChildren(...lines.map(([words, kind]) => {
    const item = document.createElement("li");
    item.textContent = words;
    if (kind) item.className = kind;
    return item;
  }));
}

export const unit = () => (app.scan.spacing.axial_um === null ? "px" : "um");
export const inUnit = (px) => px * (app.scan.spacing.axial_um ?? 1);
export const shown = (value, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
