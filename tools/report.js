"use strict";
(function () {
  var root = document.documentElement;
  root.classList.add("has-script");
  function all(query, from) { return Array.prototype.slice.call((from || document).querySelectorAll(query)); }

  // Light and dark: what the system says, until somebody chooses.
  var theme = document.getElementById("theme");
  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function label() { theme.textContent = dark() ? "Light" : "Dark"; }
  try { var kept = localStorage.getItem("tessera-theme"); if (kept) root.dataset.theme = kept; } catch (e) { /* no storage for files */ }
  theme.addEventListener("click", function () {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("tessera-theme", root.dataset.theme); } catch (e) { /* the choice lasts as long as the page */ }
    label();
  });
  label();

  // Tables are sorted by the data-v of their cells; what has none stays last.
  all("table.sortable").forEach(function (table) {
    all("thead th", table).forEach(function (head, column) {
      var button = document.createElement("button");
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener("click", function () {
        var up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : head.dataset.first !== "descending";
        all("thead th", table).forEach(function (h) { h.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        var body = table.tBodies[0];
        all("tr", body).map(function (row, i) {
          var v = row.cells[column].dataset.v;
          return { row: row, i: i, v: v === undefined ? null : head.dataset.text ? v : parseFloat(v) };
        }).sort(function (a, b) {
          if (a.v === null || b.v === null) return (a.v === null) - (b.v === null) || a.i - b.i;
          var order = head.dataset.text ? a.v.localeCompare(b.v, undefined, { numeric: true }) : a.v - b.v;
          return (up ? order : -order) || a.i - b.i;
        }).forEach(function (x) { body.appendChild(x.row); });
      });
    });
  });

  all(".command").forEach(function (box) {
    if (!navigator.clipboard) return;
    var button = document.createElement("button");
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(box.querySelector("code").textContent).then(function () {
        button.textContent = "Copied";
        setTimeout(function () { button.textContent = "Copy"; }, 1500);
      });
    });
    box.appendChild(button);
  });

  // Pictures: order, error maps, and the large view.
  var gallery = document.getElementById("gallery"), order = document.getElementById("order"), maps = document.getElementById("maps");
  if (!gallery) return;
  if (order) order.addEventListener("change", function () {
    var key = order.value;
    all("article", gallery).map(function (a, i) {
      return { a: a, i: i, v: key === "name" ? a.dataset.name : parseFloat(a.getAttribute("data-" + key)) };
    }).sort(function (p, q) {
      if (key === "name") return p.v.localeCompare(q.v, undefined, { numeric: true });
      if (isNaN(p.v) || isNaN(q.v)) return isNaN(p.v) - isNaN(q.v) || p.i - q.i;
      return q.v - p.v || p.i - q.i;
    }).forEach(function (x) { gallery.appendChild(x.a); });
  });
  if (maps) maps.addEventListener("change", function () { gallery.classList.toggle("no-errors", !maps.checked); });

  var view = document.getElementById("view"), stage = view.querySelector(".stage"), range = view.querySelector("input[type=range]");
  var below = stage.querySelector(".below"), above = stage.querySelector(".above"), line = stage.querySelector(".line");
  var list = [], at = 0;
  function split() {
    var box = above.getBoundingClientRect(), outer = stage.getBoundingClientRect(), share = range.value / 100;
    above.style.clipPath = "inset(0 0 0 " + (100 * share) + "%)";
    line.style.left = (box.left - outer.left + box.width * share) + "px";
  }
  function show(i) {
    at = (i + list.length) % list.length;
    var figure = list[at], article = figure.closest("article"), own = figure.querySelector(".shown img");
    var original = article.querySelector("figure.original .shown img");
    above.src = own.src;
    above.alt = own.alt;
    above.width = own.width; above.height = own.height;
    below.src = original ? original.src : own.src;
    view.querySelector("strong").textContent = article.dataset.name + " · " + figure.dataset.name;
    view.querySelector(".right").textContent = figure.dataset.name;
    view.querySelector(".numbers").textContent = figure.dataset.numbers || "";
    var alone = !original || figure.classList.contains("original");
    range.hidden = line.hidden = view.querySelector(".ends").hidden = alone;
    above.style.clipPath = "";
    if (!alone) requestAnimationFrame(split);
  }
  all(".shown", gallery).forEach(function (button) {
    button.addEventListener("click", function () {
      var figure = button.closest("figure");
      list = all("figure", figure.closest("article")).filter(function (f) { return f.querySelector(".shown"); });
      range.value = 50;
      view.showModal();
      show(list.indexOf(figure));
      (range.hidden ? view.querySelector(".next") : range).focus();
    });
  });
  range.addEventListener("input", split);
  above.addEventListener("load", function () { if (!range.hidden) split(); });
  addEventListener("resize", function () { if (view.open && !range.hidden) split(); });
  stage.addEventListener("pointermove", function (e) {
    if (range.hidden || (e.pointerType !== "mouse" && !e.buttons)) return;
    var box = above.getBoundingClientRect();
    range.value = Math.max(0, Math.min(100, 100 * (e.clientX - box.left) / box.width));
    split();
  });
  view.querySelector(".next").addEventListener("click", function () { show(at + 1); });
  view.querySelector(".before").addEventListener("click", function () { show(at - 1); });
  view.querySelector(".close").addEventListener("click", function () { view.close(); });
  view.addEventListener("click", function (e) { if (e.target === view) view.close(); });
  view.addEventListener("keydown", function (e) {
    if (e.key === "n" || e.key === "PageDown") { show(at + 1); e.preventDefault(); }
    if (e.key === "p" || e.key === "PageUp") { show(at - 1); e.preventDefault(); }
  });
})();
