// Surfaces of one scan while a person corrects them. Pure: no page, no network.
// rows: S arrays of W rows, top to bottom; NaN where there is none. Surfaces never cross, whatever is done here.

const MOST_STEPS = 200;
export const LEAST_MOVE_PX = 0.001;

export class Surfaces {
  constructor(rows, numRows) {
    this.numRows = numRows;
    this.own = rows.map((one) => Float64Array.from(one, (row) => (row === null ? NaN : row)));
    this.rows = this.own.map((one) => one.slice());
    this.undone = [];
    this.done = [];
  }

  get count() { return this.rows.length; }
  get columns() { return this.rows[0].length; }
  get canUndo() { return this.done.length > 0; }
  get canRedo() { return this.undone.length > 0; }

  // Columns where a surface lies elsewhere than the network has it.
  movedColumns() {
    const moved = [];
    for (let x = 0; x < this.columns; x++) if (this.isMoved(x)) moved.push(x);
    return moved;
  }
  isMoved(x) { return this.rows.some((one, s) => Math.abs(one[x] - this.own[s][x]) > LEAST_MOVE_PX); }
  get isChanged() { return this.rows.some((one, s) => one.some((row, x) => Math.abs(row - this.own[s][x]) > LEAST_MOVE_PX)); }

  // Begin a change that ends as one step of undo, however many moves it takes.
  begin() { this.before = this.rows.map((one) => one.slice()); }

  // Put surface s at a row in column x; a smooth neighbourhood of `reach` columns on either side comes along, from
  // where it was at `begin`. push: neighbours give way; otherwise the surface stops at them.
  moveTo(s, x, row, reach, push) {
    const from = this.before;
    if (!Number.isFinite(from[s][x])) return;
    const shift = row - from[s][x];
    for (let k = 0; k < this.count; k++) this.rows[k].set(from[k]);
    const first = Math.max(0, Math.ceil(x - reach)), last = Math.min(this.columns - 1, Math.floor(x + reach));
    for (let c = first; c <= last; c++) {
      const t = (c - x) / Math.max(reach, 1);
      const share = (1 - t * t) ** 2;
      if (Number.isFinite(from[s][c])) this.place(s, c, from[s][c] + shift * share, push);
    }
  }

  place(s, c, row, push) {
    const rows = this.rows;
    let wanted = Math.min(Math.max(row, 0), this.numRows);
    if (!push) {
      if (s > 0) wanted = Math.max(wanted, rows[s - 1][c]);
      if (s < this.count - 1) wanted = Math.min(wanted, rows[s + 1][c]);
    }
    rows[s][c] = wanted;
    for (let k = s + 1; k < this.count; k++) rows[k][c] = Math.max(rows[k][c], rows[k - 1][c]);
    for (let k = s - 1; k >= 0; k--) rows[k][c] = Math.min(rows[k][c], rows[k + 1][c]);
  }

  // End a change; nothing is remembered where nothing moved.
  end() {
    const before = this.before;
    this.before = null;
    if (!before || before.every((one, s) => one.every((row, x) => Object.is(row, this.rows[s][x])))) return false;
    this.done.push(before);
    if (this.done.length > MOST_STEPS) this.done.shift();
    this.undone = [];
    return true;
  }

  nudge(s, x, by, reach, push) {
    this.begin();
    this.moveTo(s, x, this.rows[s][x] + by, reach, push);
    return this.end();
  }

  reset() {
    this.begin();
    this.own.forEach((one, s) => this.rows[s].set(one));
    return this.end();
  }

  undo() { this.step(this.done, this.undone); }
  redo() { this.step(this.undone, this.done); }
  step(from, to) {
    const rows = from.pop();
    if (!rows) return;
    to.push(this.rows);
    this.rows = rows;
  }

  // Class at a pixel edge row: as the mask is painted, rows rounded to the pixel; null where there are no surfaces.
  classAt(x, y) {
    if (!Number.isFinite(this.rows[0][x])) return null;
    let above = 0;
    for (const one of this.rows) if (rint(one[x]) <= y) above++;
    return above === this.count ? 0 : above;
  }

  nearest(x, row, within) {
    let best = -1, distance = within;
    this.rows.forEach((one, s) => {
      const away = Math.abs(one[x] - row);
      if (away <= distance) { best = s; distance = away; }
    });
    return best;
  }

  // Thickness in px of slab {first, last} in each column.
  thickness(slab) {
    return this.rows[slab.last].map((row, x) => row - this.rows[slab.first - 1][x]);
  }

  // For the server: null where there is no surface.
  toJSON() {
    return this.rows.map((one) => Array.from(one, (row) => (Number.isFinite(row) ? row : null)));
  }
}

// Half to even, as the mask is painted.
export function rint(value) {
  const floor = Math.floor(value), rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
