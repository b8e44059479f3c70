/// What the page does beyond showing itself: moving with the keyboard, the larger view, and looking at the map. Nothing in it
/// depends on what the page shows, and it makes no HTML from text.
enum ReportScript {
  static let text = #"""
    (() => {
    "use strict";
    const one = (s, from = document) => from.querySelector(s), all = (s, from = document) => [...from.querySelectorAll(s)];
    document.documentElement.classList.add("js");
    const items = all("a.frame"), view = one("#view");
    let shown = -1;

    const focus = i => {
      const item = items[Math.max(0, Math.min(items.length - 1, i))];
      if (item) { item.focus(); item.closest(".card").scrollIntoView({ block: "nearest" }); }
    };
    // The item nearest to the middle of this one in the next row that way.
    const inNextRow = (from, way) => {
      const a = items[from].getBoundingClientRect(), x = a.left + a.width / 2;
      let best = from, cost = Infinity;
      items.forEach((item, i) => {
        const b = item.getBoundingClientRect(), dy = (b.top - a.top) * way;
        if (dy < a.height / 2) return;
        const c = dy * 4 + Math.abs(b.left + b.width / 2 - x);
        if (c < cost) { cost = c; best = i; }
      });
      return best;
    };
    const show = i => {
      i = Math.max(0, Math.min(items.length - 1, i));
      const item = items[i], card = item.closest(".card"), both = one(".both", view), caption = one(".caption", view);
      const plain = node => {
        const copy = node.cloneNode(true), frame = document.createElement("div");
        frame.className = "frame";
        frame.append(...copy.childNodes);
        all(".other", frame).forEach(n => n.remove());
        return frame;
      };
      both.replaceChildren();
      const query = card.closest(".pair")?.querySelector(".query a.frame, .query .frame");
      if (query && query !== item) {
        const left = plain(query), heat = one(".other", item);
        all(".heat", left).forEach(n => n.remove());
        if (heat) { const h = heat.cloneNode(); h.className = "heat"; left.append(h); }
        both.append(left);
      }
      both.append(plain(item));
      const cap = one(".cap", card).cloneNode(true);
      caption.replaceChildren(cap);
      one("output", view).textContent = `${i + 1} of ${items.length}`;
      shown = i;
      if (!view.open) view.showModal();
    };
    items.forEach((item, i) => item.addEventListener("click", event => { event.preventDefault(); show(i); }));
    if (view) {
      one(".close", view).addEventListener("click", () => view.close());
      one(".previous", view).addEventListener("click", () => show(shown - 1));
      one(".next", view).addEventListener("click", () => show(shown + 1));
      view.addEventListener("close", () => focus(shown));
    }
    document.addEventListener("keydown", event => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.matches("input, select, textarea") && !view?.open) return;
      const key = event.key, at = items.indexOf(document.activeElement);
      const step = { j: 1, k: -1, ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 }[key];
      if (!step) return;
      if (view?.open) { show(shown + step); }
      else if (at >= 0) { focus(key === "ArrowDown" || key === "ArrowUp" ? inNextRow(at, step) : at + step); }
      else if (key === "j" || key === "k") {
        const below = items.findIndex(i => i.getBoundingClientRect().bottom > 0);
        focus(below < 0 ? 0 : below);
      } else { return; }
      event.preventDefault();
    });

    all(".map").forEach(map => {
      const stage = one(".stage", map), svg = one(".stage > svg", map), tip = one(".tip", map), cursor = one(".cursor", map);
      const data = JSON.parse(one("script[type='application/json']", map).textContent);
      const groups = all(".dots g", map), buttons = all(".legend button", map), box = svg.viewBox.baseVal;
      const whole = [box.x, box.y, box.width, box.height], points = [];
      groups.forEach((g, group) => {
        for (const m of one("path", g).getAttribute("d").matchAll(/M(\d+) (\d+)/g)) points.push({ x: +m[1], y: +m[2], group });
      });
      const cells = new Map(data.pictures.map((point, cell) => [point, cell]));
      let picked = -1, at = -1;

      const place = event => {
        const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        return [p.x, p.y];
      };
      const near = (x, y, limit) => {
        let best = -1, cost = limit * limit;
        points.forEach((p, i) => {
          if (picked >= 0 && p.group !== picked) return;
          const c = (p.x - x) ** 2 + (p.y - y) ** 2;
          if (c < cost) { cost = c; best = i; }
        });
        return best;
      };
      const select = i => {
        at = i;
        tip.classList.toggle("on", i >= 0);
        cursor.style.display = i >= 0 ? "inline" : "none";
        if (i < 0) return;
        const p = points[i], cell = cells.get(i), picture = one("svg", tip);
        cursor.setAttribute("cx", p.x);
        cursor.setAttribute("cy", p.y);
        picture.style.display = cell === undefined ? "none" : "block";
        if (cell !== undefined) {
          const side = data.side, columns = data.columns;
          picture.setAttribute("viewBox", `${cell % columns * side} ${Math.floor(cell / columns) * side} ${side} ${side}`);
        }
        one("bdi", tip).textContent = data.names[i] ?? "";
        one("span", tip).textContent = data.groups[p.group];
        const s = new DOMPoint(p.x, p.y).matrixTransform(svg.getScreenCTM()), r = stage.getBoundingClientRect();
        const w = tip.offsetWidth, h = tip.offsetHeight, x = s.x - r.left, y = s.y - r.top;
        tip.style.left = `${Math.max(4, Math.min(r.width - w - 6, x - w / 2))}px`;
        tip.style.top = `${y - h - 14 > 4 ? y - h - 14 : Math.min(r.height - h - 6, y + 14)}px`;
      };
      const zoomTo = (x, y, width) => {
        const scale = Math.max(1 / 24, Math.min(1, width / whole[2])), w = whole[2] * scale, h = whole[3] * scale;
        box.x = Math.max(whole[0], Math.min(whole[0] + whole[2] - w, x - w / 2));
        box.y = Math.max(whole[1], Math.min(whole[1] + whole[3] - h, y - h / 2));
        box.width = w;
        box.height = h;
        stage.classList.toggle("zoomed", scale < 1);
        // Dots grow more slowly than the space between them.
        one(".dots", map).style.setProperty("stroke-width", data.dot * Math.sqrt(scale));
        all(".hole", map).forEach(hole => { hole.style.strokeWidth = data.dot * Math.sqrt(scale) * .45; });
        cursor.setAttribute("r", data.dot * Math.sqrt(scale));
        cursor.setAttribute("stroke-width", data.dot * Math.sqrt(scale) / 3);
        all(".marks svg", map).forEach(mark => {
          const side = data.mark * scale, cx = +mark.dataset.x, cy = +mark.dataset.y;
          for (const [name, value] of Object.entries({ x: cx - side / 2, y: cy - side / 2, width: side, height: side }))
            mark.setAttribute(name, value);
        });
        if (at >= 0) select(at);
      };
      const zoom = factor => {
        const p = points[at];
        if (p) zoomTo(p.x, p.y, box.width * factor); else zoomTo(box.x + box.width / 2, box.y + box.height / 2, box.width * factor);
      };
      const toward = (dx, dy) => {
        if (at < 0) return near(box.x + box.width / 2, box.y + box.height / 2, Infinity);
        const from = points[at];
        let best = at, cost = Infinity;
        points.forEach((p, i) => {
          if (picked >= 0 && p.group !== picked) return;
          const x = p.x - from.x, y = p.y - from.y, along = x * dx + y * dy, across = Math.abs(x * dy) + Math.abs(y * dx);
          if (along <= 0 || across > 2 * along) return;
          if (along + 2 * across < cost) { cost = along + 2 * across; best = i; }
        });
        return best;
      };
      let drag = null;
      svg.addEventListener("pointerdown", event => { drag = { p: place(event), moved: false }; });
      svg.addEventListener("pointermove", event => {
        const [x, y] = place(event);
        if (drag && event.buttons && stage.classList.contains("zoomed")) {
          const dx = drag.p[0] - x, dy = drag.p[1] - y;
          if (Math.hypot(dx, dy) > box.width / 200) drag.moved = true;
          zoomTo(box.x + box.width / 2 + dx, box.y + box.height / 2 + dy, box.width);
        } else if (event.pointerType === "mouse") { select(near(x, y, box.width / 30)); }
      });
      svg.addEventListener("click", event => {
        if (!drag?.moved) { const [x, y] = place(event); select(near(x, y, box.width / 12)); }
        drag = null;
      });
      svg.addEventListener("dblclick", event => { const [x, y] = place(event); zoomTo(x, y, box.width / 2); });
      stage.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") select(-1); });
      stage.addEventListener("keydown", event => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (way) select(toward(...way));
        else if (event.key === "+" || event.key === "=") zoom(.5);
        else if (event.key === "-") zoom(2);
        else if (event.key === "0") zoomTo(0, 0, whole[2]);
        else if (event.key === "Escape") select(-1);
        else return;
        event.preventDefault();
        if (way && at >= 0) {
          const p = points[at], inside = p.x > box.x && p.x < box.x + box.width && p.y > box.y && p.y < box.y + box.height;
          if (!inside) zoomTo(p.x, p.y, box.width);
        }
      });
      one(".in", map).addEventListener("click", () => zoom(.5));
      one(".out", map).addEventListener("click", () => zoom(2));
      one(".whole", map).addEventListener("click", () => zoomTo(0, 0, whole[2]));
      buttons.forEach((button, i) => button.addEventListener("click", () => {
        picked = picked === i ? -1 : i;
        stage.classList.toggle("picked", picked >= 0);
        groups.forEach((g, n) => g.classList.toggle("on", n === picked));
        buttons.forEach((b, n) => b.setAttribute("aria-pressed", n === picked));
        select(-1);
      }));
    });
    })();
    """#
}
