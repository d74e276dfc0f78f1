// The scan on a canvas: pixels, layers or heat over them, surfaces, the cross; and the thickness below, column by column.
// Places are in the scan's own pixels: column c is drawn at c + 0.5, row r is the upper edge of pixel r.

import { LEAST_MOVE_PX, rint } from "./surfaces.js";

const NEAR_PX = 9, MOST_ZOOM = 12, PROFILE_PX = 120, STRIP_PX = 8;
const HEAT = [[60, 15, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
const UNSURE = [213, 94, 0], SURE = [225, 240, 255];

export class Picture {
  constructor(canvas, profile) {
    this.canvas = canvas;
    this.profile = profile;
    this.show = "layers";
    this.strength = { layers: 0.42, heat: 0.75, none: 0 };
    this.lines = true;
    this.selected = -1;
    this.cross = null;
    this.scan = null;
    new ResizeObserver(() => this.layout()).observe(canvas.parentElement);
  }

  // A scan: {bitmap, rows, columns, surfaces (Surfaces), confidence, fluid (levels or null)}, and colours of classes.
  open(scan, classes, fluidColour) {
    const isOther = !this.scan || this.scan.columns !== scan.columns || this.scan.rows !== scan.rows;
    Object.assign(this, { scan, classes, fluidColour, heat: null });
    this.cross = this.cross && !isOther ? this.cross : { x: Math.floor(scan.columns / 2), y: Math.floor(scan.rows / 2) };
    if (isOther) this.view = { zoom: 1, x: 0, y: 0 };
    this.tint = new OffscreenCanvas(scan.columns, scan.rows);
    this.paint();
    this.layout();
  }

  layout() {
    if (!this.scan) return;
    const room = this.canvas.parentElement.clientWidth;
    if (!room) return;
    const tallest = Math.max(260, Math.round(window.innerHeight * 0.62));
    const height = Math.min(Math.round(room * this.scan.rows / this.scan.columns), tallest);
    this.fit = Math.min(room / this.scan.columns, height / this.scan.rows);
    this.ratio = window.devicePixelRatio || 1;
    for (const [canvas, tall] of [[this.canvas, height], [this.profile, PROFILE_PX]]) {
      canvas.width = Math.round(room * this.ratio);
      canvas.height = Math.round(tall * this.ratio);
      canvas.style.height = `${tall}px`;
    }
    this.size = { width: room, height };
    this.draw();
  }

  get scale() { return this.fit * this.view.zoom; }
  get left() { return this.offset(this.size.width, this.scan.columns, "x"); }
  get top() { return this.offset(this.size.height, this.scan.rows, "y"); }
  // Where pixel 0 lies: in the middle if everything fits, else by the view, without a gap.
  offset(room, count, axis) {
    const whole = count * this.scale;
    if (whole <= room + 0.5) return (room - whole) / 2;
    this.view[axis] = Math.min(Math.max(this.view[axis], 0), count - room / this.scale);
    return -this.view[axis] * this.scale;
  }

  // Column and row under a pointer event, column whole; null outside.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - this.left) / this.scale, y = (event.clientY - box.top - this.top) / this.scale;
    if (!this.scan || x < 0 || y < 0 || x >= this.scan.columns || y >= this.scan.rows) return null;
    return { x: Math.floor(x), y };
  }
  // The same for a drag that may leave the canvas.
  rowOf(event) {
    return (event.clientY - this.canvas.getBoundingClientRect().top - this.top) / this.scale;
  }
  nearPx() { return NEAR_PX / this.scale; }

  zoom(factor, at) {
    const middle = at || { x: this.cross.x, y: this.cross.y }, before = this.scale;
    const on = { x: this.left + middle.x * before, y: this.top + middle.y * before };
    this.view.zoom = Math.min(Math.max(this.view.zoom * factor, 1), MOST_ZOOM);
    this.view.x = middle.x - on.x / this.scale;
    this.view.y = middle.y - on.y / this.scale;
    this.draw();
  }
  pan(dx, dy) {
    this.view.x -= dx / this.scale;
    this.view.y -= dy / this.scale;
    this.draw();
  }
  whole() { this.view = { zoom: 1, x: 0, y: 0 }; this.draw(); }

  // Colours of layers, and fluid over them, from where surfaces are now.
  paint() {
    const { columns, rows, surfaces, fluid } = this.scan, data = new ImageData(columns, rows), pixels = data.data;
    for (let x = 0; x < columns; x++) {
      if (!Number.isFinite(surfaces.rows[0][x])) continue;
      for (let k = 1; k < surfaces.count; k++) {
        const [r, g, b] = this.classes[k].colour, end = Math.min(rint(surfaces.rows[k][x]), rows);
        for (let y = Math.max(rint(surfaces.rows[k - 1][x]), 0); y < end; y++) {
          const i = 4 * (y * columns + x);
          pixels[i] = r; pixels[i + 1] = g; pixels[i + 2] = b; pixels[i + 3] = 255;
        }
      }
    }
    if (fluid) for (let i = 0; i < fluid.length; i++) if (fluid[i]) pixels.set([...this.fluidColour, 255], 4 * i);
    this.tint.getContext("2d").putImageData(data, 0, 0);
  }

  // Heat (h x w levels of one class), or null.
  setHeat(heat) {
    this.heat = null;
    if (heat) {
      const data = new ImageData(heat.columns, heat.rows);
      for (let i = 0; i < heat.levels.length; i++) {
        const level = heat.levels[i] / 255;
        data.data.set([...mixed(HEAT, level), Math.round(255 * Math.min(1, level * 1.6))], 4 * i);
      }
      this.heat = new OffscreenCanvas(heat.columns, heat.rows);
      this.heat.getContext("2d").putImageData(data, 0, 0);
    }
    this.draw();
  }

  draw() {
    if (!this.scan || !this.size) return;
    const pen = this.canvas.getContext("2d"), { columns, rows } = this.scan, scale = this.scale;
    const place = [this.left, this.top, columns * scale, rows * scale];
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.fillStyle = "#11161b";
    pen.fillRect(0, 0, this.size.width, this.size.height);
    pen.imageSmoothingEnabled = scale < 2;
    pen.drawImage(this.scan.bitmap, ...place);
    pen.globalAlpha = this.strength[this.show];
    if (this.show === "layers") pen.drawImage(this.tint, ...place);
    if (this.show === "heat" && this.heat) {
      pen.imageSmoothingEnabled = true;
      pen.drawImage(this.heat, ...place);
    }
    pen.globalAlpha = 1;
    if (this.lines) this.drawSurfaces(pen);
    this.drawCross(pen);
    this.drawProfile();
  }

  drawSurfaces(pen) {
    const { surfaces, columns } = this.scan, { left, top, scale } = this;
    const first = Math.max(0, Math.floor(-left / scale)), last = Math.min(columns - 1, Math.ceil((this.size.width - left) / scale));
    surfaces.rows.forEach((one, s) => {
      const isSelected = s === this.selected;
      for (const isMoved of [false, true]) {
        pen.beginPath();
        let isDown = false;
        for (let x = first; x <= last; x++) {
          const isHere = Number.isFinite(one[x]) && (Math.abs(one[x] - surfaces.own[s][x]) > LEAST_MOVE_PX) === isMoved;
          const place = [left + (x + 0.5) * scale, top + one[x] * scale];
          if (isHere && isDown) pen.lineTo(...place);
          else if (isHere) pen.moveTo(...place);
          isDown = isHere;
        }
        pen.strokeStyle = "rgb(0 0 0 / .55)";
        pen.lineWidth = isSelected ? 4 : 2.5;
        pen.stroke();
        pen.strokeStyle = isMoved ? "#ffd21f" : "#fff";
        pen.lineWidth = isSelected ? 2.4 : 1.1;
        pen.stroke();
      }
    });
  }

  drawCross(pen) {
    const x = this.left + (this.cross.x + 0.5) * this.scale, y = this.top + (Math.floor(this.cross.y) + 0.5) * this.scale;
    pen.strokeStyle = "rgb(255 255 255 / .55)";
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, 0); pen.lineTo(x, this.size.height);
    pen.moveTo(x - 9, y); pen.lineTo(x + 9, y);
    pen.stroke();
  }

  // charted: {values (W), halfWidths (W) or null, unit, name, colour}, in the unit of thickness.
  drawProfile() {
    const pen = this.profile.getContext("2d"), { width } = this.size, ink = getComputedStyle(this.profile);
    const colour = ink.color, faint = ink.borderTopColor, { charted } = this, bottom = PROFILE_PX - STRIP_PX - 6;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, width, PROFILE_PX);
    const place = (x) => this.left + (x + 0.5) * this.scale;
    (this.scan.confidence || []).forEach((sure, x) => {
      pen.fillStyle = sure === null ? faint : `rgb(${mixed([UNSURE, SURE], Math.min(Math.max((sure - 0.5) * 2, 0), 1))})`;
      pen.fillRect(place(x) - this.scale / 2, PROFILE_PX - STRIP_PX, this.scale + 0.6, STRIP_PX);
    });
    if (!charted) return;
    const known = charted.values.filter(Number.isFinite);
    if (!known.length) return;
    const most = nice(Math.max(...known, ...(charted.halfWidths || []).map((half, x) => (Number.isFinite(charted.values[x]) ? charted.values[x] + (half || 0) : 0))));
    const level = (value) => bottom - (bottom - 16) * Math.max(value, 0) / most;
    pen.font = "12px system-ui, sans-serif";
    pen.strokeStyle = faint;
    for (const tick of [0, most / 2, most]) {
      pen.beginPath(); pen.moveTo(0, level(tick)); pen.lineTo(width, level(tick)); pen.stroke();
    }
    if (charted.halfWidths) {
      pen.fillStyle = "rgb(128 140 150 / .35)";
      charted.halfWidths.forEach((half, x) => {
        if (half === null || !Number.isFinite(charted.values[x])) return;
        const high = level(charted.values[x] + half), low = level(charted.values[x] - half);
        pen.fillRect(place(x) - this.scale / 2, high, this.scale + 0.6, low - high);
      });
    }
    pen.strokeStyle = colour;
    pen.lineWidth = 1.8;
    pen.beginPath();
    charted.values.forEach((value, x) => {
      if (Number.isFinite(value)) pen[Number.isFinite(charted.values[x - 1]) ? "lineTo" : "moveTo"](place(x), level(value));
    });
    pen.stroke();
    pen.fillStyle = colour;
    pen.fillText(`${charted.name}, ${charted.unit}`, 44, 12);
    pen.fillText(`${most}`, 4, 12);
    pen.fillText("0", 4, bottom - 3);
    pen.strokeStyle = faint;
    pen.beginPath(); pen.moveTo(place(this.cross.x), 0); pen.lineTo(place(this.cross.x), PROFILE_PX); pen.stroke();
  }
}

// A colour between stops, share 0..1.
function mixed(stops, share) {
  const step = share * (stops.length - 1), first = Math.min(Math.floor(step), stops.length - 2), rest = step - first;
  return stops[first].map((level, i) => Math.round(level + rest * (stops[first + 1][i] - level)));
}

// The next round number from a value on.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= value);
}
