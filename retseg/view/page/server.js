// What the page asks of its server; every failure is one line to show.

export class Failed extends Error {
  constructor(words, status) { super(words); this.status = status; }
}

async function answered(promise) {
  let response;
  try {
    response = await promise;
  } catch {
    throw new Failed("The viewer does not answer: it has ended, or a file was larger than it takes.", 0);
  }
  if (response.ok) return response;
  let words = response.statusText;
  try { words = (await response.json()).error || words; } catch { /* no JSON: the status says it */ }
  throw new Failed(words, response.status);
}

export async function get(path) { return (await answered(fetch(path))).json(); }

export async function post(path, content) {
  return answered(fetch(path, { method: "POST", body: JSON.stringify(content), headers: { "content-type": "application/json" } }));
}

export async function upload(path, file) {
  return answered(fetch(path, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } }));
}

// A picture's red levels: {width, height, levels}.
export async function levels(path) {
  const bitmap = await createImageBitmap(await (await answered(fetch(path))).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  const pixels = pen.getImageData(0, 0, bitmap.width, bitmap.height).data, red = new Uint8Array(pixels.length / 4);
  for (let i = 0; i < red.length; i++) red[i] = pixels[4 * i];
  return { width: bitmap.width, height: bitmap.height, levels: red, bitmap };
}

export async function keep(response, fallback) {
  const said = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("content-disposition") || "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = said ? decodeURIComponent(said[1]) : fallback;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return link.download;
}

// Files of a drop with their paths: folders are walked.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, above, found) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    found.push({ file, name: above + entry.name });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, `${above}${entry.name}/`, found);
  }
}
