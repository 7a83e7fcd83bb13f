// The timeline: lanes of stretches on a canvas, to be zoomed into and pointed at.
//
// Only what is in sight is drawn. Within a lane, stretches narrower than a pixel are drawn as one, in the gravest of their shades, found
// in a pyramid of maxima, and all that is narrow as one image; so a redraw costs pixels, not stretches, and a run of a million changes scrolls like one of ten.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("lane-data").textContent);
  const byId = (id) => document.getElementById(id);
  const [box, scroll, space, canvas, tip, range, filter] =
    ["lanes", "scroll", "space", "canvas", "tip", "range", "filter"].map(byId);
  const pen = canvas.getContext("2d");
  const LANE = 22, TOP = 42, SLIDER = 6, NARROWEST = 1e-6, BLOCK = 16;
  const end = Math.max(data.end, 1e-9);

  // --- what is in the lanes

  /** Maxima of 16 shades each, maxima of 16 of those, and so on. */
  const pyramid = (shades) => {
    const levels = [Uint8Array.from(shades)];
    while (levels.at(-1).length > 1) {
      const below = levels.at(-1), above = new Uint8Array(Math.ceil(below.length / BLOCK));
      below.forEach((shade, i) => { above[Math.floor(i / BLOCK)] = Math.max(above[Math.floor(i / BLOCK)], shade); });
      levels.push(above);
    }
    return levels;
  };

  /** The gravest shade of the stretches from `i` to before `j`. */
  const gravest = (levels, i, j) => {
    let most = 0;
    for (const shades of levels) {
      while (i < j && i % BLOCK !== 0) most = Math.max(most, shades[i++]);
      while (i < j && j % BLOCK !== 0) most = Math.max(most, shades[--j]);
      if (i === j) break;
      i /= BLOCK;
      j /= BLOCK;
    }
    return most;
  };

  /** The first index at which a rising list is greater than `limit`. */
  const above = (list, limit, low = 0) => {
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle] > limit) high = middle; else low = middle + 1;
    }
    return low;
  };

  const lanes = data.lanes.map((lane) => ({
    ...lane, from: Float64Array.from(lane.from), to: Float64Array.from(lane.to), levels: pyramid(lane.shade),
  }));
  let shown = lanes;

  // --- what is in sight

  let from = 0, to = end;                    // seconds
  let chosen = -1, step = -1;                // a lane, and a stretch of it, by the keyboard
  let drag = null;                           // where a pointer went down, and where it is
  let size = { width: 0, height: 0, gutter: 0 };
  const xOf = (t) => size.gutter + (t - from) / (to - from) * (size.width - size.gutter);
  const tOf = (x) => from + (x - size.gutter) / (size.width - size.gutter) * (to - from);

  const digits = () => Math.min(9, Math.max(3, Math.ceil(2 - Math.log10(to - from))));
  const seconds = (t) => `${t.toFixed(digits())} s`;

  const look = (newFrom, newTo) => {
    const length = Math.min(end, Math.max(NARROWEST, newTo - newFrom));
    from = Math.min(Math.max(0, newFrom), end - length);
    to = from + length;
    range.textContent = `${seconds(from)} to ${seconds(to)}`;
    redraw();
  };
  const zoom = (factor, around = (from + to) / 2) => look(around - (around - from) * factor, around + (to - around) * factor);
  const move = (share) => look(from + (to - from) * share, to + (to - from) * share);

  // --- colours: those of the page, read where the style sheet has settled them

  let paint = {};
  const readColours = () => {
    const style = getComputedStyle(document.body);
    const shade = (n) => {
      const swatch = document.querySelector(`[data-shade="${n}"]`);
      return swatch ? getComputedStyle(swatch).color : style.color;
    };
    const probe = document.createElement("i");
    box.append(probe);
    const variable = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
    const names = ["good", "hop1", "hop2", "hop3", "hop4", "hop5", "hop6", "absent", "between", "bad"];
    paint = {
      page: style.backgroundColor, ink: style.color,
      quiet: variable("quiet"), rule: variable("rule"), raised: variable("raised"), accent: variable("accent"),
      shades: names.map((name, n) => (n === 0 || n > 6 ? shade(n) : variable(name))),
    };
    probe.remove();
    // As a row of pixels has them: four octets, red first.
    paint.dots = paint.shades.map((colour) => {
      const [red, green, blue] = colour.match(/\d+/g);
      return new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer)[0];
    });
    paint.bad = striped(paint.shades[9], (tile) => { tile.moveTo(-1, 7); tile.lineTo(7, -1); });
    paint.between = striped(paint.shades[8], (tile) => { tile.moveTo(3, 0); tile.lineTo(3, 6); });
  };
  const striped = (colour, stripe) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const ink = tile.getContext("2d");
    ink.fillStyle = colour;
    ink.fillRect(0, 0, 6, 6);
    ink.strokeStyle = paint.page;
    ink.globalAlpha = 0.45;
    ink.lineWidth = 1.3;
    ink.beginPath();
    stripe(ink);
    ink.stroke();
    return pen.createPattern(tile, "repeat");
  };
  const fillOf = (shade) => (shade === 9 ? paint.bad : shade === 8 ? paint.between : paint.shades[shade]);

  // --- drawing

  let asked = false;
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const start = performance.now();
      draw();
      performance.clearMeasures("lanes");
      performance.measure("lanes", { start });
    });
  };

  const fit = () => {
    const width = scroll.clientWidth, whole = TOP + SLIDER + LANE * Math.max(1, shown.length) + 6;
    space.style.height = `${whole}px`;
    const height = Math.min(whole, Math.max(120, parseFloat(getComputedStyle(scroll).maxHeight) || whole));
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    strip.width = Math.max(1, width);
    strip.height = 1;
    line = new ImageData(strip.width, 1);
    pixels = new Uint32Array(line.data.buffer);
    column = new Uint8Array(strip.width);
    size = { width, height, gutter: Math.min(236, Math.round(width * 0.32)), scale };
    redraw();
  };

  const draw = () => {
    const { width, height, gutter, scale } = size;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.fillStyle = paint.page;
    pen.fillRect(0, 0, width, height);
    pen.font = '12px system-ui, "DejaVu Sans", sans-serif';
    pen.textBaseline = "middle";
    const first = Math.max(0, Math.floor(scroll.scrollTop / LANE));
    const last = Math.min(shown.length, Math.ceil((scroll.scrollTop + height) / LANE));
    for (let row = first; row < last; row++) drawLane(shown[row], TOP + row * LANE - scroll.scrollTop, row);
    drawAxis();
    drawMarks();
    if (drag?.zooming) {
      const [a, b] = [drag.x, drag.now].sort((p, q) => p - q);
      pen.fillStyle = paint.accent;
      pen.globalAlpha = 0.18;
      pen.fillRect(a, TOP, b - a, height - TOP);
      pen.globalAlpha = 1;
    }
  };

  const strip = document.createElement("canvas");
  let line, pixels, column;                  // of a lane: its image, the same as numbers, and shades, from 1
  const drawLane = (lane, top, row) => {
    const { width, gutter } = size;
    if (row === chosen) {
      pen.fillStyle = paint.raised;
      pen.fillRect(0, top, width, LANE);
    }
    pen.fillStyle = row === chosen ? paint.accent : lane.kind === "tunnel" || lane.kind === "probe" ? paint.ink : paint.quiet;
    pen.textAlign = "right";
    pen.fillText(short(lane.name, gutter - 18), gutter - 10, top + LANE / 2);
    pen.textAlign = "left";
    // What is narrow is put together in a row of pixels, which is drawn at once.
    let low = width, high = 0;
    let i = above(lane.to, from);
    const n = lane.from.length;
    while (i < n && lane.from[i] < to) {
      const a = Math.max(gutter, xOf(lane.from[i])), b = Math.min(width, xOf(lane.to[i]));
      if (b - a >= 4) {
        bar(lane.shade[i], a, b, top);
        const text = data.words[lane.text[i]];
        if (text && b - a > 24) write(text, a, b, top, lane.shade[i]);
        i++;
        continue;
      }
      const first = Math.floor(a);
      let next = i + 1, last = Math.min(width - 1, Math.max(first, Math.ceil(b) - 1)), shade = lane.shade[i];
      if (b < first + 1) {
        next = Math.max(next, above(lane.to, tOf(first + 1), i));
        shade = gravest(lane.levels, i, Math.min(n, next));
        last = Math.min(width - 1, first);
      }
      for (let x = first; x <= last; x++) column[x] = Math.max(column[x], shade + 1);
      low = Math.min(low, first);
      high = Math.max(high, last + 1);
      i = next;
    }
    if (low >= high) return;
    for (let x = low; x < high; x++) pixels[x] = column[x] === 0 ? 0 : paint.dots[column[x] - 1];
    column.fill(0, low, high);
    strip.getContext("2d").putImageData(line, 0, 0, low, 0, high - low, 1);
    pen.drawImage(strip, low, 0, high - low, 1, low, top + 3, high - low, LANE - 6);
  };

  const bar = (shade, a, b, top) => {
    pen.fillStyle = fillOf(shade);
    if (shade === 7) pen.fillRect(a, top + LANE / 2 - 2, b - a, 4);
    else pen.fillRect(a, top + 3, b - a, LANE - 6);
  };

  const write = (text, a, b, top, shade) => {
    const fits = short(text, b - a - 10);
    if (fits.length < Math.min(3, text.length)) return;
    if (shade >= 7) {
      // On stripes and on lines a text needs ground of its own.
      pen.fillStyle = paint.page;
      pen.fillRect(a + 3, top + 4, pen.measureText(fits).width + 5, LANE - 8);
      pen.fillStyle = paint.ink;
    } else {
      pen.fillStyle = "#fff";
    }
    pen.fillText(fits, a + 5, top + LANE / 2 + 0.5);
  };

  const short = (text, room) => {
    if (pen.measureText(text).width <= room) return text;
    let length = Math.max(0, Math.floor(room / 6.2) - 1);
    while (length > 0 && pen.measureText(text.slice(0, length) + "…").width > room) length--;
    return length > 0 ? text.slice(0, length) + "…" : "";
  };

  const drawAxis = () => {
    const { width, gutter } = size;
    pen.fillStyle = paint.page;
    pen.fillRect(0, 0, width, TOP);
    const least = (to - from) * 90 / (width - gutter);
    const power = 10 ** Math.floor(Math.log10(least));
    const tick = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least);
    const after = Math.max(0, -Math.floor(Math.log10(tick) + 1e-9));
    pen.textAlign = "center";
    for (let n = Math.ceil(from / tick); n * tick <= to; n++) {
      const x = xOf(n * tick);
      pen.fillStyle = paint.rule;
      pen.fillRect(Math.round(x), TOP - 5, 1, 5);
      pen.fillStyle = paint.quiet;
      pen.fillText(`${(n * tick).toFixed(after)} s`, Math.min(width - 24, Math.max(gutter + 18, x)), 30);
    }
    // Where in the whole run this is.
    pen.fillStyle = paint.rule;
    pen.fillRect(gutter, 0, width - gutter, 3);
    pen.fillStyle = paint.accent;
    const share = (width - gutter) / end;
    pen.fillRect(gutter + from * share, 0, Math.max(3, (to - from) * share), 3);
  };

  const drawMarks = () => {
    const { width, height, gutter } = size;
    let free = gutter;
    for (const mark of data.marks) {
      if (mark.at < from || mark.at > to) continue;
      const x = xOf(mark.at);
      pen.strokeStyle = mark.heals ? paint.quiet : paint.ink;
      pen.lineWidth = 1.5;
      pen.setLineDash(mark.heals ? [2, 3] : [5, 3]);
      pen.beginPath();
      pen.moveTo(x, 8);
      pen.lineTo(x, height);
      pen.stroke();
      pen.setLineDash([]);
      const room = pen.measureText(mark.name).width + 8;
      if (x >= free && x + room < width) {
        pen.textAlign = "left";
        pen.fillStyle = paint.page;
        pen.fillRect(x + 2, 6, room - 2, 15);
        pen.fillStyle = mark.heals ? paint.quiet : paint.shades[9];
        pen.fillText(mark.name, x + 4, 14);
        free = x + room;
      }
    }
  };

  // --- pointing

  const rowAt = (y) => (y < TOP ? -1 : Math.floor((y - TOP + scroll.scrollTop) / LANE));

  const told = (lane, i) => {
    const [a, b] = [lane.from[i], lane.to[i]];
    const lost = lane.shade[i] === 9 ? "lost" : "answered";
    const state = lane.kind === "probe" ? lost : data.words[lane.text[i]] || "no route";
    const why = data.words[lane.why[i]];
    return `${lane.name}: ${state}\n${seconds(a)} to ${seconds(b)} (${seconds(b - a)})${why ? `\n${why}` : ""}`;
  };

  const under = (x, y) => {
    const lines = [];
    const lane = shown[rowAt(y)];
    if (lane && x >= size.gutter) {
      const [early, late] = [tOf(Math.floor(x)), tOf(Math.floor(x) + 1)];
      const i = above(lane.to, early), j = above(lane.to, late, i);
      if (j - i > 2) lines.push(`${lane.name}: ${j - i} changes within this pixel\nzoom in to see them`);
      else if (i < lane.from.length && lane.from[i] <= late) lines.push(told(lane, i));
      else lines.push(`${lane.name}: nothing yet`);
    } else if (lane) {
      lines.push(lane.name);
    }
    const near = data.marks.filter((mark) => Math.abs(xOf(mark.at) - x) < 4);
    lines.push(...near.map((mark) => `${mark.name} at ${seconds(mark.at)}${mark.heals ? "" : `: ${mark.what}`}`));
    return lines.join("\n");
  };

  const say = (text, x, y) => {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const home = box.getBoundingClientRect(), at = canvas.getBoundingClientRect();
    const left = at.left - home.left + x + 14, top = at.top - home.top + y + 16;
    tip.style.left = `${Math.max(0, Math.min(left, home.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top}px`;
  };

  const place = (event) => {
    const at = canvas.getBoundingClientRect();
    return [event.clientX - at.left, event.clientY - at.top];
  };

  canvas.addEventListener("wheel", (event) => {
    const [x] = place(event);
    if (x < size.gutter) return;                                  // over the names the wheel scrolls
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      return move((event.deltaX || event.deltaY) / 1000);
    }
    if (event.deltaY > 0 && to - from >= end) return;             // nothing more to see: the page scrolls on
    event.preventDefault();
    zoom(Math.exp(Math.sign(event.deltaY) * Math.min(0.5, Math.abs(event.deltaY) / 400)), tOf(x));
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = place(event);
    if (event.button !== 0 || x < size.gutter) return;
    drag = { x, now: x, from, to, zooming: !event.shiftKey && y >= TOP && event.pointerType !== "touch" };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (!drag) return say(under(x, y), x, y);
    say("");
    drag.now = Math.max(size.gutter, x);
    if (drag.zooming) return redraw();
    const moved = (drag.x - x) / (size.width - size.gutter) * (drag.to - drag.from);
    look(drag.from + moved, drag.to + moved);
  });
  canvas.addEventListener("pointerup", () => {
    const done = drag;
    drag = null;
    if (done?.zooming && Math.abs(done.now - done.x) > 4) {
      const [a, b] = [done.x, done.now].sort((p, q) => p - q);
      look(tOf(a), tOf(b));
    } else {
      redraw();
    }
  });
  canvas.addEventListener("pointercancel", () => { drag = null; redraw(); });
  canvas.addEventListener("pointerleave", () => say(""));
  canvas.addEventListener("dblclick", () => look(0, end));

  // --- keys and buttons

  const choose = (row) => {
    chosen = Math.max(0, Math.min(shown.length - 1, row));
    step = -1;
    const top = chosen * LANE;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    const seen = size.height - TOP - SLIDER;
    if (top + LANE > scroll.scrollTop + seen) scroll.scrollTop = top + LANE - seen;
    walk(0);
  };
  /** To the stretch so many further on in the chosen lane. */
  const walk = (by) => {
    const lane = shown[chosen];
    if (!lane || lane.from.length === 0) return redraw();
    step = step < 0 ? above(lane.to, from) : step + by;
    step = Math.max(0, Math.min(lane.from.length - 1, step));
    const at = lane.from[step];
    if (at < from || at > to) look(at - (to - from) / 2, at + (to - from) / 2);
    redraw();
    const x = Math.min(size.width, Math.max(size.gutter, xOf(at)));
    say(told(lane, step), x, TOP + chosen * LANE - scroll.scrollTop + LANE / 2);
  };

  const actions = {
    in: () => zoom(0.5), out: () => zoom(2), left: () => move(-0.25), right: () => move(0.25), all: () => look(0, end),
  };
  const keys = {
    "+": actions.in, "=": actions.in, "-": actions.out, "0": actions.all, Home: actions.all,
    ArrowLeft: actions.left, ArrowRight: actions.right,
    ArrowUp: () => choose(chosen < 0 ? 0 : chosen - 1), ArrowDown: () => choose(chosen + 1),
    PageDown: () => walk(1), PageUp: () => walk(-1),
    Escape: () => { chosen = step = -1; say(""); redraw(); },
  };
  canvas.addEventListener("keydown", (event) => {
    const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  for (const button of box.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);

  // A button for each of the first faults: from a little before it to a little after the next, or to what follows.
  const strikes = data.marks.filter((mark) => !mark.heals).slice(0, 6);
  for (const mark of strikes) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = mark.name.length > 24 ? `${mark.name.slice(0, 23)}…` : mark.name;
    button.title = `To ${mark.name} at ${mark.at.toFixed(3)} s`;
    button.addEventListener("click", () => {
      const lost = lanes.filter((lane) => lane.kind === "probe").flatMap((lane) => {
        const i = above(lane.from, mark.at - 1e-3);
        return i < lane.from.length && lane.shade[i] === 9 ? [lane.to[i]] : [];
      });
      const until = Math.max(mark.at + end / 50, ...lost);
      const margin = (until - mark.at) * 0.15;
      look(mark.at - margin, until + margin);
    });
    byId("jumps").append(button, " ");
  }

  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    shown = lanes.filter((lane) => lane.name.toLowerCase().includes(wanted));
    chosen = step = -1;
    fit();
  });
  scroll.addEventListener("scroll", redraw);
  document.addEventListener("themechange", () => { readColours(); redraw(); });
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(scroll);

  box.hidden = false;
  readColours();
  fit();
  look(0, end);
})();
