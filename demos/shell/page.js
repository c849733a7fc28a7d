() => {
  const locales = LOCALES, words = WORDS, MOST = 8000;
  const arrived = location.search, opened = {}, accept = {}, waiting = {};
  let begin;
  const begun = new Promise((resolve) => { begin = resolve; });
  const skip = { __type__: "update" };
  const go = (selected) => ({ __type__: "update", selected });
  const known = (l) => (/^zh/i.test(l || "") ? "zh" : /^en/i.test(l || "") ? "en" : null);
  const spoken = () => known(document.documentElement.lang) || "en";
  const withLang = (search, lang) => { const q = new URLSearchParams(search); q.set("lang", lang); return "?" + q; };
  const put = (edit) => { const u = new URL(location); edit(u.searchParams); history.replaceState(null, "", u); };
  const escaped = (s) => s.replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
  // The browser may forbid storage (private windows, embedded pages): then nothing is remembered.
  const memory = {
    get(name) { try { return localStorage.getItem("lucida-" + name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem("lucida-" + name, value); } catch { /* not remembered */ } },
  };
  // Both languages; the style sheet shows one.
  const spans = (name, values = {}) => Object.entries(locales).map(([lang, locale]) =>
    `<span lang="${locale}">${escaped(words[lang][name].replace(/\{(\w+)\}/g, (_, n) => values[n]))}</span>`).join("");
  const bars = (plan, tab) => {
    const chapters = [...new Set(Object.values(plan))];
    return [tab ? go(plan[tab]) : skip, ...chapters.map((c) => (tab && plan[tab] === c ? go(tab) : skip))];
  };

  window.lucida = {
    spoken,
    // Gradio's own locale store, so that every gr.I18n text on the page changes without a reload.
    async language(lang) {
      const core = performance.getEntriesByType("resource").map((e) => e.name).find((n) => /\/core-[^/]*\.js/.test(n));
      if (core) (await import(core)).changeLocale(locales[lang]);
      else console.error("Gradio's locale module was not found");
      memory.set("lang", lang);
      document.documentElement.lang = locales[lang];
      document.documentElement.style.setProperty("--lucida-error", JSON.stringify(words[lang].error));
      if (new URL(location).searchParams.has("lang")) put((q) => q.set("lang", lang));
      dispatchEvent(new CustomEvent("lucida-lang", { detail: lang }));
      return lang;
    },
    // Labels of bars: Gradio translates only those of tabs that are on the page.
    titles(lang, names) { return names[lang].map((label) => ({ __type__: "update", label })); },
    theme() {
      const dark = document.body.classList.toggle("dark");
      memory.set("theme", dark ? "dark" : "light");
      if (new URL(location).searchParams.has("__theme")) put((q) => q.set("__theme", dark ? "dark" : "light"));
      dispatchEvent(new CustomEvent("lucida-theme", { detail: dark ? "dark" : "light" }));
    },
    // Outputs: [language, note, chapters, a bar for each chapter, `opened` for each tab]. With a link, go where it
    // says; without one, move nobody: a visitor may have clicked before this runs.
    async start(plan) {
      const q = new URLSearchParams(arrived), asked = q.get("tab");
      const tab = Object.hasOwn(plan, asked || "") ? asked : null;
      const shown = tab || Object.keys(plan)[0];
      const theme = q.get("__theme") || memory.get("theme");
      if (theme === "dark" || theme === "light") document.body.classList.toggle("dark", theme === "dark");
      const lang = await this.language(known(q.get("lang")) || memory.get("lang") || known(navigator.language) || "en");
      setTimeout(begin, 200); // when the page has gone where the link says
      const note = asked !== null && !tab ? `<p class="lucida-note">${spans("link_no_tab")}</p>` : skip;
      return [lang, note, ...bars(plan, tab), ...Object.keys(plan).map((t) => (t === shown ? (opened[t] = withLang(arrived, lang)) : skip))];
    },
    // The address by which a tab was first opened: the same at every later visit, so that it is rendered once.
    // Gradio also selects the first tab while the page is built: only a tab that is seen counts.
    async open(tab) {
      await begun;
      if (!document.getElementById("tab-" + tab)?.offsetParent) return opened[tab] || "";
      put((q) => {
        if (q.get("tab") === tab) return;
        [...q.keys()].forEach((k) => k === "lang" || k === "__theme" || q.delete(k));
        q.set("tab", tab);
      });
      return (opened[tab] ||= withLang(location.search, spoken()));
    },
    // "Link to this": the settings into the address, the address into the clipboard. Returns what the page says.
    async link(tab, names, values) {
      const u = new URL(location), keep = u.searchParams.get("__theme");
      u.search = "";
      u.searchParams.set("tab", tab);
      names.forEach((n, i) => {
        const v = values[i];
        if (v !== null && v !== undefined && v !== "") u.searchParams.set(n, typeof v === "object" ? JSON.stringify(v) : v);
      });
      u.searchParams.set("lang", spoken());
      if (u.href.length > MOST) return `<p class="lucida-note" role="status">${spans("link_too_long", { n: u.href.length, most: MOST })}</p>`;
      if (keep) u.searchParams.set("__theme", keep);
      history.replaceState(null, "", u);
      let copied = true;
      try { await navigator.clipboard.writeText(u.href); } catch { copied = false; }
      const box = copied ? "" : `<input type="text" readonly value="${escaped(u.href)}" onfocus="this.select()">`;
      return `<p class="lucida-note" role="status">${spans(copied ? "link_copied" : "link_by_hand")}</p>${box}`;
    },
    // "Send to": open the tab and hand the parcel to its inbox, as soon as the tab has been laid out.
    send(parcel, plan) {
      if (!parcel?.to || !Object.hasOwn(plan, parcel.to)) return bars(plan, null);
      if (accept[parcel.to]) accept[parcel.to](parcel); else waiting[parcel.to] = parcel;
      scrollTo({ top: 0 });
      return bars(plan, parcel.to);
    },
    inbox(tab, take) {
      accept[tab] = take;
      if (waiting[tab]) take(waiting[tab]);
      delete waiting[tab];
    },
    // A typed array from `arrays.pack` or `arrays.pack_file`: {array, shape}. float16 becomes Float32Array.
    async unpack(packed) {
      const root = (window.gradio_config?.root || "").replace(/\/$/, "");
      const buffer = packed.url
        ? await (await fetch(root + "/" + packed.url)).arrayBuffer()
        : Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0)).buffer;
      const array = { uint8: () => new Uint8Array(buffer), uint16: () => new Uint16Array(buffer), float32: () => new Float32Array(buffer), float16: () => halves(buffer) }[packed.dtype]();
      return { array, shape: packed.shape };
    },
  };
  function halves(buffer) {
    return Float32Array.from(new Uint16Array(buffer), (h) => {
      const sign = h >> 15 ? -1 : 1, exponent = (h >> 10) & 31, fraction = h & 1023;
      if (exponent === 0) return sign * fraction * 2 ** -24;
      if (exponent === 31) return fraction ? NaN : sign * Infinity;
      return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    });
  }
  // The copy buttons of code blocks.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const code = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(code.textContent);
      const before = button.innerHTML;
      button.innerHTML = spans("copied");
      setTimeout(() => { button.innerHTML = before; }, 1500);
    } catch { getSelection().selectAllChildren(code); }
  });
}
