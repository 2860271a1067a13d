"use strict";
// Meshes that turn, drawn triangle by triangle into a depth buffer: a page shows dozens of them, and
// browsers allow few WebGL contexts. The view and the light are those of lib/report/meshes.py.
(() => {
  const stored = JSON.parse(document.getElementById("meshes").textContent);
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const [LIGHT, AMBIENT, STEP] = [[-0.36, -0.52, 0.77], 0.5, 0.12];
  const decoded = new Map();

  const meshOf = (name) => {
    if (!decoded.has(name)) {
      const [color, text] = stored[name];
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
      const [count, triangles] = new Uint32Array(bytes, 0, 2);
      decoded.set(name, {
        color: [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)),
        points: Float32Array.from(new Int16Array(bytes, 8, 3 * count), (value) => value / 32767),
        faces: new Uint16Array(bytes, 8 + 6 * count, 3 * triangles),
      });
    }
    return decoded.get(name);
  };

  const draw = (canvas, view) => {
    const size = 2 * Math.min(canvas.clientWidth || 160, 320); // twice as fine, for smooth edges
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.clearRect(0, 0, size, size);
    canvas.dataset.shown = canvas.dataset.mesh;
    const { color, points, faces } = canvas.dataset.mesh ? meshOf(canvas.dataset.mesh) : { faces: [] };
    if (!faces.length) {
      context.fillStyle = "#566170";
      context.font = `${size / 13}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.fillText("no surface", size / 2, size / 2);
      return;
    }
    const [cosY, sinY, cosP, sinP] = [
      Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch),
    ];
    const seen = new Float32Array(points.length); // to the right, away from the eye, up
    for (let i = 0; i < points.length; i += 3) {
      const y = points[i] * sinY + points[i + 1] * cosY;
      seen[i] = points[i] * cosY - points[i + 1] * sinY;
      seen[i + 1] = y * cosP - points[i + 2] * sinP;
      seen[i + 2] = y * sinP + points[i + 2] * cosP;
    }
    const image = context.createImageData(size, size);
    const pixels = new Uint32Array(image.data.buffer);
    const depth = new Float32Array(size * size).fill(Infinity);
    const scale = 0.42 * size;
    for (let f = 0; f < faces.length; f += 3) {
      const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
      const [ux, uy, uz] = [seen[b] - seen[a], seen[b + 1] - seen[a + 1], seen[b + 2] - seen[a + 2]];
      const [vx, vy, vz] = [seen[c] - seen[a], seen[c + 1] - seen[a + 1], seen[c + 2] - seen[a + 2]];
      const [nx, ny, nz] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
      const area = Math.hypot(nx, ny, nz);
      if (Math.abs(ny) < 1e-9 * area || !area) continue; // on edge
      const lit = (-Math.sign(ny) * (nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2])) / area;
      const shade = AMBIENT + (1 - AMBIENT) * Math.max(lit, 0);
      const [red, green, blue] = color.map((part) => Math.round(part * shade));
      const pixel = (255 << 24) | (blue << 16) | (green << 8) | red;
      const [ax, ay, bx, by, cx, cy] = [a, b, c].flatMap((at) => [
        size / 2 + scale * seen[at], size / 2 - scale * seen[at + 2],
      ]);
      const whole = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
      const top = Math.max(Math.ceil(Math.min(ay, by, cy)), 0);
      const bottom = Math.min(Math.floor(Math.max(ay, by, cy)), size - 1);
      const left = Math.max(Math.ceil(Math.min(ax, bx, cx)), 0);
      const right = Math.min(Math.floor(Math.max(ax, bx, cx)), size - 1);
      for (let y = top; y <= bottom; y += 1) {
        for (let x = left; x <= right; x += 1) {
          const wb = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / whole;
          const wc = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / whole;
          if (wb < 0 || wc < 0 || wb + wc > 1) continue;
          const away = seen[a + 1] + wb * uy + wc * vy;
          const at = y * size + x;
          if (away < depth[at]) {
            depth[at] = away;
            pixels[at] = pixel;
          }
        }
      }
    }
    context.putImageData(image, 0, 0);
  };

  for (const image of document.querySelectorAll("img[data-picture]")) {
    image.src = pictures[image.dataset.picture] ?? "data:,";
  }

  for (const figure of document.querySelectorAll("figure.scene")) {
    const choices = JSON.parse(figure.querySelector("script").textContent);
    const canvases = [...figure.querySelectorAll("canvas")];
    const captions = [...figure.querySelectorAll(".panel p")];
    const control = figure.querySelector("[data-scene]");
    const strip = [...figure.querySelectorAll(".strip button")];
    const view = { yaw: -0.6, pitch: 0.35 };
    let waiting = false;
    const redraw = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        for (const canvas of canvases) draw(canvas, view);
        figure.dataset.yaw = view.yaw.toFixed(3);
      });
    };
    const turn = (yaw, pitch) => {
      view.yaw += yaw;
      view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + pitch));
      redraw();
    };
    const choose = (number) => {
      choices[number].forEach(([mesh, caption], panel) => {
        canvases[panel].dataset.mesh = mesh;
        captions[panel].textContent = caption;
      });
      strip.forEach((button, at) => button.setAttribute("aria-pressed", String(at === number)));
      if (control.tagName === "SELECT") control.selectedIndex = number;
      else {
        control.value = number;
        control.nextElementSibling.textContent = control.dataset.texts.split("|")[number];
      }
      redraw();
    };
    control.addEventListener("input", () => {
      choose(control.tagName === "SELECT" ? control.selectedIndex : Number(control.value));
    });
    strip.forEach((button, at) => button.addEventListener("click", () => choose(at)));
    for (const canvas of canvases) {
      let last = null;
      canvas.addEventListener("pointerdown", (event) => {
        last = [event.clientX, event.clientY];
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!last) return;
        const touched = event.pointerType === "touch"; // up and down scrolls the page there
        turn((event.clientX - last[0]) / 100, touched ? 0 : (event.clientY - last[1]) / 100);
        last = [event.clientX, event.clientY];
      });
      for (const end of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(end, () => { last = null; });
      }
      canvas.addEventListener("keydown", (event) => {
        const ways = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
        if (!ways[event.key]) return;
        event.preventDefault();
        turn(...ways[event.key]);
      });
    }
    const turning = figure.querySelector(".turn");
    const spin = () => {
      if (turning.getAttribute("aria-pressed") !== "true") return;
      turn(0.02, 0);
      requestAnimationFrame(spin);
    };
    turning.addEventListener("click", () => {
      const on = turning.getAttribute("aria-pressed") !== "true";
      turning.setAttribute("aria-pressed", String(on));
      if (on) spin();
    });
    new ResizeObserver(redraw).observe(canvases[0]);
    choose(0);
  }

  // The picture of a shape beside the pointer, where a figure has shapes for marks.
  for (const box of document.querySelectorAll("[data-hover]")) {
    const figure = document.getElementById(box.dataset.hover);
    const card = box.querySelector(".hover-picture");
    const whenDrawn = () => {
      if (!figure.on) return setTimeout(whenDrawn, 100);
      figure.on("plotly_hover", ({ points: [point], event }) => {
        const source = pictures[point.customdata];
        if (!source) return;
        card.querySelector("img").src = source;
        card.hidden = false;
        const place = figure.getBoundingClientRect();
        const x = event.clientX - place.left;
        card.style.left = `${x > place.width / 2 ? x - 120 : x + 16}px`;
        card.style.top = `${Math.max(event.clientY - place.top - 130, 0)}px`;
      });
      figure.on("plotly_unhover", () => { card.hidden = true; });
    };
    whenDrawn();
  }
})();
